import { chainHash } from '../core/event-hash.ts';
import type { EventRow } from '../core/event-hash.ts';
import { EVENT_SCHEMA } from '../core/event.ts';
import type { Event, NewEvent } from '../core/event.ts';
import { eventId } from '../core/ids.ts';

/** Reads an event of an older schema as today's. */
export type Upcast = (event: Event) => Event;

/** A lone surrogate would come back from disk as another character, and the chain would break. */
export const storable = (text: string): string => text.toWellFormed();

export interface Place {
  seq: number;
  version: number;
  at: number;
  /** Hash of the event before it. */
  previous: string;
  cause: string | null;
}

/** The event in both its forms: as it is stored, and as it is handed back without parsing it again. */
export function placeEvent(event: NewEvent, { previous, ...place }: Place): { row: EventRow; event: Event } {
  const columns = {
    ...place,
    stream: storable(event.stream),
    actor: storable(event.actor),
    key: event.key === undefined ? null : storable(event.key),
    schema: EVENT_SCHEMA,
  };
  const body = { type: event.type, data: event.data };
  const unsigned = {
    ...columns,
    type: event.type,
    labels: JSON.stringify(event.labels),
    data: JSON.stringify(event.data),
  };
  const hash = chainHash(previous, unsigned);
  return {
    row: { ...unsigned, hash },
    event: { ...columns, ...body, labels: event.labels, id: eventId(place.seq), hash } as Event,
  };
}

export const eventOf = (row: EventRow, upcast: Upcast): Event =>
  upcast({
    ...row,
    id: eventId(row.seq),
    labels: JSON.parse(row.labels) as unknown,
    data: JSON.parse(row.data) as unknown,
  } as Event);

/** The id an event's cause has once the batch is placed. Throws for an index that is not an earlier event's. */
export function resolveCause(cause: string | number | null, placed: readonly { seq: number }[]): string | null {
  if (typeof cause !== 'number') return cause;
  const earlier = placed[cause];
  if (!earlier) throw new RangeError(`cause ${cause} is not the index of an earlier event of the batch`);
  return eventId(earlier.seq);
}
