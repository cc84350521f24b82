import type { NetEntry, NetPage, NetQuery } from '../core/api/views.ts';
import { eventSeq } from '../core/ids.ts';
import { netStream } from '../core/net/sent.ts';
import type { EventLog } from '../core/ports/store.ts';

/** What left over the network, the newest first. */
export async function readNet(
  store: Pick<EventLog, 'read'>,
  { agent, since, before, limit }: NetQuery,
): Promise<NetPage> {
  const sent: NetEntry[] = [];
  const until = before === undefined ? null : eventSeq(before);
  const from = {
    types: ['net.sent' as const],
    reverse: true,
    limit: limit + 1,
    ...(agent === undefined ? {} : { stream: netStream(agent) }),
    ...(until === null ? {} : { before: until }),
  };
  for await (const event of store.read(from)) {
    if (event.type !== 'net.sent') continue;
    // The order is that of the ends, a group of which is written at once.
    if (since !== undefined && event.at < since) break;
    if (sent.length === limit) return { sent, next: sent.at(-1)?.id ?? null };
    sent.push({ id: event.id, at: event.at, ...event.data });
  }
  return { sent, next: null };
}
