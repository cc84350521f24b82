import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCondition } from '../../src/config/conditions.ts';
import type { Event, EventOf, NewEvent } from '../../src/core/event.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { putJson } from '../../src/core/records/json-blob.ts';
import type { Trigger } from '../../src/core/trigger.ts';
import {
  firingOf,
  type Outcome,
  readSeen,
  type Standing,
  standingOf,
  stateOf,
  tookPlace,
  unmatched,
} from '../../src/scheduler/triggers/standing.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { commit, enqueue, newTask, random, TestClock } from '../store/kit.ts';
import { done, event, files, hook, trigger } from './trigger-kit.ts';

const HOUR = 3_600_000;

function scene() {
  const clock = new TestClock();
  const store: Store = openMemoryStore({ clock, random });
  const put = async (given: NewEvent): Promise<Event> => {
    const result = await commit(store, [given]);
    assert.ok(result.ok && result.events[0]);
    return result.events[0];
  };
  const set = (rule: Trigger, main: string | null = null) => {
    const data = { trigger: 'a/t', agent: 'a', name: 't', rule: putJson(store, rule, 'trigger:a/t'), main };
    return put(event({ type: 'trigger.set', data }, 'trigger:a/t')) as Promise<EventOf<'trigger.set'>>;
  };
  const fired = (more: object = {}, stream = 'trigger:a/t') => {
    const data = { trigger: 'a/t', task: 'tsk_1', first: 'evt_1', last: 'evt_1', count: 1, by: null, ...more };
    return put(event({ type: 'trigger.fired', data }, stream)) as Promise<Outcome>;
  };
  const skipped = (more: object = {}) => {
    const detail = putJson(store, { text: 'It has reached its limit.' }, 'x');
    const data = {
      trigger: 'a/t',
      first: 'evt_1',
      last: 'evt_1',
      count: 1,
      why: 'limit',
      detail,
      matter: null,
      ...more,
    };
    return put(event({ type: 'trigger.skipped', data } as never, 'trigger:a/t')) as Promise<Outcome>;
  };
  const committed = (name: string) =>
    put(event({ type: 'person.committed', data: { commit: name, author: 'Ann', paths: 1 } }, 'workspace'));
  const moved = (to: string) => put(event({ type: 'main.moved', data: { from: 'x', to, by: 'person' } }, 'workspace'));
  const seen = (upTo: number, main: string | null) =>
    put(event({ type: 'triggers.seen', data: { upTo, main } }, 'triggers'));
  const standing = async (rule: Trigger): Promise<Standing> => {
    const made = await standingOf(store, await set(rule), readCondition);
    assert.ok(made);
    return made;
  };
  return { clock, store, put, set, fired, skipped, committed, moved, seen, standing };
}

const other = event({ type: 'gateway.stopped', data: { reason: '' } }, 'gateway');

test('how far an earlier process has seen: by its own word, else before the first trigger, else all of it', async () => {
  const it = scene();
  await it.put(other);
  await it.committed('c1');
  assert.deepEqual(await readSeen(it.store), { upTo: 2, main: null, told: [] });
  await it.set(trigger(done));
  await it.set(trigger(done));
  assert.deepEqual(await readSeen(it.store), { upTo: 2, main: null, told: [] });
  await it.seen(3, null);
  await it.seen(4, null);
  await it.put(other);
  assert.deepEqual(await readSeen(it.store), { upTo: 4, main: null, told: [] });
});

