import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventOf, NewEvent } from '../../src/core/event.ts';
import type { Pending } from '../../src/core/api/runtime.ts';
import { putJson } from '../../src/core/records/json-blob.ts';
import { askedKey } from '../../src/core/records/matter.ts';
import { putKey } from '../../src/core/records/reply.ts';
import {
  beginning,
  climbOf,
  type Escalation,
  knownEscalations,
  nextDue,
  readEscalation,
} from '../../src/scheduler/escalations/standing.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { eventOf } from '../fakes/event.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { apply, claimAt, collect, commit, enqueue, newTask, random, settle } from '../store/kit.ts';
import { HandClock } from './worker-kit.ts';

const MINUTE = 60_000;
const started = {
  escalation: 'esc_q',
  about: 'q',
  kind: 'question' as const,
  task: 'tsk_1',
  agent: 'a',
  chain: 'owner',
  from: 1_000,
  levels: [{ after: 0, to: 'chat:o' }],
};

function scene() {
  const clock = new HandClock();
  const store = openMemoryStore({ clock, random });
  const common = { actor: 'test', cause: null, labels: [] };
  const put = async (body: Pick<NewEvent, 'type' | 'data'>, more: Partial<NewEvent> = {}) => {
    const result = await commit(store, [{ ...common, stream: 's', ...body, ...more } as NewEvent]);
    assert.ok(result.ok);
    return result.events[0];
  };
  return { clock, store, put };
}

/** One whose levels were reached, the last with this outcome. */
function reachedWith(...all: { outcome: 'told' | 'unreachable' | 'denies'; task: string | null }[]): Escalation {
  const events = all.map(
    (data, level) =>
      eventOf(level + 2, 'escalation.reached', {
        escalation: 'esc_q',
        level,
        to: 'x',
        why: null,
        ...data,
      }) as EventOf<'escalation.reached'>,
  );
  const first = eventOf(1, 'escalation.started', started) as EventOf<'escalation.started'>;
  return { id: 'esc_q', started: first, reached: events, acknowledged: null, ended: null, version: 1 };
}

const lastFailed = async (store: Parameters<typeof climbOf>[0], escalation: Escalation): Promise<boolean[]> =>
  (await climbOf(store, escalation, (_, at) => at)).reached.map(({ failed }) => failed);

test('what became of the last level: who could not be reached, and a task that broke off, came to nothing', async () => {
  const { store } = scene();
  for (const status of ['done', 'failed', 'dead', 'cancelled'] as const) {
    await enqueue(store, newTask(`tsk_${status}`));
    await claimAt(store, 1_800_000_000_000);
    await apply(store, settle(`tsk_${status}`, status));
  }
  await enqueue(store, newTask('tsk_queued'));
  const fate = (task: string) => lastFailed(store, reachedWith({ outcome: 'told', task }));
  for (const [task, failed] of [
    ['done', false],
    ['failed', true],
    ['dead', true],
    ['cancelled', true],
    ['queued', false],
    ['gone', false],
  ] as const)
    assert.deepEqual(await fate(`tsk_${task}`), [failed], task);
  assert.deepEqual(await lastFailed(store, reachedWith({ outcome: 'unreachable', task: null })), [true]);
  assert.deepEqual(await lastFailed(store, reachedWith({ outcome: 'denies', task: null })), [false]);
  const two = reachedWith({ outcome: 'unreachable', task: null }, { outcome: 'told', task: 'tsk_done' });
  assert.deepEqual(await lastFailed(store, two), [false, false], 'only the last one matters');
});

test('what the run itself has asked came to nothing only if that very message was refused for good', async () => {
  const { store, put } = scene();
  const own = reachedWith({ outcome: 'told', task: null });
  assert.deepEqual(await lastFailed(store, own), [false], 'nothing was put anywhere');
  const content = putJson(store, { text: 'x' }, 's');
  const data = { agent: 'a', session: 's', task: 'tsk_1', run: 'run_1', channel: 'chat', to: 'o', content };
  const stream = 'conv:a/s';
  const failed = (message: string, final: boolean, where = stream) =>
    put({ type: 'message.failed', data: { message, channel: 'chat', error: 'no', final } }, { stream: where });
  await failed('evt_early', true);
  const message = await put({ type: 'message.queued', data }, { stream, key: putKey('q') });
  assert.ok(message);
  await put({ type: 'message.queued', data }, { stream });
  await failed('evt_other', true);
  await failed(message.id, false);
  await failed(message.id, true, 'conv:b/s');
  assert.deepEqual(await lastFailed(store, own), [false]);
  await failed(message.id, true);
  assert.deepEqual(await lastFailed(store, own), [true]);
});

