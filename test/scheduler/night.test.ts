import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompactionSettings } from '../../src/core/agent.ts';
import type { Event, NewEvent } from '../../src/core/event.ts';
import { type ModelChoice, NO_USAGE, type Usage } from '../../src/core/model.ts';
import type { CommitResult, Store } from '../../src/core/ports/store.ts';
import { COMPACTION, compactionKey } from '../../src/core/records/compaction.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { Night, type NightDeps } from '../../src/scheduler/upkeep/night.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { apply, commit, enqueue, newTask, random, settle, TestClock } from '../store/kit.ts';
import { recorder } from './worker-kit.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Eight in the evening, and the night after it. */
const EVENING = Date.UTC(2026, 10, 30, 20);
const NIGHT = Date.UTC(2026, 11, 1, 3);
const RULES: CompactionSettings = { at: '03:00', idleMs: 7 * HOUR, tokens: 100, usd: 1 };
const AGENTS = ['a', 'b'].map((name) => anAgent({ name }));

/** Conversations in memory, each turn of so many bytes, and what looks after them at night. */
function scene(rules: Partial<CompactionSettings> | null = {}, more: Partial<NightDeps> = {}) {
  const clock = new TestClock();
  clock.time = EVENING;
  const store: Store = openMemoryStore({ clock, random });
  const { log, told } = recorder();
  const asked: Usage[] = [];
  const cost = (usage: Usage): number => (asked.push(usage), 0);
  let ids = 0;
  const deps: NightDeps = {
    store,
    clock,
    log,
    ids: { next: (kind) => `${kind}_${(ids += 1)}` },
    governance: () =>
      governing(AGENTS, { settings: { ...SETTINGS, compaction: rules === null ? null : { ...RULES, ...rules } } }),
    zone: () => 'UTC',
    models: () => [{ cost } as ModelChoice],
    paused: () => false,
    ...more,
  };
  let night = new Night(deps);
  const happen = async (type: Event['type'], stream: string, data: object): Promise<number> => {
    const by = { stream, actor: 'runtime', cause: null, labels: [] };
    const result = await commit(store, [{ type, data, ...by } as unknown as NewEvent]);
    return result.ok ? (result.events[0]?.seq ?? 0) : 0;
  };
  const blob = (bytes: number) => store.putBlob(Buffer.alloc(bytes, 'x'), 'x');
  const turn = (lane: string, ...bytes: number[]): Promise<number> =>
    happen('turn.ended', lane, { run: 'r', task: 't', status: 'done', messages: bytes.map(blob) });
  /** Three turns are the fewest of which one is summarised. */
  const talk = async (lane: string, bytes = 400): Promise<number> => {
    await turn(lane, bytes - 2);
    await turn(lane, 1);
    return turn(lane, 1);
  };
  const look = (at: number): Promise<string[]> => {
    clock.time = at;
    return night.look();
  };
  return {
    clock,
    store,
    told,
    asked,
    deps,
    happen,
    blob,
    turn,
    talk,
    look,
    restart: () => void (night = new Night(deps)),
  };
}

test('a conversation that rests becomes one task of its own lane, whole', async () => {
  const it = scene();
  const seq = await it.talk('conv:a/s');
  assert.deepEqual(await it.look(NIGHT), ['tsk_1']);
  const [queued, ...more] = (await Array.fromAsync(it.store.read({ after: seq }))).slice();
  assert.deepEqual(more, []);
  assert.ok(queued?.type === 'task.queued');
  const { stream, actor, cause, labels, key, data } = queued;
  const known = compactionKey('conv:a/s', seq);
  assert.deepEqual(
    { stream, actor, cause, labels, key },
    { stream: 'task:tsk_1', actor: 'runtime', cause: null, labels: [], key: known },
  );
  const { task } = data;
  assert.deepEqual(
    [task.agent, task.session, task.lane, task.from, task.key, task.maxAttempts],
    ['a', 's', 'conv:a/s', COMPACTION, known, 1],
  );
  assert.deepEqual(await readJson(it.store, task.content ?? { hash: '' }), { title: 'Summarise this conversation.' });
  assert.equal((await it.store.task('tsk_1'))?.cause, queued.id);
  assert.deepEqual(it.asked, [{ ...NO_USAGE, input: 100, output: 2_000 }]);
  assert.deepEqual([await it.look(NIGHT + MINUTE), await it.look(NIGHT + DAY)], [[], []]);
  assert.deepEqual(it.told, []);
});

