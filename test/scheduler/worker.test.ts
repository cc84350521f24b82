import { newTask } from '../store/kit.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Log } from '../../src/core/ports/log.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { Claim, Stops, Task } from '../../src/core/task.ts';
import { Hub, observed } from '../../src/messages/hub.ts';
import { Worker, type WorkerOptions } from '../../src/scheduler/worker.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { cancel } from './worker-kit.ts';

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Time that only the test moves; a sleep ends by its signal or when the time is there. */
function manualClock() {
  let now = 1_000_000;
  const sleeping = new Set<{ until: number; wake: () => void }>();
  const clock: Clock = {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleep = { until: now + ms, wake: resolve };
        sleeping.add(sleep);
        const stop = (): void => {
          sleeping.delete(sleep);
          reject(signal?.reason as Error);
        };
        if (signal?.aborted) stop();
        else signal?.addEventListener('abort', stop, { once: true });
      }),
  };
  /** The time jumps without any timer, as it does for a machine that sleeps. */
  const jump = (ms: number): void => {
    now += ms;
  };
  const advance = (ms: number): void => {
    jump(ms);
    for (const sleep of sleeping)
      if (sleep.until <= now) {
        sleeping.delete(sleep);
        sleep.wake();
      }
  };
  return { clock, jump, advance };
}

const task = (id: string): Task => newTask(id, { session: id });

type Options = Partial<Pick<WorkerOptions, 'bury'>> & { wrap?: (store: Store) => Store };

function openWorker(handle: WorkerOptions['handle'], options: Options = {}) {
  const time = manualClock();
  const hub = new Hub();
  const raw = openMemoryStore({ clock: time.clock, random: systemRandom.bytes });
  const store = observed(options.wrap ? options.wrap(raw) : raw, hub);
  const worker = new Worker({
    store,
    clock: time.clock,
    log: quiet,
    worker: 'wrk_test',
    concurrency: () => 5,
    onWork: (listener) => hub.onWork(listener),
    onCancelled: (listener) => hub.onCancelled(listener),
    handle,
    ...options,
  });
  const add = (id: string) => store.commit({ events: [], queue: [{ op: 'enqueue', task: task(id) }], sync: true });
  return { ...time, store, worker, add };
}

/** Lets everything that can happen without time passing happen. */
const calm = async (): Promise<void> => {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
};

const settle = (store: Store, { task: { id }, lease }: Claim) =>
  store.commit({
    events: [],
    queue: [{ op: 'settle', task: id, status: 'done', result: null }],
    fence: lease,
    sync: true,
  });

test('after the machine has slept, a task that runs here is not taken a second time', async () => {
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  const signals: Stops[] = [];
  const { worker, store, add, jump } = openWorker(async (claim, stops) => {
    begun.push(claim.task.id);
    signals.push(stops);
    if (claim.task.id === 'tsk_a') await gate.promise;
    await settle(store, claim);
  });
  worker.start();
  await add('tsk_a');
  await calm();
  jump(3_600_000);
  await add('tsk_b');
  await calm();
  assert.deepEqual(begun, ['tsk_a', 'tsk_b']);
  assert.equal(signals[0]?.cancel.aborted, false);
  gate.resolve();
  await calm();
  assert.equal((await store.task('tsk_a'))?.status, 'done');
  await worker.stop(0);
});

test('a run that has parked and comes again at once is renewed and can be cancelled', async () => {
  const leaving = Promise.withResolvers<void>();
  const signals: Stops[] = [];
  const { worker, store, add, advance } = openWorker(async ({ task: { id }, lease }, stops) => {
    signals.push(stops);
    if (signals.length === 1) {
      await store.commit({ events: [], queue: [{ op: 'park', task: id }], fence: lease, sync: true });
      await leaving.promise;
    } else await new Promise((resolve) => stops.cancel.addEventListener('abort', resolve));
  });
  worker.start();
  await add('tsk_a');
  await calm();
  await store.commit({ events: [], queue: [{ op: 'wake', task: 'tsk_a' }], sync: true });
  await calm();
  assert.equal(signals.length, 2);
  leaving.resolve();
  await calm();
  assert.equal(worker.running, 1);
  for (let n = 0; n < 5; n++) {
    advance(10_000);
    await calm();
  }
  assert.deepEqual([signals.length, signals[1]?.cancel.aborted], [2, false]);
  await cancel(store, 'tsk_a');
  assert.equal(signals[1]?.cancel.aborted, true);
  await worker.stop(0);
});

test('a lease that another has taken stops the run', async () => {
  const signals: Stops[] = [];
  const { worker, store, add, advance } = openWorker((_claim, stops) => {
    signals.push(stops);
    return new Promise((resolve) => stops.cancel.addEventListener('abort', () => resolve()));
  });
  worker.start();
  await add('tsk_a');
  await calm();
  await store.commit({
    events: [],
    queue: [{ op: 'settle', task: 'tsk_a', status: 'cancelled', result: null }],
    sync: true,
  });
  advance(10_000);
  await calm();
  assert.deepEqual([signals.length, signals[0]?.cancel.aborted, worker.running], [1, true, 0]);
  await worker.stop(0);
});

test('what is claimed as the shutdown begins is left for the next start', async () => {
  const claimed = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const begun: string[] = [];
  const wrap = (raw: Store): Store =>
    new Proxy(raw, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'claim') return value.bind(target) as unknown;
        return async (options: Parameters<Store['claim']>[0]) => {
          const claim = await target.claim(options);
          if (claim) {
            claimed.resolve();
            await go.promise;
          }
          return claim;
        };
      },
    });
  const { worker, store, add } = openWorker(async ({ task: { id } }) => void begun.push(id), { wrap });
  worker.start();
  await add('tsk_a');
  await claimed.promise;
  const stopped = worker.stop(1_000);
  go.resolve();
  await stopped;
  assert.deepEqual(begun, []);
  assert.equal(await store.releaseAll(), 1);
});

test('a task that breaks its handler is buried, and one whose burial fails harms nobody else', async () => {
  const buried: string[] = [];
  const { worker, store, add } = openWorker(
    async (claim) => {
      if (claim.task.id !== 'tsk_c') throw new Error('broken');
      await settle(store, claim);
    },
    {
      bury: async ({ task: { id } }, error) => {
        buried.push(`${id} ${String(error)}`);
        throw new Error('no grave');
      },
    },
  );
  worker.start();
  for (const id of ['tsk_a', 'tsk_b', 'tsk_c']) await add(id);
  await calm();
  assert.deepEqual(buried, ['tsk_a Error: broken', 'tsk_b Error: broken']);
  assert.equal((await store.task('tsk_c'))?.status, 'done');
  await worker.stop(0);
});
