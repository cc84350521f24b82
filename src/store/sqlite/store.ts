import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Boundary } from '../../core/ports/boundary.ts';
import type { EventRow } from '../../core/event-hash.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { Event } from '../../core/event.ts';
import { eventSeq } from '../../core/ids.ts';
import { type StoreKind, StoreUnavailable } from '../../core/ports/store.ts';
import type {
  Batch,
  BlobCheck,
  ClaimOptions,
  CommitResult,
  ReadFrom,
  Store,
  TaskFilter,
} from '../../core/ports/store.ts';
import type { Claim, Lease, Task, TaskStatus } from '../../core/task.ts';
import { Blobs } from './blobs.ts';
import { commitBatch } from '../commit.ts';
import type { Tables } from '../commit.ts';
import { DAMAGED, openDb } from './db.ts';
import type { Db } from './db.ts';
import { Events } from './events.ts';
import { Again, Group, type Work } from './group.ts';
import { together } from './known.ts';
import { Bell, followPages, readPages } from '../paging.ts';
import type { Changed } from '../paging.ts';
import { Queue } from './queue.ts';
import type { Upcast } from '../row.ts';
import { inspectFile, migrate } from './schema.ts';

export interface SqliteOptions {
  /** The database file; made if it is missing, its folder is not. */
  path: string;
  clock: Clock;
  /** So many random bytes, fit for keys. */
  random: (n: number) => Uint8Array;
  boundary: Boundary;
  /** Every write rejects with StoreUnavailable; another process may write meanwhile. */
  readOnly?: boolean;
  upcast?: Upcast;
}

/** Milliseconds to wait for another process when opening: a reader that came first may be recovering a long log. */
const TIMEOUT = 5000;
/** The same later on, where waiting would stop the event loop. There is one writer a home, so nobody should be in the way. */
const SHORT_TIMEOUT = 50;
/** Milliseconds between two looks for what another process has written. */
const POLL = 200;
/** Tries to get the log out of the way of an erasure while another process reads. */
const CHECKPOINTS = 20;
/** Rows of one step of a verification. */
const STEP = 256;

/**
 * Opens or makes the database and brings it up to date. Rejects with StoreUnavailable, which says what to do, if it is
 * damaged, foreign, newer than this Ruche, or cannot be written.
 */
export async function openSqliteStore(options: SqliteOptions): Promise<SqliteStore> {
  const { path, clock, readOnly = false } = options;
  inspectFile(path);
  const db = openDb(path, { readOnly, timeout: TIMEOUT });
  try {
    if (!readOnly) prepare(db);
    migrate(db, path, clock.now(), readOnly);
    if (!readOnly) db.exec(`PRAGMA busy_timeout = ${SHORT_TIMEOUT}`);
    return new SqliteStore(db, options);
  } catch (error) {
    db.close();
    throw error;
  }
}

const fileOf = (home: string): string => join(home, 'ruche.sqlite');

export const sqliteStore: StoreKind = {
  name: 'sqlite',
  has: (home) => ['', '-wal'].some((end) => (statSync(fileOf(home) + end, { throwIfNoEntry: false })?.size ?? 0) > 0),
  open: ({ home, ...options }) => openSqliteStore({ path: fileOf(home), ...options }),
  async damage(home) {
    const path = fileOf(home);
    inspectFile(path);
    const db = openDb(path, { readOnly: true, timeout: TIMEOUT });
    try {
      const [found] = db.prepare<{ quick_check: string }>('PRAGMA quick_check(1)').all();
      return found?.quick_check === 'ok' ? null : `${path}: ${DAMAGED}`;
    } finally {
      db.close();
    }
  },
};

