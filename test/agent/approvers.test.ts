import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const BOTH: Rule = { id: 'both', verdict: 'ask', match: { path: 'contracts/**' }, reason: 'Two of us.', approvers: 2 };
const ONE: Rule = { id: 'one', verdict: 'ask', match: { tool: 'write' }, reason: 'Writing is checked.' };
const write = calls(['write', { path: 'contracts/a', content: 'x' }]);

const named = (loop: Loop): void => {
  loop.governance.settings = { ...loop.governance.settings, people: { anna: ['chat:1', 'mail:1'], paul: ['chat:2'] } };
};
const waitOf = (outcome: { waits: readonly { id: string }[] }): string => outcome.waits[0]?.id ?? '';

test('a rule that wants two persons waits for another one; the same over another channel is one', () =>
  withLoop([write, says('done')], { rules: [ONE, BOTH] }, async (loop, log) => {
    named(loop);
    const waiting = await loop.send('go');
    const id = waitOf(waiting);
    assert.deepEqual(waiting.waits[0]?.approvers, { needed: 2, have: [] });
    assert.match(waiting.waits[0]?.reason ?? '', /both/);
    const more = { needed: 2, have: 1 };
    for (const by of ['chat:1', 'mail:1', 'chat:1'])
      assert.deepEqual(await loop.runtime.approve(id, 'approve', by), { ok: true, task: waiting.task, more });
    const [pending] = await loop.runtime.pending();
    assert.deepEqual(pending?.approvers, { needed: 2, have: ['chat:1'] });
    assert.deepEqual(log, []);
    const last = await loop.runtime.approve(id, 'approve', 'chat:2');
    assert.ok(last.ok && last.more === undefined);
    assert.equal((await loop.settled(waiting.task)).text, 'done');
    assert.deepEqual(log, ['write contracts/a']);
    const answered = (await loop.events()).find(({ type }) => type === 'approval.answered');
    assert.ok(answered?.type === 'approval.answered');
    assert.deepEqual([answered.data.by, answered.data.also], ['chat:2', ['chat:1']]);
    const message = (await loop.workspace.git.run(['log', '-1', '--format=%B'])).stdout.toString();
    assert.match(message, /Ruche-Approved-By: chat:2/);
    assert.match(message, /Ruche-Approved-By: chat:1/);
  }));

test('a person who is not named is the owner: page, terminal and an own messenger are one person', () =>
  withLoop([write, says('done')], { rules: [BOTH] }, async (loop, log) => {
    const waiting = await loop.send('go');
    const id = waitOf(waiting);
    for (const by of ['owner', 'chat:9', 'person:owner']) {
      const result = await loop.runtime.approve(id, 'approve', by);
      assert.ok(result.ok && result.more?.have === 1, by);
    }
    assert.deepEqual(log, []);
  }));

test('two at once are two, and of many that come at once only one is the last', () =>
  withLoop([write, says('done')], { rules: [BOTH] }, async (loop, log) => {
    named(loop);
    const waiting = await loop.send('go');
    const id = waitOf(waiting);
    const results = await Promise.all(
      ['chat:1', 'chat:2', 'owner', 'mail:1'].map((by) => loop.runtime.approve(id, 'approve', by)),
    );
    assert.equal(results.filter((each) => each.ok && each.more === undefined).length, 1);
    assert.equal((await loop.settled(waiting.task)).text, 'done');
    assert.deepEqual(log, ['write contracts/a']);
  }));

test('one who denies is enough, and a grant is neither given nor used where two have to agree', () =>
  withLoop(
    [calls(['write', { path: 'other/b', content: 'x' }]), write, says('not done')],
    { rules: [ONE, BOTH] },
    async (loop, log) => {
      named(loop);
      const first = await loop.send('go');
      const globs = { path: '**' };
      const wide = await loop.runtime.approve(waitOf(first), 'approve', 'chat:1', { scope: 'standing', globs });
      assert.ok(!wide.ok && /everything/.test(wide.message));
      await loop.runtime.approve(waitOf(first), 'approve', 'chat:1', { scope: 'standing', globs: { path: '*/*b' } });
      const second = await loop.settled(first.task);
      const id = waitOf(second);
      assert.equal(second.waits[0]?.approved, undefined);
      const refused = await loop.runtime.approve(id, 'approve', 'chat:1', { scope: 'task' });
      assert.ok(!refused.ok && /2 persons each time/.test(refused.message));
      await loop.runtime.approve(id, 'approve', 'chat:1');
      assert.ok((await loop.runtime.approve(id, 'deny', 'chat:2')).ok);
      assert.equal((await loop.settled(first.task)).text, 'not done');
      assert.deepEqual(log, ['write other/b']);
    },
  ));
