import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import type { Loop } from '../fakes/loop.ts';
import { testTools } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const rule = (verdict: Rule['verdict'], path: string, id: string = verdict): Rule => ({
  id,
  verdict,
  match: { tool: 'write', path },
  reason: `${verdict} it`,
});
const govern = (loop: Loop, rules: readonly Rule[]): void => {
  loop.governance.settings = { ...loop.governance.settings, rules };
};
const write = (path: string) => ['write', { path, content: 'x' }] as const;

test('an approved call is denied if the rules have come to deny it meanwhile', () =>
  withLoop([calls(write('a')), says('not done')], { rules: [rule('ask', 'a')] }, async (loop, log, model) => {
    const waiting = await loop.send('go');
    govern(loop, [rule('deny', 'a')]);
    await loop.runtime.approve(waiting.waits[0]?.id ?? '', 'approve', 'person:owner');
    assert.equal((await loop.settled(waiting.task)).text, 'not done');
    assert.deepEqual(log, []);
    assert.match(JSON.stringify(model.requests[1]?.messages.at(-1)), /Denied by rule deny/);
  }));

test('an allowed call behind one that waited is asked for if the rules have come to ask, once', () =>
  withLoop([calls(write('a'), write('b')), says('done')], { rules: [rule('ask', 'a')] }, async (loop, log) => {
    const first = await loop.send('go');
    govern(loop, [rule('ask', 'a'), rule('ask', 'b', 'ask b')]);
    await loop.runtime.approve(first.waits[0]?.id ?? '', 'approve', 'person:owner');
    const second = await loop.settled(first.task);
    assert.deepEqual(log, ['write a']);
    assert.match(second.waits[0]?.text ?? '', /path: b/);
    await loop.runtime.approve(second.waits[0]?.id ?? '', 'approve', 'person:owner');
    assert.equal((await loop.settled(first.task)).text, 'done');
    assert.deepEqual(log, ['write a', 'write b']);
  }));

test('a tool that the agent has lost while it waited runs no more', () =>
  withLoop([calls(write('a')), says('not done')], { rules: [rule('ask', 'a')] }, async (loop, log) => {
    const waiting = await loop.send('go');
    const agent = loop.governance.agents.get('assistant');
    assert.ok(agent);
    loop.governance.agents = new Map([['assistant', { ...agent, tools: ['read'] }]]);
    await loop.runtime.approve(waiting.waits[0]?.id ?? '', 'approve', 'person:owner');
    assert.equal((await loop.settled(waiting.task)).text, 'not done');
    assert.deepEqual(log, []);
  }));

test('an agent that is gone when the answer comes ends its run with the reason', () =>
  withLoop([calls(write('a'))], { rules: [rule('ask', 'a')] }, async (loop, log) => {
    const waiting = await loop.send('go');
    loop.governance.agents = new Map();
    await loop.runtime.approve(waiting.waits[0]?.id ?? '', 'approve', 'person:owner');
    const outcome = await loop.settled(waiting.task);
    assert.match(outcome.text, /The agent "assistant" is missing or invalid/);
    assert.deepEqual([outcome.status, log], ['failed', []]);
  }));

test('what a call has read counts for the calls beside it', () => {
  const log: string[] = [];
  const tools = testTools(log);
  const secret = {
    ...tools.read,
    run: async () => ({ ok: true, text: 's', labels: ['private' as const], changes: [] }),
  };
  const mail = {
    ...tools.once,
    name: 'mail',
    run: async () => ({ ok: true, text: 'm', labels: ['untrusted' as const], changes: [] }),
  };
  const out = {
    ...tools.once,
    name: 'out',
    facts: () => ({ url: 'https://example.org/' }),
    run: async () => {
      log.push('out');
      return { ok: true, text: 'sent', labels: [], changes: [] };
    },
  };
  const open: Rule = { id: 'open', verdict: 'allow', match: { host: 'example.org' }, reason: '' };
  return withLoop(
    [calls(['read', { path: 'README.md' }], ['mail', { path: 'x' }], ['out', {}])],
    { rules: [open], tools: [secret, mail, out] },
    async (loop) => {
      const waiting = await loop.send('go');
      assert.equal(waiting.status, 'waiting');
      assert.match(waiting.waits[0]?.reason ?? '', /rule-of-two/);
      assert.deepEqual(log, []);
    },
  );
});

test('a call that cannot be read any more is told to the model', () => {
  const log: string[] = [];
  const { ask, write: tool } = testTools(log);
  let upgraded = false;
  const changed = {
    ...tool,
    parse: (value: unknown) => (upgraded ? { ok: false as const, error: 'no' } : { ok: true as const, value }),
  };
  return withLoop(
    [calls(['ask', { question: 'sure?' }], write('a')), says('done')],
    { rules: [rule('ask', 'a')], tools: [ask, changed] },
    async (loop, _log, model) => {
      await loop.send('go');
      upgraded = true;
      assert.equal((await loop.send('yes')).text, 'done');
      assert.match(JSON.stringify(model.requests[1]?.messages.at(-1)), /arguments do not fit/);
      assert.deepEqual(log, []);
    },
  );
});
