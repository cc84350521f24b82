import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, NewEvent } from '../../src/core/event.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import type { MainMove } from '../../src/core/ports/governance.ts';
import type { AddedFile } from '../../src/core/ports/workspace.ts';
import type { Batch } from '../../src/core/ports/store.ts';
import type { Task } from '../../src/core/task.ts';
import type { Facts, Held, TriggerSource } from '../../src/core/trigger.ts';
import { type Cause, CAUSE_TYPES, causeOf, commitOf, mayBe, recordMoves } from '../../src/scheduler/triggers/causes.ts';
import { burstWith, heard, holding } from '../../src/scheduler/triggers/match.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { commit, enqueue, newTask, random, TestClock } from '../store/kit.ts';
import { event } from './trigger-kit.ts';

const AT = Date.UTC(2026, 10, 30);

function scene() {
  const clock = new TestClock();
  clock.time = AT;
  const store = openMemoryStore({ clock, random });
  const asked: unknown[] = [];
  let files: AddedFile[] | null = [];
  const workspace = { added: async (...of: unknown[]) => (asked.push(of), files) };
  const blob = (value: object) => store.putBlob(Buffer.from(JSON.stringify(value)), 'x');
  const put = async (given: NewEvent): Promise<Event> => {
    const result = await commit(store, [given]);
    assert.ok(result.ok && result.events[0]);
    return result.events[0];
  };
  /** The cause that an event is. Whatever it is, it is listened to, and could be told before it was looked at. */
  const of = async (given: NewEvent) => {
    const made = await put(given);
    const cause = await causeOf({ store, workspace }, made);
    if (cause !== null)
      assert.deepEqual([CAUSE_TYPES.includes(made.type), mayBe(made).includes(cause.on)], [true, true]);
    return { event: made, cause };
  };
  /** A run of a task. */
  const runs = async (run: string, task: Task): Promise<void> => {
    await enqueue(store, task);
    const data = { run, task: task.id, agent: task.agent, session: 's', attempt: 1, config: 'c', base: 'c0' };
    await put(event({ type: 'run.started', data }, `run:${run}`));
  };
  return {
    store,
    asked,
    blob,
    of,
    runs,
    lie: (...given: AddedFile[]) => void (files = given),
    gone: () => void (files = null),
  };
}

const file = (path: string, from: string | null = null): AddedFile => ({ path, from });
const common = ({ id, type }: Event) => ({ id, type, at: '2026-11-30T00:00:00.000Z' });
const whole = ({ id, seq }: Event) => ({ id, seq, at: AT });
const stored = async ({ store }: ReturnType<typeof scene>, id: string) => store.task(id);

test('what a run lands is a cause by its commit, with its labels and its task, and which files were moved', async () => {
  const it = scene();
  await it.runs('run_1', newTask('tsk_1', { agent: 'b' }));
  it.lie(file('d/1'), file('tasks/q/x.json'), file('d/2', 'e/2'));
  const data = { commit: 'c1', paths: 2 };
  const landing = event({ type: 'landing.finished', data }, 'run:run_1', { actor: 'agent:b', labels: ['private'] });
  const { event: landed, cause } = await it.of(landing);
  assert.deepEqual(cause, {
    ...whole(landed),
    on: 'file.landed',
    key: 'c1',
    facts: {
      ...common(landed),
      by: 'agent:b',
      run: 'run_1',
      task: 'tsk_1',
      agent: 'b',
      commit: 'c1',
      paths: ['d/1', 'd/2'],
    },
    moved: new Map([['d/2', 'e/2']]),
    labels: ['private'],
    task: await stored(it, 'tsk_1'),
  });
  assert.deepEqual(it.asked, [[null, 'c1']]);
  const nothing = event({ type: 'landing.finished', data: { commit: null, paths: 0 } }, 'run:run_1');
  assert.equal((await it.of(nothing)).cause, null);
  const stranger = await it.of(event({ type: 'landing.finished', data }, 'run:nobody'));
  assert.partialDeepStrictEqual(stranger.cause, { facts: { run: '', task: '', agent: '' }, task: null });
  it.lie(file('tasks/q/x.json'));
  assert.equal((await it.of(landing)).cause, null);
  it.gone();
  assert.equal((await it.of(landing)).cause, null);
});

