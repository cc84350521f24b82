import type { Clock } from './clock.ts';
import type { Boundary } from './boundary.ts';
import type { BlobRef } from '../blob.ts';
import type { EventRow } from '../event-hash.ts';
import type { Event, NewEvent } from '../event.ts';
import type { Claim, Lease, Task, TaskStatus } from '../task.ts';

export type QueueOp =
  /** `causeOf`: index of the batch's event that becomes the task's cause. `after`: tasks that must have ended before it is claimed. */
  | { op: 'enqueue'; task: Task; causeOf?: number; after?: readonly string[] }
  /** A queued task of the same lane joins a running one: it stays `queued`, and ends with that one, with its status and result. */
  | { op: 'absorb'; task: string; into: string }
  /**
   * Running → waiting: the lease ends, the lane stays taken. `until`: tasks that are waited for; whatever ends the last of
   * them wakes this one in the same commit, and if all have ended already it is queued at once. A circle does not fit.
   */
  | { op: 'park'; task: string; until?: readonly string[] }
  /** Waiting → queued, at its old place in the lane. A task that is not waiting is left alone. */
  | { op: 'wake'; task: string }
  /** Running → queued again, with attempt + 1. */
  /** `uncounted`: it is the same attempt that goes on later. */
  | { op: 'retry'; task: string; notBefore: number; uncounted?: boolean }
  /** Any status but an ended one → ended. */
  | {
      op: 'settle';
      task: string;
      status: Extract<TaskStatus, 'done' | 'failed' | 'dead' | 'cancelled'>;
      result: BlobRef | null;
    };

export interface Batch {
  events: readonly NewEvent[];
  queue?: readonly QueueOp[];
  /** Stream → version it must have before this batch (0: no event yet). */
  expect?: Readonly<Record<string, number>>;
  /** The batch is refused unless this lease is the task's current one. */
  fence?: Lease;
  /** True: on disk, safe from a power cut, before the promise resolves. False: safe from a kill only. */
  sync: boolean;
}

export type CommitResult =
  | { ok: true; events: Event[] }
  | { ok: false; why: 'conflict'; stream: string; version: number }
  /** An event key, or a task key, stands already; `existing` is the event that holds it. */
  | { ok: false; why: 'duplicate'; key: string; existing: Event | null }
  | { ok: false; why: 'lease-lost' }
  /** A queue operation did not fit the task's status. */
  | { ok: false; why: 'state'; task: string; status: TaskStatus | null };

export interface ReadFrom {
  /** Only events with a greater seq. */
  after?: number;
  /** Only events with a smaller seq. */
  before?: number;
  stream?: string;
  types?: readonly Event['type'][];
  limit?: number;
  /** Newest first. */
  reverse?: boolean;
}

/** Rejects with this when the disk is full, read-only or broken. Nothing of the batch has been written. */
export class StoreUnavailable extends Error {
  readonly code: 'full' | 'readonly' | 'io';
  constructor(code: 'full' | 'readonly' | 'io', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
    this.code = code;
  }
}

export interface ClaimOptions {
  worker: string;
  now: number;
  /** Milliseconds a lease lasts without renewal. */
  leaseMs: number;
  /** Queues that must not be claimed from now (paused, or at their concurrency). */
  except?: readonly string[];
  /** If given, only these queues are claimed from. */
  only?: readonly string[];
}

export interface TaskFilter {
  statuses?: readonly TaskStatus[];
  lane?: string;
  queue?: string;
  absorbedBy?: string;
  /** Tasks that this one's run has made. */
  parent?: string;
  /** Tasks that all began with this one, itself not counted. */
  root?: string;
  /** Tasks with a deadline that is no later. */
  deadlineBy?: number;
  limit?: number;
}

export type BlobCheck = { hash: string; erased: boolean; problem: string | null };

