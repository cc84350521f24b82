import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataOf, EventOf, NewEvent } from '../../src/core/event.ts';
import type { Pending } from '../../src/core/api/runtime.ts';
import { putJson } from '../../src/core/records/json-blob.ts';
import { answeredKey, askedKey } from '../../src/core/records/matter.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { momentText, openWall } from '../../src/core/time/wall.ts';
import type { Escalation } from '../../src/scheduler/escalations/standing.ts';
import { noticeOf, postedOf, stateOf, taskContentOf } from '../../src/scheduler/escalations/words.ts';
import { eventOf } from '../fakes/event.ts';
import { apply, claimAt, commit, enqueue, newTask, random, settle, TestClock } from '../store/kit.ts';

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

const PARIS = openWall('Europe/Paris');
assert.ok(PARIS);
const told = { now: SINCE, timeText: (at: number) => momentText(at, 'Europe/Paris', PARIS) };

const paragraphs = (...lines: string[]): string => lines.join('\n\n');

test('a notice of an approval says who asks for what, why, how to decide, and when it is denied', () => {
  const levels = [
    { after: 0, to: 'telegram:1' },
    { after: HOUR, to: 'deny' },
  ];
  assert.deepEqual(noticeOf(escalation({ levels }), waits(), told), {
    text: paragraphs(
      '**mail asks for approval** (since Monday 2026-11-30 09:00 (Europe/Paris, UTC+01:00), task tsk_1)',
      '```\nwrite contracts/a.md\n```',
      'Why: Contracts need a person.',
      'Press a button, or write `/approve apr_1` or `/deny apr_1`.',
      '`/ack esc_apr_1` marks it as being handled by you: nobody else is notified, and it is not denied.',
      'Without either it is denied at Monday 2026-11-30 10:00 (Europe/Paris, UTC+01:00).',
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
    noticeOf(escalation(more), waits({ reason: '', text: 'Which?', ...pending }), told);
  assert.deepEqual(notice({ kind: 'question', agent: null, task: null }), {
    text: paragraphs(
      '**The network asks** (since Monday 2026-11-30 09:00 (Europe/Paris, UTC+01:00))',
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
  const shown = (length: number) => noticeOf(escalation(), waits({ text: 'x'.repeat(length) }), told);
  const labels = ({ buttons = [] }: ReturnType<typeof noticeOf>) => buttons.map(({ label }) => label);
  assert.ok(shown(3000).text.includes(`\n${'x'.repeat(3000)}\n`));
  assert.doesNotMatch(shown(3000).text, /\(cut/);
  assert.deepEqual(labels(shown(3000)), ['Approve', 'Deny', 'Acknowledge']);
  const { text } = shown(3001);
  assert.ok(text.includes(`\n${'x'.repeat(3000)}\n… (cut; \`ruche approvals\` has all of it)\n`));
  assert.deepEqual(labels(shown(3001)), ['Deny', 'Acknowledge']);
  assert.match(text, /This is not all of it: read the rest .* approve it there\. `\/deny apr_1` denies it\./);
  assert.ok(noticeOf(escalation(), waits({ text: `${'x'.repeat(2999)}😀` }), told).text.isWellFormed());
});

test('a button that a messenger could not carry is left out', () => {
  const { buttons = [] } = noticeOf(escalation({ about: 'a'.repeat(56) }), waits(), told);
  assert.deepEqual(
    buttons.map(({ label }) => label),
    ['Approve', 'Deny', 'Acknowledge'],
  );
  const longer = noticeOf(escalation({ about: 'a'.repeat(57) }), waits(), told).buttons ?? [];
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
  const given = taskContentOf(escalation(), waits(), 'b0undary', told);
  const text = given.text ?? '';
  assert.deepEqual({ ...given, text: '' }, { title: 'approval apr_1 waits', text: '', input: null, artefacts: [] });
  const [first, ...rest] = text.split('\n\n');
  assert.equal(
    first,
    'mail asks for approval, since Monday 2026-11-30 09:00 (Europe/Paris, UTC+01:00), and nobody has answered. It is apr_1 of the task tsk_1, and has come to you by the chain owner.',
  );
  assert.match(text, /b0undary[^]*write contracts\/a\.md[^]*b0undary/);
  assert.deepEqual(rest.slice(-2), [
    'Why a person was asked: Contracts need a person.',
    'Only a person can approve or deny it; you cannot. See what you can find out or prepare within your own work, and answer with what a person should know to decide.',
  ]);
  const asked = taskContentOf(escalation({ kind: 'question', task: null }), waits({ reason: '' }), 'b0undary', told);
  const question = asked.text ?? '';
  assert.match(question, /It is apr_1, and has come/);
  assert.doesNotMatch(question, /Why a person|\n\n\n/);
  assert.match(question, /\n\nOnly a person can answer it; your answer is recorded beside it\. See/);
});

const emptyStore = () => openMemoryStore({ clock: new TestClock(), random });
const at = { timeOf: (_: string, time: number) => time, now: SINCE, since: SINCE };
const nobodyWaits = () => Promise.resolve(null);

/** How each kind of thing that waits is asked and answered. */
const KINDS: readonly (readonly [asked: NewEvent['type'], answered: NewEvent['type'], text: 'shown' | 'text'])[] = [
  ['approval.asked', 'approval.answered', 'shown'],
  ['config.held', 'approval.answered', 'shown'],
  ['question.asked', 'question.answered', 'text'],
  ['matter.raised', 'matter.settled', 'text'],
];

for (const [asked, answered, field] of KINDS)
  test(`${asked}: what was asked and who answered are told when nothing waits any more`, async () => {
    const store = emptyStore();
    const common = { stream: 's', actor: 'runtime', cause: null, labels: [] };
    const ref = putJson(store, { text: 'the very words' }, 's');
    const ended = eventOf(9, 'escalation.ended', { escalation: 'esc_apr_1', why: 'answered' }, { at: SINCE + 5 });
    const over: Escalation = { ...escalation(), ended: ended as EventOf<'escalation.ended'> };
    const read = () => stateOf({ store, pending: nobodyWaits }, over, at);
    assert.equal((await read()).text, '');
    await commit(store, [
      { ...common, type: asked, key: askedKey('apr_1'), data: { [field]: ref } } as unknown as NewEvent,
    ]);
    const before = await read();
    assert.deepEqual([before.text, before.ended], ['the very words', { at: SINCE + 5, why: 'answered', by: null }]);
    const answer = { ...common, type: answered, key: answeredKey('apr_1'), data: { by: 'person:ada' } };
    await commit(store, [answer as unknown as NewEvent]);
    // Were it asked anew under its name, the one that has ended would say nothing of that.
    const again = await stateOf({ store, pending: async () => waits({ text: 'anew' }) }, over, at);
    assert.deepEqual([again.pending, again.text], [null, 'the very words']);
    const { ended: end, next, pending } = await read();
    assert.deepEqual([end?.by, next, pending], ['person:ada', null, null]);
  });

test('what was erased says so, and other events under its key say nothing', async () => {
  const store = emptyStore();
  const common = { stream: 's', actor: 'runtime', cause: null, labels: [] };
  const gone = putJson(store, { text: 'a secret' }, 'conv:x');
  const asked = { ...common, type: 'approval.asked', key: askedKey('apr_1'), data: { shown: gone } };
  const others = ['x', 'answered'].map((_, n) => ({
    ...common,
    type: 'gateway.stopped',
    key: n === 0 ? askedKey('apr_2') : answeredKey('apr_2'),
    data: { reason: 'x', shown: gone, text: gone, by: 'nobody' },
  }));
  await commit(store, [asked, ...others] as unknown as NewEvent[]);
  await store.erase('conv:x');
  const ended = eventOf(9, 'escalation.ended', { escalation: 'e', why: 'gone' }) as EventOf<'escalation.ended'>;
  const read = (about: string) => stateOf({ store, pending: nobodyWaits }, { ...escalation({ about }), ended }, at);
  assert.equal((await read('apr_1')).text, '(erased)');
  const other = await read('apr_2');
  assert.deepEqual([other.text, other.ended?.by], ['', null]);
});

test('levels tell when they are due, who was told, and what an agent has answered', async () => {
  const store = emptyStore();
  const result = putJson(store, { text: 'it is ready' }, 's');
  await enqueue(store, newTask('tsk_a'), newTask('tsk_o', { queue: 'outbox' }), newTask('tsk_n'));
  for (const id of ['tsk_a', 'tsk_o']) {
    await claimAt(store, 1_800_000_000_000);
    await apply(store, { ...settle(id), result } as ReturnType<typeof settle>);
  }
  const levels = ['agent:a', 'fake:1', 'agent:b', 'fake:2', 'fake:3'].map((to, n) => ({ after: n * HOUR, to }));
  const reached = [
    { outcome: 'told', why: null, task: 'tsk_a' },
    { outcome: 'told', why: null, task: 'tsk_o' },
    { outcome: 'told', why: null, task: 'tsk_n' },
    { outcome: 'unreachable', why: 'no such chat', task: null },
  ] as const;
  const open: Escalation = {
    ...escalation({ levels }),
    reached: reached.map((data, level) => {
      const whole = { escalation: 'esc_apr_1', level, to: levels[level]?.to ?? '', ...data };
      return eventOf(level + 2, 'escalation.reached', whole, { at: SINCE + level }) as EventOf<'escalation.reached'>;
    }),
    acknowledged: eventOf(
      8,
      'escalation.acknowledged',
      { escalation: 'e' },
      { at: SINCE + 9, actor: 'person:eve' },
    ) as EventOf<'escalation.acknowledged'>,
  };
  const state = await stateOf({ store, pending: async () => waits() }, open, at);
  assert.deepEqual(state.levels, [
    { to: 'agent:a', due: SINCE, reached: { at: SINCE, ...reached[0], status: 'done', answer: 'it is ready' } },
    { to: 'fake:1', due: SINCE + HOUR, reached: { at: SINCE + 1, ...reached[1], status: 'done', answer: null } },
    { to: 'agent:b', due: SINCE + 2 * HOUR, reached: { at: SINCE + 2, ...reached[2], status: 'queued', answer: null } },
    { to: 'fake:2', due: SINCE + 3 * HOUR, reached: { at: SINCE + 3, ...reached[3], status: null, answer: null } },
    { to: 'fake:3', due: SINCE + 4 * HOUR, reached: null },
  ]);
  assert.deepEqual([state.acknowledged, state.ended], [{ at: SINCE + 9, by: 'person:eve' }, null]);
  assert.deepEqual([state.text, state.pending?.reason], ['write contracts/a.md', 'Contracts need a person.']);
  const fresh = await stateOf({ store, pending: async () => waits() }, escalation({ levels }), at);
  assert.equal(fresh.next, SINCE);
  assert.equal(fresh.acknowledged, null);
});

test('F15 the second person reads for how long nobody has answered, and who was notified before', () => {
  const reached = (to: string, outcome: 'told' | 'unreachable' = 'told') =>
    eventOf(2, 'escalation.reached', {
      escalation: 'esc_apr_1',
      level: 0,
      to,
      outcome,
      why: null,
      task: null,
    }) as EventOf<'escalation.reached'>;
  const lineOf = (minutes: number, ...before: EventOf<'escalation.reached'>[]): string | undefined =>
    noticeOf({ ...escalation(), reached: before }, waits(), { ...told, now: SINCE + minutes * 60_000 }).text.split(
      '\n\n',
    )[1];
  assert.equal(
    lineOf(15, reached('telegram:1')),
    'Nobody has answered for 15 minutes. Notified before you: telegram:1.',
  );
  assert.equal(
    lineOf(180, reached('telegram:1', 'unreachable'), reached('agent:system'), reached('webhook:https://x/s3cret')),
    'Nobody has answered for 3 hours. Notified before you: the agent system, a webhook. Not reached: telegram:1.',
  );
  // Two who are notified at once.
  assert.equal(lineOf(0, reached('telegram:1')), 'Notified before you: telegram:1.');
  assert.match(lineOf(15) ?? '', /^```/);
});