function prepare(db: Db): void {
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192;
    PRAGMA journal_size_limit = 67108864;
  `);
  // A disk that cannot be written is found out now and not at the first message.
  db.exec('BEGIN IMMEDIATE; ROLLBACK');
}

export class SqliteStore implements Store {
  readonly path: string;
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #readOnly: boolean;
  readonly #events: Events;
  readonly #queue: Queue;
  readonly #blobs: Blobs;
  readonly #group: Group;
  readonly #tables: Tables;
  readonly #bell = new Bell();
  readonly #closing = new AbortController();
  readonly #changed: Changed;

  constructor(db: Db, { path, clock, random, boundary, readOnly = false, upcast = (event) => event }: SqliteOptions) {
    this.path = path;
    this.#db = db;
    this.#clock = clock;
    this.#readOnly = readOnly;
    const events = new Events(db, upcast, !readOnly);
    const queue = new Queue(db, !readOnly);
    const blobs = new Blobs({ db, random, overflow: () => this.#group.flushStaged() });
    this.#events = events;
    this.#queue = queue;
    this.#blobs = blobs;
    this.#group = new Group({
      db,
      boundary,
      memory: together([events, queue]),
      before: () => blobs.write(),
      pending: () => events.unwritten,
      write: () => events.write(),
      kept: () => blobs.kept(),
      lost: () => blobs.lost(),
    });
    this.#tables = {
      holds: (lease) => queue.holds(lease),
      byKey: (key) => events.byKey(key),
      quickByKey: (key) => events.lately(key),
      bySeq: (seq) => events.bySeq(seq),
      taskByKey: (key) => queue.byKey(key),
      version: (stream) => events.version(stream),
      append: (batch) => events.append(batch.events, clock.now()),
      apply: (op, seqs) => queue.apply(op, seqs),
    };
    this.#changed = readOnly ? (signal) => this.#poll(signal) : this.#bell.wait;
  }

  async commit(batch: Batch): Promise<CommitResult> {
    const result = await this.#write(batch.sync, (sure) => {
      const value = commitBatch(this.#tables, batch, sure);
      // A key that stands already says more than a task that does not fit.
      const unsure = !sure && !value.ok && value.why === 'state' && batch.events.some(({ key }) => key !== undefined);
      if (unsure) throw new Again();
      return { value, keep: value.ok };
    });
    if (result.ok && result.events.length > 0) this.#bell.ring();
    return result;
  }

  async *read(from: ReadFrom): AsyncGenerator<Event, void, undefined> {
    yield* readPages(this.#events, from);
  }

  async *follow(after: number, signal: AbortSignal): AsyncGenerator<Event, void, undefined> {
    yield* followPages(this.#events, after, AbortSignal.any([signal, this.#closing.signal]), this.#changed);
  }

  async event(id: string): Promise<Event | null> {
    const seq = eventSeq(id);
    return seq === null ? null : this.#events.bySeq(seq);
  }

  async byKey(key: string): Promise<Event | null> {
    return this.#events.byKey(key);
  }

  async head(): Promise<number> {
    return this.#events.head();
  }

  async version(stream: string): Promise<number> {
    return this.#events.version(stream);
  }

  claim(options: ClaimOptions): Promise<Claim | null> {
    if (!this.#readOnly && this.#group.idle && this.#queue.isQuiet(options)) return Promise.resolve(null);
    return this.#write(false, () => ({ value: this.#queue.claim(options), keep: true }));
  }

  renew(lease: Lease, until: number): Promise<boolean> {
    return this.#write(false, () => ({ value: this.#queue.renew(lease, until), keep: true }));
  }

  releaseAll(): Promise<number> {
    return this.#write(false, () => ({ value: this.#queue.releaseAll(), keep: true }));
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
    this.#checkWritable();
    return this.#blobs.put(bytes, subject);
  }

  async getBlob({ hash }: Pick<BlobRef, 'hash'>): Promise<Uint8Array | null> {
    return this.#blobs.get(hash);
  }

  /** Resolves when the key's bytes are in no file of the database any more. */
  async erase(subject: string): Promise<void> {
    await this.#write(true, () => ({ value: this.#blobs.erase(subject), keep: true }));
    const checkpoint = this.#db.prepare<{ busy: number }>('PRAGMA wal_checkpoint(TRUNCATE)');
    for (let tries = 0; checkpoint.get()?.busy !== 0; tries++) {
      if (tries === CHECKPOINTS)
        throw new StoreUnavailable(
          'io',
          `${this.path}: the key of ${subject} is deleted, but another process keeps reading and holds back the log, which still has its bytes; stop that process and erase again`,
        );
      await this.#clock.sleep(POLL);
    }
  }

  async *rows(after = 0): AsyncGenerator<EventRow, void, undefined> {
    let last = after;
    for (;;) {
      const rows = this.#events.rows(last, STEP);
      yield* rows;
      const end = rows.at(-1);
      if (!end || rows.length < STEP) return;
      last = end.seq;
      await turn();
    }
  }

  async *checkBlobs(): AsyncGenerator<BlobCheck, void, undefined> {
    let count = 0;
    for (const check of this.#blobs.check()) {
      yield check;
      if (++count % STEP === 0) await turn();
    }
  }

  /** What SQLite itself finds wrong with the file's structure, in its words; empty if nothing. Reads the whole file. */
  integrity(): string[] {
    const found = this.#db.prepare<Record<string, string>>('PRAGMA integrity_check(20)').all();
    return found.map((row) => Object.values(row)[0] ?? '').filter((line) => line !== 'ok');
  }

  /** Followers end, what was submitted is written first. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#group.flush();
    this.#closing.abort();
    this.#db.close();
  }

  #write<T>(sync: boolean, work: Work<T>): Promise<T> {
    try {
      this.#checkWritable();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#group.submit(sync, work);
  }

  #checkWritable(): void {
    if (this.#closing.signal.aborted) throw new StoreUnavailable('io', `${this.path}: the store is closed`);
    if (this.#readOnly) throw new StoreUnavailable('readonly', `${this.path}: the database was opened to read only`);
  }

  /** Another process writes, and nothing tells us when. */
  async #poll(signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(POLL, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