/** The record of what happened, as engines read it. */
export interface EventLog {
  read(from: ReadFrom): AsyncIterable<Event>;
  /** Every event after `after`, then each new one as it is committed, without a gap, until the signal aborts. */
  follow(after: number, signal: AbortSignal): AsyncIterable<Event>;
  event(id: string): Promise<Event | null>;
  /** The event that carries this unique key. */
  byKey(key: string): Promise<Event | null>;
  /** Seq of the last event, 0 if none. */
  head(): Promise<number>;
  version(stream: string): Promise<number>;
}

/** Tasks and who works on them. What changes a task's status is a `QueueOp` of a commit. */
export interface TaskQueue {
  /** The next task whose time has come and whose lane is free: by priority, then by age. Expired leases count as free. */
  claim(options: ClaimOptions): Promise<Claim | null>;
  /** False if the lease has been lost. */
  renew(lease: Lease, until: number): Promise<boolean>;
  /**
   * Ends every lease: running tasks are queued again at their old place, same attempt, and can be claimed at once. Gives
   * their number. Only for the sole owner of the home.
   */
  releaseAll(): Promise<number>;
  /** When the lease of a running task ends, or has ended since its process died; null if it does not run. */
  leaseEnd(task: string): Promise<number | null>;
  /** When, after `now`, the next queued task becomes due or a lease expires; null if nothing is coming. */
  nextDue(now: number): Promise<number | null>;
  task(id: string): Promise<Task | null>;
  /** Oldest first. */
  tasks(filter: TaskFilter): Promise<Task[]>;
  /** The tasks that must end before this one is woken or claimed. */
  awaited(task: string): Promise<string[]>;
  /** Count by status. */
  counts(): Promise<Record<TaskStatus, number>>;
}

/** What people and models said, encrypted by a key per subject (person, conversation). */
export interface Blobs {
  /**
   * Encrypts under the subject's key (made on first use). Equal bytes of one subject give an equal ref. At most 64 MB, else
   * a RangeError.
   */
  putBlob(bytes: Uint8Array, subject: string): BlobRef;
  /** Null if its key has been erased. Rejects if there is no such blob or its bytes do not fit the hash. */
  getBlob(ref: Pick<BlobRef, 'hash'>): Promise<Uint8Array | null>;
  /** Deletes the subject's key: its blobs can never be read again. The chain still verifies. */
  erase(subject: string): Promise<void>;
}

/** What a projection reads: it never writes, and never claims. */
export type Reads = EventLog & Pick<TaskQueue, 'task' | 'tasks' | 'awaited' | 'counts'> & Pick<Blobs, 'getBlob'>;

/** The record exactly as it is stored, for verification and export. */
export interface Audit {
  /** Rows of events, neither parsed nor upcast, in order. */
  rows(after?: number): AsyncIterable<EventRow>;
  /** Looks at every blob. `problem` says in plain words what does not fit; an erased blob is no problem. */
  checkBlobs(): AsyncIterable<BlobCheck>;
}

/** The four, joined by one transaction. A driver brings all of it; who reads asks for the part it reads. */
export interface Store extends EventLog, TaskQueue, Blobs, Audit {
  /**
   * All or none. Blobs that were put earlier are on disk no later than the batch. Checked in this order: fence, event and task keys,
   * versions, queue operations. Rejects with StoreUnavailable if the disk does not take it.
   */
  commit(batch: Batch): Promise<CommitResult>;
  close(): Promise<void>;
}

/** A store as `app/` plugs it in. */
export interface StoreKind {
  readonly name: string;
  /** Whether this home has a record already. */
  has(home: string): boolean;
  /** What is damaged in the file of the record, which is read as a whole; null if nothing is. Rejects if it cannot be opened. */
  damage?(home: string): Promise<string | null>;
  /** `readOnly`: every write rejects with StoreUnavailable; another process may write meanwhile. */
  open(options: {
    home: string;
    clock: Clock;
    random: (n: number) => Uint8Array;
    boundary: Boundary;
    upcast?: (event: Event) => Event;
    readOnly?: boolean;
  }): Promise<Store>;
}
