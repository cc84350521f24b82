import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from '../../src/core/ports/store.ts';
import type { Claim } from '../../src/core/task.ts';
import { apply, claimAt, commit, enqueue, newTask, note, settle } from '../store/kit.ts';
import type { WithStore } from './store.ts';

const inLane = (lane: string, ...ids: string[]) => ids.map((id) => newTask(id, { lane }));

async function claimed(store: Store, now: number): Promise<Claim> {
  const claim = await claimAt(store, now);
  assert.ok(claim, 'nothing to claim');
  return claim;
}

const status = async (store: Store, id: string): Promise<string | undefined> => (await store.task(id))?.status;

export function queueContract(withStore: WithStore): void {
  test(
    'a task comes back as it was enqueued, with the event that made it',
    withStore(async (store, { time }) => {
      const task = newTask('t', {
        content: { hash: 'h', size: 1, subject: 's' },
        deadline: time + 5,
        key: 'k',
        labels: ['untrusted'],
        priority: -2,
      });
      await commit(store, [note('a', 'x'), note('a', 'y')], [{ op: 'enqueue', task, causeOf: 1 }]);
      assert.deepEqual(await store.task('t'), { ...task, cause: 'evt_2' });
      const claim = await claimed(store, time);
      assert.deepEqual(claim, {
        task: { ...task, cause: 'evt_2', status: 'running' },
        lease: { task: 't', token: 1, worker: 'wrk', until: time + 1000 },
      });
      assert.deepEqual(await apply(store, { op: 'enqueue', task }), {
        ok: false,
        why: 'duplicate',
        key: 'k',
        existing: await store.event('evt_2'),
      });
      assert.deepEqual(await enqueue(store, { ...task, key: null }), {
        ok: false,
        why: 'state',
        task: 't',
        status: 'running',
      });
    }),
  );

  test(
    'a lane is strictly first in, first out, whatever the priorities in it',
    withStore(async (store, { time }) => {
      const [a, b, c] = inLane('l', 'a', 'b', 'c');
      assert.ok(a && b && c);
      await enqueue(store, a, { ...b, priority: 9 }, c);
      for (const id of ['a', 'b', 'c']) {
        assert.equal((await claimed(store, time)).task.id, id);
        assert.equal(await claimAt(store, time), null);
        await apply(store, settle(id));
      }
    }),
  );

  test(
    'across lanes priority decides, then age',
    withStore(async (store, { time }) => {
      await enqueue(
        store,
        newTask('old'),
        newTask('low', { priority: -1 }),
        newTask('new'),
        newTask('high', { priority: 1 }),
      );
      const order = [];
      for (let i = 0; i < 4; i++) order.push((await claimed(store, time)).task.id);
      assert.deepEqual(order, ['high', 'old', 'new', 'low']);
    }),
  );

  test(
    'not-before holds a task, and its lane, until its time; nextDue says when',
    withStore(async (store, { time }) => {
      const [first, second] = inLane('l', 'first', 'second');
      assert.ok(first && second);
      await enqueue(store, { ...first, notBefore: time + 50 }, second, newTask('far', { notBefore: time + 900 }));
      assert.equal(await claimAt(store, time + 49), null);
      assert.equal(await store.nextDue(time), time + 50);
      assert.equal((await claimed(store, time + 50)).task.id, 'first');
      assert.equal(await store.nextDue(time + 50), time + 900);
      assert.deepEqual(
        [await store.leaseEnd('first'), await store.leaseEnd('far'), await store.leaseEnd('none')],
        [time + 50 + 1000, null, null],
      );
      assert.equal(await store.nextDue(time + 5000), null);
    }),
  );

  test(
    'queues can be left out or chosen',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('a', { queue: 'qa' }), newTask('b', { queue: 'qb' }), newTask('c', { queue: 'qc' }));
      const claim = (options: { except?: string[]; only?: string[] }) =>
        store.claim({ worker: 'w', now: time, leaseMs: 10, ...options });
      assert.equal((await claim({ except: ['qa'] }))?.task.id, 'b');
      assert.equal(await claim({ only: [] }), null);
      assert.equal(await claim({ only: ['qc', 'qx'], except: ['qc'] }), null);
      assert.equal((await claim({ only: ['qc', 'qx'] }))?.task.id, 'c');
    }),
  );

  test(
    'a lease can be renewed by its holder only; an expired one can be taken, with a greater token',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('t'));
      const first = await claimed(store, time);
      assert.ok(await store.renew(first.lease, time + 5000));
      assert.equal(await store.nextDue(time), time + 5000);
      assert.equal(await claimAt(store, time + 4999), null);
      const second = await claimed(store, time + 5000);
      assert.deepEqual([second.task.id, second.lease.token, second.task.attempt], ['t', 2, 1]);
      assert.equal(await store.renew(first.lease, time + 9000), false);
      assert.ok(await store.renew(second.lease, time + 9000));
      await apply(store, settle('t'));
      assert.equal(await store.renew(second.lease, time + 9999), false);
      assert.equal(await store.nextDue(time), null);
    }),
  );

  test(
    'a parked task keeps its lane and gives up its lease; woken it takes its old place',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'a', 'b'));
      const { lease } = await claimed(store, time);
      await apply(store, { op: 'park', task: 'a' });
      assert.equal(await status(store, 'a'), 'waiting');
      assert.equal(await claimAt(store, time + 99_999), null);
      assert.equal(await store.renew(lease, time + 1), false);
      assert.equal(await store.nextDue(time), null);
      await apply(store, { op: 'wake', task: 'a' });
      const again = await claimed(store, time);
      assert.deepEqual([again.task.id, again.task.attempt, again.lease.token], ['a', 1, 2]);
      assert.ok((await apply(store, { op: 'wake', task: 'a' })).ok);
      assert.equal(await status(store, 'a'), 'running');
      assert.deepEqual(await apply(store, { op: 'wake', task: 'none' }), {
        ok: false,
        why: 'state',
        task: 'none',
        status: null,
      });
    }),
  );

  test(
    'a retry waits at its place with one attempt more, or none if it is not counted',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'a', 'b'));
      await claimed(store, time);
      await apply(store, { op: 'retry', task: 'a', notBefore: time + 30 });
      assert.equal(await claimAt(store, time + 29), null);
      const again = await claimed(store, time + 30);
      assert.deepEqual([again.task.id, again.task.attempt, again.task.notBefore], ['a', 2, time + 30]);
      await apply(store, { op: 'retry', task: 'a', notBefore: time + 60, uncounted: true });
      assert.equal(await claimAt(store, time + 59), null);
      assert.equal((await claimed(store, time + 60)).task.attempt, 2, 'the same attempt goes on');
    }),
  );

  test(
    'an absorbed task ends with the run that took it in, and holds up nobody',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'host', 'guest', 'next'), newTask('else'));
      assert.deepEqual(await apply(store, { op: 'absorb', task: 'guest', into: 'host' }), {
        ok: false,
        why: 'state',
        task: 'host',
        status: 'queued',
      });
      await claimed(store, time);
      await apply(store, { op: 'absorb', task: 'guest', into: 'host' });
      assert.deepEqual([await status(store, 'guest'), (await store.task('guest'))?.absorbedBy], ['queued', 'host']);
      const again = await apply(store, { op: 'absorb', task: 'guest', into: 'host' });
      assert.deepEqual(again, { ok: false, why: 'state', task: 'guest', status: 'queued' });
      const foreign = await apply(store, { op: 'absorb', task: 'else', into: 'host' });
      assert.deepEqual(foreign, { ok: false, why: 'state', task: 'host', status: 'running' });
      assert.deepEqual(
        (await store.tasks({ absorbedBy: 'host' })).map((task) => task.id),
        ['guest'],
      );
      await apply(store, { op: 'park', task: 'host' }, { op: 'wake', task: 'host' });
      assert.equal((await claimed(store, time)).task.id, 'host');
      const result = { hash: 'h', size: 1, subject: 's' };
      await apply(store, { op: 'settle', task: 'host', status: 'failed', result });
      for (const id of ['host', 'guest']) {
        const task = await store.task(id);
        assert.deepEqual([task?.status, task?.result], ['failed', result]);
      }
      assert.equal((await claimed(store, time)).task.id, 'next');
    }),
  );

  test(
    'an absorbed task can be cancelled alone',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'host', 'guest'));
      await claimed(store, time);
      await apply(store, { op: 'absorb', task: 'guest', into: 'host' });
      await apply(store, settle('guest', 'cancelled'));
      await apply(store, settle('host', 'done'));
      assert.deepEqual([await status(store, 'host'), await status(store, 'guest')], ['done', 'cancelled']);
    }),
  );

  test(
    'any open task can be settled, in the middle of a lane too; an ended one cannot',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'a', 'b', 'c'));
      await apply(store, settle('b', 'cancelled'));
      const { lease } = await claimed(store, time);
      await apply(store, { op: 'park', task: 'a' });
      await apply(store, settle('a', 'dead'));
      assert.deepEqual(await apply(store, settle('a')), { ok: false, why: 'state', task: 'a', status: 'dead' });
      assert.deepEqual(await commit(store, [], [], { fence: lease }), { ok: false, why: 'lease-lost' });
      assert.equal((await claimed(store, time)).task.id, 'c');
      assert.deepEqual(
        (await store.tasks({ statuses: ['dead'] })).map((task) => task.id),
        ['a'],
      );
    }),
  );

  test(
    'operations that do not fit say so and change nothing',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('q'));
      for (const op of [
        { op: 'park', task: 'q' },
        { op: 'retry', task: 'q', notBefore: time },
      ] as const)
        assert.deepEqual(await apply(store, op), { ok: false, why: 'state', task: 'q', status: 'queued' });
      assert.ok((await apply(store, { op: 'wake', task: 'q' })).ok);
      assert.deepEqual(await apply(store, settle('none')), { ok: false, why: 'state', task: 'none', status: null });
      const missing = await apply(store, { op: 'absorb', task: 'q', into: 'none' });
      assert.deepEqual(missing, { ok: false, why: 'state', task: 'none', status: null });
      assert.equal((await claimed(store, time)).task.id, 'q');
    }),
  );

  test(
    'releaseAll queues what ran again at its place, and its holders find out',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'a', 'b'), newTask('c'), newTask('d'));
      const a = await claimed(store, time);
      await claimed(store, time);
      assert.equal(await store.releaseAll(), 2);
      assert.equal(await store.renew(a.lease, time + 1), false);
      assert.deepEqual(await commit(store, [], [], { fence: a.lease }), { ok: false, why: 'lease-lost' });
      assert.deepEqual((await store.counts()).queued, 4);
      const again = await claimed(store, time);
      assert.deepEqual([again.task.id, again.task.attempt, again.lease.token], ['a', 1, 2]);
    }),
  );

  test(
    'two claims of one turn never get the same task',
    withStore(async (store, { time }) => {
      await enqueue(store, ...Array.from({ length: 10 }, (_, i) => newTask(`t${i}`)));
      const claims = await Promise.all(Array.from({ length: 15 }, () => claimAt(store, time)));
      const ids = claims.flatMap((claim) => (claim ? [claim.task.id] : []));
      assert.equal(ids.length, 10);
      assert.equal(new Set(ids).size, 10);
    }),
  );

  test(
    'counts and lists by status, lane, queue and limit',
    withStore(async (store, { time }) => {
      await enqueue(store, ...inLane('l', 'a', 'b', 'c'), newTask('d', { queue: 'other' }));
      await claimed(store, time);
      await apply(store, settle('a'));
      assert.deepEqual(await store.counts(), {
        queued: 3,
        running: 0,
        waiting: 0,
        done: 1,
        failed: 0,
        dead: 0,
        cancelled: 0,
      });
      const ids = async (filter: Parameters<Store['tasks']>[0]) => (await store.tasks(filter)).map((task) => task.id);
      assert.deepEqual(await ids({}), ['a', 'b', 'c', 'd']);
      assert.deepEqual(await ids({ lane: 'l', statuses: ['queued', 'waiting'] }), ['b', 'c']);
      assert.deepEqual(await ids({ queue: 'other' }), ['d']);
      assert.deepEqual(await ids({ limit: 2 }), ['a', 'b']);
      assert.deepEqual(await ids({ statuses: [] }), []);
    }),
  );
}
