import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pending } from '../../src/core/api/runtime.ts';
import type { EscalationState } from '../../src/core/escalation.ts';
import { type AnswerDeps, pressAnswer, runAnswer, runReply } from '../../src/messages/answers.ts';

const escalationOf = (id: string): EscalationState => ({
  id,
  about: 'apr_1',
  kind: 'approval',
  chain: 'owner',
  task: null,
  agent: 'a',
  from: 0,
  levels: [],
  next: null,
  acknowledged: null,
  ended: null,
  text: '',
  pending: null,
});

/** One that is too long for a chat. */
const PENDING: Pending = {
  id: 'apr_long',
  kind: 'approval',
  run: null,
  task: null,
  agent: null,
  session: null,
  tool: 'write',
  text: '',
  reason: '',
  at: 0,
};

/** A network with one approval, one question and some escalations; what was asked of it is kept. */
function network(open: readonly string[] = []) {
  const asked: string[] = [];
  const deps: AnswerDeps = {
    runtime: {
      approve: async (id, verdict, by, answering = {}) => {
        asked.push(
          `${verdict} ${id} ${by}${Object.entries(answering)
            .map(([name, value]) => ` ${name}=${String(value)}`)
            .join('')}`,
        );
        if (id === 'qst_1') return { ok: false, why: 'wrong-kind', message: 'It is a question.' };
        if (id === 'apr_2') return { ok: false, why: 'answered', message: '', task: null, verdict: 'approve' };
        return id === 'apr_1' ? { ok: true, task: 'tsk_1' } : { ok: false, why: 'unknown', message: '' };
      },
      pending: async () => [{ ...PENDING, text: 'x'.repeat(12_001) }],
      answer: async (id, text, by) => {
        asked.push(`answer ${id} ${by}: ${text}`);
        return id === 'qst_1' ? { ok: true, task: null } : { ok: false, why: 'unknown', message: `No ${id}.` };
      },
      escalations: {
        list: async () => open.map(escalationOf),
        acknowledge: async (id, by) => {
          asked.push(`ack ${id} ${by}`);
          return id === 'esc_1' ? 'done' : id === 'esc_2' ? 'again' : id === 'esc_3' ? 'ended' : null;
        },
      },
    },
  };
  return { deps, asked };
}

const WORDS: [said: string, reply: RegExp | null, asked: string | null][] = [
  ['/approve apr_1', /^Approved\.$/, 'approve apr_1 chat:1'],
  [' /deny `apr_1` ', /^Denied\.$/, 'deny apr_1 chat:1'],
  ['/approve apr_1 Only today,\nplease.', /^Approved\.$/, 'approve apr_1 chat:1 note=Only today,\nplease.'],
  ['/deny apr_1 Not him.', /^Denied\.$/, 'deny apr_1 chat:1 note=Not him.'],
  ['/approve qst_1', /Write \/answer qst_1/, 'approve qst_1 chat:1'],
  ['/approve apr_long', /^apr_long is too long to be shown here\. Read it on the web page/, null],
  ['/deny apr_long', /^Nothing waits/, 'deny apr_long chat:1'],
  ['/deny apr_2', /^It was already approved\.$/, 'deny apr_2 chat:1'],
  ['/deny apr_9', /^Nothing waits/, 'deny apr_9 chat:1'],
  ['/approve', /^The id is missing\. Write \/approve ID/, null],
  ['/answer qst_1 the blue\none', /^Answered\.$/, 'answer qst_1 chat:1: the blue\none'],
  ['/answer qst_9 x', /^No qst_9\.$/, 'answer qst_9 chat:1: x'],
  ['/answer mat_limit_a/b@evt_1 yes', /^No mat/, 'answer mat_limit_a/b@evt_1 chat:1: yes'],
  ['/ack `esc_mat_limit_a/b@evt_1`', /^Nothing waits/, 'ack esc_mat_limit_a/b@evt_1 chat:1'],
  ['/answer qst_1', /^The answer is missing/, null],
  ['/answer', /^The id is missing\. Write \/answer ID TEXT/, null],
  ['/ack esc_1', /^Acknowledged/, 'ack esc_1 chat:1'],
  ['/ACK esc_2', /^It was already acknowledged/, 'ack esc_2 chat:1'],
  ['/ack esc_3', /^It is closed/, 'ack esc_3 chat:1'],
  ['/ack esc_9', /^Nothing waits with this id/, 'ack esc_9 chat:1'],
  ['/ack', /^Nothing waits to be acknowledged/, null],
  ['/acknowledge esc_1', null, null],
  ['please /ack esc_1', null, null],
  ['approve apr_1', null, null],
];