test('what a person commits is the person’s own; what comes from elsewhere is untrusted', async () => {
  const it = scene();
  it.lie(file('d/1'));
  const committed = event({ type: 'person.committed', data: { commit: 'c1', author: 'Ann', paths: 1 } }, 'run:run_1', {
    labels: ['private'],
  });
  const { event: own, cause } = await it.of(committed);
  const nobody = { run: '', task: '', agent: '', commit: 'c1', paths: ['d/1'] };
  const landed = { on: 'file.landed', key: 'c1', moved: new Map(), task: null };
  assert.deepEqual(cause, {
    ...whole(own),
    ...landed,
    facts: { ...common(own), by: 'person', ...nobody },
    labels: [],
  });
  for (const by of ['person', 'elsewhere'] as const) {
    const moved = event({ type: 'main.moved', data: { from: 'c0', to: 'c1', by } }, 'workspace');
    const { event: seen, cause: told } = await it.of(moved);
    assert.deepEqual(told, {
      ...whole(seen),
      ...landed,
      facts: { ...common(seen), by, ...nobody },
      labels: by === 'person' ? [] : ['untrusted'],
    });
  }
  assert.deepEqual(it.asked, [
    [null, 'c1'],
    ['c0', 'c1'],
    ['c0', 'c1'],
  ]);
});

test('the end of a task is a cause by how it ended, with the labels of both; a reply on its way out is none', async () => {
  const it = scene();
  const task = newTask('tsk_1', { queue: 'q', agent: 'b', from: 'x', attempt: 2, labels: ['untrusted'] });
  await enqueue(it.store, task, newTask('tsk_2', { queue: 'outbox' }));
  const ends = (id: string, status: Task['status'], run: string | null = 'run_1') => {
    const data = { task: id, run, status, result: null };
    return it.of(event({ type: 'task.finished', data }, `task:${id}`, { labels: ['private'] }));
  };
  for (const status of ['done', 'failed', 'dead'] as const) {
    const { event: ended, cause } = await ends('tsk_1', status);
    assert.deepEqual(cause, {
      ...whole(ended),
      on: `task.${status}`,
      key: ended.id,
      facts: { ...common(ended), task: 'tsk_1', queue: 'q', agent: 'b', from: 'x', status, run: 'run_1', attempt: 2 },
      labels: ['private', 'untrusted'],
      task: await stored(it, 'tsk_1'),
    });
  }
  assert.equal((await ends('tsk_1', 'done', null)).cause?.facts['run'], '');
  assert.equal((await ends('tsk_1', 'cancelled')).cause, null);
  assert.equal((await ends('tsk_2', 'dead')).cause, null);
  assert.equal((await ends('nobody', 'done')).cause, null);
});

test('a run that failed, and what waits for a person, each with its task', async () => {
  const it = scene();
  await it.runs('run_1', newTask('tsk_1', { agent: 'b' }));
  const ended = { run: 'run_1', detail: null, usage: NO_USAGE, costUsd: 0, steps: 1 };
  const ends = (status: Task['status'], error: string | null, stream = 'run:run_1') =>
    it.of(event({ type: 'run.finished', data: { ...ended, status, error } }, stream, { labels: ['private'] }));
  for (const status of ['failed', 'dead'] as const) {
    const { event: failed, cause } = await ends(status, status === 'dead' ? 'model.rate' : null);
    const error = status === 'dead' ? 'model.rate' : '';
    assert.deepEqual(cause, {
      ...whole(failed),
      on: 'run.failed',
      key: failed.id,
      facts: { ...common(failed), run: 'run_1', task: 'tsk_1', agent: 'b', status, error },
      labels: ['private'],
      task: await stored(it, 'tsk_1'),
    });
  }
  assert.equal((await ends('done', null)).cause, null);
  const odd = await ends('failed', null, 'run:nobody');
  assert.partialDeepStrictEqual(odd.cause, { facts: { task: '', agent: '' }, task: null });
  const asked = { approval: 'apr_1', call: 'c', tool: 'shell', shown: it.blob({}) };
  const { event: waits, cause } = await it.of(
    event({ type: 'approval.asked', data: asked }, 'run:run_1', { labels: ['private'] }),
  );
  assert.deepEqual(cause, {
    ...whole(waits),
    on: 'approval.waiting',
    key: waits.id,
    facts: { ...common(waits), approval: 'apr_1', tool: 'shell', run: 'run_1', task: 'tsk_1', agent: 'b' },
    labels: ['private'],
    task: await stored(it, 'tsk_1'),
  });
  const unknown = await it.of(event({ type: 'approval.asked', data: asked }, 'run:nobody'));
  assert.partialDeepStrictEqual(unknown.cause, { facts: { run: '', task: '', agent: '' }, task: null });
  const held = { approval: 'apr_2', commit: 'c1', shown: it.blob({}) };
  const settings = await it.of({
    ...event({ type: 'gateway.stopped', data: { reason: '' } }, 'x'),
    type: 'config.held',
    data: held,
  } as unknown as NewEvent);
  assert.deepEqual(settings.cause, {
    ...whole(settings.event),
    on: 'approval.waiting',
    key: settings.event.id,
    facts: { ...common(settings.event), approval: 'apr_2', tool: 'settings', run: '', task: '', agent: '' },
    labels: [],
    task: null,
  });
});

