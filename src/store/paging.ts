import { setImmediate as turn } from 'node:timers/promises';
import type { Event } from '../core/event.ts';
import type { ReadFrom } from '../core/ports/store.ts';

/** Events with `after` < seq < `before`, at most `limit`, in order or newest first. */
export interface Page {
  after: number;
  before: number;
  limit: number;
  reverse: boolean;
  stream?: string;
  types?: readonly string[];
}

interface Pages {
  head(): number;
  page(page: Page): Event[];
}

/** Events held in memory at a time for one reader, however slow it is. */
const PAGE = 256;
/** Events of the first page: many readers look for the latest of something and stop at once. */
const FIRST = 16;

/**
 * Reads what was there when the reading began. After each full page the event loop gets its turn, so that a reader of a
 * million events does not stop the runtime.
 */
export async function* readPages(source: Pages, from: ReadFrom): AsyncGenerator<Event, void, undefined> {
  const { stream, types, reverse = false } = from;
  let after = from.after ?? 0;
  let before = Math.min(from.before ?? Infinity, source.head() + 1);
  let left = from.limit ?? Infinity;
  for (let size = FIRST; left > 0; size = Math.min(size * 4, PAGE)) {
    const limit = Math.min(size, left);
    const events = source.page({ after, before, limit, reverse, stream, types });
    yield* events;
    const last = events.at(-1);
    if (!last || events.length < limit) return;
    left -= events.length;
    if (reverse) before = last.seq;
    else after = last.seq;
    if (size === PAGE) await turn();
  }
}

/** A commit happened, or may have; resolves on abort too. */
export type Changed = (signal: AbortSignal) => Promise<void>;

/**
 * Every event after `after`, then each new one. A slow follower reads from the store again, so it holds one page and
 * misses nothing. Between a read that finds nothing and the wait there is no other turn, so no wake-up is lost.
 */
export async function* followPages(
  source: Pages,
  after: number,
  signal: AbortSignal,
  changed: Changed,
): AsyncGenerator<Event, void, undefined> {
  let last = after;
  while (!signal.aborted) {
    const events = source.page({ after: last, before: Number.MAX_SAFE_INTEGER, limit: PAGE, reverse: false });
    for (const event of events) {
      if (signal.aborted) return;
      last = event.seq;
      yield event;
    }
    if (events.length === 0) await changed(signal);
    else await turn();
  }
}

/** Wakes the readers that wait for the next commit. */
export class Bell {
  readonly #waiting = new Set<() => void>();

  readonly wait: Changed = (signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });

  ring(): void {
    for (const wake of this.#waiting) wake();
  }
}
