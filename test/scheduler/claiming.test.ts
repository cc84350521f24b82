import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreUnavailable, type ClaimOptions } from '../../src/core/ports/store.ts';
import type { Claim, Stops } from '../../src/core/task.ts';
import { enqueue, newTask } from '../store/kit.ts';
import { calm, cancel, openScene } from './worker-kit.ts';

const full = (): StoreUnavailable => new StoreUnavailable('full', 'the disk is full');

test('a lane is worked off one task after the other, other lanes beside it, and no time is lost between', async () => {
  const { worker, store, begun, finish } = openScene();
  const lane = (id: string, name: string) => newTask(id, { lane: name });
  await enqueue(store, lane('a1', 'a'), lane('a2', 'a'), lane('b1', 'b'), lane('a3', 'a'));
  assert.equal(worker.problem, null);
  worker.start();
  await calm();
  assert.deepEqual(begun, ['a1', 'b1']);
  assert.equal(worker.running, 2);
  await finish('a1');
  assert.deepEqual(begun, ['a1', 'b1', 'a2']);
  await finish('b1');
  assert.equal(worker.running, 1);
  await finish('a2');
  await finish('a3');
  assert.deepEqual(begun, ['a1', 'b1', 'a2', 'a3']);
  assert.equal(worker.running, 0);
  assert.deepEqual((await store.counts()).done, 4);
  await worker.stop(0);
});

test('never more at once than allowed, whatever is allowed at the moment', async () => {
  let allowed = 2;
  const { worker, store, clock, begun, finish } = openScene({ concurrency: () => allowed });
  await enqueue(store, ...['a', 'b', 'c', 'd', 'e'].map((id) => newTask(id)));
  worker.start();
  await calm();
  assert.deepEqual(begun, ['a', 'b']);
  await clock.pass(5_000);
  assert.equal(begun.length, 2);
  await finish('a');
  assert.deepEqual(begun, ['a', 'b', 'c']);
  allowed = 4;
  await clock.pass(4_999);
  assert.equal(begun.length, 3, 'a higher limit is seen at the next look');
  await clock.pass(1);
  assert.deepEqual(begun, ['a', 'b', 'c', 'd', 'e']);
  allowed = 1;
  await finish('b');
  await enqueue(store, newTask('f'));
  await calm();
  assert.equal(begun.includes('f'), false);
  await worker.stop(0);
});

test('only its queues are claimed, in its name, for half a minute', async () => {
  const seen: ClaimOptions[] = [];
  const leases: Claim['lease'][] = [];
  const { worker, store, clock } = openScene({
    only: ['outbox'],
    except: ['paused'],
    handle: async ({ lease }) => void leases.push(lease),
    store: (raw) => ({
      claim: (options) => {
        seen.push(options);
        return raw.claim(options);
      },
    }),
  });
  await enqueue(store, newTask('a'), newTask('b', { queue: 'outbox' }));
  worker.start();
  await calm();
  const now = clock.now();
  assert.deepEqual(seen[0], { worker: 'wrk_test', now, leaseMs: 30_000, only: ['outbox'], except: ['paused'] });
  assert.deepEqual(
    leases.map(({ task, worker: by, until }) => ({ task, by, until })),
    [{ task: 'b', by: 'wrk_test', until: now + 30_000 }],
  );
  assert.equal((await store.task('a'))?.status, 'queued');
  await worker.stop(0);
});

test('what nobody announces is found within five seconds', async () => {
  const { worker, silent, clock, begun } = openScene();
  worker.start();
  await calm();
  await enqueue(silent, newTask('a'));
  await clock.pass(4_999);
  assert.deepEqual(begun, []);
  await clock.pass(1);
  assert.deepEqual(begun, ['a']);
  await worker.stop(0);
});

for (const { due, looks } of [
  { due: 1_200, looks: [1_200] },
  { due: 5_001, looks: [5_000, 1] },
  { due: 12_000, looks: [5_000, 5_000, 2_000] },
])
  test(`a task that is due in ${due} ms begins then, and not before`, async () => {
    const { worker, store, clock, begun } = openScene();
    await enqueue(store, newTask('a', { notBefore: clock.now() + due }));
    worker.start();
    await calm();
    const slept: number[] = [];
    for (const look of looks) {
      slept.push(clock.sleeps.findLast((ms) => ms !== 10_000) ?? 0);
      await clock.pass(look - 1);
      assert.deepEqual(begun, []);
      await clock.pass(1);
    }
    assert.deepEqual(slept, looks);
    assert.deepEqual(begun, ['a']);
    await worker.stop(0);
  });

