import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Batch, CommitResult } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { inUtc } from './escalation-kit.ts';
import { heldQueues, noteMissedDeadlines } from '../../src/scheduler/tasks/deadlines.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { apply, claimAt, enqueue, newTask, random, TestClock } from '../store/kit.ts';

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
  await noteMissedDeadlines({ store, clock, timeText: inUtc });
  clock.time += 10;
  for (let times = 0; times < 3; times++) await noteMissedDeadlines({ store, clock, timeText: inUtc });
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

test('a missed deadline is told whole, of what waits and runs too, synced, and with the labels of its task', async () => {
  const clock = new TestClock();
  const raw = openMemoryStore({ clock, random });
  const batches: Batch[] = [];
  let refused: CommitResult | null = null;
  const store = new Proxy(raw, {
    get: (target, name) => {
      if (name === 'commit')
        return async (batch: Batch) => {
          batches.push(batch);
          return refused ?? raw.commit(batch);
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const deadline = Date.UTC(2026, 10, 30);
  clock.time = deadline - 1_000;
  await enqueue(raw, newTask('t', { queue: 'q', lane: 'conv:a/s', deadline, labels: ['private'] }));
  await claimAt(raw, clock.time);
  clock.time = deadline + 1;
  await noteMissedDeadlines({ store, clock, timeText: inUtc });
  const by = { actor: 'runtime', cause: null, labels: ['private'] };
  const [late, matter] = batches[0]?.events ?? [];
  assert.deepEqual(
    [batches.length, batches[0]?.sync, late],
    [1, true, { type: 'task.late', stream: 'task:t', ...by, key: 'late:t', data: { task: 't', deadline } }],
  );
  assert.ok(matter?.type === 'matter.raised');
  assert.deepEqual([matter.actor, matter.labels, matter.data.text.subject], ['runtime', ['private'], 'conv:a/s']);
  assert.deepEqual(await readJson(raw, matter.data.text), {
    text: 'The task t of q was due at Monday 2026-11-30 00:00 (UTC) and is still running.',
    reason: 'A deadline was missed.',
  });
  await noteMissedDeadlines({ store, clock, timeText: inUtc });
  assert.equal(batches.length, 1, 'it is not even tried again');
  await apply(raw, { op: 'park', task: 't' });
  await enqueue(raw, newTask('u', { deadline }));
  refused = { ok: false, why: 'duplicate' } as CommitResult;
  await noteMissedDeadlines({ store, clock, timeText: inUtc });
  refused = { ok: false, why: 'conflict' } as never;
  await assert.rejects(
    () => noteMissedDeadlines({ store, clock, timeText: inUtc }),
    /a missed deadline was refused: .*"conflict"/,
  );
});