test('another event under the key of what was put says nothing', async () => {
  const { store, put } = scene();
  await put({ type: 'gateway.stopped', data: { reason: 'x' } } as never, { key: putKey('q') });
  assert.deepEqual(await lastFailed(store, reachedWith({ outcome: 'told', task: null })), [false]);
});

test('a denial leaves a minute, or as long as the chain does, after the level before it', () => {
  const levels = [
    { after: 10 * MINUTE, to: 'chat:o' },
    { after: 10 * MINUTE + 5_000, to: 'deny' },
  ];
  const climb = { from: 0, levels, reached: [{ at: 20 * MINUTE, failed: false }], acknowledged: false };
  assert.equal(nextDue(climb, { now: 20 * MINUTE, since: 0 }), 20 * MINUTE + 5_000);
  const only = { from: 7_000, levels: [{ after: 30_000, to: 'deny' }], reached: [], acknowledged: false };
  assert.equal(nextDue(only, { now: 7_000, since: 0 }), 37_000);
  assert.equal(nextDue(only, { now: 7_000, since: 50_000 }), 80_000);
});

test('an escalation is read from where it begins; those on record are told with whether they have ended, the newest first', async () => {
  const { store, put } = scene();
  const early = { type: 'escalation.acknowledged', data: { escalation: 'esc_q' } } as const;
  await put(early, { stream: 'escalation:esc_q' });
  assert.equal(await readEscalation(store, 'esc_q'), null);
  const event = await put({ type: 'escalation.started', data: started }, { stream: 'escalation:esc_q' });
  const found = await readEscalation(store, 'esc_q');
  assert.deepEqual(found, {
    id: 'esc_q',
    started: event,
    reached: [],
    acknowledged: null,
    ended: null,
    version: 2,
  });
  await put({ type: 'escalation.started', data: { ...started, escalation: 'esc_r' } }, { stream: 'escalation:esc_r' });
  const end = { type: 'escalation.ended', data: { escalation: 'esc_q', why: 'gone' } } as const;
  await put(end, { stream: 'escalation:esc_q', key: 'escalation:esc_q@end' });
  assert.deepEqual(await collect(knownEscalations(store)), [
    { id: 'esc_r', open: true },
    { id: 'esc_q', open: false },
  ]);
});

const LEVELS = [{ after: 0, to: 'chat:o' }];
const AGENT = [
  { after: 0, to: 'agent:b' },
  { after: 0, to: 'chat:o' },
];

/** What begins for something that waits. */
async function begun(
  it: ReturnType<typeof scene>,
  pending: Partial<Pending>,
  escalation: Record<string, typeof LEVELS> = { owner: LEVELS },
) {
  const agents = [anAgent({ name: 'a', escalation: 'night' }), anAgent({ name: 'b' })];
  const governance = () => governing(agents, { settings: { ...SETTINGS, escalation } });
  const whole = { id: 'q', task: null, agent: null, at: it.clock.now(), ...pending } as Pending;
  return beginning({ store: it.store, clock: it.clock, governance }, whole);
}