test('answers in words', async () => {
  for (const [said, reply, what] of WORDS) {
    const { deps, asked } = network();
    const text = await runAnswer(deps, said, 'chat:1');
    if (reply === null) assert.equal(text, null, said);
    else assert.match(text ?? '', reply, said);
    assert.deepEqual(asked, what === null ? [] : [what], said);
  }
  assert.equal(WORDS.length, 24);
});

const REPLIES: [said: string, asked: string | null][] = [
  ['yes', 'approve apr_1 chat:1'],
  [' Yes. ', 'approve apr_1 chat:1'],
  ['yes: only today', 'approve apr_1 chat:1 note=only today'],
  ['approve only today', 'approve apr_1 chat:1 note=only today'],
  ['Approve\nonly today', 'approve apr_1 chat:1 note=only today'],
  ['no', 'deny apr_1 chat:1'],
  ['No, not him', 'deny apr_1 chat:1 note=not him'],
  ['deny', 'deny apr_1 chat:1'],
  ['no problem, go ahead', null],
  ['yes?', null],
  ['yes, what would it do?', null],
  ['yes, but change the address first', null],
  ['approve if she agrees', null],
  ['yesterday', null],
  ['nobody', null],
  ['approved', null],
  ['I say yes', null],
  ['', null],
];

test('a reply to an approval answers it by a clear word, with a note; any other reply does not', async () => {
  const actions = ['approve:apr_1', 'deny:apr_1', 'ack:esc_1'];
  for (const [text, what] of REPLIES) {
    const { deps, asked } = network();
    const said = await runReply(deps, { actions, text }, 'chat:1');
    assert.equal(said, what === null ? null : what.startsWith('approve') ? 'Approved.' : 'Denied.', text);
    assert.deepEqual(asked, what === null ? [] : [what], text);
  }
  const { deps, asked } = network();
  assert.equal(await runReply(deps, { actions: ['ack:esc_1', 'go:a/s'], text: 'yes' }, 'chat:1'), null);
  assert.deepEqual(asked, []);
});

test('without an id the only escalation is meant; of several they are named', async () => {
  const one = network(['esc_1']);
  assert.match((await runAnswer(one.deps, '/ack', 'chat:1')) ?? '', /^Acknowledged/);
  assert.deepEqual(one.asked, ['ack esc_1 chat:1']);
  const two = network(['esc_1', 'esc_2']);
  assert.match(
    (await runAnswer(two.deps, '/ack', 'chat:1')) ?? '',
    /^Several wait\. Write \/ack ID[^]*`esc_1` \(a\)\n- `esc_2`/,
  );
  assert.deepEqual(two.asked, []);
});

test('answers by button: an acknowledgement leaves the others their use', async () => {
  const { deps } = network();
  assert.deepEqual(await pressAnswer(deps, 'approve:apr_1', 'chat:1'), {
    text: 'Approved.',
    done: true,
    stands: 'Approved',
  });
  assert.deepEqual(await pressAnswer(deps, 'deny:apr_1', 'chat:1'), { text: 'Denied.', done: true, stands: 'Denied' });
  const more = network();
  const stands = async (action: string) => (await pressAnswer(more.deps, action, 'chat:1'))?.stands;
  assert.equal(await stands('task:apr_1'), 'Approved for this task');
  assert.equal(await stands('grant:apr_1'), 'Approved for 30 days');
  assert.deepEqual(more.asked, ['approve apr_1 chat:1 scope=task', 'approve apr_1 chat:1 scope=standing']);
  assert.equal((await pressAnswer(deps, 'ack:esc_1', 'chat:1'))?.done, false);
  assert.equal(await pressAnswer(deps, 'go:a/s', 'chat:1'), null);
});