test('where main was last seen is the newest word of it, and commits that were told since are known, and some before', async () => {
  const it = scene();
  await it.committed('c1');
  await it.set(trigger(files('d/*')), 'c0');
  assert.deepEqual(await readSeen(it.store), { upTo: 1, main: 'c0', told: [['c1', 1]] });
  await it.committed('c2');
  await it.moved('c3');
  await it.set(trigger(done), null);
  assert.deepEqual(await readSeen(it.store), {
    upTo: 1,
    main: 'c3',
    told: [
      ['c3', 4],
      ['c2', 3],
      ['c1', 1],
    ],
  });
  await it.seen(5, 'c4');
  assert.deepEqual((await readSeen(it.store)).main, 'c4');
  const pulled = scene();
  for (let n = 0; n < 200; n += 1) await pulled.committed(`b${n}`);
  await pulled.moved('c0');
  assert.equal((await readSeen(pulled.store)).told.length, 201, 'the word of main is not one of before');
  const many = scene();
  for (let n = 0; n < 201; n += 1) await many.committed(`b${n}`);
  await many.seen(1, 'c0');
  await many.committed('after');
  const { told } = await readSeen(many.store);
  assert.deepEqual([told.length, told[0]?.[0], told.at(-1)?.[0]], [201, 'after', 'b1'], 'two hundred of before');
});

test('a trigger stands as it was set, with what it has done before; one whose rule was erased does not', async () => {
  const it = scene();
  await it.fired({ last: 'evt_9' });
  const first = await it.fired();
  const rule = trigger(done, { limit: { count: 2, perMs: HOUR } });
  const set = await it.set(rule);
  const standing = await standingOf(it.store, set, readCondition);
  assert.deepEqual(standing, {
    id: 'a/t',
    agent: 'a',
    trigger: rule,
    holds: null,
    setBy: set.id,
    from: set.seq,
    done: 9,
    paused: false,
    waiting: null,
    fired: [first.at, first.at],
    told: null,
    last: first,
  });
  await it.store.erase('trigger:a/t');
  assert.equal(await standingOf(it.store, set, readCondition), null);
  const when = await it.standing(trigger(done, { when: 'agent == "x"' }));
  assert.deepEqual(when.holds?.({ agent: 'x' }), { ok: true, holds: true });
  const broken = await it.standing(trigger(done, { when: '(' }));
  const held = broken.holds?.({});
  assert.ok(held && !held.ok && held.error.length > 0, 'nothing is let through unseen');
});

test('a limit goes by what has fired by itself and when the owner was told of it, however much was let go since', async () => {
  const it = scene();
  const at: number[] = [];
  for (const by of [null, null, 'person:ann', null]) {
    it.clock.time += 1;
    const { at: when } = await it.fired({ by });
    if (by === null) at.push(when);
  }
  it.clock.time += 1;
  const matter = async (kind: string, about: string): Promise<number> => {
    it.clock.time += 1;
    const data = { matter: `mat_${kind}_${about}`, kind, about, text: putJson(it.store, {}, 'x') };
    return (await it.put(event({ type: 'matter.raised', data } as never, `matter:${about}`))).at;
  };
  await matter('limit', 'a/t@evt_0');
  const told = await matter('limit', 'a/t@evt_1');
  await matter('limit', 'a/tt@evt_1');
  await matter('hops', 'a/t@evt_1');
  for (let n = 0; n < 1_000; n += 1) await it.skipped();
  const newest = await it.skipped();
  const limited = await it.standing(trigger(done, { limit: { count: 2, perMs: HOUR } }));
  assert.deepEqual([limited.fired, limited.told, limited.last], [at.slice(1), told, newest]);
  const free = await it.standing(trigger(done));
  assert.deepEqual([free.fired, free.told], [[], null]);
  await it.fired({ trigger: 'a/u' }, 'trigger:a/u');
  const wide = await it.standing(trigger(done, { limit: { count: 9, perMs: HOUR } }));
  assert.deepEqual(wide.fired, at);
});