test('a beginning is one event whole, synced, caused by what asked, and nameless where nothing did', async () => {
  const it = scene();
  const batch = await begun(it, {});
  const data = {
    ...started,
    kind: 'approval',
    task: null,
    agent: null,
    from: it.clock.now(),
    levels: [...LEVELS, { after: 86_400_000, to: 'deny' }],
  };
  const common = { type: 'escalation.started', stream: 'escalation:esc_q', actor: 'runtime', key: 'escalation:esc_q' };
  assert.deepEqual(batch, { events: [{ ...common, cause: null, labels: [], data }], sync: true });
  const text = putJson(it.store, { text: 'x' }, 's');
  const asked = { type: 'question.asked', data: { question: 'q', call: 'c', doubt: false, text } } as const;
  const event = await it.put(asked, { key: askedKey('q'), labels: ['private'] });
  assert.ok(event);
  const question = { ...data, kind: 'question', levels: LEVELS };
  assert.deepEqual((await begun(it, {}))?.events, [
    { ...common, cause: event.id, labels: ['private'], data: question },
  ]);
  const raised = { type: 'matter.raised', data: { matter: 'm', kind: 'limit', about: 'x', text } } as const;
  await it.put(raised, { key: askedKey('m') });
  const [matter] = (await begun(it, { id: 'm' }))?.events ?? [];
  assert.ok(matter?.type === 'escalation.started');
  assert.equal(matter.data.kind, 'matter');
});

test('it counts from when it was asked, not from before its rules, nor from a time yet to come', async () => {
  const it = scene();
  const from = async (at: number) => {
    const [event] = (await begun(it, { at }))?.events ?? [];
    return event?.type === 'escalation.started' ? event.data.from : null;
  };
  const now = it.clock.now();
  assert.deepEqual([await from(now - 5), await from(now + 5)], [now - 5, now]);
  await it.put({ type: 'config.applied', data: { commit: 'c' } });
  it.clock.time += 100;
  assert.deepEqual([await from(now - 5), await from(now + 50)], [now, now + 50]);
});

test('which chain: that of the task, of the agent, or the default one; none without levels', async () => {
  const it = scene();
  const chainOf = async (pending: Partial<Pending>, chains: Record<string, typeof LEVELS>) => {
    const [event] = (await begun(it, pending, chains))?.events ?? [];
    return event?.type === 'escalation.started' ? event.data.chain : null;
  };
  const task = newTask('tsk_1', { escalation: 'day' });
  await enqueue(it.store, task);
  await it.put({ type: 'task.late', data: { task: 'tsk_1', deadline: 0 } }, { stream: 'task:tsk_1' });
  await it.put({ type: 'task.queued', data: { task } }, { stream: 'task:tsk_1' });
  const all = { owner: LEVELS, night: LEVELS, day: LEVELS };
  assert.equal(await chainOf({ task: 'tsk_1', agent: 'a' }, all), 'day');
  assert.equal(await chainOf({ agent: 'a' }, all), 'night');
  assert.equal(await chainOf({ agent: 'b' }, all), 'owner');
  assert.equal(await chainOf({ agent: 'a' }, { owner: LEVELS }), 'owner');
  assert.equal(await chainOf({}, all), 'owner');
  assert.equal(await chainOf({}, { night: LEVELS }), null);
  assert.equal(await chainOf({}, {}), null);
});

test('what an escalation led to is told to people only, a hundred tasks on too; its dead letter to nobody', async () => {
  const it = scene();
  const id = (n: number): string => `tsk_${n}`;
  const origin = (parent: string) => ({ root: id(0), parent, hops: 1, senders: [] });
  await enqueue(it.store, newTask(id(0), { from: 'escalation:esc_x' }));
  for (let n = 1; n <= 101; n++) await enqueue(it.store, newTask(id(n), { origin: origin(id(n - 1)) }));
  const levels = async (pending: Partial<Pending>) => {
    const [event] = (await begun(it, pending, { owner: AGENT }))?.events ?? [];
    return event?.type === 'escalation.started' ? event.data.levels.map(({ to }) => to) : null;
  };
  const people = ['chat:o', 'deny'];
  assert.deepEqual(await levels({ task: id(0) }), people);
  assert.deepEqual(await levels({ task: id(99) }), people);
  assert.deepEqual(await levels({ task: id(100) }), ['agent:b', ...people], 'further back is not looked');
  assert.equal(await levels({ id: `mat_dead_${id(0)}`, task: id(0) }), null);
  await enqueue(it.store, newTask('tsk_free'));
  assert.deepEqual(await levels({ id: 'mat_dead_tsk_free', task: 'tsk_free' }), ['agent:b', ...people]);
  assert.deepEqual(await levels({ id: `mat_dead_${id(0)}`, task: 'tsk_free' }), ['agent:b', ...people]);
});
