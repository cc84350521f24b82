import assert from 'node:assert/strict';
import { test } from 'node:test';
import { misfit, schemaProblem } from '../../src/core/text/json-schema.ts';
import type { Json } from '../../src/core/text/json.ts';
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

test('an input is held against the schema of its queue, and what is wrong is named by its path', () => {
  const schema: Json = {
    type: 'object',
    required: ['customer'],
    additionalProperties: false,
    properties: {
      customer: { type: 'string', minLength: 2, pattern: '^[A-Z]' },
      lines: {
        type: 'array',
        maxItems: 2,
        items: { type: 'object', properties: { hours: { type: 'number', minimum: 0 } } },
      },
      kind: { enum: ['a', 'b'] },
    },
  };
  assert.equal(schemaProblem(schema), null);
  const fits: [Json, RegExp | null][] = [
    [{ customer: 'Ann' }, null],
    [{ customer: 'Ann', kind: 'a', lines: [{ hours: 1.5 }, {}] }, null],
    [null, /^input must be of type object/],
    [{}, /^input\.customer is missing/],
    [{ customer: 'ann' }, /^input\.customer must fit/],
    [{ customer: 'A' }, /^input\.customer must have so many characters: 2 or more/],
    [{ customer: 'Ann', kind: 'c' }, /^input\.kind must be one of "a", "b"/],
    [{ customer: 'Ann', lines: [{ hours: -1 }] }, /^input\.lines\[0\]\.hours must be 0 or more/],
    [{ customer: 'Ann', lines: [1] }, /^input\.lines\[0\] must be of type object/],
    [{ customer: 'Ann', other: 1 }, /^input\.other is not known/],
    [{ customer: 'Ann', lines: [{}, {}, {}] }, /^input\.lines must have/],
  ];
  for (const [value, expected] of fits) {
    const wrong = misfit(schema, value);
    if (expected === null) assert.equal(wrong, null);
    else assert.match(wrong ?? 'it fits', expected);
  }
  assert.match(schemaProblem({ oneOf: [] }) ?? '', /"oneOf", which is not among what is understood/);
  assert.match(schemaProblem({ type: 'objekt' }) ?? '', /type "objekt"/);
  assert.match(schemaProblem({ items: { pattern: '(' } }) ?? '', /no regular expression/);
});
