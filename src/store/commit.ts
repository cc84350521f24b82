import { eventSeq } from '../core/ids.ts';
import type { Event } from '../core/event.ts';
import type { Batch, CommitResult, QueueOp } from '../core/ports/store.ts';
import type { Lease, Task, TaskStatus } from '../core/task.ts';

/** A queue operation that did not fit. */
export interface Misfit {
  task: string;
  status: TaskStatus | null;
}

/** What a driver gives, so that the order of checks is the same in each. */
export interface Tables {
  holds(lease: Lease): boolean;
  byKey(key: string): Event | null;
  /** May overlook one that `append`, or the end of the transaction, then refuses. */
  quickByKey(key: string): Event | null;
  bySeq(seq: number): Event | null;
  taskByKey(key: string): Task | null;
  version(stream: string): number;
  append(batch: Batch): Event[];
  apply(op: QueueOp, seqs: readonly number[]): Misfit | null;
}

/**
 * Fence, keys, versions, then the writes. Anything but `ok` means that the caller must undo what was written. `sure`: keys
 * are looked up wherever they may stand; else a refusal because of what comes after them is to be tried again so.
 */
export function commitBatch(tables: Tables, batch: Batch, sure = true): CommitResult {
  if (batch.fence && !tables.holds(batch.fence)) return { ok: false, why: 'lease-lost' };
  const duplicate = findDuplicate(tables, batch, sure);
  if (duplicate) return duplicate;
  for (const [stream, expected] of Object.entries(batch.expect ?? {})) {
    const version = tables.version(stream);
    if (version !== expected)
      return findDuplicate(tables, batch, true) ?? { ok: false, why: 'conflict', stream, version };
  }
  const events = tables.append(batch);
  const seqs = events.map((event) => event.seq);
  for (const op of batch.queue ?? []) {
    const misfit = tables.apply(op, seqs);
    if (misfit) return { ok: false, why: 'state', ...misfit };
  }
  return { ok: true, events };
}

function findDuplicate(tables: Tables, { events, queue = [] }: Batch, sure: boolean): CommitResult | null {
  const own = new Set<string>();
  const claim = (kind: string, key: string): void => {
    if (own.has(`${kind} ${key}`)) throw new TypeError(`two ${kind}s of one batch have the key ${key}`);
    own.add(`${kind} ${key}`);
  };
  for (const { key } of events) {
    if (key === undefined) continue;
    const existing = sure ? tables.byKey(key) : tables.quickByKey(key);
    if (existing) return { ok: false, why: 'duplicate', key, existing };
    claim('event', key);
  }
  for (const op of queue) {
    if (op.op !== 'enqueue' || op.task.key === null) continue;
    const known = tables.taskByKey(op.task.key);
    if (known) return { ok: false, why: 'duplicate', key: op.task.key, existing: causeOf(tables, known) };
    claim('task', op.task.key);
  }
  return null;
}

function causeOf(tables: Tables, task: Task): Event | null {
  const seq = task.cause === null ? null : eventSeq(task.cause);
  return seq === null ? null : tables.bySeq(seq);
}

/** Whether a task that waits for others would, by way of what they wait for, wait for itself. */
export function waitsForItself(task: string, until: readonly string[], awaited: (task: string) => string[]): boolean {
  const seen = new Set<string>();
  const open = [...until];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === task) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...awaited(next));
  }
  return false;
}
