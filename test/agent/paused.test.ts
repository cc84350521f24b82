import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../fakes/until.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { anAgent } from '../fakes/governance.ts';
import { withLoop } from './with-loop.ts';

test('a paused agent stops at the next step, keeps what is queued over a restart, and goes on where it was', async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await withLoop(
    [
      () => {
        begun.resolve();
        return [gate.promise, ...calls(['write', { path: 'a.md', content: 'x' }])];
      },
      says('done'),
      says('second'),
    ],
    {},
    async (loop, log, model) => {
      const first = await loop.deliver('work');
      await begun.promise;
      assert.equal(await loop.runtime.pauseAgent('assistant', 'person:owner', 'It spends too much.'), true);
      assert.equal(await loop.runtime.pauseAgent('assistant', 'person:owner', 'again'), false);
      assert.equal(await loop.runtime.pauseAgent('nobody', 'person:owner', ''), null);
      const second = await loop.deliver('more', 'two');
      gate.resolve();
      await until(async () => (await loop.store.task(first))?.status === 'queued', 'the run is set aside');
      assert.equal(log.length, 0, 'the step after the answer did not begin');
      assert.equal((await loop.store.task(first))?.attempt, 1);
      const [state] = await loop.runtime.agentsToday();
      assert.deepEqual(
        [state?.queued, state?.running, state?.paused?.reason, state?.paused?.by],
        [2, 0, 'It spends too much.', 'person:owner'],
      );
      await loop.restart();
      assert.equal((await loop.runtime.agents())[0]?.paused?.reason, 'It spends too much.');
      assert.equal(log.length, 0);
      assert.equal(model.requests.length, 1);
      assert.equal(await loop.runtime.resumeAgent('assistant', 'person:owner'), true);
      assert.equal(await loop.runtime.resumeAgent('assistant', 'person:owner'), false);
      const outcomes = await Promise.all([loop.settled(first), loop.settled(second)]);
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['done', 'done'],
      );
      assert.equal(log.filter((line) => line.startsWith('write')).length, 1);
      const [after] = await loop.runtime.agentsToday();
      assert.equal(after?.paused, null);
      assert.equal(after?.lastRun?.status, 'done');
      assert.ok((after?.costTodayUsd ?? 0) > 0);
      const types = (await loop.events('agents')).map(({ type }) => type);
      assert.deepEqual(types, ['agent.paused', 'agent.resumed']);
    },
  );
});

test('other agents go on, and a paused one can be asked to cancel', () =>
  withLoop([says('hello')], {}, async (loop) => {
    loop.governance.agents = new Map([
      ...loop.governance.agents,
      ['email', anAgent({ ...loop.governance.agents.get('assistant'), name: 'email' })],
    ]);
    await loop.runtime.pauseAgent('email', 'person:owner', '');
    assert.equal((await loop.send('hello')).status, 'done');
    const message = { channel: 'http', sender: 'person:owner', session: 's', text: 'x', replyTo: 'o', externalId: 'x' };
    const held = await loop.runtime.deliver({ ...message, agent: 'email' });
    assert.ok(held.ok);
    assert.equal(await loop.runtime.cancel(held.delivered.task, 'person:owner'), true);
    assert.equal((await loop.store.task(held.delivered.task))?.status, 'cancelled');
  }));
