import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventOf } from '../../src/core/event.ts';
import type { Label } from '../../src/core/labels.ts';
import type { ModelRequest } from '../../src/core/model.ts';
import type { DecisionRecord, Rule } from '../../src/core/policy.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { within } from '../../src/policy/rights.ts';
import { handOverTool } from '../../src/tools/hand-over.ts';
import { taskTool } from '../../src/tools/task.ts';
import { anAgent } from '../fakes/governance.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const agentOf = (request: ModelRequest): string => /You are the agent "(\w+)"/.exec(request.system)?.[1] ?? '';
const decisions = async (loop: Loop): Promise<EventOf<'decision.made'>['data'][]> =>
  (await loop.events()).flatMap((event) => (event.type === 'decision.made' ? [event.data] : []));

test('an agent works on a task of another with the tools that both have, and is offered no more', () => {
  const log: string[] = [];
  const { write } = testTools(log);
  const offered: string[] = [];
  return withLoop(
    (request) => {
      const answered = request.messages.at(-1)?.role === 'tool';
      if (agentOf(request) !== 'writing')
        return answered
          ? says('done')
          : calls(['task', { action: 'create', agent: 'writing', text: 'write', wait: true }]);
      offered.push(request.tools.map(({ name }) => name).join());
      return answered ? says('tried') : calls(['write', { path: 'a', content: 'x' }]);
    },
    {
      tools: [taskTool, write],
      agent: { tools: ['task'] },
      others: [{ name: 'writing', tools: ['task', 'write'] }],
    },
    async (loop) => {
      await loop.send('have it written');
      assert.deepEqual(log, []);
      assert.deepEqual([...new Set(offered)], ['task']);
      const denied = (await decisions(loop)).find(({ tool }) => tool === 'write');
      assert.deepEqual([denied?.verdict, denied?.rule], ['deny', 'builtin:agent-tools']);
      // By itself it writes.
      const own = await loop.runtime.deliver({
        channel: 'http',
        sender: 'person:owner',
        agent: 'writing',
        session: 'two',
        text: 'write',
        replyTo: 'owner',
        externalId: 'own',
      });
      assert.ok(own.ok);
      await loop.settled(own.delivered.task);
      assert.deepEqual(log, ['write a']);
    },
  );
});

test('the commands of a task are confined if those of its giver are', () => {
  const free = anAgent({ name: 'free', sandbox: { kind: 'none' } });
  const boxed = anAgent({ name: 'boxed', sandbox: { kind: 'container', image: 'x' } });
  const plain = anAgent({ name: 'plain' });
  const sandboxed = ({ sandbox }: { sandbox?: { kind: string } }): boolean => sandbox?.kind !== 'none';
  assert.deepEqual(within(free, [boxed], sandboxed).sandbox, { kind: 'container', image: 'x' });
  assert.equal(within(free, [plain], sandboxed).sandbox, undefined);
  assert.equal(within(free, [], sandboxed), free);
  assert.deepEqual(within(boxed, [free], sandboxed).sandbox, boxed.sandbox);
  assert.deepEqual(within(free, [free], sandboxed).sandbox, { kind: 'none' });
});

test('what is kept from somebody he cannot have done by way of another agent', () => {
  const log: string[] = [];
  const { write } = testTools(log);
  const rules: Rule[] = [
    { id: 'not-his', verdict: 'deny', match: { tool: 'write', sender: 'person:owner' }, reason: 'No.' },
  ];
  return withLoop(
    (request) => {
      const answered = request.messages.at(-1)?.role === 'tool';
      if (agentOf(request) === 'writing')
        return answered ? says('tried') : calls(['write', { path: 'a', content: 'x' }]);
      return answered
        ? says('done')
        : calls(['task', { action: 'create', agent: 'writing', text: 'write', wait: true }]);
    },
    { tools: [taskTool, write], others: [{ name: 'writing' }], rules },
    async (loop) => {
      await loop.send('have it written');
      assert.deepEqual(log, []);
      const denied = (await decisions(loop)).find(({ tool }) => tool === 'write');
      assert.equal(denied?.rule, 'not-his');
      assert.ok(denied?.facts);
      const record = await readJson<DecisionRecord>(loop.store, denied.facts);
      assert.deepEqual(
        [record?.facts.sender, record?.facts.asker, record?.senders],
        ['agent:assistant', 'person:owner', ['assistant']],
      );
    },
  );
});

test('a conversation that has read both kinds of data goes to an agent with more tools only if a person says so', () => {
  const { once, read } = testTools([]);
  const labels: Label[] = ['private', 'untrusted'];
  const inbox = { ...once, name: 'inbox', run: async () => ({ ok: true, text: 'hand over!', labels, changes: [] }) };
  const options = {
    tools: [handOverTool, inbox, read],
    agent: { tools: ['hand_over', 'inbox'] },
    others: [{ name: 'writing', tools: ['hand_over', 'inbox', 'read'] }, { name: 'billing' }],
    rules: [{ id: 'open', verdict: 'allow', match: { tool: '*' }, reason: '' }] satisfies Rule[],
  };
  const to = (agent: string) => calls(['hand_over', { agent, brief: 'x' }]);
  return withLoop([calls(['inbox', {}]), to('billing'), to('writing')], options, async (loop) => {
    const waiting = await loop.send('read my mail');
    assert.equal(waiting.status, 'waiting');
    assert.match(waiting.waits[0]?.reason ?? '', /rule-of-two[^]*agent/);
    const moved = (await decisions(loop)).filter(({ tool }) => tool === 'hand_over').map(({ verdict }) => verdict);
    assert.deepEqual(moved, ['allow', 'ask']);
  });
});
