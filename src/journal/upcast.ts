import { EVENT_SCHEMA } from '../core/event.ts';
import type { Event } from '../core/event.ts';

/** By event type and the schema it was written in: the same data one schema later. A type without an entry did not change. */
type Upcasters = Readonly<Record<string, Readonly<Record<number, (data: never) => unknown>>>>;

const UPCASTERS: Upcasters = {
  // 2: replies go out in parts, and a chat can be named.
  'message.sending': { 1: (data: object) => ({ ...data, part: 0, parts: 1 }) },
  'sender.denied': { 1: (data: object) => ({ ...data, chat: '' }) },
};

/**
 * The event as today's code expects it; the row in the journal is never changed, and `hash` stays the row's.
 * Throws for an event of a newer schema than this Ruche knows.
 */
export function upcast(event: Event, table: Upcasters = UPCASTERS, today: number = EVENT_SCHEMA): Event {
  if (event.schema === today) return event;
  if (event.schema > today)
    throw new Error(
      `event ${event.id} has schema ${event.schema}; this Ruche reads up to ${today}: install the newer Ruche that wrote it`,
    );
  let data: unknown = event.data;
  for (let schema = event.schema; schema < today; schema++) {
    const step = table[event.type]?.[schema];
    if (step) data = step(data as never);
  }
  return { ...event, data, schema: today } as Event;
}
