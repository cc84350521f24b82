import type { Adapters } from './adapters.ts';
import type { AppOptions } from './options.ts';
import { webhook } from '../channels/webhook.ts';
import type { ChannelSettings, Governance } from '../core/agent.ts';
import { WEBHOOK } from '../core/escalation.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { Views } from '../core/api/views.ts';
import { type Channels, openChannels } from '../messages/channels.ts';
import { openDoor } from '../messages/door.ts';
import { Drafts } from '../messages/drafts.ts';
import { openPairing, type PairingDeps } from '../messages/pairing.ts';
import type { Trust } from '../trust/trust.ts';

export interface Messengers {
  channels: Channels;
  drafts: Drafts;
  /** Who owns a channel, and who answers there; undefined if there is no such channel. */
  about(channel: string): Pick<ChannelSettings, 'owners' | 'agent'> | undefined;
}

/** Conversations that a messenger offers to go on with. */
const RECENT = 10;

const TELEGRAM: ChannelSettings = {
  name: 'telegram',
  type: 'telegram',
  token: 'env:TELEGRAM_BOT_TOKEN',
  owners: [],
  agent: null,
  apiRoot: null,
};

/** Who is bound to the chat, else to its channel, else the first agent. A binding to nobody is none. */
export function usualAgent(
  { settings, agents }: Pick<Governance, 'settings' | 'agents'>,
  ofChannel: string | null,
  channel: string,
  chat: string,
): string {
  const bound = (settings.bindings ?? []).filter(({ agent }) => agents.has(agent));
  const here = bound.find(
    (each) =>
      each.channel === channel && (each.chat === null || each.chat === chat || chat.startsWith(`${each.chat}_`)),
  );
  return here?.agent ?? ofChannel ?? [...agents.keys()][0] ?? '';
}

/** The messengers, and who may write there. */
export function openMessengers({ env }: AppOptions, adapters: Adapters, trust: Trust): Messengers {
  const { fixed, store, hub, clock, log, secrets, boundary } = adapters;
  const settings = (): readonly ChannelSettings[] => {
    const configured = trust.current().settings.channels;
    // A token alone is enough to be paired with: nobody may write before that.
    const found = env['TELEGRAM_BOT_TOKEN']?.trim() && !configured.some(({ type }) => type === 'telegram');
    return found ? [...configured, TELEGRAM] : configured;
  };
  const secretOf = (url: string): string | null => {
    const levels = Object.values(trust.current().settings.escalation ?? {}).flat();
    return levels.find(({ to, secret }) => secret !== undefined && to === `${WEBHOOK}:${url}`)?.secret ?? null;
  };
  const channels = openChannels({
    fixed: [...fixed.map(({ channel }) => channel), webhook({ net: adapters.net, secrets, secretOf })],
    settings,
    open: (given) => adapters.openChannel(given),
    log,
  });
  return {
    channels,
    drafts: new Drafts({ store, hub, channels, clock, log, boundary }),
    about: (name) =>
      fixed.find(({ channel }) => channel.name === name) ?? settings().find((each) => each.name === name),
  };
}

const pairingOf = ({ store, clock, random, addOwner }: Adapters): PairingDeps => ({
  store,
  clock,
  bytes: random.bytes,
  addOwner,
});

/** Makes a code by which somebody becomes an owner of a channel; null if there is no such channel. */
export const pairer =
  (adapters: Adapters, { about }: Messengers): Runtime['pair'] =>
  async (channel) =>
    about(channel) === undefined ? null : openPairing(pairingOf(adapters), channel);

/** From now on messages are received, on the channels of the settings in force. Returns how to stop that. */
export async function startMessengers(
  { channels, drafts, about }: Messengers,
  adapters: Adapters,
  trust: Trust,
  runtime: Runtime,
  views: Pick<Views, 'conversations'>,
): Promise<() => void> {
  const door = openDoor({
    ...pairingOf(adapters),
    ids: adapters.ids,
    redact: adapters.redact,
    runtime,
    owners: (channel) => about(channel)?.owners ?? [],
    hasAgent: (name) => trust.current().agents.has(name),
    usualAgent: (channel, chat) => usualAgent(trust.current(), about(channel)?.agent ?? null, channel, chat),
    recent: () => views.conversations(RECENT),
    follow: (task, channel, to) => drafts.follow(task, channel, to),
  });
  await drafts.resume();
  channels.sync(door);
  const stopListening = trust.onChange(() => channels.sync(door));
  return () => {
    stopListening();
    channels.stop();
  };
}
