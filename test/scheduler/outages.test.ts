import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, NewEvent } from '../../src/core/event.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import type { Batch } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { answeredKey } from '../../src/core/records/matter.ts';
import type { Task, TaskStatus } from '../../src/core/task.ts';
import { Outages } from '../../src/scheduler/upkeep/outages.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { apply, commit, enqueue, newTask, random, settle, TestClock } from '../store/kit.ts';

const QUIET = 300_000;
const event = (body: Pick<NewEvent, 'type' | 'data'>, stream: string): NewEvent =>
  ({ stream, actor: 'runtime', cause: null, labels: [], ...body }) as NewEvent;

/** A journal in which models fail and answer, and one process after another that looks at it. */
function scene() {
  const clock = new TestClock();
  const start = clock.time;
  const store = openMemoryStore({ clock, random });
  const blob = store.putBlob(Buffer.from('{}'), 'x');
  const syncs: boolean[] = [];
  const watched = new Proxy(store, {
    get: (target, name) => {
      if (name === 'commit') return (batch: Batch) => (syncs.push(batch.sync), target.commit(batch));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const open = (): Outages => new Outages({ store: watched, clock, timeText: (at) => `T+${at - start}` });
  let outages = open();
  const model = { step: 1, purpose: 'turn', model: 'm', ms: 1 } as const;
  const on = (run: string, ...events: Pick<NewEvent, 'type' | 'data'>[]) =>
    commit(
      store,
      events.map((each) => event(each, `run:${run}`)),
    );
  const failed = (run: string, provider = 'p') =>
    on(run, {
      type: 'model.failed',
      data: { ...model, provider, error: 'network', detail: blob, partial: null },
    });
  const answered = (run: string, provider = 'p') =>
    on(run, {
      type: 'model.answered',
      data: { ...model, provider, answer: blob, finish: 'stop', usage: NO_USAGE, costUsd: 0 },
    });
  const retried = (id: string, error = 'model.network') => {
    const data = { task: id, run: `run_${id}`, attempt: 2, notBefore: clock.time + 1, error };
    return commit(store, [event({ type: 'task.retried', data }, `task:${id}`)]);
  };
  /** A run's end, and that of its task. */
  const ended = async (id: string, status: TaskStatus, error: string | null = 'model.network') => {
    const data = { run: `run_${id}`, status, error, detail: null, usage: NO_USAGE, costUsd: 0, steps: 1 };
    await on(`run_${id}`, { type: 'run.finished', data });
    if (status === 'dead' || status === 'done' || status === 'cancelled') await apply(store, settle(id, status));
  };
  const begin = async (id: string, more: Partial<Task> = {}): Promise<void> => {
    await enqueue(store, newTask(id, { agent: 'a', from: 'x', ...more }));
    const data = { run: `run_${id}`, task: id, agent: 'a', session: 's', attempt: 1, config: 'c', base: 'c0' };
    await on(`run_${id}`, { type: 'run.started', data });
  };
  /** A task whose provider fails, and that waits for it. */
  const waits = async (id: string, provider = 'p', more: Partial<Task> = {}): Promise<void> => {
    await begin(id, { notBefore: start + 1, ...more });
    await failed(`run_${id}`, provider);
    await retried(id);
  };
  const events = (): Promise<Event[]> => Array.fromAsync(store.read({}));
  const said = async (): Promise<object[]> => {
    const all = (await events()).flatMap((each) =>
      each.type === 'matter.raised' || each.type === 'matter.settled' ? [each] : [],
    );
    return Promise.all(
      all.map(async ({ type, stream, actor, cause, labels, key, data }) => ({
        type,
        stream,
        actor,
        cause,
        labels,
        key,
        shown: await readJson(store, 'text' in data ? data.text : data.answer),
      })),
    );
  };
  const texts = async (): Promise<string[]> =>
    (await said()).map((each) => (each as { shown: { text: string } }).shown.text);
  return {
    clock,
    store,
    syncs,
    start,
    failed,
    answered,
    retried,
    ended,
    begin,
    waits,
    events,
    said,
    texts,
    look: () => outages.look(),
    restart: () => void (outages = open()),
  };
}

const REASON =
  'What waits goes on by itself when the provider answers, and this closes itself then. `ruche models --test` asks it now; any answer settles this.';

test('work that waits for a provider for five minutes is put before the owner once, and settled when it answers', async () => {
  const it = scene();
  await it.waits('t1');
  it.clock.time += 10;
  await it.failed('run_t1');
  await it.retried('t1');
  it.clock.time = it.start + QUIET - 1;
  await it.look();
  assert.deepEqual(await it.said(), [], 'what passes by itself disturbs nobody');
  it.clock.time += 1;
  for (let n = 0; n < 3; n += 1) await it.look();
  assert.deepEqual(it.syncs, [true], 'it is not tried again');
  const id = `mat_outage_p@${it.start}`;
  const raised = {
    type: 'matter.raised',
    stream: `matter:${id}`,
    actor: 'runtime',
    cause: null,
    labels: [],
    key: `asked:${id}`,
    shown: {
      text: 'The model provider p has not answered since T+0. 1 piece of work waits for it: t1 of a (x).',
      reason: REASON,
    },
  };
  assert.deepEqual(await it.said(), [raised]);
  const [event] = (await it.events()).slice(-1);
  assert.deepEqual(event?.type === 'matter.raised' && [event.data.kind, event.data.about, event.data.text.subject], [
    'outage',
    `p@${it.start}`,
    'outages',
  ]);
  await it.answered('run_other', 'another');
  await it.look();
  assert.equal((await it.said()).length, 1, 'another provider is not this one');
  await it.answered('run_t1');
  await it.look();
  const settled = {
    type: 'matter.settled',
    stream: `matter:${id}`,
    actor: 'runtime',
    cause: event?.id,
    labels: [],
    key: answeredKey(id),
    shown: { text: 'It answers again; what waited goes on by itself.' },
  };
  assert.deepEqual(await it.said(), [raised, settled]);
  assert.deepEqual(it.syncs, [true, true]);
  it.clock.time += QUIET;
  await it.look();
  await it.answered('run_t1');
  await it.look();
  assert.equal((await it.said()).length, 2);
});

test('work that had to be given up is told at once, beside what waits, and no more than ten are named', async () => {
  const it = scene();
  for (let n = 1; n <= 10; n += 1) await it.waits(`w${n}`);
  it.clock.time += 5;
  await it.begin('dead');
  await it.failed('run_dead');
  await it.ended('dead', 'dead');
  await it.look();
  const names = Array.from({ length: 10 }, (_, n) => `w${n + 1} of a (x)`).join(', ');
  assert.deepEqual(await it.texts(), [
    `The model provider p has not answered since T+0. 10 pieces of work wait for it: ${names}. 1 piece of work had to be given up: dead of a (x).`,
  ]);
  const more = scene();
  for (let n = 1; n <= 12; n += 1) await more.waits(`w${n}`);
  more.clock.time += QUIET;
  await more.look();
  assert.deepEqual(await more.texts(), [
    `The model provider p has not answered since T+0. 12 pieces of work wait for it: ${names} and 2 more.`,
  ]);
  const lost = scene();
  await lost.begin('dead');
  await lost.failed('run_dead');
  await lost.ended('dead', 'dead');
  await lost.look();
  assert.deepEqual(await lost.texts(), [
    'The model provider p has not answered since T+0. 1 piece of work had to be given up: dead of a (x).',
  ]);
});

for (const live of [true, false])
  test(`only a provider that is down counts, seen ${live ? 'as it happens' : 'after a start'}: not the fault of the work, nor what has ended since, nor one that answered last`, async () => {
    const it = scene();
    if (live) await it.look();
    // First, because an answer ends the outage for all.
    await it.begin('late');
    await it.failed('run_late');
    await it.answered('run_late');
    await it.retried('late');
    await it.waits('done');
    await it.waits('cancelled');
    await apply(it.store, settle('done'), settle('cancelled', 'cancelled'));
    await it.begin('fault');
    await it.failed('run_fault');
    await it.retried('fault', 'model.refused');
    await it.begin('wrong');
    await it.failed('run_wrong');
    await it.ended('wrong', 'dead', 'limit.steps');
    await it.begin('none');
    await it.failed('run_none');
    await it.ended('none', 'dead', null);
    await it.begin('failed');
    await it.failed('run_failed');
    await it.ended('failed', 'failed');
    await it.waits('changed');
    await it.retried('changed', 'model.refused');
    if (live) await apply(it.store, settle('changed'));
    await it.begin('silent');
    await it.retried('silent');
    await it.retried('unknown');
    await it.failed('run_unknown');
    await it.ended('nobody', 'failed');
    it.clock.time += QUIET;
    await it.look();
    assert.deepEqual(await it.said(), []);
    // Beside them, one that does: the others are in no list.
    await it.waits('t1');
    it.clock.time += QUIET;
    await it.look();
    assert.deepEqual(await it.texts(), [
      `The model provider p has not answered since T+${QUIET}. 1 piece of work waits for it: t1 of a (x).`,
    ]);
  });

test('an outage begins with the first failure after the last answer, and belongs to the provider that was asked last', async () => {
  const it = scene();
  await it.begin('t1', { notBefore: it.start + 1 });
  await it.failed('run_t1', 'q');
  it.clock.time += 1_000;
  await it.answered('run_t1', 'q');
  it.clock.time += 1_000;
  await it.failed('run_t1', 'q');
  it.clock.time += 1_000;
  await it.failed('run_t1', 'p');
  await it.retried('t1');
  await it.waits('t2', 'r');
  it.clock.time += QUIET - 1_000;
  await it.look();
  it.clock.time += 1_000;
  await it.look();
  assert.deepEqual(await it.texts(), [
    'The model provider p has not answered since T+2000. 1 piece of work waits for it: t1 of a (x).',
    'The model provider r has not answered since T+3000. 1 piece of work waits for it: t2 of a (x).',
  ]);
});

test('a person who answers while it goes on is not asked again; a new outage is a new matter', async () => {
  const it = scene();
  await it.waits('t1');
  it.clock.time += QUIET;
  await it.look();
  const [raised] = (await it.events()).filter(({ type }) => type === 'matter.raised');
  assert.ok(raised?.type === 'matter.raised');
  const { matter } = raised.data;
  const data = { matter, by: 'owner', answer: it.store.putBlob(Buffer.from('{"text":"I know."}'), 'x') };
  await commit(it.store, [{ ...event({ type: 'matter.settled', data }, raised.stream), key: answeredKey(matter) }]);
  const tries = it.syncs.length;
  for (let n = 0; n < 3; n += 1) await it.look();
  assert.deepEqual([(await it.said()).length, it.syncs.length], [2, tries + 1], 'it is tried once');
  await it.answered('run_t1');
  await it.look();
  assert.equal((await it.said()).length, 2, 'it is settled already');
  await it.waits('t2');
  it.clock.time += QUIET;
  await it.look();
  assert.deepEqual((await it.texts()).slice(2), [
    `The model provider p has not answered since T+${QUIET}. 1 piece of work waits for it: t2 of a (x).`,
  ]);
});

test('another process takes up what waits, what was given up within the hour, and what the owner was told', async () => {
  const it = scene();
  await it.look();
  await it.waits('t1');
  await it.waits('now', 's', { notBefore: null });
  await it.begin('dead');
  await it.failed('run_dead', 'q');
  await it.ended('dead', 'dead');
  await it.begin('over');
  await it.failed('run_over', 'r');
  await it.ended('over', 'dead');
  await it.answered('run_r', 'r');
  it.clock.time += QUIET;
  await it.look();
  assert.equal((await it.said()).length, 3);
  it.restart();
  const tries = it.syncs.length;
  await it.look();
  assert.deepEqual([(await it.said()).length, it.syncs.length], [3, tries], 'told already');
  await it.answered('run_t1');
  await it.look();
  it.restart();
  await it.look();
  assert.deepEqual((await it.texts()).slice(3), ['It answers again; what waited goes on by itself.']);
  const fresh = scene();
  await fresh.waits('t1');
  await fresh.waits('now', 's', { notBefore: null });
  await fresh.begin('dead');
  await fresh.failed('run_dead', 'q');
  await fresh.ended('dead', 'dead');
  await fresh.begin('over');
  await fresh.failed('run_over', 'r');
  await fresh.ended('over', 'dead');
  await fresh.answered('run_r', 'r');
  fresh.clock.time += 3_600_000;
  await fresh.look();
  assert.deepEqual(await fresh.texts(), [
    'The model provider p has not answered since T+0. 1 piece of work waits for it: t1 of a (x).',
    'The model provider q has not answered since T+0. 1 piece of work had to be given up: dead of a (x).',
  ]);
  const late = scene();
  await late.begin('dead');
  await late.failed('run_dead', 'q');
  await late.ended('dead', 'dead');
  await late.waits('dead2');
  await apply(late.store, settle('dead2', 'dead'));
  late.clock.time += 3_600_001;
  await late.look();
  assert.deepEqual(await late.said(), [], 'that is past');
});

test('an answer of before an outage does not end it for another process, and is no reason to be silent', async () => {
  const it = scene();
  await it.answered('run_before');
  it.clock.time += 1_000;
  await it.waits('t1');
  it.clock.time += QUIET;
  await it.look();
  assert.equal((await it.said()).length, 1);
  it.restart();
  await it.look();
  assert.equal((await it.said()).length, 1, 'it goes on');
  await it.answered('run_t1');
  await it.look();
  assert.deepEqual((await it.texts()).slice(1), ['It answers again; what waited goes on by itself.']);
  const untold = scene();
  await untold.answered('run_before');
  await untold.waits('t1');
  untold.clock.time += QUIET;
  await untold.look();
  assert.equal((await untold.said()).length, 1);
});

test('a provider whose name has an at sign is known again, and other matters are no outage', async () => {
  const it = scene();
  await it.waits('t1', 'p@home');
  it.clock.time += QUIET;
  await it.look();
  const text = it.store.putBlob(Buffer.from('{"text":"","reason":""}'), 'x');
  const data = { matter: 'mat_limit_p@1', kind: 'limit', about: 'p@1', text } as const;
  await commit(it.store, [event({ type: 'matter.raised', data }, 'matter:mat_limit_p@1')]);
  await it.look();
  const other = { matter: 'mat_limit_p@1', by: 'owner', answer: text };
  await commit(it.store, [event({ type: 'matter.settled', data: other }, 'matter:mat_limit_p@1')]);
  await it.look();
  it.restart();
  await it.look();
  assert.equal(it.syncs.length, 1, 'it is known to be open');
  await it.answered('run_t1', 'p');
  await it.answered('run_t1', 'p@home');
  await it.look();
  const settled = (await it.events()).filter(({ type }) => type === 'matter.settled');
  assert.deepEqual(
    settled.slice(1).map(({ stream }) => stream),
    [`matter:mat_outage_p@home@${it.start}`],
  );
});