test('each outcome counts once: what has fired, who was told, up to where all is done, and whether a burst is over', async () => {
  const it = scene();
  const standing = await it.standing(trigger(done, { limit: { count: 2, perMs: HOUR } }));
  const burst = (seq: number) => ({
    burst: {
      first: { id: `evt_${seq}`, seq, key: 'k', at: 0 },
      last: { id: `evt_${seq}`, seq, at: 0 },
      count: 1,
      facts: {},
      labels: [],
      task: null,
    },
    due: 0,
  });
  const first = await it.fired({ last: 'evt_7' });
  standing.waiting = burst(8);
  tookPlace(standing, first);
  tookPlace(standing, first);
  assert.deepEqual(
    [standing.fired, standing.done, standing.last, standing.waiting !== null],
    [[first.at], 7, first, true],
  );
  tookPlace(standing, await it.fired({ last: 'evt_6', by: 'person:ann' }));
  assert.deepEqual([standing.fired.length, standing.done], [1, 7]);
  it.clock.time += 5;
  const [second, third] = [await it.fired({ last: 'evt_8' }), await it.fired({ last: 'evt_9' })];
  tookPlace(standing, second);
  assert.equal(standing.waiting, null, 'it was of this burst');
  tookPlace(standing, third);
  assert.deepEqual([standing.fired, standing.done], [[second.at, third.at], 9], 'no more than its limit');
  tookPlace(standing, await it.skipped({ last: 'evt_10' }));
  assert.deepEqual([standing.told, standing.done], [null, 10]);
  tookPlace(standing, await it.skipped({ last: 'evt_11', why: 'hops', matter: 'm' }));
  assert.equal(standing.told, null);
  const said = await it.skipped({ last: 'evt_12', matter: 'm' });
  tookPlace(standing, said);
  assert.deepEqual([standing.told, standing.done], [said.at, 12]);
  standing.waiting = burst(13);
  const odd = await it.skipped({ last: 'evt_14', why: 'condition' });
  tookPlace(standing, odd);
  assert.deepEqual([standing.done, standing.waiting !== null, standing.last], [12, true, odd]);
  tookPlace(standing, await it.fired({ first: null, last: null }));
  assert.equal(standing.done, 12);
  const free = await it.standing(trigger(done));
  tookPlace(free, await it.fired({ last: 'evt_99' }));
  assert.deepEqual(free.fired, []);
});

test('how it stands is told in the words of its file', async () => {
  const it = scene();
  const secret = (): Promise<string> => Promise.resolve('x'.repeat(32));
  const state = async (rule: Trigger, more: Partial<Standing> = {}) =>
    stateOf({ store: it.store, secret }, { ...(await it.standing(rule)), ...more });
  assert.deepEqual(await state(trigger(done)), {
    id: 'a/t',
    agent: 'a',
    name: 't',
    on: 'task.done',
    when: null,
    debounce: null,
    limit: null,
    does: 'Do it.',
    paused: false,
    waiting: null,
    last: null,
  });
  const rule = trigger(files('d/*'), {
    each: true,
    when: 'true',
    debounce: 30_000,
    limit: { count: 3, perMs: HOUR },
    work: { kind: 'run', command: 'x.sh' },
  });
  const first = { id: 'evt_1', seq: 1, key: 'k', at: 0 };
  const burst = { first, last: first, count: 4, facts: {}, labels: [], task: null };
  assert.deepEqual(await state(rule, { paused: true, waiting: { burst, due: 7 } }), {
    id: 'a/t',
    agent: 'a',
    name: 't',
    on: 'file.landed d/*, each file',
    when: 'true',
    debounce: '30s',
    limit: '3/h',
    does: 'run: x.sh',
    paused: true,
    waiting: { count: 4, due: 7 },
    last: null,
  });
  assert.equal('note' in (await state(trigger(hook()))), false);
  const silent = await stateOf(
    { store: it.store, secret: () => Promise.reject(new Error('no')) },
    await it.standing(trigger(hook())),
  );
  assert.match(silent.note ?? '', /^the hook h answers nobody: S was not set/);
});

