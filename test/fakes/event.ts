import type { DataOf, Event, EventType } from '../../src/core/event.ts';

/** An event as it stands in a journal, but for its hash. */
export function eventOf<T extends EventType>(
  seq: number,
  type: T,
  data: DataOf<T>,
  more: Partial<Pick<Event, 'stream' | 'at' | 'actor' | 'cause' | 'labels' | 'key'>> = {},
): Event {
  const usual = { stream: 's', at: 0, actor: 'runtime', cause: null, labels: [], key: null };
  const place = { seq, id: `evt_${seq}`, version: 1, schema: 2, hash: '' };
  // A type and its data belong together, which a type parameter cannot say of a union.
  return { ...usual, ...more, ...place, type, data } as unknown as Event;
}
