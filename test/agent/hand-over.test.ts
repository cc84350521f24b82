import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRequest } from '../../src/core/model.ts';
import { escalateTool } from '../../src/tools/escalate.ts';
import { handOverTool } from '../../src/tools/hand-over.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const options = { tools: [handOverTool, escalateTool], others: [{ name: 'writing' }, { name: 'billing' }] };
const agentOf = (request: ModelRequest): string => /You are the agent "(\w+)"/.exec(request.system)?.[1] ?? '';
const textOf = ({ messages }: ModelRequest): string =>
  messages.flatMap(({ parts }) => parts.map((part) => ('text' in part ? part.text : ''))).join('\n');

/** An agent that is told "to NAME" hands over to NAME; all else is answered with who answers. */
const answering = (request: ModelRequest) => {
  const last = request.messages.at(-1)?.parts[0];
  const to = last?.type === 'text' ? /^to (\w+)/.exec(last.text)?.[1] : undefined;
  return to === undefined
    ? says(last?.type === 'result' ? last.text : `${agentOf(request)} answers`)
    : calls(['hand_over', { agent: to, brief: `a brief for ${to}` }]);
};

test('a conversation moves with a brief, on, and back; a redelivered message stays the one it was', async () => {
  await withLoop(answering, options, async (loop, _log, model) => {
    assert.match((await loop.send('to writing')).text, /goes to writing/);
    assert.equal((await loop.send('hello')).text, 'writing answers');
    const seen = model.requests.find((request) => agentOf(request) === 'writing');
    assert.match(
      textOf(seen as ModelRequest),
      /assistant has handed this conversation over to you[^]*a brief for writing/,
    );
    const task = await loop.deliver('again', 'one', { id: 'fixed' });
    assert.equal((await loop.settled(task)).agent, 'writing');
    await loop.send('to billing');
    assert.equal(await loop.deliver('again', 'one', { id: 'fixed' }), task);
    assert.equal((await loop.send('hello')).text, 'billing answers');
    await loop.send('to assistant');
    assert.equal((await loop.send('hello')).text, 'assistant answers');
    assert.equal((await loop.send('hello', 'two')).text, 'assistant answers', 'other conversations stay');
    assert.match((await loop.send('to nobody')).text, /Unknown agent "nobody"/);
    assert.match((await loop.send('to assistant')).text, /already yours/);
    assert.equal((await loop.events()).filter((event) => event.type === 'conversation.moved').length, 3);
  });
});

test('what is escalated waits for the owner, whose word is the result', async () => {
  const script = [calls(['escalate', { matter: 'The disk is full.' }]), says('noted')];
  await withLoop(script, options, async (loop, _log, model) => {
    const { waits } = await loop.send('go');
    assert.equal(waits[0]?.text, 'The disk is full.');
    assert.match(waits[0]?.reason ?? '', /assistant puts this before you/);
    const task = waits[0]?.task ?? '';
    assert.ok((await loop.runtime.answer(waits[0]?.id ?? '', 'buy another', 'person:owner')).ok);
    assert.equal((await loop.settled(task)).text, 'noted');
    assert.match(JSON.stringify(model.requests.at(-1)?.messages), /buy another/);
  });
});
