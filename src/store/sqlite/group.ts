import type { Boundary } from '../../core/ports/boundary.ts';
import { StoreUnavailable } from '../../core/ports/store.ts';
import type { Db, Statement } from './db.ts';

/** What a piece of work did: `keep: false` takes back everything it wrote. */
export interface Outcome<T> {
  value: T;
  keep: boolean;
}

interface Job {
  sync: boolean;
  work: () => Outcome<unknown>;
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
}

type Settled = { ok: true; value: unknown } | { ok: false; error: unknown };

export interface GroupOptions {
  db: Db;
  boundary: Boundary;
  /** Writes what belongs in every transaction (staged blobs) and says whether there was any. Undone by `lost`. */
  before: () => boolean;
  /** The transaction stands. */
  kept: () => void;
  /** The transaction was rolled back. */
  lost: () => void;
}

/** Jobs of one transaction; more wait for the next turn, so that reads and timers are not starved. */
const GROUP = 512;

/**
 * All writes of one turn of the event loop in one transaction, each in a savepoint of its own: they share one sync, and
 * one that is refused takes nothing of the others with it.
 */
export class Group {
  readonly #options: GroupOptions;
  readonly #sql: Record<'begin' | 'commit' | 'rollback' | 'save' | 'release' | 'undo' | 'touch', Statement<never>>;
  #pending: Job[] = [];
  #scheduled = false;
  #full: boolean | null = null;
  /** Something is committed that a power cut could still take. */
  #unsynced = true;

  constructor(options: GroupOptions) {
    this.#options = options;
    const { db } = options;
    this.#sql = {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      rollback: db.prepare('ROLLBACK'),
      save: db.prepare('SAVEPOINT job'),
      release: db.prepare('RELEASE job'),
      undo: db.prepare('ROLLBACK TO job'),
      touch: db.prepare(
        "INSERT INTO meta (name, value) VALUES ('synced', 1) ON CONFLICT DO UPDATE SET value = value + 1",
      ),
    };
  }

  /** Runs `work` in the next transaction. Rejects with what it throws, or with StoreUnavailable. */
  submit<T>(sync: boolean, work: () => Outcome<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ sync, work, resolve, reject });
      this.#schedule();
    });
  }

  /** Runs everything submitted so far, now. */
  flush(): void {
    while (this.#pending.length > 0) this.#run(this.#pending.splice(0, GROUP));
  }

  /** Writes what `before` has, now; throws StoreUnavailable if that fails. */
  flushStaged(): void {
    this.flush();
    try {
      this.#transact([]);
      this.#options.kept();
    } catch (error) {
      this.#options.lost();
      throw error;
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#run(this.#pending.splice(0, GROUP));
      if (this.#pending.length > 0) this.#schedule();
    });
  }

  #run(jobs: Job[]): void {
    if (jobs.length === 0) return;
    let settled: Settled[];
    try {
      settled = this.#transact(jobs);
      this.#options.kept();
    } catch (error) {
      this.#options.lost();
      for (const job of jobs) job.reject(error);
      return;
    }
    for (const [index, job] of jobs.entries()) {
      const result = settled[index];
      if (result?.ok) job.resolve(result.value as never);
      else job.reject(result?.error);
    }
  }

  /** A throw means that nothing of the group was written. */
  #transact(jobs: readonly Job[]): Settled[] {
    const { db, boundary, before } = this.#options;
    const sync = jobs.some((job) => job.sync);
    try {
      this.#durability(sync);
      this.#sql.begin.run();
      let wrote = before();
      const settled = jobs.map((job): Settled => {
        const result = this.#save(job);
        wrote ||= result.ok && result.kept;
        return result;
      });
      if (!wrote && !(sync && this.#unsynced)) {
        this.#sql.rollback.run();
        return settled;
      }
      // Nothing new, but a sync was asked for and something older needs it: only a written frame makes SQLite sync.
      if (!wrote) this.#sql.touch.run();
      boundary('store.commit.before');
      if (sync) boundary('store.sync.before');
      this.#sql.commit.run();
      this.#unsynced = !sync;
      if (sync) boundary('store.sync.after');
      boundary('store.commit.after');
      return settled;
    } catch (error) {
      if (db.inTransaction) this.#sql.rollback.run();
      throw error;
    }
  }

  #save(job: Job): Settled & { kept: boolean } {
    this.#sql.save.run();
    try {
      const { value, keep } = job.work();
      if (!keep) this.#sql.undo.run();
      this.#sql.release.run();
      return { ok: true, value, kept: keep };
    } catch (error) {
      // The disk failed everyone; a bug fails only its own batch.
      if (error instanceof StoreUnavailable || !this.#options.db.inTransaction) throw error;
      this.#sql.undo.run();
      this.#sql.release.run();
      return { ok: false, error, kept: false };
    }
  }

  /** FULL syncs the log at each commit; NORMAL only at checkpoints, which survives a kill but not a power cut. */
  #durability(full: boolean): void {
    if (this.#full === full) return;
    this.#options.db.exec(`PRAGMA synchronous = ${full ? 'FULL' : 'NORMAL'}`);
    this.#full = full;
  }
}
