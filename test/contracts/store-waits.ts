import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from '../../src/core/ports/store.ts';
import { apply, claimAt, enqueue, newTask, settle } from '../store/kit.ts';
import type { WithStore } from './store.ts';

const status = async (store: Store, id: string): Promise<string | undefined> => (await store.task(id))?.status;

/** Begins a task and parks it until others have ended. */
async function parked(store: Store, now: number, id: string, until: string[]): Promise<void> {
  await enqueue(store, newTask(id, { priority: 9 }));
  assert.equal((await claimAt(store, now))?.task.id, id);
  assert.ok((await apply(store, { op: 'park', task: id, until })).ok);
}

export function waitsContract(withStore: WithStore): void {
  test(
    'a parked task is woken by whatever ends the last of those it waits for, and by nothing before',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('a'), newTask('b', { lane: 'l' }), newTask('c', { lane: 'l' }));
      await parked(store, time, 'p', ['a', 'b', 'a']);
      assert.deepEqual((await store.awaited('p')).toSorted(), ['a', 'b']);
      await apply(store, settle('a'));
      assert.equal(await status(store, 'p'), 'waiting');
      await apply(store, { op: 'settle', task: 'b', status: 'cancelled', result: null });
      assert.equal(await status(store, 'p'), 'queued');
      assert.deepEqual(await store.awaited('p'), []);
      assert.equal((await claimAt(store, time))?.task.id, 'p');
    }),
  );

  test(
    'a task that waits for what has ended already, or is taken in by another, is not forgotten',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('a'));
      await apply(store, settle('a'));
      await parked(store, time, 'p', ['a', 'gone']);
      assert.equal(await status(store, 'p'), 'queued');
      await apply(store, settle('p'));
      await enqueue(store, newTask('host', { lane: 'l', priority: 5 }), newTask('guest', { lane: 'l' }));
      assert.equal((await claimAt(store, time))?.task.id, 'host');
      await apply(store, { op: 'absorb', task: 'guest', into: 'host' });
      await parked(store, time, 'q', ['guest']);
      await apply(store, settle('host'));
      assert.equal(await status(store, 'q'), 'queued');
    }),
  );

  test(
    'a circle of tasks that wait for one another does not come about',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('a', { priority: 1 }), newTask('b'));
      assert.equal((await claimAt(store, time))?.task.id, 'a');
      assert.equal((await claimAt(store, time))?.task.id, 'b');
      assert.ok((await apply(store, { op: 'park', task: 'a', until: ['b'] })).ok);
      const circle = await apply(store, { op: 'park', task: 'b', until: ['a'] });
      assert.deepEqual(circle, { ok: false, why: 'state', task: 'b', status: 'running' });
      assert.deepEqual(await store.awaited('b'), []);
      assert.deepEqual(await apply(store, { op: 'park', task: 'b', until: ['b'] }), circle);
    }),
  );

  test(
    'a task that comes after others is claimed once they have ended, and not before its time',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('a', { notBefore: time + 100 }));
      await apply(store, { op: 'enqueue', task: newTask('b', { notBefore: time + 50 }), after: ['a', 'gone'] });
      assert.equal(await claimAt(store, time + 60), null);
      assert.equal(await store.nextDue(time), time + 100);
      await apply(store, { op: 'settle', task: 'a', status: 'failed', result: null });
      assert.equal(await claimAt(store, time + 10), null);
      assert.equal((await claimAt(store, time + 60))?.task.id, 'b');
    }),
  );

  test(
    'one that is cancelled while it waits wakes nobody later',
    withStore(async (store, { time }) => {
      await enqueue(store, newTask('a'));
      await parked(store, time, 'p', ['a']);
      await apply(store, { op: 'settle', task: 'p', status: 'cancelled', result: null });
      await apply(store, settle('a'));
      assert.equal(await status(store, 'p'), 'cancelled');
      assert.equal(await claimAt(store, time), null);
    }),
  );

  test(
    'tasks are found by what they come from, and by their deadline',
    withStore(async (store, { time }) => {
      const origin = { root: 'r', parent: 'p', hops: 2, senders: ['x', 'y'] };
      const given = newTask('a', { origin, deadline: time });
      await enqueue(
        store,
        given,
        newTask('b', { origin: { ...origin, parent: 'q' } }),
        newTask('c', { deadline: time + 9 }),
      );
      assert.deepEqual(await store.task('a'), given);
      const ids = async (filter: Parameters<Store['tasks']>[0]) => (await store.tasks(filter)).map(({ id }) => id);
      assert.deepEqual(await ids({ root: 'r' }), ['a', 'b']);
      assert.deepEqual(await ids({ parent: 'p' }), ['a']);
      const statuses = ['queued', 'running', 'waiting'] as const;
      assert.deepEqual(await ids({ statuses, deadlineBy: time + 5 }), ['a']);
      await apply(store, settle('a'));
      assert.deepEqual(await ids({ statuses, deadlineBy: time + 5 }), []);
    }),
  );
}
