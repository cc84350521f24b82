import type { Event } from '../core/event.ts';
import type { EventLog } from '../core/ports/store.ts';

/**
 * The number after which all events of these types since a moment stand. Events are in the order of their numbers, and a clock
 * may jump: older ones may stand there, too.
 */
export async function seqBefore(
  store: Pick<EventLog, 'read'>,
  since: number,
  types: readonly Event['type'][],
): Promise<number> {
  let first: number | null = null;
  for await (const { seq, at } of store.read({ types, reverse: true })) {
    if (at < since) break;
    first = seq;
  }
  return first === null ? Number.MAX_SAFE_INTEGER : first - 1;
}
