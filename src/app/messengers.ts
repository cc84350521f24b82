import type { Adapters } from './adapters.ts';
import type { AppOptions } from './options.ts';
import { webhook } from '../channels/webhook.ts';
import type { ChannelSettings, Governance } from '../core/agent.ts';
import { WEBHOOK } from '../core/escalation.ts';
import type { Runtime } from '../core/api/runtime.ts';
import { type Channels, openChannels } from '../messages/channels.ts';
import type { CommandDeps } from '../messages/commands.ts';
import { openDoor } from '../messages/door.ts';
import { Drafts } from '../messages/drafts.ts';
import { openPairing } from '../messages/pairing.ts';
import type { Trust } from '../trust/trust.ts';

export interface Messengers {
  channels: Channels;
  drafts: Drafts;
  pair: Runtime['pair'];
}

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

/** The messengers and what stands behind them. Nothing is received before `channels.sync()`. */
export function openMessengers(
  { env }: AppOptions,
  adapters: Adapters,
  trust: Trust,
  runtime: () => Runtime,
  recent: CommandDeps['recent'],
): Messengers {
  const { fixed, store, hub, clock, ids, log, secrets, random } = adapters;
  const settings = (): readonly ChannelSettings[] => {
    const configured = trust.current().settings.channels;
    // A token alone is enough to be paired with: nobody may write before that.
    const found = env['TELEGRAM_BOT_TOKEN']?.trim() && !configured.some(({ type }) => type === 'telegram');
    return found ? [...configured, TELEGRAM] : configured;
  };
  const named = (channel: string): Pick<ChannelSettings, 'owners' | 'agent'> | undefined =>
    fixed.find((each) => each.channel.name === channel) ?? settings().find((each) => each.name === channel);
  const pairing = {
    store,
    clock,
    bytes: random.bytes,
    addOwner: (channel: string, sender: string) => adapters.addOwner(channel, sender),
  };
  const door = openDoor({
    ...pairing,
    ids,
    redact: (text) => secrets.redact(text),
    runtime: {
      deliver: (...args) => runtime().deliver(...args),
      approve: (...args) => runtime().approve(...args),
      answer: (...args) => runtime().answer(...args),
      get escalations() {
        return runtime().escalations;
      },
      cancel: (...args) => runtime().cancel(...args),
      status: () => runtime().status(),
      agents: () => runtime().agents(),
    },
    owners: (channel) => named(channel)?.owners ?? [],
    hasAgent: (name) => trust.current().agents.has(name),
    usualAgent: (channel, chat) => usualAgent(trust.current(), named(channel)?.agent ?? null, channel, chat),
    recent,
    follow: (task, channel, to) => drafts.follow(task, channel, to),
  });
  const secretOf = (url: string): string | null => {
    const levels = Object.values(trust.current().settings.escalation ?? {}).flat();
    return levels.find(({ to, secret }) => secret !== undefined && to === `${WEBHOOK}:${url}`)?.secret ?? null;
  };
  const channels = openChannels({
    fixed: [...fixed.map(({ channel }) => channel), webhook({ net: adapters.net, secrets, secretOf })],
    settings,
    open: (given) => adapters.openChannel(given),
    host: door,
    log,
  });
  const drafts = new Drafts({ store, hub, channels: () => channels, clock, log, boundary: adapters.boundary });
  return {
    channels,
    drafts,
    pair: async (channel) => (named(channel) === undefined ? null : openPairing(pairing, channel)),
  };
}
