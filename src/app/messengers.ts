import type { Adapters } from './adapters.ts';
import type { AppOptions } from './options.ts';
import { bareChannel, type Messenger } from '../config/channels.ts';
import { webhook } from '../channels/webhook.ts';
import type { ChannelSettings, Governance } from '../core/agent.ts';
import { WEBHOOK } from '../core/escalation.ts';
import type { ChannelState, Runtime } from '../core/api/runtime.ts';
import { secretIn } from '../core/ids.ts';
import { unknownText } from '../core/text/unknown.ts';
import type { Views } from '../core/api/views.ts';
import { retireButtons } from '../messages/buttons.ts';
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
  /** The channels that people write on. */
  list(): ChannelState[];
}

/** Conversations that a messenger offers to go on with. */
const RECENT = 10;

/** Who is bound to the chat, else to its channel, else the first agent. A binding to nobody is none. */
export function usualAgent(
  { settings, agents }: Pick<Governance, 'settings' | 'agents'>,
  ofChannel: string | null,
  channel: string,
  chat: string,
): string {
  const bound = settings.bindings.filter(({ agent }) => agents.has(agent));
  const here = bound.find(
    (each) =>
      each.channel === channel && (each.chat === null || each.chat === chat || chat.startsWith(`${each.chat}_`)),
  );
  return here?.agent ?? ofChannel ?? [...agents.keys()][0] ?? '';
}

/** A channel for each messenger whose secrets are all in the environment. */
const channelsIn = (env: AppOptions['env'], messengers: readonly Messenger[]): ChannelSettings[] =>
  messengers.flatMap((each) => {
    const variables = Object.values(each.secrets);
    const given = variables.length > 0 && variables.every((name) => env[name]?.trim());
    return given ? (bareChannel(each) ?? []) : [];
  });

/** The messengers, and who may write there. */
export function openMessengers({ env }: AppOptions, adapters: Adapters, trust: Trust): Messengers {
  const { fixed, store, hub, clock, log, secrets, boundary } = adapters;
  const bare = channelsIn(env, adapters.builtin.messengers);
  const settings = (): readonly ChannelSettings[] => {
    const configured = trust.current().settings.channels;
    // A secret alone is enough to be paired with: nobody may write before that.
    const found = bare.filter((each) => !configured.some(({ type, name }) => type === each.type || name === each.name));
    return [...configured, ...found];
  };
  const secretOf = (url: string): string | null => {
    const levels = Object.values(trust.current().settings.escalation).flat();
    return levels.find(({ to, secret }) => secret !== undefined && to === `${WEBHOOK}:${url}`)?.secret ?? null;
  };
  const channels = openChannels({
    fixed: [...fixed.map(({ channel }) => channel), webhook({ net: adapters.net, secrets, secretOf })],
    settings,
    stamp: (references) => {
      const names = new Set(Object.values(references).map((each) => secretIn(each)));
      return JSON.stringify(secrets.vault.list().filter(({ name }) => names.has(name)));
    },
    open: (given) => adapters.openChannel(given),
    log,
    clock,
  });
  const titleOf = ({ name, type }: Pick<ChannelSettings, 'name' | 'type'>): string => {
    const title = adapters.builtin.messengers.find((each) => each.type === type)?.title ?? name;
    return name === type ? title : `${title} (${name})`;
  };
  return {
    channels,
    drafts: new Drafts({ store, hub, channels, clock, log, boundary }),
    list: () => {
      const named = [...fixed.map(({ channel: { name } }) => ({ name, type: name })), ...settings()];
      return named.map((each) => ({
        name: each.name,
        title: titleOf(each),
        ...(channels.doing(each.name) ?? { problem: null }),
      }));
    },
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

/** Makes a code by which somebody becomes an owner of a channel. */
export const pairer =
  (adapters: Adapters, { about, list }: Messengers): Runtime['pair'] =>
  async (channel) => {
    if (about(channel) !== undefined) return { ok: true, ...(await openPairing(pairingOf(adapters), channel)) };
    const messenger = adapters.builtin.messengers.find(({ type }) => type === channel);
    const variables = Object.values(messenger?.secrets ?? {}).join(' and ');
    const instead = variables === '' ? '' : `, or set ${variables} where ruche is started`;
    const unknown = unknownText('channel', channel, { known: list().map(({ name }) => name) });
    return { ok: false, message: `${unknown} Add it under channels in ruche.yaml${instead}.` };
  };

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
  const stopSecrets = adapters.secrets.vault.onChange(() => channels.sync(door));
  const stopButtons = retireButtons({ ...adapters, channels });
  return () => {
    stopListening();
    stopSecrets();
    stopButtons();
    channels.stop();
  };
}
