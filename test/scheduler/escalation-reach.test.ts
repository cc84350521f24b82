import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueSettings } from '../../src/core/agent.ts';
import type { EventOf } from '../../src/core/event.ts';
import { putJson, readJson } from '../../src/core/records/json-blob.ts';
import { putKey } from '../../src/core/records/reply.ts';
import type { Batch } from '../../src/core/ports/store.ts';
import { type About, reachBatch, type ReachDeps } from '../../src/scheduler/escalations/reach.ts';
import type { Escalation } from '../../src/scheduler/escalations/standing.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { eventOf } from '../fakes/event.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { inUtc } from './escalation-kit.ts';
import { commit, newTask, random, TestClock } from '../store/kit.ts';

const SINCE = Date.UTC(2026, 10, 30, 8);

/** An escalation with one level, which is reached now. */
function escalation(to: string): Escalation {
  const data = {
    escalation: 'esc_qst_1',
    about: 'qst_1',
    kind: 'question' as const,
    task: 'tsk_1',
    agent: 'a',
    chain: 'owner',
    from: SINCE,
    levels: [{ after: 0, to }],
  };
  const started = eventOf(1, 'escalation.started', data) as EventOf<'escalation.started'>;
  return { id: 'esc_qst_1', started, reached: [], acknowledged: null, ended: null, version: 7 };
}

const aboutOf = (more: Partial<About> = {}): About => ({
  pending: {
    id: 'qst_1',
    kind: 'question',
    run: 'run_1',
    task: 'tsk_1',
    agent: 'a',
    session: 's',
    tool: null,
    text: 'Which?',
    reason: '',
    at: SINCE,
  },
  labels: ['untrusted'],
  subject: 'conv:a/s',
  task: newTask('tsk_1', { agent: 'a', labels: ['private'] }),
  ...more,
});

function scene(more: Partial<ReachDeps> = {}) {
  let next = 0;
  const store = openMemoryStore({ clock: new TestClock(), random });
  const deps: ReachDeps = {
    store,
    ids: { next: (kind) => `${kind}_${(next += 1)}` },
    clock: { now: () => SINCE },
    timeText: inUtc,
    redact: (text) => text.replaceAll('s3cret', '***'),
    governance: () => governing([anAgent({ name: 'a' }), anAgent({ name: 'b' })]),
    unreachable: (channel) => (channel === 'gone' ? 'the token s3cret is wrong' : null),
    ...more,
  };
  const reach = (to: string, about: About = aboutOf()): Promise<Batch> => reachBatch(deps, escalation(to), 0, about);
  return { store, reach };
}

const level = (to: string, more: object, labels: readonly string[] = ['untrusted']) => ({
  stream: 'escalation:esc_qst_1',
  actor: 'runtime',
  cause: 'evt_1',
  labels,
  type: 'escalation.reached',
  key: 'escalation:esc_qst_1@0',
  data: { escalation: 'esc_qst_1', level: 0, to, outcome: 'told', why: null, task: null, ...more },
});

test('a chat is told in one commit: the level, the message and the task that sends it, in a lane of its address', async () => {
  const { store, reach } = scene();
  const { events, queue, ...rest } = await reach('chat:o');
  assert.deepEqual(rest, { expect: { 'escalation:esc_qst_1': 7 }, sync: true });
  const { content } = (events[1]?.data ?? {}) as { content: { hash: string; subject: string } };
  assert.deepEqual(events, [
    level('chat:o', { task: 'tsk_1' }),
    {
      type: 'message.queued',
      stream: 'conv:a/escalation',
      actor: 'runtime',
      cause: 0,
      labels: ['untrusted'],
      data: { agent: 'a', session: 'escalation', channel: 'chat', task: null, run: null, to: 'o', content },
    },
  ]);
  assert.equal(content.subject, 'conv:a/s');
  assert.match(((await readJson(store, content)) as { text: string }).text, /\*\*a asks\*\*[^]*Which\?/);
  const [op] = queue ?? [];
  assert.ok(op?.op === 'enqueue');
  assert.deepEqual(
    [op.causeOf, op.task.id, op.task.lane, op.task.queue, op.task.agent, op.task.maxAttempts, op.task.labels],
    [1, 'tsk_1', 'outbox:chat:a/escalation/o', 'outbox', 'a', 1000, ['untrusted']],
  );
});

