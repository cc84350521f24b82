import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldQueues, noteMissedDeadlines } from '../../src/scheduler/tasks/deadlines.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { enqueue, newTask, random, TestClock } from '../store/kit.ts';

const open = { concurrency: null, maxAttempts: null, input: null, state: 'open' } as const;

test('a queue is held while it is paused, or has as many runs as it may', () => {
  const queues = { a: open, b: { ...open, concurrency: 2 }, c: { ...open, state: 'paused' as const } };
  assert.deepEqual(heldQueues(queues, new Map()), ['c']);
  assert.deepEqual(
    heldQueues(
      queues,
      new Map([
        ['a', 9],
        ['b', 1],
      ]),
    ),
    ['c'],
  );
  assert.deepEqual(heldQueues({ ...queues, d: { ...open, state: 'draining' } }, new Map([['b', 2]])), ['b', 'c']);
});

test('a missed deadline is on record once, and before the owner', async () => {
  const clock = new TestClock();
  const store = openMemoryStore({ clock, random });
  await enqueue(store, newTask('t', { deadline: clock.time + 5 }), newTask('u', { deadline: clock.time + 500 }));
  await noteMissedDeadlines({ store, clock });
  clock.time += 10;
  for (let times = 0; times < 3; times++) await noteMissedDeadlines({ store, clock });
  const events = await Array.fromAsync(store.read({}));
  assert.deepEqual(
    events.map(({ type, key }) => [type, key]),
    [
      ['task.late', 'late:t'],
      ['matter.raised', 'asked:mat_deadline_t'],
    ],
  );
  await store.close();
});
