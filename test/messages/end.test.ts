import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../fakes/until.ts';
import { recordingChannel } from '../fakes/recording-channel.ts';
import { calls, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { withLoop } from '../agent/with-loop.ts';

const message = { channel: 'http', sender: 'person:owner', agent: 'assistant', session: 'one', replyTo: '' };

/** A model call that lasts until the run is stopped. */
function lasting(): { turn: ScriptTurn; started: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const turn: ScriptTurn = () => {
    resolve();
    return [new Promise(() => {}), ...says('never')];
  };
  return { turn, started: promise };
}

test('a cancelled message said again is a new message once its end has been told', async () => {
  const { turn, started } = lasting();
  await withLoop([turn, says('hello again')], {}, async (loop) => {
    const say = async (id: string) => {
      const result = await loop.runtime.deliver({ ...message, text: 'hello', externalId: id }, { join: true });
      assert.ok(result.ok);
      return result.delivered;
    };
    const first = await say('a');
    await started;
    await loop.runtime.cancel(first.task, 'person:owner');
    // The client that was cut off asks again and learns how it ended.
    assert.deepEqual(await say('b'), { task: first.task, joined: true, agent: 'assistant' });
    const outcome = await loop.settled(first.task);
    assert.equal(outcome.text, 'The task was cancelled.');
    await loop.runtime.delivered(outcome.message ?? '');
    const second = await say('c');
    assert.notEqual(second.task, first.task);
    assert.equal((await loop.settled(second.task)).text, 'hello again');
  });
});

test('a cancelled task takes those it has taken in along: each is told once, and the conversation knows of both', async () => {
  const gate = Promise.withResolvers<void>();
  const { turn, started: seen } = lasting();
  const begun = Promise.withResolvers<void>();
  const { channel, sent } = recordingChannel();
  const read: ScriptTurn = async () => {
    begun.resolve();
    await gate.promise;
    return calls(['read', { path: 'README.md' }]);
  };
  await withLoop([read, turn, says('next')], { channels: [channel] }, async (loop, _log, model) => {
    const first = await loop.deliver('first', 'one', { channel: 'chat' });
    await begun.promise;
    const second = await loop.deliver('second', 'one', { channel: 'chat' });
    gate.resolve();
    await seen;
    assert.equal(await loop.runtime.cancel(second, 'person:owner'), false);
    assert.equal(await loop.runtime.cancel(first, 'person:owner'), true);
    const outcomes = await Promise.all([loop.settled(first), loop.settled(second)]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['cancelled', 'cancelled'],
    );
    const events = await loop.events();
    const finished = events.filter((event) => event.type === 'task.finished').map((event) => event.data.task);
    assert.deepEqual(finished, [first, second]);
    await until(() => sent.length === 2, 'both are told');
    assert.deepEqual(new Set(sent.map(({ text }) => text)), new Set(['The task was cancelled.']));
    await loop.send('third');
    assert.match(JSON.stringify(model.requests[2]?.messages), /first.*second.*\[cancelled\].*third/);
  });
});

test('a cancellation that meets a step of the run still cancels', async () => {
  const { turn, started } = lasting();
  await withLoop([turn], {}, async (loop) => {
    const task = await loop.deliver('first');
    await started;
    // Between the look and the commit the run writes on.
    const [started2] = (await loop.events()).filter((event) => event.type === 'run.started');
    assert.ok(started2);
    const { version } = loop.store;
    let meddled = false;
    loop.raw.version = async (stream) => {
      const found = await version.call(loop.store, stream);
      if (stream === started2.stream && !meddled) {
        meddled = true;
        const data = { from: 'a', to: 'b' };
        const event = { type: 'base.moved', data, stream, actor: 'agent:assistant', cause: null, labels: [] } as const;
        await loop.store.commit({ events: [event], sync: false });
      }
      return found;
    };
    assert.equal(await loop.runtime.cancel(task, 'person:owner'), true);
    assert.ok(meddled);
    assert.equal((await loop.settled(task)).status, 'cancelled');
  });
});

test('a run that begins in the moment its task is cancelled ends as well', () =>
  withLoop([says('never')], {}, async (loop) => {
    const begins = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { commit, event } = loop.raw;
    loop.raw.commit = async (batch) => {
      const starts = batch.events.some((each) => each.type === 'run.started');
      if (starts) {
        begins.resolve();
        await go.promise;
      }
      const result = await commit.call(loop.raw, batch);
      if (starts) begun.resolve();
      return result;
    };
    const task = await loop.deliver('hello');
    await begins.promise;
    // The cancellation has looked for a run, and found none.
    loop.raw.event = async (id) => {
      loop.raw.event = event;
      go.resolve();
      await begun.promise;
      return event.call(loop.raw, id);
    };
    assert.equal(await loop.runtime.cancel(task, 'person:owner'), true);
    const runs = (await loop.events()).filter((each) => each.stream.startsWith('run:')).map((each) => each.type);
    assert.deepEqual([runs[0], runs.at(-1)], ['run.started', 'run.finished']);
  }));

test('a task whose run cannot even begin is answered with the reason', async () => {
  const { channel, sent } = recordingChannel();
  await withLoop([], { channels: [channel] }, async (loop) => {
    loop.deps.conversations.load = () => Promise.reject(new Error('the disk has a hole'));
    const outcome = await loop.settled(await loop.deliver('hello', 'one', { channel: 'chat' }));
    assert.equal(outcome.status, 'dead');
    assert.match(outcome.text, /could not finish this.*the disk has a hole/);
    await until(() => sent.length === 1, 'the sender is told');
    assert.match(sent[0]?.text ?? '', /the disk has a hole/);
  });
});