for (const [what, rules, at, count] of [
  ['before its time', {}, NIGHT - 1, 0],
  ['an hour after it', {}, NIGHT + HOUR, 1],
  ['later than that', {}, NIGHT + HOUR + 1, 0],
  ['at its minute', { at: '03:25' }, NIGHT + 25 * MINUTE, 1],
  ['before its minute', { at: '03:25' }, NIGHT + 25 * MINUTE - 1, 0],
  ['at midnight', { at: '00:00', idleMs: HOUR }, NIGHT - 3 * HOUR, 1],
  ['while it has rested too briefly', { idleMs: 7 * HOUR + 1 }, NIGHT, 0],
  ['when it is short', { tokens: 101 }, NIGHT, 0],
  ['when it is switched off', null, NIGHT, 0],
] as const)
  test(`${count === 1 ? 'summarised' : 'left alone'}: ${what}`, async () => {
    const it = scene(rules);
    await it.talk('conv:a/s');
    assert.equal((await it.look(at)).length, count);
  });

test('left alone: two turns, a lane of nobody, a paused agent, no model, and one that only stands in', async () => {
  const it = scene();
  await it.turn('conv:a/s', 400);
  await it.turn('conv:a/s', 400);
  await it.talk('conv:nobody/s');
  await it.talk('elsewhere');
  assert.deepEqual(await it.look(NIGHT), []);
  const cases: Partial<NightDeps>[] = [
    { paused: (name) => name === 'a' },
    { models: () => [] },
    { models: ({ name }) => (name === 'a' ? [{ standIn: true, cost: () => 0 } as unknown as ModelChoice] : []) },
  ];
  for (const more of cases) {
    const other = scene({}, more);
    await other.talk('conv:a/s');
    assert.deepEqual(await other.look(NIGHT), []);
    assert.deepEqual(await other.store.tasks({}), []);
  }
});

test('left alone while something is under way in it, whatever stands in other lanes', async () => {
  for (const status of ['queued', 'running', 'waiting', 'ended'] as const) {
    const it = scene();
    await it.talk('conv:a/s');
    await enqueue(it.store, newTask('t', { lane: 'conv:a/s' }));
    if (status === 'running' || status === 'waiting') await it.store.claim({ worker: 'w', now: EVENING, leaseMs: DAY });
    if (status === 'waiting') await apply(it.store, { op: 'park', task: 't' });
    if (status === 'ended') await apply(it.store, settle('t'));
    await enqueue(it.store, newTask('u', { lane: 'conv:a/other' }));
    assert.equal((await it.look(NIGHT)).length, status === 'ended' ? 1 : 0, status);
  }
});

test('a budget goes as far as it reaches: what is too dear is passed over, and what was not made costs nothing', async () => {
  const it = scene({ usd: 1 }, {});
  const usd: Record<number, number> = { 100: 0.75, 101: 0.5, 102: 0.25, 103: 0.01 };
  it.deps.models = () => [{ cost: ({ input }: Usage) => usd[input] ?? 9 } as unknown as ModelChoice];
  for (const n of [0, 1, 2, 3]) await it.talk(`conv:a/${n}`, 400 + 4 * n);
  await it.look(NIGHT);
  assert.deepEqual(
    (await it.store.tasks({})).map(({ session }) => session),
    ['0', '2'],
  );
  assert.deepEqual(await it.look(NIGHT + MINUTE), [], 'a night has one budget');
  const refused = scene({ usd: 0.75 });
  refused.deps.models = it.deps.models;
  const { commit: real } = refused.store;
  const results: (CommitResult | null)[] = [
    { ok: false, why: 'lease-lost' },
    { ok: false, why: 'duplicate' } as CommitResult,
  ];
  for (const lane of ['x', 'y', 'z', 'late']) await refused.talk(`conv:a/${lane}`);
  const batches: boolean[] = [];
  refused.store.commit = (batch) => {
    batches.push(batch.sync);
    const result = results.shift();
    return result ? Promise.resolve(result) : real.call(refused.store, batch);
  };
  assert.equal((await refused.look(NIGHT)).length, 1);
  assert.deepEqual(batches, [true, true, true]);
  assert.deepEqual(
    (await refused.store.tasks({})).map(({ session }) => session),
    ['z'],
  );
  assert.deepEqual(refused.told, [
    { level: 'warn', fields: { why: 'lease-lost' }, message: 'a conversation could not be summarised' },
  ]);
});

test('no more than a hundred in a night; the next one goes on', async () => {
  const it = scene();
  for (let n = 0; n < 101; n += 1) await it.talk(`conv:a/${n}`);
  assert.equal((await it.look(NIGHT)).length, 100);
  for (const { id } of await it.store.tasks({})) await apply(it.store, settle(id));
  assert.equal((await it.look(NIGHT + DAY)).length, 1);
});