test('a firing is told with its cause in words, the state of its task or why there is none', async () => {
  const it = scene();
  const cause = await it.put({ ...other, actor: 'person:ann' });
  await enqueue(it.store, newTask('tsk_1'));
  const fired = await it.fired({ first: cause.id, count: 3, by: 'person:bob' });
  const told = await firingOf(it.store, fired);
  assert.match(told.what, /^ann [^:]/);
  assert.deepEqual(told, {
    at: fired.at,
    cause: cause.id,
    count: 3,
    what: told.what,
    task: 'tsk_1',
    status: 'queued',
    why: null,
    by: 'person:bob',
  });
  const odd = await it.put({ ...other, actor: 'runtime:person:ann' });
  assert.match((await firingOf(it.store, await it.fired({ first: odd.id }))).what, /^runtime:person:ann /);
  const lost = await firingOf(it.store, await it.fired({ first: null, task: 'gone' }));
  assert.deepEqual([lost.cause, lost.what, lost.status], [null, '', 'unknown']);
  const skipped = await it.skipped({ first: 'evt_999' });
  assert.deepEqual(await firingOf(it.store, skipped), {
    at: skipped.at,
    cause: 'evt_999',
    count: 1,
    what: '',
    task: null,
    status: 'limit',
    why: 'It has reached its limit.',
    by: null,
  });
  assert.equal((await firingOf(it.store, await it.skipped({ detail: null }))).why, null);
});

test('deliveries that came to nothing are those of its hook that no outcome and no burst stands for', async () => {
  const it = scene();
  const came = async (name = 'h'): Promise<Event> => {
    const data = { hook: name, delivery: 'd', content: putJson(it.store, {}, 'x') };
    return it.put(event({ type: 'webhook.received', data }, `hook:${name}`, { actor: `hook:${name}` }));
  };
  await came();
  const standing = await it.standing(trigger(hook()));
  const one = await came();
  const [two, three] = [await came(), await came()];
  await came('other');
  const four = await came();
  const [five, six] = [await came(), await came()];
  const outcome = await it.fired({ first: two.id, last: three.id });
  const all = { outcomes: [outcome], limit: 20 };
  const ids = async (
    more: Partial<Standing>,
    given: Parameters<typeof unmatched>[2] = all,
  ): Promise<(string | null)[]> =>
    (await unmatched(it.store, { ...standing, ...more }, given)).map(({ cause }) => cause);
  assert.deepEqual(await ids({}), [six.id, five.id, four.id, one.id]);
  assert.deepEqual(await ids({}, { ...all, limit: 3 }), [six.id, five.id, four.id]);
  const burst = { first: { ...five, key: 'k' }, last: six, count: 2, facts: {}, labels: [], task: null };
  assert.deepEqual(await ids({ waiting: { burst, due: 0 } }), [four.id, one.id]);
  assert.deepEqual(await ids({ paused: true }), []);
  assert.deepEqual(await ids({ trigger: trigger(done) }), []);
  assert.deepEqual(await ids({}, { ...all, limit: 1 }), [six.id], 'nobody knows here of what is older');
  assert.deepEqual(
    await ids({}, { outcomes: [outcome, await it.fired({ first: four.id, last: four.id })], limit: 2 }),
    [six.id, five.id],
  );
  const more = [await it.fired({ first: four.id, last: four.id }), await it.fired({ first: five.id, last: six.id })];
  assert.deepEqual(await ids({}, { outcomes: [...more, outcome], limit: 3 }), [], 'what is older is not looked at');
  const ends = [await it.fired({ first: six.id, last: six.id }), await it.fired({ first: one.id, last: one.id })];
  assert.deepEqual(await ids({}, { outcomes: ends, limit: 2 }), [five.id, four.id]);
  const [told] = await unmatched(it.store, standing, all);
  assert.match(told?.what ?? '', /^hook:h [^:]/);
  assert.deepEqual(told, {
    at: six.at,
    cause: six.id,
    what: told?.what,
    count: 1,
    task: null,
    by: null,
    status: 'no match',
    why: 'its condition does not hold',
  });
});