test('a webhook is tried three times; what cannot be sent is passed over, without secrets', async () => {
  const { reach } = scene();
  const { queue } = await reach('webhook:https://x.org/h');
  assert.ok(queue?.[0]?.op === 'enqueue');
  assert.deepEqual([queue[0].task.maxAttempts, queue[0].task.lane], [3, 'outbox:webhook:a/escalation/https://x.org/h']);
  const refused = [
    ['gone:1', 'the token *** is wrong'],
    ['nowhere', 'the address is invalid'],
    ['agent:a', 'a itself waits for it'],
    ['agent:c', 'unknown agent "c"'],
  ] as const;
  for (const [to, why] of refused) {
    const { events, queue: none } = await reach(to);
    assert.deepEqual([events, none], [[level(to, { outcome: 'unreachable', why })], []]);
  }
});

test('a denial is on record, with nothing to send', async () => {
  const { events, queue } = await scene().reach('deny');
  assert.deepEqual([events, queue], [[level('deny', { outcome: 'denies' })], []]);
});

test('what belongs to no agent is sent in the name of the first, or of the system where there is none', async () => {
  const about = aboutOf();
  const nobody = { ...about, pending: { ...about.pending, agent: null } };
  const agentOf = async (more: Partial<ReachDeps> = {}) => {
    const { events } = await scene(more).reach('chat:o', nobody);
    const [, message] = events;
    assert.ok(message?.type === 'message.queued');
    return [message.stream, message.data.agent];
  };
  assert.deepEqual(await agentOf(), ['conv:a/escalation', 'a']);
  assert.deepEqual(await agentOf({ governance: () => governing([]) }), ['conv:system/escalation', 'system']);
});

test('who was asked by the run itself is not told again; any other address and channel is', async () => {
  const { store, reach } = scene();
  const content = putJson(store, { text: 'Which?' }, 's');
  const data = { agent: 'a', session: 's', task: 'tsk_1', run: 'run_1', channel: 'chat', to: 'o', content };
  const common = { stream: 's', actor: 'agent:a', cause: null, labels: [] };
  await commit(store, [{ ...common, type: 'message.queued', key: putKey('qst_1'), data }]);
  const { events, queue } = await reach('chat:o');
  assert.deepEqual([events, queue], [[level('chat:o', { why: 'the run has asked there itself' })], []]);
  assert.equal((await reach('chat:p')).events.length, 2);
  assert.equal((await reach('other:o')).events.length, 2);
});

test('an agent gets a task of its own, as if the task that waits had made it', async () => {
  const { reach } = scene();
  const { events, queue } = await reach('agent:b');
  const op = queue?.[0];
  assert.ok(op?.op === 'enqueue');
  const { task } = op;
  assert.deepEqual(events, [
    level('agent:b', { task: 'tsk_2' }),
    {
      type: 'task.queued',
      stream: 'task:tsk_2',
      actor: 'runtime',
      cause: 0,
      labels: ['private', 'untrusted'],
      data: { task },
    },
  ]);
  assert.deepEqual(
    [op.causeOf, task.session, task.lane, task.from, task.maxAttempts, task.key, task.priority, task.labels],
    [0, 'ses_1', 'conv:b/ses_1', 'escalation:esc_qst_1', 3, null, 0, ['private', 'untrusted']],
  );
  assert.deepEqual(task.origin, { root: 'tsk_1', parent: 'tsk_1', hops: 1, senders: ['a'] });
});

test('an agent is given what belongs to no task, with the attempts of its queue; a draining queue takes nothing', async () => {
  const queueOf = (more: Partial<QueueSettings>): QueueSettings => ({
    concurrency: null,
    maxAttempts: null,
    input: null,
    state: 'open',
    ...more,
  });
  const queues = { b: queueOf({ maxAttempts: 9 }), c: queueOf({ state: 'draining' }) };
  const agents = [anAgent({ name: 'b' }), anAgent({ name: 'c' })];
  const { reach } = scene({ governance: () => governing(agents, { settings: { ...SETTINGS, queues } }) });
  const { queue } = await reach('agent:b', aboutOf({ task: null }));
  assert.ok(queue?.[0]?.op === 'enqueue');
  const { task } = queue[0];
  assert.deepEqual([task.maxAttempts, task.labels, task.origin], [9, ['untrusted'], undefined]);
  const { events } = await reach('agent:c');
  assert.deepEqual(events, [level('agent:c', { outcome: 'unreachable', why: 'the queue c is draining' })]);
});
