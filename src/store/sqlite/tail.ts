import type { Event } from '../../core/event.ts';
import type { Remembers } from './known.ts';
import type { Page } from '../paging.ts';

/** Events kept: at fifty turns at once, all that those have written so far, and as much again. */
const KEPT = 1000;

/** The last events of the journal, as they are read: nearly every reader looks for what has just been written. */
export class Tail implements Remembers {
  #events: Event[] = [];
  readonly #keys = new Map<string, Event>();
  /** Seq of the first event that is kept. */
  #first = 1;
  readonly #limit: number;

  constructor(limit = KEPT) {
    this.#limit = limit;
  }

  push(event: Event): void {
    if (this.#events.length === 0) this.#first = event.seq;
    this.#events.push(event);
    if (event.key !== null) this.#keys.set(event.key, event);
  }

  bySeq(seq: number): Event | undefined {
    return this.#events[seq - this.#first];
  }

  byKey(key: string): Event | undefined {
    return this.#keys.get(key);
  }

  /** `born`: seq of the first event of the page's stream, where that is known. Null if older events may belong to the page. */
  page({ after, before, limit, reverse, stream, types }: Page, born = 0): Event[] | null {
    const from = Math.max(after + 1, born);
    if (this.#events.length === 0 || from < this.#first) return null;
    const to = Math.min(before - 1, this.#first + this.#events.length - 1);
    const found: Event[] = [];
    for (let step = 0; step <= to - from && found.length < limit; step++) {
      const event = this.#events[(reverse ? to - step : from + step) - this.#first];
      if (event && (stream === undefined || event.stream === stream) && (!types || types.includes(event.type)))
        found.push(event);
    }
    return found;
  }

  mark(): () => void {
    const length = this.#events.length;
    return () => {
      while (this.#events.length > length) this.#leave(this.#events.pop());
    };
  }

  /** Drops the oldest, in one go now and then. */
  keep(): void {
    if (this.#events.length < this.#limit * 2) return;
    const old = this.#events.splice(0, this.#events.length - this.#limit);
    for (const event of old) this.#leave(event);
    this.#first += old.length;
  }

  #leave(event: Event | undefined): void {
    if (event && event.key !== null) this.#keys.delete(event.key);
  }
}