test('a due time that has just passed is looked at again in a millisecond, not at once without end', async () => {
  let looks = 0;
  const { worker, clock } = openScene({
    store: () => ({ nextDue: (now) => Promise.resolve((looks += 1) > 50 ? null : now - 5) }),
  });
  worker.start();
  await calm();
  assert.equal(looks, 1);
  await clock.pass(1);
  assert.equal(looks, 2);
  await worker.stop(0);
});

for (const moment of ['claim', 'nextDue'] as const)
  test(`work that is announced during ${moment} is not missed`, async () => {
    const gate = Promise.withResolvers<void>();
    let looks = 0;
    const { worker, silent, hub, begun } = openScene({
      store: (raw) => ({
        [moment]: async (options: never) => {
          const found = await raw[moment](options);
          looks += 1;
          if (looks === 1) await gate.promise;
          return found;
        },
      }),
    });
    worker.start();
    await calm();
    await enqueue(silent, newTask('a'));
    hub.committed([], true);
    gate.resolve();
    await calm();
    assert.deepEqual(begun, ['a']);
    await worker.stop(0);
  });

test('however often it is woken, it leaves no timers behind', async () => {
  const { worker, hub, clock } = openScene();
  worker.start();
  for (let turn = 0; turn < 10; turn++) {
    await calm();
    hub.committed([], true);
  }
  await calm();
  assert.equal(clock.sleeping, 2, 'the next look, and the next renewal');
  await worker.stop(10_000);
  assert.equal(clock.sleeping, 0);
});

