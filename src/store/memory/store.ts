import { setImmediate as turn } from 'node:timers/promises';
import { GENESIS, type EventRow } from '../../core/event-hash.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { Event } from '../../core/event.ts';
import { eventSeq } from '../../core/ids.ts';
import {
  StoreUnavailable,
  type Batch,
  type BlobCheck,
  type ClaimOptions,
  type CommitResult,
  type ReadFrom,
  type Store,
  type TaskFilter,
} from '../../core/ports/store.ts';
import type { Claim, Lease, Task, TaskStatus } from '../../core/task.ts';
import { BlobDamaged, MAX_BLOB, nameBlob, seal, SECRET_BYTES, subjectKey, unseal, type SubjectKey } from '../cipher.ts';
import { commitBatch, type Tables } from '../commit.ts';
import { MemoryQueue } from './queue.ts';
import { Bell, followPages, readPages, type Page } from '../paging.ts';
import { eventOf, placeEvent, resolveCause, storable, type Upcast } from '../row.ts';
import { errorText } from '../../core/text/sentence.ts';

export interface MemoryOptions {
  clock: Clock;
  random: (n: number) => Uint8Array;
  upcast?: Upcast;
}

interface StoredBlob {
  /** Null once erased. */
  key: SubjectKey | null;
  body: Buffer;
}

