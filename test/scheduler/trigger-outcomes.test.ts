import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Settings } from '../../src/core/agent.ts';
import type { NewEvent } from '../../src/core/event.ts';
import type { Batch, Store } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { Task } from '../../src/core/task.ts';
import type { Facts, Trigger } from '../../src/core/trigger.ts';
import { byHandBatch, type FireDeps, type Firing, outcomeBatch } from '../../src/scheduler/triggers/fire.ts';
import type { Burst } from '../../src/scheduler/triggers/match.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { commit, enqueue, newTask, random, TestClock } from '../store/kit.ts';
import { done, files, hook, trigger } from './trigger-kit.ts';

const HOUR = 3_600_000;
const NOW = 1_800_000_000_000;
const LABELS = ['private'] as const;

/** One trigger, and what its causes come to. */
function scene(given: Trigger, { limits = {}, queues = {} }: { limits?: object; queues?: Settings['queues'] } = {}) {
  const store: Store = openMemoryStore({ clock: new TestClock(), random });
  let ids = 0;
  const deps: FireDeps = {
    agentLabels: async () => [],
    store,
    ids: { next: (kind) => `${kind}_${(ids += 1)}` },
    redact: (text) => text.replaceAll('s3cret', '***'),
    settings: () => ({ ...SETTINGS, limits: { ...SETTINGS.limits, ...limits }, queues }),
  };
  const firing: Firing = { id: 'a/t', agent: 'a', trigger: given, fired: [], told: null, setBy: 'evt_1' };
  const of = (facts: Facts, more: Partial<Burst> & Partial<Firing> = {}): Promise<Batch> => {
    const { fired = [], told = null, ...rest } = more;
    const first = { id: 'evt_2', seq: 2, key: 'k', at: NOW };
    const burst = { first, last: { id: 'evt_3', seq: 3, at: NOW }, count: 2, facts, labels: [...LABELS], task: null };
    return outcomeBatch(deps, { ...firing, fired, told }, { ...burst, ...rest }, NOW);
  };
  const textOf = (ref: { hash: string } | null | undefined) => readJson<object>(store, ref ?? { hash: '' });
  /** Events by type, with the words in them. */
  const words = (batch: Batch) =>
    Promise.all(
      batch.events.map(async (event) => {
        if (event.type === 'trigger.skipped')
          return [event.data.why, event.data.count, await textOf(event.data.detail)];
        if (event.type === 'matter.raised') return [event.data.kind, event.data.about, await textOf(event.data.text)];
        return event.type === 'task.queued' ? ['task', await textOf(event.data.task.content)] : [event.type];
      }),
    );
  return { store, deps, firing, of, words };
}

const taskOf = (event: NewEvent | undefined): Task => {
  assert.ok(event?.type === 'task.queued');
  return event.data.task;
};
const chain = (hops: number): Task =>
  newTask('tsk_p', { agent: 'b', origin: { root: 'tsk_r', parent: 'x', hops: hops - 1, senders: ['c'] } });

test('a firing and its task are one commit, each the cause of the next, and go on with the chain', async () => {
  const queues = { a: { concurrency: null, maxAttempts: 7, input: null, state: 'open' } } as const;
  const it = scene(trigger(done, { work: { kind: 'task', text: 'Look at {{task}}, s3cret.' }, to: 'owner' }), {
    queues,
  });
  const batch = await it.of({ task: 'tsk_p' }, { task: chain(2) });
  const [fired, queued, ...more] = batch.events;
  assert.deepEqual(more, []);
  const key = 'trigger:a/t@k';
  const data = { trigger: 'a/t', task: 'tsk_2', first: 'evt_2', last: 'evt_3', count: 2, by: null };
  const by = { actor: 'runtime', labels: LABELS };
  assert.deepEqual(fired, { type: 'trigger.fired', stream: 'trigger:a/t', cause: 'evt_2', key, ...by, data });
  const task = taskOf(queued);
  assert.deepEqual(queued, { type: 'task.queued', stream: 'task:tsk_2', cause: 0, ...by, data: { task } });
  assert.deepEqual([batch.queue, batch.sync], [[{ op: 'enqueue', task, causeOf: 0 }], true]);
  assert.deepEqual(
    [task.agent, task.session, task.from, task.key, task.maxAttempts, task.labels, task.content?.subject],
    ['a', 'ses_1', 'trigger:a/t', key, 7, LABELS, 'conv:a/ses_1'],
  );
  assert.deepEqual(task.origin, { root: 'tsk_r', parent: 'tsk_p', hops: 2, senders: [] });
  const content = { title: null, text: 'Look at tsk_p, ***.', input: null, artefacts: [], to: 'owner' };
  assert.deepEqual(await it.words(batch), [['trigger.fired'], ['task', content]]);
});