test('a lease is renewed every ten seconds for as long as the work takes', async () => {
  const renewals: number[] = [];
  const { worker, store, clock, begun, finish } = openScene({
    store: (raw) => ({
      renew: (lease, until) => {
        renewals.push(until - clock.now());
        return raw.renew(lease, until);
      },
    }),
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  await clock.pass(9_999);
  assert.deepEqual(renewals, []);
  await clock.pass(1);
  for (let turn = 0; turn < 4; turn++) await clock.pass(10_000);
  assert.deepEqual(renewals, [30_000, 30_000, 30_000, 30_000, 30_000]);
  assert.deepEqual(begun, ['a']);
  await finish('a');
  assert.equal((await store.task('a'))?.status, 'done');
  await clock.pass(10_000);
  assert.equal(renewals.length, 5);
  await worker.stop(0);
});

test('a renewal that the store does not take is reported and tried again, and the work goes on', async () => {
  let broken = true;
  let renewals = 0;
  const signals: Stops[] = [];
  const { worker, store, clock, told } = openScene({
    handle: (_claim, stops) => {
      signals.push(stops);
      return new Promise(() => {});
    },
    store: (raw) => ({
      renew: (lease, until) => {
        renewals += 1;
        return broken ? Promise.reject(full()) : raw.renew(lease, until);
      },
    }),
  });
  await enqueue(store, newTask('a'), newTask('b'));
  worker.start();
  await calm();
  await clock.pass(10_000);
  assert.equal(renewals, 2);
  const line = { level: 'error', fields: { error: 'the disk is full' }, message: 'the worker met an error' };
  assert.deepEqual(told, [line, line]);
  broken = false;
  await clock.pass(10_000);
  assert.equal(renewals, 4);
  assert.deepEqual(
    signals.map(({ cancel }) => cancel.aborted),
    [false, false],
  );
  await worker.stop(0);
});

test('the two ways to be cancelled say so', async () => {
  const signals = new Map<string, AbortSignal>();
  const { worker, store, silent, clock } = openScene({
    handle: ({ task: { id } }, { cancel }) => {
      signals.set(id, cancel);
      return new Promise((resolve) => cancel.addEventListener('abort', () => resolve()));
    },
  });
  await enqueue(store, newTask('a'), newTask('b'), newTask('c'));
  worker.start();
  await calm();
  await cancel(store, 'a');
  await cancel(store, 'nobody');
  await silent.commit({
    events: [],
    queue: [{ op: 'settle', task: 'b', status: 'cancelled', result: null }],
    sync: true,
  });
  await clock.pass(10_000);
  const reason = (id: string): string => String(signals.get(id)?.reason);
  assert.equal(reason('a'), 'Error: the task was cancelled');
  assert.equal(reason('b'), 'Error: the lease is lost');
  assert.equal(signals.get('c')?.aborted, false);
  assert.equal(worker.running, 1);
  await worker.stop(0);
});

for (const { jump, renewed } of [
  { jump: 15_000, renewed: 0 },
  { jump: 15_001, renewed: 1 },
  { jump: -15_001, renewed: 1 },
])
  test(`after the clock has jumped by ${jump} ms, leases ${renewed ? 'are renewed before' : 'need no look when'} anything is claimed`, async () => {
    const did: string[] = [];
    const { worker, store, clock } = openScene({
      store: (raw) => ({
        renew: (lease, until) => {
          did.push('renew');
          return raw.renew(lease, until);
        },
        claim: async (options) => {
          const claim = await raw.claim(options);
          if (claim) did.push(`claim ${claim.task.id}`);
          return claim;
        },
      }),
    });
    await enqueue(store, newTask('a'));
    worker.start();
    await calm();
    clock.time += jump;
    await enqueue(store, newTask('b'), newTask('c'));
    await calm();
    const renewals = Array.from({ length: renewed }, () => 'renew');
    assert.deepEqual(did, ['claim a', ...renewals, 'claim b', 'claim c']);
    await worker.stop(0);
  });

test('while leases cannot be renewed after a jump, nothing is claimed', async () => {
  let broken = true;
  const { worker, store, clock, begun } = openScene({
    store: (raw) => ({
      renew: (lease, until) => (broken ? Promise.reject(full()) : raw.renew(lease, until)),
    }),
  });
  await enqueue(store, newTask('a'));
  worker.start();
  await calm();
  clock.time += 20_000;
  await enqueue(store, newTask('b'));
  await calm();
  assert.deepEqual(begun, ['a']);
  await clock.pass(1_000);
  await clock.pass(1_000);
  assert.deepEqual(begun, ['a']);
  broken = false;
  await clock.pass(999);
  assert.deepEqual(begun, ['a']);
  await clock.pass(1);
  assert.deepEqual(begun, ['a', 'b']);
  await worker.stop(0);
});

test('a store that takes nothing is asked again every second, and says what is wrong meanwhile', async () => {
  let broken = true;
  let asked = 0;
  const { worker, silent, clock, told, begun } = openScene({
    store: (raw) => ({
      claim: (options) => {
        asked += 1;
        return broken ? Promise.reject(full()) : raw.claim(options);
      },
    }),
  });
  worker.start();
  await calm();
  assert.equal(asked, 1);
  assert.equal(worker.problem, 'the disk is full');
  assert.deepEqual(told[0], {
    level: 'error',
    fields: { error: 'the disk is full' },
    message: 'the worker met an error',
  });
  await clock.pass(999);
  assert.equal(asked, 1);
  await clock.pass(1);
  assert.equal(asked, 2);
  broken = false;
  await enqueue(silent, newTask('a'));
  await clock.pass(1_000);
  assert.deepEqual(begun, ['a']);
  assert.equal(worker.problem, null);
  await worker.stop(0);
});

test('announcements do not make a broken store be asked without a pause', async () => {
  let asked = 0;
  const gate = Promise.withResolvers<null>();
  const { worker, hub, clock } = openScene({
    store: () => ({
      claim: () => {
        asked += 1;
        return asked === 1 ? gate.promise : Promise.reject(full());
      },
    }),
  });
  worker.start();
  hub.committed([], true);
  gate.reject(new Error('odd'));
  await calm();
  assert.equal(asked, 1);
  assert.equal(worker.problem, null, 'only a store that is unavailable is a problem people can mend');
  await clock.pass(1_000);
  assert.equal(asked, 2);
  await worker.stop(0);
});

test('where no queue is shut, none is left out', async () => {
  const seen: (readonly string[] | undefined)[] = [];
  const { worker } = openScene({
    store: (raw) => ({
      claim: (options) => {
        seen.push(options.except);
        return raw.claim(options);
      },
    }),
  });
  worker.start();
  await calm();
  assert.deepEqual(seen, [[]]);
  await worker.stop(0);
});