test('a message and a delivery are untrusted, whoever sent them, and say what is left of their words', async () => {
  const it = scene();
  const content = it.blob({ role: 'user', parts: [{ type: 'text', text: 'Hello.' }] });
  const data = { agent: 'b', session: 's', channel: 'c', from: 'ann', replyTo: '', task: 'tsk_1', content };
  const { event: said, cause } = await it.of(
    event({ type: 'message.received', data }, 'conv:b/s', { labels: ['private'] }),
  );
  const facts = { channel: 'c', sender: 'ann', agent: 'b', session: 's', task: 'tsk_1' };
  assert.deepEqual(cause, {
    ...whole(said),
    on: 'message',
    key: said.id,
    facts: { ...common(said), text: 'Hello.', ...facts },
    labels: ['private', 'untrusted'],
    task: null,
  });
  const body = it.blob({ name: 'push', body: { n: 1 } });
  const hook = event({ type: 'webhook.received', data: { hook: 'h', delivery: 'd', content: body } }, 'hook:h/1');
  const { event: came, cause: delivered } = await it.of(hook);
  assert.deepEqual(delivered, {
    ...whole(came),
    on: 'webhook',
    key: came.id,
    facts: { ...common(came), name: 'push', body: { n: 1 }, hook: 'h', delivery: 'd' },
    labels: ['untrusted'],
    task: null,
  });
  await it.store.erase('x');
  assert.equal((await it.of(event({ type: 'message.received', data }, 'conv:b/s'))).cause?.facts['text'], '');
  const erased = await it.of(hook);
  assert.deepEqual([erased.cause?.facts['name'], erased.cause?.facts['body']], ['', null]);
});

test('other events are nothing, and where two may tell of a commit both name it', async () => {
  const it = scene();
  const { event: other, cause } = await it.of(event({ type: 'gateway.stopped', data: { reason: '' } }, 'gateway'));
  assert.deepEqual([mayBe(other), cause, commitOf(other)], [[], null, null]);
  const told = (type: string, data: object) => commitOf({ type, data } as Event);
  assert.deepEqual(
    [
      told('landing.finished', { commit: 'c1' }),
      told('person.committed', { commit: 'c2' }),
      told('main.moved', { from: 'c3', to: 'c4' }),
    ],
    ['c1', 'c2', 'c4'],
  );
});

test('how main has moved is on record, synced, once, where nothing else tells of it', async () => {
  const batches: Batch[] = [];
  const store = { commit: async (batch: Batch) => (batches.push(batch), { ok: true, events: [] } as never) };
  const moves: MainMove[] = [
    { from: 'c0', to: 'c1', by: 'person' },
    { from: 'c1', to: 'c2', by: 'landing' },
    { from: 'c2', to: 'c3', by: 'foreign' },
    { from: 'c3', to: 'c4', by: 'person' },
  ];
  const asked: string[] = [];
  const watch = { moves: async (since: string) => (asked.push(since), moves) };
  assert.equal(await recordMoves({ store, watch }, 'c0', (told) => told === 'c4'), 'c4');
  const moved = (key: string, data: object, actor: string, labels: string[]) => ({
    events: [{ type: 'main.moved', stream: 'workspace', actor, cause: null, labels, key: `moved:${key}`, data }],
    sync: true,
  });
  assert.deepEqual(batches, [
    moved('c0..c1', { from: 'c0', to: 'c1', by: 'person' }, 'person:owner', []),
    moved('c2..c3', { from: 'c2', to: 'c3', by: 'elsewhere' }, 'runtime', ['untrusted']),
  ]);
  moves.length = 0;
  assert.equal(await recordMoves({ store, watch }, 'c9', () => false), 'c9');
  assert.deepEqual(asked, ['c0', 'c9']);
});

