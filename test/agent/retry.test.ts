import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calls, fails, says } from '../fakes/scripted-model.ts';
import { hurry, withLoop } from './with-loop.ts';

const once = { nextTry: () => null };

test('a task that is tried again goes on where it stopped: what it has done is not done twice', () =>
  withLoop([calls(['once', { path: 'x' }]), fails('network'), says('done')], once, async (loop, log, model) => {
    hurry(loop);
    const outcome = await loop.send('do it');
    assert.equal(outcome.text, 'done');
    assert.deepEqual(log, ['once {"path":"x"}']);
    assert.deepEqual(
      model.requests[2]?.messages.map((message) => message.role),
      ['user', 'assistant', 'tool'],
    );
    const events = await loop.events();
    assert.equal(events.filter((event) => event.type === 'run.started').length, 1);
    assert.equal(events.filter((event) => event.type === 'task.retried').length, 1);
    assert.equal(events.filter((event) => event.type === 'run.finished').length, 1);
  }));

test('what a run had written before it is tried again lands', () =>
  withLoop([calls(['write', { path: 'a', content: 'x' }]), fails('overloaded'), says('done')], once, async (loop) => {
    hurry(loop);
    const outcome = await loop.send('write');
    assert.equal(outcome.text, 'done');
    assert.equal(outcome.commit, await loop.workspace.head());
    assert.equal(await loop.workspace.git.resolve(`refs/ruche/unlanded/${outcome.run}`), null);
  }));

test('a message taken in before a task is tried again is seen once, and both callers are answered once', async () => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  await withLoop(
    [
      async () => {
        started.resolve();
        await gate.promise;
        return calls(['read', { path: 'README.md' }]);
      },
      fails('network'),
      says('both'),
    ],
    once,
    async (loop, _log, model) => {
      hurry(loop);
      const first = await loop.deliver('first');
      await started.promise;
      const second = await loop.deliver('second');
      gate.resolve();
      const outcomes = await Promise.all([loop.settled(first), loop.settled(second)]);
      assert.deepEqual(
        outcomes.map((outcome) => outcome.text),
        ['both', 'both'],
      );
      const seen = JSON.stringify(model.requests[2]?.messages);
      assert.equal(seen.split('second').length, 2);
      const events = await loop.events();
      assert.equal(events.filter((event) => event.type === 'message.queued').length, 2);
      assert.equal(events.filter((event) => event.type === 'task.finished').length, 2);
    },
  );
});

test('attempts that all fail end in one reply, and the work is kept aside', () =>
  withLoop(
    [calls(['write', { path: 'a', content: 'x' }]), fails('network'), fails('network'), says('next')],
    { ...once, maxAttempts: 2 },
    async (loop, log, model) => {
      hurry(loop);
      const outcome = await loop.send('write');
      assert.equal(outcome.status, 'dead');
      assert.match(outcome.text, /refs\/ruche\/unlanded/);
      assert.ok(await loop.workspace.git.resolve(`refs/ruche/unlanded/${outcome.run}`));
      assert.deepEqual(log, ['write a']);
      await loop.send('and now?');
      assert.deepEqual(
        model.requests[3]?.messages.map((message) => message.role),
        ['user', 'assistant', 'tool', 'assistant', 'user'],
      );
    },
  ));

test('a failure is told even where the work cannot be kept', () =>
  withLoop([calls(['write', { path: 'a', content: 'x' }]), fails('auth')], once, async (loop) => {
    loop.deps.workspace = { ...loop.workspace, keepUnlanded: () => Promise.reject(new Error('the disk is full')) };
    const outcome = await loop.send('write');
    assert.equal(outcome.status, 'failed');
    assert.match(outcome.text, /scripted: auth Its changes could not be kept/);
  }));
