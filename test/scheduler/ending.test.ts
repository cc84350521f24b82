import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import type { Claim, Stops } from '../../src/core/task.ts';
import { record } from '../../src/scheduler/worker.ts';
import { collect, enqueue, newTask } from '../store/kit.ts';
import { calm, cancel, openScene } from './worker-kit.ts';

const full = (): StoreUnavailable => new StoreUnavailable('full', 'the disk is full');

test('work that the store interrupts is begun again a second later, with the same claim', async () => {
  const tries: Claim[] = [];
  const { worker, store, clock, told } = openScene({
    handle: (claim) => {
      tries.push(claim);
      return tries.length < 3 ? Promise.reject(full()) : Promise.resolve();
    },
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  await clock.pass(999);
  assert.equal(tries.length, 1);
  await clock.pass(1);
  await clock.pass(1_000);
  assert.equal(tries.length, 3);
  assert.equal(new Set(tries).size, 1);
  assert.equal(worker.running, 0);
  assert.equal((await store.task('a'))?.status, 'running', 'it was not buried');
  assert.equal(told.length, 2);
  await worker.stop(0);
});

test('a task that breaks its handler ends as a dead letter, and the next of its lane begins', async () => {
  const began: string[] = [];
  const { worker, store, told } = openScene({
    handle: ({ task: { id } }) => {
      began.push(id);
      return id === 'a' ? Promise.reject(new TypeError('x is not a function')) : new Promise(() => {});
    },
  });
  await enqueue(store, newTask('a', { lane: 'one', cause: 'evt_7' }), newTask('b', { lane: 'one' }));
  worker.start();
  await calm();
  assert.deepEqual(began, ['a', 'b']);
  assert.equal((await store.task('a'))?.status, 'dead');
  const events = await collect(store.read({}));
  assert.deepEqual(
    events.map(({ type, stream, actor, cause, labels, data }) => ({ type, stream, actor, cause, labels, data })),
    [
      {
        type: 'task.finished',
        stream: 'task:a',
        actor: 'runtime',
        cause: 'evt_7',
        labels: [],
        data: { task: 'a', run: null, status: 'dead', result: null },
      },
    ],
  );
  assert.deepEqual(told, [
    { level: 'error', fields: { error: 'x is not a function' }, message: 'the worker met an error' },
    {
      level: 'error',
      fields: { task: 'a', error: 'TypeError: x is not a function' },
      message: 'a task broke its handler and is dead',
    },
  ]);
  await worker.stop(0);
});

test('a dead letter is on disk before the next task begins, and only while the lease is ours', async () => {
  const batches: object[] = [];
  const { worker, store, silent, told } = openScene({
    handle: async ({ task: { id } }) => {
      // Somebody else has ended it: the burial must not.
      const op = { op: 'settle', task: id, status: 'cancelled', result: null } as const;
      await silent.commit({ events: [], queue: [op], sync: true });
      // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error
      throw 'not even an error';
    },
    store: (raw) => ({
      commit: (batch) => {
        batches.push({ sync: batch.sync, fenced: batch.fence?.task });
        return raw.commit(batch);
      },
    }),
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  assert.deepEqual(batches.at(-1), { sync: true, fenced: 'a' });
  assert.equal((await store.task('a'))?.status, 'cancelled');
  assert.equal(await store.head(), 0);
  assert.deepEqual(told[0]?.fields, { error: 'not even an error' });
  await worker.stop(0);
});

test('a burial that fails is reported', async () => {
  const { worker, store, told } = openScene({
    handle: () => Promise.reject(new Error('broken')),
    store: (raw) => ({
      commit: (batch) => (batch.events.length > 0 ? Promise.reject(full()) : raw.commit(batch)),
    }),
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  assert.equal(worker.running, 0);
  assert.deepEqual(
    told.map(({ fields, message }) => `${message}: ${(fields as { error: string }).error}`),
    [
      'the worker met an error: broken',
      'the worker met an error: the disk is full',
      'a task broke its handler and is dead: Error: broken',
    ],
  );
  await worker.stop(0);
});

test('stop claims nothing more and waits for the steps to end, no longer than they take', async () => {
  const signals: Stops[] = [];
  const { worker, store, silent, hub, clock, begun, told } = openScene({
    handle: ({ task: { id } }, stops) => {
      begun.push(id);
      signals.push(stops);
      return new Promise((_resolve, reject) =>
        stops.shutdown.addEventListener('abort', () => setImmediate(() => reject(stops.shutdown.reason as Error))),
      );
    },
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  let stopped = false;
  const stopping = worker.stop(10_000).then(() => {
    stopped = true;
  });
  assert.equal(stopped, false);
  await enqueue(silent, newTask('b'));
  hub.committed([], true);
  await stopping;
  assert.equal(String(signals[0]?.shutdown.reason), 'Error: the runtime is shutting down');
  assert.equal(signals[0]?.cancel.aborted, false);
  assert.deepEqual(begun, ['a']);
  assert.deepEqual(told, [], 'a step that ends because of the shutdown is no error');
  assert.equal((await store.task('a'))?.status, 'running', 'left for the next start');
  assert.equal(worker.running, 0);
  assert.equal(clock.sleeping, 0);
});

test('stop waits no longer than its grace for a step that does not end', async () => {
  const { worker, store, clock } = openScene();
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  let stopped = false;
  const stopping = worker.stop(3_000).then(() => {
    stopped = true;
  });
  await clock.pass(2_999);
  assert.equal(stopped, false);
  await clock.pass(1);
  await stopping;
  assert.equal(worker.running, 1);
  assert.equal(clock.sleeping, 0);
});

test('stop waits for a claim that is under way, and listens no longer', async () => {
  const gate = Promise.withResolvers<null>();
  let listening = 0;
  const { worker, hub } = openScene({ store: () => ({ claim: () => gate.promise }) });
  const onWork = hub.onWork.bind(hub);
  hub.onWork = (listener) => {
    listening += 1;
    const stop = onWork(listener);
    return () => {
      listening -= 1;
      return stop();
    };
  };
  worker.start();
  assert.equal(listening, 1);
  await calm();
  let stopped = false;
  const stopping = worker.stop(60_000).then(() => {
    stopped = true;
  });
  assert.equal(listening, 0);
  await calm();
  assert.equal(stopped, false);
  gate.resolve(null);
  await stopping;
});

test('a step that has outlived the grace of a stop hears of cancellations no longer', async () => {
  const signals: Stops[] = [];
  const { worker, store } = openScene({
    handle: (_claim, stops) => {
      signals.push(stops);
      return new Promise(() => {});
    },
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  await worker.stop(0);
  await cancel(store, 'a');
  assert.deepEqual([signals.length, signals[0]?.cancel.aborted], [1, false]);
});

test('stop is quick for a worker that idles or was never started', async () => {
  const idle = openScene();
  idle.worker.start();
  await calm();
  await idle.worker.stop(60_000);
  await openScene().worker.stop(60_000);
  assert.equal(idle.clock.sleeping, 0);
});

test('work that the store interrupts does not hold up the shutdown', async () => {
  let tries = 0;
  const { worker, store, clock, told } = openScene({
    handle: () => {
      tries += 1;
      return Promise.reject(full());
    },
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  await worker.stop(60_000);
  assert.ok(tries <= 2);
  assert.equal(told.length, 1);
  assert.equal(clock.sleeping, 0);
});

test('a turn of the process’s own life is on record, synced', async () => {
  const { store } = openScene();
  const synced: boolean[] = [];
  const watched = new Proxy(store, {
    get: (target, name) => {
      if (name !== 'commit') return Reflect.get(target, name, target) as unknown;
      return (batch: Parameters<typeof store.commit>[0]) => {
        synced.push(batch.sync);
        return target.commit(batch);
      };
    },
  });
  await record(watched, { type: 'gateway.stopped', data: { reason: 'asked' } });
  const [event] = await collect(store.read({}));
  assert.deepEqual(synced, [true]);
  assert.deepEqual(
    { type: event?.type, stream: event?.stream, actor: event?.actor, cause: event?.cause, labels: event?.labels },
    { type: 'gateway.stopped', stream: 'gateway', actor: 'runtime', cause: null, labels: [] },
  );
});