const causeWith = (on: Cause['on'], facts: Facts, more: Partial<Cause> = {}): Cause => ({
  on,
  facts,
  id: 'evt_1',
  seq: 1,
  at: AT,
  key: 'k',
  labels: [],
  task: null,
  ...more,
});

test('each filter of a source has to fit, and one that is not given fits everything', () => {
  const fits = (source: TriggerSource, facts: Facts, on = source.on): boolean => {
    const found = heard(source, causeWith(on, facts));
    if (found.length > 0) assert.deepEqual(found, [{ facts, before: null }]);
    return found.length === 1;
  };
  const task = { queue: 'q', agent: 'a' };
  assert.equal(fits({ on: 'task.done', queue: null, agent: null }, task), true);
  assert.equal(fits({ on: 'task.done', queue: 'q', agent: 'a' }, task), true);
  assert.equal(fits({ on: 'task.done', queue: 'x', agent: 'a' }, task), false);
  assert.equal(fits({ on: 'task.done', queue: 'q', agent: 'x' }, task), false);
  assert.equal(fits({ on: 'task.done', queue: null, agent: null }, task, 'task.dead'), false);
  assert.equal(fits({ on: 'run.failed', agent: 'a' }, task), true);
  assert.equal(fits({ on: 'run.failed', agent: 'x' }, task), false);
  const auth = { kind: 'bearer', secret: 'env:S', windowMs: 1 } as const;
  assert.equal(fits({ on: 'webhook', hook: 'h', auth }, { hook: 'h' }), true);
  assert.equal(fits({ on: 'webhook', hook: 'x', auth }, { hook: 'h' }), false);
  const asked = { agent: 'a', tool: 't' };
  assert.equal(fits({ on: 'approval.waiting', ...asked }, asked), true);
  assert.equal(fits({ on: 'approval.waiting', ...asked, tool: 'x' }, asked), false);
  assert.equal(fits({ on: 'approval.waiting', ...asked, agent: 'x' }, asked), false);
  const message = { channel: 'c', sender: 's', agent: 'a' };
  const said = { ...message, text: 'An INVOICE for you' };
  assert.equal(fits({ on: 'message', ...message, pattern: null }, said), true);
  assert.equal(fits({ on: 'message', ...message, pattern: null }, { ...message, text: 7 }), true);
  assert.equal(fits({ on: 'message', ...message, pattern: '*Invoice*' }, said), true);
  assert.equal(fits({ on: 'message', ...message, pattern: 'invoice' }, said), false);
  assert.equal(fits({ on: 'message', ...message, pattern: '*' }, { ...message, text: 7 }), false);
  for (const name of ['channel', 'sender', 'agent'])
    assert.equal(fits({ on: 'message', ...message, pattern: null, [name]: 'x' }, said), false, name);
  const long = { ...message, text: `${'x'.repeat(16_384)}!` };
  assert.equal(fits({ on: 'message', ...message, pattern: '*x' }, long), true, 'only so much of it is looked at');
});

test('of files each that a pattern names is heard, with where it was before if that is named, too', () => {
  const source: TriggerSource = { on: 'file.landed', paths: ['d/*', 'e/*'] };
  const facts = { commit: 'c', paths: ['d/1', 'x/2', 'e/3', 'd/4'] };
  const moved = new Map([
    ['e/3', 'd/0'],
    ['d/4', 'x/4'],
  ]);
  const at = (path: string) => ({ commit: 'c', path, paths: [path] });
  assert.deepEqual(heard(source, causeWith('file.landed', facts, { moved })), [
    { facts: at('d/1'), before: null },
    { facts: at('e/3'), before: at('d/0') },
    { facts: at('d/4'), before: null },
  ]);
  assert.equal(heard(source, causeWith('file.landed', facts)).length, 3);
});

