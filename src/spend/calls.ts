import { type Cost, costBy } from '../core/budget.ts';
import type { Event, EventOf } from '../core/event.ts';
import type { EventLog } from '../core/ports/store.ts';

/** What `callsOf` looks at. Without `run.finished` the last call of a run that has no end counts as open. */
export const CALL_TYPES = ['model.called', 'model.answered', 'model.failed', 'price.corrected'] as const;

/** One call of a model, and what it came to by now. */
export interface PastCall extends Cost {
  /** Its end; of one without, its beginning. */
  event: EventOf<'model.answered'> | EventOf<'model.failed'> | EventOf<'model.called'>;
  begun: number;
  /** Nobody knows its price. */
  unpriced: boolean;
  /** It has no end on record, and nothing that follows on it: it may be under way. */
  open: boolean;
}

/** Events of these types since a moment, the oldest first. */
export async function eventsSince<T extends Event['type']>(
  store: Pick<EventLog, 'read'>,
  { types, from, before }: { types: readonly T[]; from: number; before?: number },
): Promise<EventOf<T>[]> {
  const found: EventOf<T>[] = [];
  for await (const event of store.read({ types, reverse: true, ...(before === undefined ? {} : { before }) })) {
    if (event.at < from) break;
    found.push(event as EventOf<T>);
  }
  return found.reverse();
}

/**
 * The calls that events in their order tell of. One that was lost counts with all that was set aside for it, and an answer by
 * its price as it was corrected.
 */
export function callsOf(events: readonly Event[]): PastCall[] {
  const corrected = events.filter((event) => event.type === 'price.corrected');
  const calls: PastCall[] = [];
  const under = new Map<string, EventOf<'model.called'>>();
  const lost = (stream: string, open: boolean): void => {
    const event = under.get(stream);
    under.delete(stream);
    const reserved = event?.data.reserved;
    if (event === undefined || reserved === undefined) return;
    calls.push({ event, begun: event.at, ...reserved, unpriced: false, open });
  };
  for (const event of events)
    switch (event.type) {
      case 'model.called':
        lost(event.stream, false);
        under.set(event.stream, event);
        break;
      case 'run.finished':
        lost(event.stream, false);
        break;
      case 'model.answered':
      case 'model.failed': {
        const begun = (under.get(event.stream) ?? event).at;
        under.delete(event.stream);
        calls.push({ event, begun, ...costOf(event, corrected), open: false });
        break;
      }
      default:
    }
  for (const stream of under.keys()) lost(stream, true);
  return calls;
}

function costOf(
  event: EventOf<'model.answered'> | EventOf<'model.failed'>,
  corrected: readonly EventOf<'price.corrected'>[],
): Cost & { unpriced: boolean } {
  if (event.type === 'model.failed') return { ...(event.data.cost ?? { usd: 0, tokens: 0 }), unpriced: false };
  const { provider, model, usage, costUsd, unpriced = false } = event.data;
  const tokens = usage.input + usage.output;
  // The last word counts.
  const correction = corrected.findLast(
    ({ at, data }) => data.model === `${provider}/${model}` && event.at >= data.since && event.at <= at,
  );
  if (correction === undefined) return { usd: costUsd, tokens, unpriced };
  return { usd: costBy(correction.data.price, usage), tokens, unpriced: false };
}
