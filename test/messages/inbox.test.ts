import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from '../agent/with-loop.ts';

const OWNER = 'person:owner';
const askWrite: Rule = { id: 'a', verdict: 'ask', match: { tool: 'write' }, reason: 'ask' };
const ask = (question: string) => ['ask', { question }] as const;
const write = ['write', { path: 'a', content: 'x' }] as const;

let count = 0;
const say = (loop: Loop, text: string, more: { session?: string; id?: string; join?: boolean; again?: boolean } = {}) =>
  loop.runtime.deliver(
    {
      channel: 'http',
      sender: OWNER,
      agent: 'assistant',
      session: more.session ?? 'one',
      text,
      replyTo: '',
      externalId: more.id ?? `id${(count += 1)}`,
    },
    { join: more.join ?? false, again: more.again ?? false },
  );

const taskOf = async (result: ReturnType<typeof say>): Promise<string> => {
  const delivered = await result;
  assert.ok(delivered.ok, JSON.stringify(delivered));
  return delivered.delivered.task;
};

test('an id that comes again with another text is refused, not swallowed; elsewhere it is another message', () =>
  withLoop(
    (request) => says(JSON.stringify(request.messages.at(-1)?.parts).includes('two') ? '2' : '1'),
    {},
    async (loop) => {
      const first = await taskOf(say(loop, 'one', { id: 'x' }));
      assert.equal(await taskOf(say(loop, 'one', { id: 'x' })), first);
      const other = await say(loop, 'two', { id: 'x' });
      assert.deepEqual([other.ok, !other.ok && other.why], [false, 'conflict']);
      const elsewhere = await taskOf(say(loop, 'two', { id: 'x', session: 'two' }));
      const outcomes = await Promise.all([first, elsewhere].map((task) => loop.settled(task)));
      assert.deepEqual(
        outcomes.map((outcome) => outcome.text),
        ['1', '2'],
      );
    },
  ));

test('what a client sends again is the same message, also if others of the conversation have come after it', () =>
  withLoop(
    (request) => says(JSON.stringify(request.messages.at(-1)?.parts).includes('other') ? 'other' : 'gone'),
    {},
    async (loop) => {
      const first = await taskOf(say(loop, 'go', { join: true }));
      const other = await taskOf(say(loop, 'other', { join: true }));
      await Promise.all([first, other].map((task) => loop.settled(task)));
      assert.equal(await taskOf(say(loop, 'go', { join: true, again: true })), first);
      await loop.runtime.delivered((await loop.settled(first)).message ?? '');
      const anew = await taskOf(say(loop, 'go', { join: true, again: true }));
      assert.notEqual(anew, first, 'once its answer has arrived, it is a new one');
      await loop.settled(anew);
      assert.notEqual(await taskOf(say(loop, 'other', { join: true })), other, 'said once more, not sent again');
    },
  ));

test('fifty equal requests in one moment are fifty runs, and one that is sent again joins one of them', () =>
  withLoop(
    () => says('ok'),
    {},
    async (loop) => {
      const request = (again: boolean, session: string) =>
        loop.runtime.deliver(
          { channel: 'http', sender: OWNER, agent: 'assistant', session, text: 'go', replyTo: '', externalId: session },
          { request: { bytes: 'b', again } },
        );
      const sessions = Array.from({ length: 50 }, (_, index) => `s${index}`);
      const tasks = await Promise.all(sessions.map((session) => taskOf(request(false, session))));
      assert.equal(new Set(tasks).size, 50);
      assert.ok(tasks.includes(await taskOf(request(true, 'retry'))));
      await loop.settled(tasks[49] ?? '');
    },
  ));

test('equal requests without a conversation are each their own, and one that is sent again is one of them', () =>
  withLoop([says('1'), says('2'), says('3'), says('4'), says('5'), says('6')], {}, async (loop) => {
    const request = (again: boolean, session: string) =>
      loop.runtime.deliver(
        { channel: 'http', sender: OWNER, agent: 'assistant', session, text: 'go', replyTo: '', externalId: session },
        { request: { bytes: 'b', again } },
      );
    const made: string[] = [];
    for (const session of ['s1', 's2', 's3', 's4']) made.push(await taskOf(request(false, session)));
    made.push(...(await Promise.all(['s5', 's6'].map((session) => taskOf(request(false, session))))));
    assert.equal(new Set(made).size, 6);
    for (const task of made) await loop.settled(task);
    const last = await taskOf(request(true, 's7'));
    assert.ok(made.includes(last));
    await loop.runtime.delivered((await loop.settled(last)).message ?? '');
    const next = await taskOf(request(true, 's8'));
    assert.ok(made.includes(next) && next !== last, 'of several the newest whose answer has reached nobody');
  }));