test('without a chain there is no origin; the input is the body of a webhook, or more files than one', async () => {
  const input = async (given: Trigger, facts: Facts): Promise<unknown> => {
    const it = scene(given);
    const batch = await it.of(facts);
    assert.equal('origin' in taskOf(batch.events[1]), false);
    assert.equal(taskOf(batch.events[1]).maxAttempts, 3);
    const [, [, content] = []] = await it.words(batch);
    assert.equal('to' in (content as object), false);
    return (content as { input: unknown }).input;
  };
  assert.deepEqual(await input(trigger(hook()), { body: { n: 1 } }), { n: 1 });
  assert.equal(await input(trigger(hook()), {}), null);
  assert.deepEqual(await input(trigger(files('d/*')), { paths: ['a', 'b'] }), { paths: ['a', 'b'] });
  assert.equal(await input(trigger(files('d/*')), { paths: ['a'] }), null);
  assert.equal(await input(trigger(files('d/*')), {}), null);
  assert.deepEqual(await input(trigger(files('d/*')), { paths: ['a', 7, 'b'] }), { paths: ['a', 'b'] });
  assert.equal(await input(trigger(done), { paths: ['a', 'b'], body: 1 }), null);
});

test('a script is a task of one conversation, with the command as its title', async () => {
  const it = scene(trigger(done, { work: { kind: 'run', command: 'x.sh {{task.no}}' } }));
  const batch = await it.of({});
  assert.deepEqual([taskOf(batch.events[1]).session, taskOf(batch.events[1]).id], ['trigger-t', 'tsk_1']);
  const said = { title: 'run: ./x.sh {{task.no}}', run: './x.sh {{task.no}}' };
  assert.deepEqual((await it.words(batch))[1], ['task', said]);
});

test('a chain that is too long makes no task: it is on record, and the owner is asked once for all of it', async () => {
  const it = scene(trigger(done), { limits: { hops: 2 } });
  assert.equal((await it.of({}, { task: chain(2) })).events[0]?.type, 'trigger.fired');
  const batch = await it.of({}, { task: chain(3) });
  const [skipped, raised, ...more] = batch.events;
  assert.deepEqual([more, batch.queue, batch.sync], [[], undefined, true]);
  assert.ok(skipped?.type === 'trigger.skipped' && raised?.type === 'matter.raised');
  const by = { actor: 'runtime', cause: 'evt_2', labels: LABELS };
  const matter = 'mat_hops_tsk_r';
  assert.deepEqual(skipped, {
    type: 'trigger.skipped',
    stream: 'trigger:a/t',
    ...by,
    key: 'trigger:a/t@k',
    data: {
      trigger: 'a/t',
      first: 'evt_2',
      last: 'evt_3',
      count: 2,
      why: 'hops',
      detail: skipped.data.detail,
      matter,
    },
  });
  const { text } = raised.data;
  const data = { matter, kind: 'hops', about: 'tsk_r', text };
  const rest = { type: 'matter.raised', stream: `matter:${matter}`, key: `asked:${matter}`, data };
  assert.deepEqual(raised, { ...rest, ...by });
  assert.deepEqual([skipped.data.detail?.subject, text.subject], ['trigger:a/t', 'trigger:a/t']);
  const why = 'It would be task 3 in a row; at most 2 are allowed (limits.hops).';
  assert.deepEqual(await it.words(batch), [
    ['hops', 2, { text: why }],
    [
      'hops',
      'tsk_r',
      { text: `The trigger a/t did not fire. ${why}`, reason: 'A guard against runaway tasks stopped it.' },
    ],
  ]);
  await commit(it.store, [raised]);
  const again = await it.of({}, { task: chain(3) });
  assert.equal(again.events.length, 1);
  assert.equal(again.events[0]?.type === 'trigger.skipped' && again.events[0].data.matter, null);
});

