import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataOf, EventOf } from '../../src/core/event.ts';
import type { Pending } from '../../src/core/api/runtime.ts';
import type { Escalation } from '../../src/scheduler/escalations/standing.ts';
import { noticeOf, postedOf, taskContentOf } from '../../src/scheduler/escalations/words.ts';
import { eventOf } from '../fakes/event.ts';

const SINCE = Date.UTC(2026, 10, 30, 8, 0, 0);
const HOUR = 3_600_000;

function escalation(more: Partial<DataOf<'escalation.started'>> = {}): Escalation {
  const started = eventOf(1, 'escalation.started', {
    escalation: 'esc_apr_1',
    about: 'apr_1',
    kind: 'approval',
    task: 'tsk_1',
    agent: 'mail',
    chain: 'owner',
    from: SINCE,
    levels: [{ after: 0, to: 'telegram:1' }],
    ...more,
  }) as EventOf<'escalation.started'>;
  return { id: 'esc_apr_1', started, reached: [], acknowledged: null, ended: null, version: 1 };
}

const waits = (more: Partial<Pending> = {}): Pending => ({
  id: 'apr_1',
  kind: 'approval',
  run: 'run_1',
  task: 'tsk_1',
  agent: 'mail',
  session: 's',
  tool: 'write',
  text: 'write contracts/a.md',
  reason: 'Contracts need a person.',
  at: SINCE,
  ...more,
});

const paragraphs = (...lines: string[]): string => lines.join('\n\n');

test('a notice of an approval says who asks for what, why, how to decide, and when it is denied', () => {
  const levels = [
    { after: 0, to: 'telegram:1' },
    { after: HOUR, to: 'deny' },
  ];
  assert.deepEqual(noticeOf(escalation({ levels }), waits()), {
    text: paragraphs(
      '**mail asks for approval** (since 2026-11-30T08:00:00Z, task tsk_1)',
      '```\nwrite contracts/a.md\n```',
      'Why: Contracts need a person.',
      'Press a button, or write `/approve apr_1` or `/deny apr_1`.',
      '`/ack esc_apr_1` marks it as being handled by you: nobody else is notified, and it is not denied.',
      'Without either it is denied at 2026-11-30T09:00:00Z.',
    ),
    buttons: [
      { label: 'Approve', action: 'approve:apr_1' },
      { label: 'Deny', action: 'deny:apr_1' },
      { label: 'Acknowledge', action: 'ack:esc_apr_1' },
    ],
  });
});

test('a notice leaves out what there is not: a task, a reason, a denial; a question has no verdicts', () => {
  const notice = (more: Partial<DataOf<'escalation.started'>>, pending: Partial<Pending> = {}) =>
    noticeOf(escalation(more), waits({ reason: '', text: 'Which?', ...pending }));
  assert.deepEqual(notice({ kind: 'question', agent: null, task: null }), {
    text: paragraphs(
      '**The network asks** (since 2026-11-30T08:00:00Z)',
      '```\nWhich?\n```',
      'Answer with `/answer apr_1 TEXT`.',
      '`/ack esc_apr_1` marks it as being handled by you: nobody else is notified.',
    ),
    buttons: [{ label: 'Acknowledge', action: 'ack:esc_apr_1' }],
  });
  const who = (text: string | undefined): string => /^\*\*.*\*\*/.exec(text ?? '')?.[0] ?? '';
  assert.equal(who(notice({ kind: 'matter' }).text), '**Something of mail needs attention**');
  assert.equal(who(notice({ kind: 'matter', agent: null }).text), '**Something of the network needs attention**');
  assert.doesNotMatch(notice({ levels: [] }).text, /denied at/);
});

test('what is longer than a notice is cut, and cannot be approved by it', () => {
  const shown = (length: number) => noticeOf(escalation(), waits({ text: 'x'.repeat(length) }));
  const labels = ({ buttons = [] }: ReturnType<typeof noticeOf>) => buttons.map(({ label }) => label);
  assert.ok(shown(3000).text.includes(`\n${'x'.repeat(3000)}\n`));
  assert.deepEqual(labels(shown(3000)), ['Approve', 'Deny', 'Acknowledge']);
  const { text } = shown(3001);
  assert.ok(text.includes(`\n${'x'.repeat(3000)}\n… (cut; \`ruche approvals\` has all of it)\n`));
  assert.deepEqual(labels(shown(3001)), ['Deny', 'Acknowledge']);
  assert.match(text, /This is not all of it: read the rest .* approve it there\. `\/deny apr_1` denies it\./);
  assert.ok(noticeOf(escalation(), waits({ text: `${'x'.repeat(2999)}😀` })).text.isWellFormed());
});

test('a button that a messenger could not carry is left out', () => {
  const { buttons = [] } = noticeOf(escalation({ about: 'a'.repeat(56) }), waits());
  assert.deepEqual(
    buttons.map(({ label }) => label),
    ['Approve', 'Deny', 'Acknowledge'],
  );
  const longer = noticeOf(escalation({ about: 'a'.repeat(57) }), waits()).buttons ?? [];
  assert.deepEqual(
    longer.map(({ label }) => label),
    ['Deny', 'Acknowledge'],
  );
});

test('a webhook is posted all of it as data', () => {
  assert.deepEqual(JSON.parse(postedOf(escalation(), 1, waits()).text), {
    escalation: 'esc_apr_1',
    about: 'apr_1',
    kind: 'approval',
    chain: 'owner',
    level: 2,
    agent: 'mail',
    task: 'tsk_1',
    since: '2026-11-30T08:00:00Z',
    text: 'write contracts/a.md',
    reason: 'Contracts need a person.',
  });
});

test('an agent reads what waits as data, that it cannot decide it, and what to do', () => {
  const given = taskContentOf(escalation(), waits(), 'b0undary');
  const text = given.text ?? '';
  assert.deepEqual({ ...given, text: '' }, { title: 'approval apr_1 waits', text: '', input: null, artefacts: [] });
  const [first, ...rest] = text.split('\n\n');
  assert.equal(
    first,
    'mail asks for approval, since 2026-11-30T08:00:00Z, and nobody has answered. It is apr_1 of the task tsk_1, and has come to you by the chain owner.',
  );
  assert.match(text, /b0undary[^]*write contracts\/a\.md[^]*b0undary/);
  assert.deepEqual(rest.slice(-2), [
    'Why a person was asked: Contracts need a person.',
    'Only a person can approve or deny it; you cannot. See what you can find out or prepare within your own work, and answer with what a person should know to decide.',
  ]);
  const asked = taskContentOf(escalation({ kind: 'question', task: null }), waits({ reason: '' }), 'b0undary');
  const question = asked.text ?? '';
  assert.match(question, /It is apr_1, and has come/);
  assert.doesNotMatch(question, /Why a person/);
  assert.match(question, /\n\nOnly a person can answer it; your answer is recorded beside it\. See/);
});