test('what holds is one set of facts, with each file once; what cannot be told ends it', () => {
  const of = (path: string, before: string | null = null) => ({
    facts: { commit: 'c', path, paths: [path] },
    before: before === null ? null : { path: before, paths: [before] },
  });
  const holds =
    (...paths: string[]) =>
    (facts: Facts): Held =>
      facts['path'] === 'bad'
        ? { ok: false, error: 'no' }
        : { ok: true, holds: paths.includes(facts['path'] as string) };
  assert.equal(holding([], null), null);
  assert.deepEqual(holding([of('a')], null), { facts: { commit: 'c', path: 'a', paths: ['a'] } });
  assert.deepEqual(holding([of('a'), of('b'), of('b')], null), {
    facts: { commit: 'c', path: ['a', 'b'], paths: ['a', 'b'] },
  });
  assert.deepEqual(holding([of('b'), of('b')], null), { facts: { commit: 'c', path: 'b', paths: ['b'] } });
  assert.deepEqual(holding([of('a'), of('b')], holds('b')), { facts: { commit: 'c', path: 'b', paths: ['b'] } });
  assert.equal(holding([of('a'), of('b')], holds()), null);
  assert.deepEqual(holding([of('a'), of('bad')], holds('a')), { ok: false, error: 'no' });
  assert.equal(holding([of('a', 'x')], null), null, 'moved within what is named');
  assert.equal(holding([of('a', 'x')], holds('a', 'x')), null);
  assert.deepEqual(holding([of('a', 'x')], holds('a')), { facts: { commit: 'c', path: 'a', paths: ['a'] } });
  assert.deepEqual(holding([of('a', 'bad')], holds('a')), { facts: { commit: 'c', path: 'a', paths: ['a'] } });
  const many = Array.from({ length: 10_001 }, (_, n) => of(`${n}`));
  assert.deepEqual(holding(many, holds()), { error: '10001 files landed at once; it is evaluated for at most 10000' });
  assert.equal(holding(many.slice(1), holds()), null);
  const all = holding(many, null);
  assert.ok(all !== null && 'facts' in all);
  assert.equal((all.facts['paths'] as string[]).length, 10_000, 'so many are named');
});

test('a burst begins with its first cause and ends with its last; its files are all of theirs, its task has the longest chain', () => {
  const files = (...paths: string[]): Facts => ({ commit: paths.join(''), path: paths[0] ?? '', paths });
  const chain = (id: string, hops: number | null): Task =>
    newTask(id, hops === null ? {} : { origin: { root: 'r', parent: 'p', hops, senders: [] } });
  const one = causeWith('file.landed', files('a'), { id: 'evt_1', labels: ['private'] });
  const two = causeWith('file.landed', files('b', 'a'), {
    id: 'evt_2',
    labels: ['untrusted'],
    task: chain('t2', null),
  });
  const first = burstWith(null, one, one.facts);
  assert.deepEqual(first, { first: one, last: one, count: 1, facts: one.facts, labels: ['private'], task: null });
  const second = burstWith(first, two, two.facts);
  assert.deepEqual(second, {
    first: one,
    last: two,
    count: 2,
    facts: { commit: 'ba', path: ['a', 'b'], paths: ['a', 'b'] },
    labels: ['private', 'untrusted'],
    task: two.task,
  });
  const longer = causeWith('file.landed', files('c'), { task: chain('t3', 2) });
  const third = burstWith(second, longer, longer.facts);
  assert.equal(third.task?.id, 't3');
  const shorter = causeWith('file.landed', files('c'), { task: chain('t4', 1) });
  assert.equal(burstWith(third, shorter, shorter.facts).task?.id, 't3');
  const same = causeWith('file.landed', files('c'), { task: chain('t5', 2) });
  assert.equal(burstWith(third, same, same.facts).task?.id, 't3', 'the earlier of two that are as long');
  const hook = causeWith('webhook', { body: 1 });
  assert.deepEqual(burstWith(burstWith(null, hook, { body: 1 }), hook, { body: 2 }).facts, { body: 2 });
});