test('one root leads to no more tasks than its limit, of whatever chain; without a root a cause makes at least one', async () => {
  const it = scene(trigger(done), { limits: { tasks: 2 } });
  const origin = { root: 'tsk_r', parent: 'p', hops: 1, senders: [] };
  await enqueue(it.store, newTask('tsk_1', { origin }), newTask('tsk_2', { origin: { ...origin, root: 'other' } }));
  assert.equal((await it.of({}, { task: chain(2) })).events[0]?.type, 'trigger.fired');
  await enqueue(it.store, newTask('tsk_3', { origin }));
  const why = 'One message, firing or file has led to 2 tasks, its limit (limits.tasks).';
  assert.deepEqual(await it.words(await it.of({}, { task: chain(2) })), [
    ['tasks', 2, { text: why }],
    [
      'tasks',
      'tsk_r',
      { text: `The trigger a/t did not fire. ${why}`, reason: 'A guard against runaway tasks stopped it.' },
    ],
  ]);
  const none = scene(trigger(done), { limits: { tasks: 0 } });
  assert.equal((await none.of({})).events[0]?.type, 'trigger.fired');
});

test('a limit counts what has fired in its span, and tells the owner once in it, and no more than once an hour', async () => {
  const limit = (perMs: number) => trigger(done, { limit: { count: 2, perMs } });
  const types = async (perMs: number, fired: number[], told: number | null = null): Promise<string[]> =>
    (await scene(limit(perMs)).of({}, { fired, told })).events.map(({ type }) => type);
  const fires = ['trigger.fired', 'task.queued'];
  const tells = ['trigger.skipped', 'matter.raised'];
  const silent = ['trigger.skipped'];
  assert.deepEqual(await types(HOUR, [NOW]), fires);
  assert.deepEqual(await types(HOUR, [NOW, NOW - HOUR + 1]), tells);
  assert.deepEqual(await types(HOUR, [NOW, NOW - HOUR]), fires, 'that is past');
  assert.deepEqual(await types(HOUR, [NOW, NOW + 1]), fires, 'that is yet to come');
  const two = [NOW, NOW];
  assert.deepEqual(await types(HOUR, two, NOW), silent);
  assert.deepEqual(await types(HOUR, two, NOW - HOUR + 1), silent);
  assert.deepEqual(await types(HOUR, two, NOW - HOUR), tells);
  assert.deepEqual(await types(HOUR, two, NOW + 1), tells);
  assert.deepEqual(await types(1_000, two, NOW - HOUR + 1), silent, 'however short the span is');
  assert.deepEqual(await types(2 * HOUR, two, NOW - 2 * HOUR + 1), silent);
  const it = scene(limit(HOUR));
  const why = 'It has reached its limit: 2/h. Further events are recorded and make no task.';
  assert.deepEqual(await it.words(await it.of({}, { fired: two })), [
    ['limit', 2, { text: why }],
    [
      'limit',
      'a/t@evt_2',
      { text: `The trigger a/t did not fire. ${why}`, reason: 'A guard against runaway tasks stopped it.' },
    ],
  ]);
});

