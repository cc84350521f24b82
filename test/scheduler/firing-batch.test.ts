import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventOf } from '../../src/core/event.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { Schedule } from '../../src/core/schedule.ts';
import { type Firing, firingBatch } from '../../src/scheduler/schedules/fire.ts';
import type { Standing } from '../../src/scheduler/schedules/standing.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { eventOf } from '../fakes/event.ts';
import { random, TestClock } from '../store/kit.ts';
import { schedule } from './clock-kit.ts';

const every = schedule({ every: 60_000 });
const timing = { ...every.timing, zone: 'UTC' };
const about = { schedule: 'a/s', agent: 'a', name: 's', timing, anchor: 0, paused: false };
const set = eventOf(1, 'schedule.set', about) as EventOf<'schedule.set'>;
const standing: Standing = { id: 'a/s', set, cursor: 0, paused: false, last: null, version: 4 };

function fire(what: Parameters<typeof firingBatch>[3], more: Partial<Schedule> = {}) {
  let next = 0;
  const store = openMemoryStore({ clock: new TestClock(), random });
  const deps = {
    store,
    ids: { next: (kind: string) => `${kind}_${(next += 1)}` },
    redact: (text: string) => text.replaceAll('s3cret', '***'),
    maxAttempts: () => 5,
  };
  const batch = firingBatch(deps, standing, { ...every, ...more }, what);
  const contents = () => Promise.all(batch.tasks.map(({ content }) => readJson(store, content ?? { hash: '' })));
  return { batch, contents };
}

const firing = (at: number, more: Partial<Firing> = {}): Firing => ({ at, missed: 0, by: null, ...more });

test('a batch holds what is skipped, and of each firing the event, its task on record and in the queue', () => {
  const skipped = { at: 100, count: 3, why: 'missed' as const, task: null };
  const { batch } = fire({ skipped, fire: [firing(200), firing(300, { by: 'person:ada' })] });
  const { events, queue, tasks, ...rest } = batch;
  assert.deepEqual(rest, { expect: { 'schedule:a/s': 4 }, sync: true });
  const [first, second] = tasks;
  assert.ok(first && second && tasks.length === 2);
  const common = { stream: 'schedule:a/s', labels: [], cause: 'evt_1' };
  const queued = { type: 'task.queued', actor: 'runtime', labels: [] };
  const fired = (data: object) => ({
    ...common,
    type: 'schedule.fired',
    data: { schedule: 'a/s', missed: 0, ...data },
  });
  assert.deepEqual(events, [
    {
      ...common,
      type: 'schedule.skipped',
      actor: 'runtime',
      key: 'firing:a/s@100',
      data: { schedule: 'a/s', ...skipped },
    },
    { ...fired({ at: 200, task: 'tsk_1', by: null }), actor: 'runtime', key: 'firing:a/s@200' },
    { ...queued, stream: 'task:tsk_1', cause: 1, data: { task: first } },
    { ...fired({ at: 300, task: 'tsk_2', by: 'person:ada' }), actor: 'person:ada' },
    { ...queued, stream: 'task:tsk_2', cause: 3, data: { task: second } },
  ]);
  assert.deepEqual(queue, [
    { op: 'enqueue', task: first, causeOf: 1 },
    { op: 'enqueue', task: second, causeOf: 3 },
  ]);
  assert.deepEqual([first.key, second.key], ['firing:a/s@200', null]);
  const { id, agent, session, from, maxAttempts } = first;
  assert.deepEqual([id, agent, session, from, maxAttempts], ['tsk_1', 'a', 'schedule-s', 'schedule:a/s', 5]);
});

test('the request of a person names its firing', () => {
  const { batch } = fire({ skipped: null, fire: [firing(1, { by: 'person:ada', key: 'asked' })] });
  assert.deepEqual(
    batch.events.map(({ key = null }) => key),
    ['asked', null],
  );
});

test('a task says what to do, whom to tell, and how late it is', async () => {
  const content = async (more: Partial<Schedule>, of: Partial<Firing> = {}) =>
    (await fire({ skipped: null, fire: [firing(9, of)] }, more).contents())[0];
  assert.deepEqual(await content({}), { title: 'Do it.' });
  assert.deepEqual(await content({ work: { kind: 'task', text: 'Use s3cret.' }, to: 'chat:o' }), {
    title: 'Use ***.',
    to: 'chat:o',
  });
  assert.deepEqual(await content({ work: { kind: 'run', command: 'x.sh -a' } }), {
    title: 'run: ./x.sh -a',
    run: './x.sh -a',
  });
  assert.deepEqual(await content({}, { late: true }), { title: 'Do it.', late: { at: 9, missed: 0 } });
  assert.deepEqual(await content({}, { missed: 1 }), { title: 'Do it.', late: { at: 9, missed: 1 } });
});
