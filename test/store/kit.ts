import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Event, NewEvent } from '../../src/core/event.ts';
import type { Batch, CommitResult, QueueOp, Store } from '../../src/core/ports/store.ts';
import type { Claim, Task } from '../../src/core/task.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { SqliteOptions, SqliteStore } from '../../src/store/sqlite/store.ts';

/** A clock that stands still until it is set. Its sleeps are short real ones: they only pace retries. */
export class TestClock implements Clock {
  time = 1_800_000_000_000;
  now(): number {
    return this.time;
  }
  async sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    await wait(5, undefined, { signal });
  }
}

export const random = (n: number): Uint8Array => randomBytes(n);

export async function tempDir(): Promise<{ dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-store-'));
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }) };
}

export const openAt = (path: string, options: Partial<SqliteOptions> = {}): Promise<SqliteStore> =>
  openSqliteStore({ path, clock: new TestClock(), random, boundary: () => {}, ...options });

export const note = (stream: string, reason: string, rest: Partial<NewEvent> = {}): NewEvent =>
  ({
    type: 'gateway.stopped',
    data: { reason },
    stream,
    actor: 'runtime',
    cause: null,
    labels: [],
    ...rest,
  }) as NewEvent;

export const newTask = (id: string, rest: Partial<Task> = {}): Task => ({
  id,
  queue: 'assistant',
  lane: `lane-${id}`,
  agent: 'assistant',
  session: 'main',
  from: 'person:owner',
  content: null,
  priority: 0,
  notBefore: null,
  deadline: null,
  key: null,
  attempt: 1,
  maxAttempts: 3,
  status: 'queued',
  labels: [],
  cause: null,
  absorbedBy: null,
  result: null,
  ...rest,
});

export const commit = (
  store: Store,
  events: NewEvent[],
  queue: QueueOp[] = [],
  rest: Partial<Batch> = {},
): Promise<CommitResult> => store.commit({ events, queue, sync: false, ...rest });

export const enqueue = (store: Store, ...tasks: Task[]): Promise<CommitResult> =>
  commit(
    store,
    [],
    tasks.map((task) => ({ op: 'enqueue', task })),
  );

export const apply = (store: Store, ...queue: QueueOp[]): Promise<CommitResult> => commit(store, [], queue);

export const settle = (task: string, status: 'done' | 'failed' | 'dead' | 'cancelled' = 'done'): QueueOp => ({
  op: 'settle',
  task,
  status,
  result: null,
});

export const claimAt = (store: Store, now: number, leaseMs = 1000): Promise<Claim | null> =>
  store.claim({ worker: 'wrk', now, leaseMs });

export const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

/** The first `count` events of a follower. */
export async function take(events: AsyncIterable<Event>, count: number): Promise<Event[]> {
  const taken: Event[] = [];
  if (count === 0) return taken;
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}