test('a body that does not fit the queue, and a text whose parts are missing, make no task and disturb nobody', async () => {
  const misfit = (value: unknown) => (value === null ? 'input must be of type object' : null);
  const queues = { a: { concurrency: null, maxAttempts: null, input: { misfit }, state: 'open' } } as const;
  const form = scene(trigger(hook()), { queues });
  assert.deepEqual(await form.words(await form.of({})), [
    ['input', 2, { text: 'The input does not fit the queue a: input must be of type object.' }],
  ]);
  assert.equal((await form.of({ body: {} })).events[0]?.type, 'trigger.fired');
  const other = scene(trigger(done), { queues });
  assert.equal((await other.of({})).events[0]?.type, 'trigger.fired', 'only a delivery has an input');
  const say = { kind: 'task', text: '{{name}} {{body.a}} {{body.b.c}}' } as const;
  const text = scene(trigger(hook(), { work: say }));
  assert.deepEqual(await text.words(await text.of({ body: {} })), [
    ['placeholder', 2, { text: 'The text needs body.a, body.b.c, which is missing here.' }],
  ]);
  assert.equal((await text.of({ body: { a: 1, b: { c: 2 } } })).events[0]?.type, 'trigger.fired');
});

const EACH = { each: true, work: { kind: 'task', text: '{{path}}' } } as const;

test('with each, every file has its own firing and task; without any file there is one', async () => {
  const it = scene(trigger(files('d/*'), EACH));
  const batch = await it.of({ commit: 'c', path: ['d/1', 'd/2'], paths: ['d/1', 'd/2'] });
  const keys = ['trigger:a/t@k', 'trigger:a/t@k#1'];
  assert.deepEqual(
    batch.events.map((event) => [event.type, event.cause, event.key]),
    [
      ['trigger.fired', 'evt_2', keys[0]],
      ['task.queued', 0, undefined],
      ['trigger.fired', 'evt_2', keys[1]],
      ['task.queued', 2, undefined],
    ],
  );
  assert.deepEqual(
    (batch.queue ?? []).map((op) => op.op === 'enqueue' && [op.task.key, op.causeOf]),
    [
      [keys[0], 0],
      [keys[1], 2],
    ],
  );
  const [fired] = batch.events;
  const data = { trigger: 'a/t', task: 'tsk_2', first: 'evt_2', last: 'evt_3', count: 1, by: null };
  const by = { actor: 'runtime', cause: 'evt_2', labels: LABELS, key: keys[0] };
  assert.deepEqual(fired, { type: 'trigger.fired', stream: 'trigger:a/t', ...by, data });
  assert.deepEqual(
    (await it.words(batch)).flatMap(([what, said]) => (what === 'task' ? [(said as { text: string }).text] : [])),
    ['d/1', 'd/2'],
  );
  const one = await it.of({ path: 'd/1' });
  assert.equal(one.events.length, 2);
  for (const facts of [{ paths: [] }, {}] as Facts[]) {
    const bare = await it.of(facts);
    assert.equal(bare.events[0]?.type === 'trigger.fired' && bare.events[0].data.count, 2, 'as for all of them');
  }
  const own = scene(trigger(files('d/*'), { ...EACH, work: { kind: 'task', text: '{{paths}}' } }));
  const [, [, content] = []] = await own.words(await own.of({ paths: ['d/1', 'd/2'] }));
  assert.equal((content as { text: string }).text, 'd/1', 'each knows of itself alone');
});