test('the same words answer the next question once it has been put, and before that they are the same answer', () =>
  withLoop([calls(ask('colour?')), calls(ask('second colour?')), says('painted')], {}, async (loop, _log, model) => {
    const join = { join: true };
    const task = await taskOf(say(loop, 'go', join));
    const first = await loop.settled(task);
    assert.equal(await taskOf(say(loop, 'go', join)), task);
    await loop.runtime.delivered(first.message ?? '');
    assert.equal(await taskOf(say(loop, 'blue', join)), task);
    const second = await loop.settled(task);
    assert.match(second.text, /second colour/);
    // Cut off before the second question came: what is sent again is the first answer.
    assert.equal(await taskOf(say(loop, 'blue', join)), task);
    assert.equal((await loop.settled(task)).status, 'waiting');
    await loop.runtime.delivered(second.message ?? '');
    await loop.runtime.delivered(second.message ?? '');
    assert.equal(await taskOf(say(loop, 'blue', join)), task);
    assert.equal((await loop.settled(task)).text, 'painted');
    assert.match(JSON.stringify(model.requests[2]?.messages.at(-1)), /"text":"blue"/);
  }));

for (const order of ['message first', 'approval first', 'at once'])
  test(`a run that waits for an approval and an answer goes on once it has both: ${order}`, () =>
    withLoop([calls(write, ask('why?')), says('done')], { rules: [askWrite] }, async (loop, log) => {
      const task = await taskOf(say(loop, 'go'));
      const waiting = await loop.settled(task);
      const approval = waiting.waits.find((wait) => wait.kind === 'approval')?.id ?? '';
      assert.equal(waiting.waits.length, 2);
      const answer = async (): Promise<void> => assert.equal(await taskOf(say(loop, 'because')), task);
      const approve = async (): Promise<void> =>
        assert.equal((await loop.runtime.approve(approval, 'approve', OWNER)).ok, true);
      if (order === 'at once') await Promise.all([approve(), answer()]);
      else
        for (const step of order === 'message first' ? [answer, approve] : [approve, answer]) {
          assert.equal((await loop.settled(task)).status, 'waiting');
          await step();
        }
      assert.equal((await loop.settled(task)).text, 'done');
      assert.deepEqual(log, ['write a']);
      const events = await loop.events(`run:${waiting.run}`);
      assert.equal(events.filter((event) => event.type === 'run.resumed').length, 1);
    }));

test('approvals that are given at once wake the run', () =>
  withLoop(
    [calls(...['a', 'b', 'c'].map((path) => ['write', { path, content: 'x' }] as const)), says('done')],
    { rules: [askWrite] },
    async (loop, log) => {
      const waiting = await loop.settled(await taskOf(say(loop, 'go')));
      assert.equal(waiting.waits.length, 3);
      const results = await Promise.all(waiting.waits.map(({ id }) => loop.runtime.approve(id, 'approve', OWNER)));
      assert.ok(results.every((result) => result.ok));
      assert.equal((await loop.settled(waiting.task)).text, 'done');
      assert.equal(log.length, 3);
    },
  ));

test('of two messages at once in a conversation that waits with a question, one answers and the other is not lost', () =>
  withLoop([calls(ask('colour?')), says('both')], {}, async (loop, _log, model) => {
    const task = await taskOf(say(loop, 'go'));
    await loop.settled(task);
    const both = await Promise.all([taskOf(say(loop, 'blue')), taskOf(say(loop, 'quickly'))]);
    assert.equal(both.filter((each) => each === task).length, 1);
    for (const each of both) assert.equal((await loop.settled(each)).text, 'both');
    const seen = JSON.stringify(model.requests[1]?.messages);
    assert.ok(seen.split('blue').length === 2 && seen.split('quickly').length === 2, seen);
  }));

test('half a character in a message is not passed on', () =>
  withLoop([says('ok')], {}, async (loop, _log, model) => {
    await loop.settled(await taskOf(say(loop, 'bee \ud83d')));
    const [part] = model.requests[0]?.messages[0]?.parts ?? [];
    assert.ok(part?.type === 'text' && part.text === 'bee \ufffd');
  }));