test('a process that begins in a night in which another had begun waits for the next night', async () => {
  for (const [at, from, nights] of [
    [NIGHT, COMPACTION, [0, 1]],
    [NIGHT - 1, COMPACTION, [1, 0]],
    [NIGHT, 'person:owner', [1, 0]],
  ] as const) {
    const it = scene();
    await it.talk('conv:a/s');
    await it.happen('task.queued', 'task:v', { task: newTask('v', { from: COMPACTION, lane: 'elsewhere' }) });
    it.clock.time = at;
    const task = newTask('t', { from, lane: 'elsewhere' });
    await it.happen('task.queued', 'task:t', { task });
    await it.happen('task.queued', 'task:u', { task: { ...task, from: 'person:owner' } });
    const made: number[] = [];
    for (const now of [NIGHT + MINUTE, NIGHT + 2 * MINUTE, NIGHT + DAY]) made.push((await it.look(now)).length);
    assert.deepEqual(made, [nights[0], 0, nights[1]], `${from} ${at - NIGHT}`);
  }
});

test('what was summarised once is not again, and each night reads on from the last', async () => {
  const it = scene({ tokens: 101 });
  await it.talk('conv:a/s');
  assert.deepEqual(await it.look(NIGHT), [], 'one token too few');
  assert.deepEqual(await it.look(NIGHT + DAY), [], 'nothing is counted twice');
  it.clock.time += HOUR;
  const seq = await it.turn('conv:a/s', 1, 2);
  const [task = ''] = await it.look(NIGHT + 2 * DAY);
  assert.deepEqual(
    it.asked.map(({ input }) => input),
    [101],
  );
  await apply(it.store, settle(task));
  it.restart();
  assert.deepEqual(await it.look(NIGHT + 3 * DAY), []);
  assert.equal((await it.store.byKey(compactionKey('conv:a/s', seq)))?.type, 'task.queued');
  // Words wake it; a run that left none does not.
  await it.happen('turn.ended', 'conv:a/s', { run: 'r', task: 't', status: 'done', messages: [] });
  assert.deepEqual(await it.look(NIGHT + 4 * DAY), []);
  await it.happen('history.given', 'conv:a/s', { messages: [it.blob(1)] });
  assert.equal((await it.look(NIGHT + 5 * DAY)).length, 1);
});

test('a summary counts in place of the turns it stands for', async () => {
  const lane = 'conv:a/s';
  const compacted = { run: 'r', tokensBefore: 0, tokensAfter: 0 };
  const it = scene({ tokens: 1 });
  const first = await it.turn(lane, 4_000);
  for (const bytes of [40, 4, 4]) await it.turn(lane, bytes);
  await it.happen('conversation.compacted', lane, { ...compacted, upTo: first, summary: it.blob(12) });
  await it.look(NIGHT);
  assert.deepEqual(
    it.asked.map(({ input }) => input),
    [15],
  );
  const only = scene({ tokens: 1 });
  await only.turn(lane, 40);
  const second = await only.turn(lane, 4_000);
  for (const bytes of [4, 4]) await only.turn(lane, bytes);
  await only.happen('conversation.compacted', lane, { ...compacted, upTo: 99, only: [second], summary: only.blob(8) });
  await only.look(NIGHT);
  assert.deepEqual(
    only.asked.map(({ input }) => input),
    [14],
  );
  const few = scene({ tokens: 1 });
  const seqs: number[] = [];
  for (const bytes of [4, 4, 4]) seqs.push(await few.turn(lane, bytes));
  await few.happen('conversation.compacted', lane, { ...compacted, upTo: seqs[0], summary: few.blob(12) });
  assert.deepEqual(await few.look(NIGHT), [], 'two turns are left, which stay word for word');
});

test('the time is that of the zone, also in a night whose clocks leave it out; no other zone is taken for it', async () => {
  const paris = scene({ idleMs: 0 }, { zone: () => 'Europe/Paris' });
  await paris.talk('conv:a/s');
  assert.deepEqual(await paris.look(NIGHT - HOUR - 1), []);
  assert.equal((await paris.look(NIGHT - HOUR)).length, 1);
  // On 29 March 2026 the clocks of Paris go from two to three at one o'clock UTC.
  const skipped = Date.UTC(2026, 2, 29, 1);
  const gap = scene({ idleMs: 0, at: '02:30' }, { zone: () => 'Europe/Paris' });
  gap.clock.time = skipped - HOUR;
  await gap.talk('conv:a/s');
  const made: number[] = [];
  for (const minutes of [-1, 0, 29, 30]) made.push((await gap.look(skipped + minutes * MINUTE)).length);
  assert.equal(
    made.reduce((sum, count) => sum + count, 0),
    1,
    'once in that night, too',
  );
  assert.equal(made[0], 0);
  for (const [minutes, count] of [
    [30, 1],
    [31, 0],
  ] as const) {
    const late = scene({ idleMs: 0, at: '02:30' }, { zone: () => 'Europe/Paris' });
    late.clock.time = skipped - HOUR;
    await late.talk('conv:a/s');
    assert.equal((await late.look(skipped + minutes * MINUTE)).length, count, 'an hour after half past one, its time');
  }
  const nowhere = scene({}, { zone: () => 'Nowhere/Town' });
  await assert.rejects(() => nowhere.look(NIGHT), /there is no time zone "Nowhere\/Town"/);
});