test('with each, files beyond the tightest bound are on record by name, with how to make them up', async () => {
  const it = scene(trigger(files('d/*'), { ...EACH, limit: { count: 2, perMs: HOUR } }), { limits: { tasks: 3 } });
  const paths = ['d/1', 'd/2', "d/it's\u202E"];
  const beyond = 'It has reached its limit: 2/h. Further events are recorded and make no task.';
  const make = 'Every name is in `ruche triggers show a/t --json`. Make each up with: ruche triggers run a/t --event';
  const json = String.raw`'{"path":"d/it'\''s\u202e"}'`;
  const some = await it.of({ paths });
  assert.equal(some.sync, true);
  assert.deepEqual((await it.words(some)).slice(4), [
    ['limit', 1, { text: `1 of 3 files made no task: d/it's. ${beyond}`.replace("d/it's", '"d/it\'s\\\\u{202e}"') }],
    [
      'limit',
      'a/t@evt_2',
      {
        text: `The trigger a/t fired for some files only. 1 of 3 files made no task: "d/it's\\\\u{202e}". ${beyond}`,
        reason: `A guard against runaway tasks stopped it. ${make} ${json}`,
      },
    ],
  ]);
  assert.deepEqual(
    some.events.slice(4).map(({ key }) => key),
    ['trigger:a/t@k#rest', 'asked:mat_limit_a/t@evt_2'],
  );
  const none = await it.of({ paths }, { fired: [NOW, NOW, NOW] });
  assert.deepEqual(
    none.events.map(({ key }) => key),
    ['trigger:a/t@k', 'asked:mat_limit_a/t@evt_2'],
  );
  const [, matter] = await it.words(none);
  assert.match(JSON.stringify(matter), /The trigger a\/t did not fire\. 3 of 3 files made no task: d\/1, d\/2, /);
  const all = await it.of({ paths: paths.slice(0, 2) });
  assert.deepEqual(
    all.events.map(({ type }) => type),
    ['trigger.fired', 'task.queued', 'trigger.fired', 'task.queued'],
  );
  const wide = scene(trigger(files('d/*'), { ...EACH, limit: { count: 9, perMs: HOUR } }), { limits: { tasks: 2 } });
  const [why] = (await wide.words(await wide.of({ paths }))).slice(4);
  assert.equal(why?.[0], 'tasks', 'whichever is tightest');
});

test('what nobody can see in a name is written out where a person copies it', async () => {
  const it = scene(trigger(files('d/*'), EACH), { limits: { tasks: 1 } });
  const hidden = 'd/\u00AD\u200B\u{E0001}x';
  const [, [, , said] = []] = (await it.words(await it.of({ paths: ['d/1', hidden] }))).slice(2);
  const { reason } = said as { reason: string };
  assert.ok(reason.endsWith(String.raw` --event '{"path":"d/\u00ad\u200b\udb40\udc01x"}'`), reason);
});

test('what the owner reads names twenty files, and the record five thousand', async () => {
  const it = scene(trigger(files('d/*'), EACH), { limits: { tasks: 1 } });
  const paths = Array.from({ length: 5_002 }, (_, n) => `d/${n}`);
  const [skipped, raised] = (await it.words(await it.of({ paths }))).slice(2);
  const text = (said: unknown): string => (said as { text: string }).text;
  assert.match(text(skipped?.[2]), /^5001 of 5002 files made no task: d\/1, .*, d\/5000 and 1 more\. One message/);
  assert.match(text(raised?.[2]), /: d\/1, .*, d\/20 and 4981 more\. One message/);
  const [exact, few] = (await it.words(await it.of({ paths: paths.slice(0, 21) }))).slice(2);
  assert.doesNotMatch(text(exact?.[2]) + text(few?.[2]), / more/);
});

test('a person has it fire: under their name, with facts of their own, once for each request', async () => {
  const it = scene(trigger(done, { work: { kind: 'task', text: 'Do {{task}}.' } }));
  const given = { by: 'person:ann', facts: { task: 't' }, labels: ['untrusted'] } as const;
  const batch = byHandBatch(it.deps, it.firing, { ...given, labels: ['untrusted'], key: null });
  const [fired, queued] = batch.events;
  const data = { trigger: 'a/t', task: 'tsk_2', first: null, last: null, count: 1, by: 'person:ann' };
  const by = { actor: 'person:ann', cause: 'evt_1', labels: ['untrusted'] };
  assert.deepEqual(fired, { type: 'trigger.fired', stream: 'trigger:a/t', ...by, data });
  const task = taskOf(queued);
  assert.deepEqual([task.key, task.origin, task.labels], [null, undefined, ['untrusted']]);
  const [, [, content] = []] = await it.words(batch);
  assert.equal((content as { text: string }).text, 'Do t.');
  const keyed = byHandBatch(it.deps, it.firing, { ...given, labels: [], key: 'asked' });
  assert.deepEqual([keyed.events[0]?.key, taskOf(keyed.events[1]).key, keyed.sync], ['asked', null, true]);
});
