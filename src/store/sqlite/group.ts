import type { Boundary } from '../../core/ports/boundary.ts';
import { StoreUnavailable } from '../../core/ports/store.ts';
import type { Db, Statement } from './db.ts';
import type { Remembers } from './known.ts';

/** What a piece of work did: `keep: false` takes back everything it wrote, or has learned. */
export interface Outcome<T> {
  value: T;
  keep: boolean;
}

/** `sure`: what the database itself would refuse is looked up first, and what does not fit is said. */
export type Work<T> = (sure: boolean) => Outcome<T>;

interface Job {
  sync: boolean;
  work: Work<unknown>;
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
}

type Settled = ({ ok: true; value: unknown } | { ok: false; error: unknown }) & { kept: boolean };

/** Thrown by work, or within the group: it all has to be taken back, and done with care. */
export class Again extends Error {}

export interface GroupOptions {
  db: Db;
  boundary: Boundary;
  /** Writes what belongs in every transaction (staged blobs) and says whether there was any. Undone by `lost`. */
  before: () => boolean;
  /** How much the jobs have left in memory to be written, and what writes it. */
  pending: () => number;
  write: () => void;
  /** What is known of the database, and has to forget what is rolled back. */
  memory: Remembers;
  /** The transaction stands. */
  kept: () => void;
  /** The transaction was rolled back. */
  lost: () => void;
}

/** Jobs of one transaction; more wait for the next turn, so that reads and timers are not starved. */
const GROUP = 512;

/**
 * All writes of one turn of the event loop in one transaction: they share one sync, and one that is refused takes nothing of
 * the others with it. That seldom happens after something was written, so they are first run without savepoints, and without
 * asking for what the database would refuse by itself; if one has to be taken back, all are, and each is run anew in a
 * savepoint of its own.
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
  submit<T>(sync: boolean, work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ sync, work, resolve, reject });
      this.#schedule();
    });
  }

  /** Whether nothing waits for the next transaction. */
  get idle(): boolean {
    return this.#pending.length === 0;
  }

  /** Runs everything submitted so far, now. */
  flush(): void {
    while (this.#pending.length > 0) this.#run(this.#pending.splice(0, GROUP));
  }

  /** Writes what `before` has, now; throws StoreUnavailable if that fails. */
  flushStaged(): void {
    this.flush();
    this.#transact([]);
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
    } catch (error) {
      for (const job of jobs) job.reject(error);
      return;
    }
    for (const [index, job] of jobs.entries()) {
      const result = settled[index];
      if (result?.ok) job.resolve(result.value as never);
      else job.reject(result?.error);
    }
  }

  #transact(jobs: readonly Job[]): Settled[] {
    try {
      return this.#attempt(jobs, (job) => this.#try(job));
    } catch (error) {
      if (!(error instanceof Again)) throw error;
      return this.#attempt(jobs, (job) => this.#save(job));
    }
  }

  /** A throw means that nothing of the group was written. */
  #attempt(jobs: readonly Job[], settle: (job: Job) => Settled): Settled[] {
    const { db, boundary, memory, before, kept, lost } = this.#options;
    const sync = jobs.some((job) => job.sync);
    const undo = memory.mark();
    try {
      this.#durability(sync);
      this.#sql.begin.run();
      let wrote = before();
      const settled = jobs.map((job): Settled => {
        const result = settle(job);
        wrote ||= result.kept;
        return result;
      });
      if (wrote || (sync && this.#unsynced)) {
        this.#write();
        // Nothing new, but a sync was asked for and something older needs it: only a written frame makes SQLite sync.
        if (!wrote) this.#sql.touch.run();
        boundary('store.commit.before');
        if (sync) boundary('store.sync.before');
        this.#sql.commit.run();
        this.#unsynced = !sync;
        if (sync) boundary('store.sync.after');
        boundary('store.commit.after');
      } else this.#sql.rollback.run();
      memory.keep();
      kept();
      return settled;
    } catch (error) {
      undo();
      memory.keep();
      lost();
      if (db.inTransaction) this.#sql.rollback.run();
      throw error;
    }
  }

  /** What the database refuses now was not looked up by the job that wants it. */
  #write(): void {
    try {
      this.#options.write();
    } catch (error) {
      throw error instanceof StoreUnavailable ? error : new Again();
    }
  }

  /** Runs a job that is trusted to write nothing if it is refused. */
  #try({ work }: Job): Settled {
    const { db, memory, pending } = this.#options;
    const undo = memory.mark();
    const [writes, left] = [db.writes, pending()];
    let settled: Settled;
    try {
      const { value, keep } = work(false);
      if (keep) return { ok: true, value, kept: db.writes > writes || pending() > left };
      settled = { ok: true, value, kept: false };
    } catch (error) {
      if (error instanceof StoreUnavailable || error instanceof Again) throw error;
      settled = { ok: false, error, kept: false };
    }
    if (db.writes > writes) throw new Again();
    undo();
    return settled;
  }

  #save({ work }: Job): Settled {
    const { db, memory, pending, write } = this.#options;
    const undo = memory.mark();
    const takeBack = (): void => {
      undo();
      this.#sql.undo.run();
      this.#sql.release.run();
    };
    this.#sql.save.run();
    try {
      const writes = db.writes;
      const { value, keep } = work(true);
      const kept = keep && (db.writes > writes || pending() > 0);
      if (keep) {
        write();
        this.#sql.release.run();
      } else takeBack();
      return { ok: true, value, kept };
    } catch (error) {
      // The disk failed everyone; a bug fails only its own batch.
      if (error instanceof StoreUnavailable || !db.inTransaction) throw error;
      takeBack();
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
