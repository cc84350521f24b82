import { setImmediate as turn } from 'node:timers/promises';
import type { Event } from '../core/event.ts';
import { runKey, runStream, taskStream, retryKey, conversationOf } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import type { Reads } from '../core/ports/store.ts';
import type { ViewChange } from '../core/api/views.ts';
import { Book, COARSE } from './book.ts';
import { type Entry, hasEnded } from './entry.ts';

/** Newest tasks that lists show; about 1 kB each. Older ones are found by their conversation or id. */
export const MAX_ENTRIES = 20_000;
/** Events between two turns for others while the book is made. */
const SLICE = 512;

export interface LedgerOptions {
  store: Reads;
  log: Log;
  limit?: number;
}

/** The book of the newest tasks: made on first use from the journal, and kept up to date as long as it is open. */
export class Ledger {
  readonly book: Book;
  readonly #store: Reads;
  readonly #log: Log;
  readonly #limit: number;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(change: ViewChange) => void>();
  readonly #waiting = new Set<() => void>();
  #made: Promise<void> | null = null;
  #seq = 0;

  constructor({ store, log, limit = MAX_ENTRIES }: LedgerOptions) {
    this.#store = store;
    this.#log = log;
    this.#limit = limit;
    this.book = new Book(limit);
  }

  /** Resolves when everything that was committed before the call is in the book. */
  async ready(): Promise<Book> {
    const head = await this.#store.head();
    for (;;) {
      await this.#make();
      if (this.#seq >= head || this.#closing.signal.aborted) return this.book;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  watch(listener: (change: ViewChange) => void): () => void {
    this.#listeners.add(listener);
    this.#make().catch((error: unknown) => this.#log.error({ error: String(error) }, 'the lists could not be made'));
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#closing.abort();
    this.#wake();
  }

  #make(): Promise<void> {
    // One that failed is made anew for the next one who asks.
    this.#made ??= this.#build().catch((error: unknown) => {
      this.#made = null;
      throw error;
    });
    return this.#made;
  }

  async #build(): Promise<void> {
    const head = await this.#store.head();
    const after = await this.#start();
    let count = 0;
    for await (const event of this.#store.read({ after, before: head + 1, types: COARSE })) {
      this.book.apply(event);
      if (++count % SLICE === 0) await turn();
    }
    for (const entry of this.book.order) {
      if (hasEnded(entry)) continue;
      const exact = await readEntry(this.#store, entry.task);
      if (exact !== null) this.book.renew(exact);
    }
    this.#seq = head;
    void this.#follow();
  }

  /** Seq before the first event that is needed. */
  async #start(): Promise<number> {
    let first = 0;
    let count = 0;
    for await (const event of this.#store.read({ types: ['task.queued'], reverse: true, limit: this.#limit })) {
      first = event.seq;
      if (++count % SLICE === 0) await turn();
    }
    // Its message stands right before it.
    return count < this.#limit ? 0 : Math.max(0, first - 3);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    try {
      for await (const event of this.#store.follow(this.#seq, signal)) {
        const entry = this.book.apply(event);
        this.#seq = event.seq;
        this.#tell(event, entry);
        this.#wake();
      }
    } catch (error) {
      if (signal.aborted) return;
      // What cannot be followed must not be shown as if it were true: the next question reads anew.
      this.#log.error({ error: String(error) }, 'the lists could not be kept up to date');
      this.#made = null;
    }
    this.#wake();
  }

  #tell(event: Event, entry: Entry | null): void {
    if (this.#listeners.size === 0) return;
    const change = changeOf(event, entry);
    if (change !== null) for (const listener of this.#listeners) listener(change);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

/** What pages show beside tasks and conversations. */
const OTHERS =
  /^(?:config|agent|schedule|trigger|escalation|matter|gateway)\.|^(?:approval\.answered|person\.committed)$/;

function changeOf(event: Event, entry: Entry | null): ViewChange | null {
  const { seq } = event;
  if (entry !== null) {
    const { task, run, agent, session } = entry;
    return { task, run, agent, session, seq };
  }
  const conversation = conversationOf(event.stream);
  if (conversation) return { task: null, run: null, ...conversation, seq };
  return OTHERS.test(event.type) ? { task: null, run: null, agent: null, session: null, seq } : null;
}

/** The entry of a task, read from its own streams; null if there is no such task. */
export async function readEntry(store: Reads, id: string): Promise<Entry | null> {
  const task = await store.task(id);
  if (task === null) return null;
  const message = task.cause === null ? null : await store.event(task.cause);
  const started = await store.byKey(runKey(id));
  const events: Event[] = message === null ? [] : [message];
  events.push(...(await Array.fromAsync(store.read({ stream: taskStream(id) }))));
  if (started?.type === 'run.started')
    events.push(...(await Array.fromAsync(store.read({ stream: runStream(started.data.run) }))));
  const book = new Book(2);
  for (const event of events.sort((a, b) => a.seq - b.seq)) book.apply(event);
  const entry = book.entries.get(id) ?? null;
  if (entry === null) return null;
  entry.absorbedBy = task.absorbedBy;
  const again = await store.byKey(retryKey(id));
  if (again?.type === 'message.received') entry.retriedAs = again.data.task;
  return entry;
}