/** The same store without a disk, for tests: what is gone with the process was never promised. */
export function openMemoryStore(options: MemoryOptions): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly #options: MemoryOptions;
  readonly #upcast: Upcast;
  readonly #rows: EventRow[] = [];
  /** Rows of each stream, and the row of each key. */
  readonly #streams = new Map<string, EventRow[]>();
  readonly #keys = new Map<string, EventRow>();
  readonly #queue = new MemoryQueue();
  readonly #blobs = new Map<string, StoredBlob>();
  readonly #subjects = new Map<string, SubjectKey>();
  readonly #bell = new Bell();
  readonly #closing = new AbortController();
  readonly #tables: Tables;

  constructor(options: MemoryOptions) {
    this.#options = options;
    this.#upcast = options.upcast ?? ((event) => event);
    this.#tables = {
      holds: (lease) => this.#queue.holds(lease),
      byKey: (key) => this.#find(this.#keys.get(storable(key))),
      quickByKey: (key) => this.#find(this.#keys.get(storable(key))),
      bySeq: (seq) => this.#find(this.#rows[seq - 1]),
      taskByKey: (key) => this.#queue.byKey(key),
      version: (stream) => this.#versionOf(stream),
      append: (batch) => this.#append(batch),
      apply: (op, seqs) => this.#queue.apply(op, seqs),
    };
  }

  async commit(batch: Batch): Promise<CommitResult> {
    this.#checkOpen();
    const undoQueue = batch.queue?.length ? this.#queue.savepoint() : null;
    const length = this.#rows.length;
    let result: CommitResult | null = null;
    try {
      result = commitBatch(this.#tables, batch);
    } finally {
      if (!result?.ok) {
        undoQueue?.();
        this.#truncate(length);
      }
    }
    if (result.ok && result.events.length > 0) this.#bell.ring();
    return result;
  }

  async *read(from: ReadFrom): AsyncGenerator<Event, void, undefined> {
    yield* readPages({ head: () => this.#rows.length, page: (page) => this.#page(page) }, from);
  }

  async *follow(after: number, signal: AbortSignal): AsyncGenerator<Event, void, undefined> {
    const source = { head: () => this.#rows.length, page: (page: Page) => this.#page(page) };
    yield* followPages(source, after, AbortSignal.any([signal, this.#closing.signal]), this.#bell.wait);
  }

  async event(id: string): Promise<Event | null> {
    const seq = eventSeq(id);
    return seq === null ? null : this.#find(this.#rows[seq - 1]);
  }

  async byKey(key: string): Promise<Event | null> {
    return this.#find(this.#keys.get(storable(key)));
  }

  async head(): Promise<number> {
    return this.#rows.length;
  }

  async version(stream: string): Promise<number> {
    return this.#versionOf(stream);
  }

  async claim(options: ClaimOptions): Promise<Claim | null> {
    this.#checkOpen();
    return this.#queue.claim(options);
  }

  async renew(lease: Lease, until: number): Promise<boolean> {
    this.#checkOpen();
    return this.#queue.renew(lease, until);
  }

  async releaseAll(): Promise<number> {
    this.#checkOpen();
    return this.#queue.releaseAll();
  }

  async leaseEnd(task: string): Promise<number | null> {
    return this.#queue.leaseEnd(task);
  }

  async nextDue(now: number): Promise<number | null> {
    return this.#queue.nextDue(now);
  }

  async task(id: string): Promise<Task | null> {
    return this.#queue.task(id);
  }

  async tasks(filter: TaskFilter): Promise<Task[]> {
    return this.#queue.tasks(filter);
  }

  async awaited(task: string): Promise<string[]> {
    return this.#queue.awaited(task);
  }

  async counts(): Promise<Record<TaskStatus, number>> {
    return this.#queue.counts();
  }

  putBlob(bytes: Uint8Array, subject: string): BlobRef {
    this.#checkOpen();
    if (bytes.length > MAX_BLOB) throw new RangeError(`a blob of ${bytes.length} bytes: at most ${MAX_BLOB} are kept`);
    const name = storable(subject);
    const key = this.#subjects.get(name) ?? subjectKey(name, this.#options.random(SECRET_BYTES));
    this.#subjects.set(name, key);
    const hash = nameBlob(key, bytes);
    if (!this.#blobs.has(hash)) this.#blobs.set(hash, { key, body: seal(key, hash, bytes, this.#options.random) });
    return { hash, size: bytes.length, subject };
  }

  async getBlob({ hash }: Pick<BlobRef, 'hash'>): Promise<Uint8Array | null> {
    const blob = this.#blobs.get(hash);
    if (!blob) throw new BlobDamaged(hash, 'is not in the store');
    return blob.key ? unseal(blob.key, hash, blob.body) : null;
  }

  async erase(subject: string): Promise<void> {
    this.#checkOpen();
    const key = this.#subjects.get(storable(subject));
    if (!key) return;
    for (const blob of this.#blobs.values()) if (blob.key === key) blob.key = null;
    this.#subjects.delete(key.subject);
    key.secret.fill(0);
    key.naming.fill(0);
  }

  async *rows(after = 0): AsyncGenerator<EventRow, void, undefined> {
    for (let seq = after; seq < this.#rows.length; seq++) {
      const row = this.#rows[seq];
      if (row) yield { ...row };
      if (seq % 256 === 255) await turn();
    }
  }

  async *checkBlobs(): AsyncGenerator<BlobCheck, void, undefined> {
    for (const [hash, { key, body }] of this.#blobs) {
      let problem: string | null = null;
      try {
        if (key) unseal(key, hash, body);
      } catch (error) {
        problem = errorText(error);
      }
      yield { hash, erased: key === null, problem };
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new StoreUnavailable('io', 'the store is closed');
  }

  #find(row: EventRow | undefined): Event | null {
    return row ? eventOf(row, this.#upcast) : null;
  }

  #versionOf(stream: string): number {
    return this.#streams.get(storable(stream))?.length ?? 0;
  }

  #append(batch: Batch): Event[] {
    const placed: Event[] = [];
    const at = this.#options.clock.now();
    for (const input of batch.events) {
      const { row, event } = placeEvent(input, {
        seq: this.#rows.length + 1,
        version: this.#versionOf(input.stream) + 1,
        at,
        previous: this.#rows.at(-1)?.hash ?? GENESIS,
        cause: resolveCause(input.cause, placed),
      });
      this.#rows.push(row);
      const stream = this.#streams.get(row.stream);
      if (stream) stream.push(row);
      else this.#streams.set(row.stream, [row]);
      if (row.key !== null) this.#keys.set(row.key, row);
      placed.push(event);
    }
    return placed;
  }

  /** Takes back a refused batch. */
  #truncate(length: number): void {
    for (const row of this.#rows.splice(length).reverse()) {
      this.#streams.get(row.stream)?.pop();
      if (row.key !== null) this.#keys.delete(row.key);
    }
  }

  #page({ after, before, limit, reverse, stream, types }: Page): Event[] {
    const all = stream === undefined ? this.#rows : (this.#streams.get(storable(stream)) ?? []);
    const found: EventRow[] = [];
    for (let step = 0; step < all.length && found.length < limit; step++) {
      const row = all[reverse ? all.length - 1 - step : step];
      if (row && row.seq > after && row.seq < before && (!types || types.includes(row.type))) found.push(row);
    }
    return found.map((row) => eventOf(row, this.#upcast));
  }
}
