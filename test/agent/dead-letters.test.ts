import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ModelRequest } from '../../src/core/model.ts';
import { taskTool } from '../../src/tools/task.ts';
import { testTools } from '../fakes/loop.ts';
import { calls, fails, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import type { SqliteStore } from '../../src/store/sqlite/store.ts';
import { newTask, openAt } from '../store/kit.ts';
import { withLoop } from './with-loop.ts';

type Step = Exclude<ScriptTurn, (...args: never[]) => unknown>;
const agentOf = ({ system }: ModelRequest): string => /You are the agent "(\w+)"/.exec(system)?.[1] ?? '';
const resultsIn = ({ messages }: ModelRequest): string[] =>
  messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'result' ? [part.text] : [])));
const options = { tools: [taskTool, testTools([]).ask], others: [{ name: 'writing' }] };
const weekly = ['task', { action: 'create', agent: 'writing', text: 'one', key: 'weekly', wait: true }] as const;

/** The assistant gives the weekly task and says its result; writing writes when it may. */
const joining =
  (may: Promise<void>) =>
  async (request: ModelRequest): Promise<Step> => {
    if (agentOf(request) === 'writing') {
      await may;
      return says('written');
    }
    const [result] = resultsIn(request);
    return result === undefined ? calls(weekly) : says(result);
  };

test('a task that two have asked for by its key outlives the one who made it', async () => {
  const gate = Promise.withResolvers<void>();
  await withLoop(joining(gate.promise), options, async (loop) => {
    const count = async (): Promise<number> =>
      (await loop.events()).filter((event) => event.type === 'tasks.awaited').length;
    const first = await loop.deliver('go', 'a');
    await until(async () => (await count()) === 1, 'the first waits');
    const second = await loop.deliver('go', 'b');
    await until(async () => (await count()) === 2, 'the second waits');
    const joined = (await loop.events()).filter((event) => event.type === 'task.joined');
    assert.deepEqual(
      joined.map(({ data }) => data.by),
      [second],
    );
    assert.ok(await loop.runtime.cancel(first, 'owner'));
    gate.resolve();
    assert.match((await loop.settled(second)).text, /writing\): done\nwritten/);
    assert.equal((await loop.runtime.task(first))?.status, 'cancelled');
  });
});

test('when nobody wants it any more it is cancelled, in whatever order they go', async () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const gate = Promise.withResolvers<void>();
    await withLoop(joining(gate.promise), options, async (loop) => {
      const tasks = [await loop.deliver('go', 'a')];
      const waits = async (n: number): Promise<boolean> =>
        (await loop.events()).filter((event) => event.type === 'tasks.awaited').length === n;
      await until(() => waits(1), 'the first waits');
      tasks.push(await loop.deliver('go', 'b'));
      await until(() => waits(2), 'the second waits');
      const [child] = await loop.store.tasks({ queue: 'writing' });
      for (const [turn, index] of order.entries()) {
        assert.notEqual((await loop.store.task(child?.id ?? ''))?.status, 'cancelled', `${turn}`);
        assert.ok(await loop.runtime.cancel(tasks[index] ?? '', 'owner'));
      }
      assert.equal((await loop.store.task(child?.id ?? ''))?.status, 'cancelled');
      gate.resolve();
    });
  }
});

for (const how of ['retry', 'dismiss', 'answer'] as const)
  test(`the owner is asked about a dead letter once, until somebody deals with it (${how})`, async () => {
    let broken = true;
    const script = (): Step => (broken ? fails('refused', { retryable: true }) : says('it works'));
    await withLoop(script, { maxAttempts: 1 }, async (loop) => {
      loop.deps.nextTry = () => null;
      const end = await loop.send('do it');
      assert.equal(end.status, 'dead');
      const [matter, ...others] = await loop.runtime.pending();
      assert.deepEqual([matter?.id, matter?.task, others.length], [`mat_dead_${end.task}`, end.task, 0]);
      assert.match(matter?.text ?? '', /^assistant could not finish tsk_\S+, and it is given up: /);
      assert.match(matter?.reason ?? '', /ruche tasks retry tsk_/);
      assert.deepEqual(
        (await loop.store.tasks({ statuses: ['dead'] })).map(({ id }) => id),
        [end.task],
      );
      broken = false;
      if (how === 'retry') {
        const again = await loop.runtime.retry(end.task, 'owner');
        assert.equal((await loop.settled(again.ok ? again.task : '')).text, 'it works');
        assert.deepEqual(await loop.runtime.retry(end.task, 'owner'), again);
      } else if (how === 'dismiss') assert.ok(await loop.runtime.dismiss(end.task, 'owner'));
      else assert.ok((await loop.runtime.answer(matter?.id ?? '', 'so be it', 'owner')).ok);
      assert.deepEqual(await loop.runtime.pending(), []);
      const settled = (await loop.events()).filter((event) => event.type === 'matter.settled');
      assert.deepEqual(
        settled.map(({ data }) => [data.matter, data.by]),
        [[matter?.id, 'owner']],
      );
      // What was settled in other words can still be done once more.
      if (how !== 'retry') assert.ok((await loop.runtime.retry(end.task, 'owner')).ok);
    });
  });

test('a dead task that is done once more keeps the chain it names', async () => {
  const script = (): Step => fails('network');
  const store = (dir: string): Promise<SqliteStore> => openAt(join(dir, 'ruche.sqlite'));
  await withLoop(script, { maxAttempts: 1, store }, async (loop) => {
    loop.deps.nextTry = () => null;
    const content = loop.store.putBlob(Buffer.from('{"title":"Weekly report"}'), 'conv:assistant/x');
    const about = { agent: 'assistant', queue: 'assistant', session: 'x', lane: 'conv:assistant/x', from: 'file:x' };
    const task = newTask('tsk_x', { ...about, content, escalation: 'night', maxAttempts: 1 });
    const event = { type: 'task.queued' as const, stream: 'task:tsk_x', actor: 'owner', cause: null, labels: [] };
    const queue = [{ op: 'enqueue' as const, task, causeOf: 0 }];
    assert.ok((await loop.store.commit({ events: [{ ...event, data: { task } }], queue, sync: true })).ok);
    assert.equal((await loop.settled(task.id)).status, 'dead');
    const again = await loop.runtime.retry(task.id, 'owner');
    assert.ok(again.ok);
    assert.equal((await loop.settled(again.task)).status, 'dead');
    assert.ok((await loop.runtime.retry(again.task, 'owner')).ok);
    const queued = (await loop.events()).filter((each) => each.type === 'task.queued');
    assert.deepEqual(
      queued.map(({ data }) => data.task.escalation),
      ['night', 'night', 'night'],
    );
  });
});
