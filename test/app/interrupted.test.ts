import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Body, NewEvent } from '../../src/core/event.ts';
import { runKey, runStream } from '../../src/core/ids.ts';
import { OUTBOX } from '../../src/core/records/reply.ts';
import { record } from '../../src/scheduler/worker.ts';
import { countInterrupted } from '../../src/runtime/interrupted.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { systemIds } from '../../src/platform/system.ts';
import { claimAt, commit, enqueue, newTask, random, TestClock } from '../store/kit.ts';

/** A store whose process ends and starts again, with one task under way. */
async function scene() {
  const clock = new TestClock();
  const store = openMemoryStore({ clock, random });
  const deps = {
    store,
    ids: systemIds,
    redact: (text: string) => text,
    pushes: () => false,
    governance: () => ({ settings: { channels: [] } }),
  };
  const common = { stream: runStream('run_1'), actor: 'runtime', cause: null, labels: [] };
  const add = async (body: Body, key?: string): Promise<void> => {
    const event: NewEvent = { ...body, ...common, ...(key === undefined ? {} : { key }) };
    assert.ok((await commit(store, [event])).ok);
  };
  await enqueue(store, newTask('tsk_1'));
  const data = { run: 'run_1', task: 'tsk_1', agent: 'assistant', session: 'main', attempt: 1, config: '', base: '' };
  await add({ type: 'run.started', data }, runKey('tsk_1'));
  return {
    clock,
    store,
    add,
    /** A start, and the task is taken up; gives what the start has counted. */
    async start(): Promise<number[]> {
      const interrupted = await countInterrupted(deps, () => Promise.resolve(''));
      await store.releaseAll();
      await record(store, { type: 'gateway.started', data: { version: '1', recovered: 0, interrupted } });
      return interrupted.map(({ deaths }) => deaths);
    },
    take: () => claimAt(store, clock.now()),
  };
}

const returned: Body = {
  type: 'tool.returned',
  data: {
    call: 'c1',
    tool: 'read',
    ok: true,
    result: { hash: 'h', size: 1, subject: 's' },
    labels: [],
    ms: 1,
    reconciled: false,
  },
};

test('a run that gets further between the ends of the process is not what ends it, and is never set aside', async () => {
  const it = await scene();
  await it.start();
  for (let life = 0; life < 5; life += 1) {
    assert.ok(await it.take());
    await it.add(returned);
    assert.deepEqual(await it.start(), [1], `life ${life}`);
  }
  assert.equal((await it.store.task('tsk_1'))?.status, 'queued');
});

test('a task that only waited when the process ended is not counted, and its count is kept', async () => {
  const it = await scene();
  await it.start();
  assert.deepEqual(await it.start(), [], 'it had not been taken up');
  await it.take();
  assert.deepEqual(await it.start(), [1]);
  assert.deepEqual(await it.start(), [1], 'the process ended before it was taken up again');
  await it.take();
  await record(it.store, { type: 'gateway.stopped', data: { reason: 'SIGTERM' } });
  assert.deepEqual(await it.start(), [1], 'it was stopped');
  for (const counted of [[2], []]) {
    await it.take();
    assert.deepEqual(await it.start(), counted);
  }
  assert.equal((await it.store.task('tsk_1'))?.status, 'dead');
});

test('power cuts long after a command began, and during the send of a reply, count for nothing', async () => {
  const it = await scene();
  await enqueue(it.store, newTask('tsk_2', { queue: OUTBOX }));
  await it.start();
  const call = { call: 'c1', tool: 'shell', key: 'k', effect: 'exec', idempotent: false } as const;
  const started: Body = { type: 'tool.started', data: call };
  const minutes = 60_000;
  for (let life = 0; life < 4; life += 1) {
    const claim = await it.take();
    assert.equal(claim?.task.id, 'tsk_1');
    assert.equal((await it.take())?.task.id, 'tsk_2');
    await it.add(started);
    it.clock.time += 15 * minutes;
    assert.ok(await it.store.renew(claim.lease, it.clock.now()));
    assert.deepEqual(await it.start(), [], `life ${life}`);
  }
  // A process that is up for hours ends soon after the run has begun with something: that may be its doing.
  for (const counted of [[1], [2], []]) {
    it.clock.time += 120 * minutes;
    await it.take();
    await it.add(started);
    assert.deepEqual(await it.start(), counted);
  }
  const statuses = ['tsk_1', 'tsk_2'].map(async (id) => (await it.store.task(id))?.status);
  assert.deepEqual(await Promise.all(statuses), ['dead', 'queued']);
});
