import type { ChannelMessage, ChannelPress } from '../core/ports/channel.ts';
import type { MailDeps } from '../pending/deps.ts';

/** Milliseconds in which further messages of a stranger are not recorded, and strangers that are kept in mind. */
const DENIED_MS = 600_000;
const MAX_STRANGERS = 1_000;

type FromStranger = Pick<ChannelMessage | ChannelPress, 'sender' | 'chat' | 'externalId'>;

/** Strangers are told nothing. One who goes on and on must not fill the journal either. */
export function denials({ store, clock }: Pick<MailDeps, 'store' | 'clock'>) {
  const strangers = new Map<string, number>();
  return async (channel: string, { sender, chat, externalId }: FromStranger): Promise<void> => {
    const who = `${channel}:${sender}`;
    const now = clock.now();
    for (const [name, at] of strangers) if (now - at >= DENIED_MS) strangers.delete(name);
    if (strangers.has(who) || strangers.size >= MAX_STRANGERS) return;
    strangers.set(who, now);
    const data = { channel, sender: who, chat };
    const key = `denied:${channel}:${chat}:${externalId}`;
    const event = { type: 'sender.denied' as const, stream: 'gateway', actor: who, cause: null, labels: [], key, data };
    await store.commit({ events: [event], sync: false });
  };
}
