import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restingModels } from '../../src/agent/think/compact.ts';
import type { CompactionSettings } from '../../src/core/agent.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import { systemClock } from '../../src/platform/system.ts';
import type { Event } from '../../src/core/event.ts';
import { type Batch, StoreUnavailable } from '../../src/core/ports/store.ts';
import { Night, type NightDeps } from '../../src/scheduler/upkeep/night.ts';
import { governing } from '../fakes/governance.ts';
import type { Loop } from '../fakes/loop.ts';
import { fails, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const HOUR = 3_600_000;
const COMPACTION: CompactionSettings = { at: '03:00', idleMs: 12 * HOUR, tokens: 2_000, usd: 1 };
const LONG = 'filler words here '.repeat(200);
/** Four long turns, and what comes after them. */
const talk = (...more: ScriptTurn[]): ScriptTurn[] =>
  [1, 2, 3, 4].map((n): ScriptTurn => says(`answer ${n}`)).concat(more);

/** The night after so many days, by the clock of the machine. */
const night = (days: number, hour = 3): number => {
  const at = new Date();
  at.setDate(at.getDate() + 1 + days);
  return at.setHours(hour, 5, 0, 0);
};

interface Clocked {
  look(now: number): Promise<string[]>;
}

/** The night's watch of one process. */
function watch(loop: Loop, more: Partial<NightDeps> & { compaction?: CompactionSettings | null } = {}): Clocked {
  let now = 0;
  const { compaction = COMPACTION, ...deps } = more;
  loop.governance.settings = { ...loop.governance.settings, compaction };
  const watching = new Night({
    ...loop.deps,
    models: (agent) => restingModels(loop.deps, agent),
    ...deps,
    clock: { now: () => now },
  });
  return {
    look(at) {
      now = at;
      return watching.look();
    },
  };
}

async function say(loop: Loop, count = 4): Promise<void> {
  for (let n = 1; n <= count; n += 1) await loop.send(`question ${n}: ${LONG}`);
}

const compactions = (events: readonly Event[]) => events.filter((event) => event.type === 'conversation.compacted');

test('a long conversation that rests is summarised once, without its newest turns, and goes on with both', async () => {
  await withLoop(talk(says('In short: two questions.'), says('Hello again.')), {}, async (loop, _log, model) => {
    await say(loop);
    const clock = watch(loop);
    assert.deepEqual(await clock.look(night(1, 2)), []);
    const [task, ...others] = await clock.look(night(1));
    assert.deepEqual([others, await clock.look(night(1) + 60_000)], [[], []]);
    const ended = await loop.settled(task ?? '');
    assert.deepEqual([ended.status, ended.text], ['done', 'Summarised.']);

    const [request] = model.requests.slice(-1);
    assert.equal(request?.model, 'model');
    assert.match(JSON.stringify(request), /question 1.*question 2/);
    assert.doesNotMatch(JSON.stringify(request), /question 3|Summarise this/);
    // Other nights, and another process, find nothing to do.
    assert.deepEqual(await clock.look(night(2)), []);
    assert.deepEqual(await watch(loop, { compaction: { ...COMPACTION, tokens: 1 } }).look(night(3)), []);

    await loop.send('Are you there?');
    const next = JSON.stringify(model.requests.at(-1)?.messages);
    assert.match(
      next,
      /In short: two questions\.[^]*question 3[^]*answer 3[^]*question 4[^]*answer 4[^]*Are you there\?/,
    );
    assert.doesNotMatch(next, /answer [12]"|Summarise this|nothing to summarise/);
    const events = await loop.events();
    assert.equal(compactions(events).length, 1);
    assert.equal(model.left, 0);
    // It is on record with what it cost.
    const answered = events.flatMap((event) => (event.type === 'model.answered' ? [event.data] : []));
    assert.deepEqual(
      answered.filter(({ purpose }) => purpose === 'compact').map(({ provider, costUsd }) => [provider, costUsd > 0]),
      [['scripted', true]],
    );
  });
});

test('when it wakes and comes to rest again it is summarised again', async () => {
  await withLoop(talk(says('Short.'), says('five'), says('six'), says('Shorter.')), {}, async (loop, _log, model) => {
    await say(loop);
    const clock = watch(loop);
    for (const task of await clock.look(night(1))) await loop.settled(task);
    await say(loop, 2);
    for (const task of await clock.look(night(2))) await loop.settled(task);
    assert.equal(compactions(await loop.events()).length, 2);
    assert.equal(model.left, 0);
    assert.match(JSON.stringify(model.requests.at(-1)?.messages), /Short\./);
  });
});

test('not by day, not while something is said, not without a model, not for a paused agent, and within the budget', async () => {
  await withLoop(talk(), {}, async (loop, _log, model) => {
    await say(loop);
    const demo = { ...model.choice({ provider: 'demo' }), standIn: true };
    const cases: [more: Parameters<typeof watch>[1], at: number][] = [
      [{ compaction: null }, night(1)],
      [{}, night(1, 5)],
      [{}, night(1, 2)],
      [{ compaction: { ...COMPACTION, idleMs: 1_000 * HOUR } }, night(1)],
      [{ compaction: { ...COMPACTION, tokens: 1_000_000 } }, night(1)],
      [{ compaction: { ...COMPACTION, usd: 0 } }, night(1)],
      [{ models: () => [] }, night(1)],
      [{ models: () => [demo] }, night(1)],
      [{ paused: () => true }, night(1)],
    ];
    for (const [more, at] of cases) assert.deepEqual(await watch(loop, more).look(at), [], JSON.stringify(more));
    assert.equal((await watch(loop, { models: () => [model.choice()] }).look(night(1))).length, 1);
    assert.equal(model.left, 0);
  });
});

test('an agent that names its own model is summarised by that one, and others by the light tier', () => {
  const asked: string[] = [];
  const governance = () => governing([]);
  const deps = { governance, models: ({ model }: { model: string }) => (asked.push(model), []) };
  const agent = { name: 'a', description: '', tools: [], rules: [], network: null, schedules: [], instructions: '' };
  for (const model of ['strong', 'standard', 'ollama/own']) restingModels(deps, { ...agent, model });
  assert.deepEqual(asked, ['light', 'light', 'ollama/own']);
});

test('a model that fails leaves the conversation as it is', async () => {
  await withLoop(talk(fails('refused'), says('Yes.')), {}, async (loop, _log, model) => {
    await say(loop);
    const [task] = await watch(loop).look(night(1));
    const ended = await loop.settled(task ?? '');
    assert.deepEqual([ended.status, /stays as it is/.test(ended.text)], ['done', true]);
    await loop.send('Are you there?');
    assert.match(JSON.stringify(model.requests.at(-1)?.messages), /question 1[^]*question 4/);
    assert.equal(compactions(await loop.events()).length, 0);
  });
});

test('a crash in the middle leaves the conversation whole, and a message meanwhile waits for its end', async () => {
  const open = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const hanging: ScriptTurn = () => {
    asked.resolve();
    return [open.promise, ...says('Lost.')];
  };
  await withLoop(talk(hanging, says('Kept.'), says('Yes.')), {}, async (loop, _log, model) => {
    await say(loop);
    const [task] = await watch(loop).look(night(1));
    await asked.promise;
    const message = await loop.deliver('Are you there?');
    await loop.restart();
    assert.equal((await loop.settled(task ?? '')).text, 'Summarised.');
    assert.equal((await loop.settled(message)).text, 'Yes.');
    open.resolve();
    const next = JSON.stringify(model.requests.at(-1)?.messages);
    assert.match(next, /Kept\.[^]*question 3[^]*question 4[^]*Are you there\?/);
    assert.equal(compactions(await loop.events()).length, 1);
  });
});

test('a message that comes in the middle of a summary is answered in a turn of its own, whatever dies', async () => {
  const script = talk(says('In short.'), says('Yes.'));
  await withLoop(script, {}, async (loop) => {
    await say(loop);
    const { store } = loop.deps;
    const called = Promise.withResolvers<void>();
    let dead = false;
    loop.deps.store = new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (name !== 'commit') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        return async (batch: Batch) => {
          // Asked, and gone before the answer is on disk.
          if (!dead && batch.events.some(({ type }) => type === 'model.answered' || type === 'task.finished'))
            if (batch.events.every((event) => event.type !== 'model.answered' || event.data.purpose === 'turn')) {
              dead = true;
              called.resolve();
              return new Promise<never>((_, reject) => setImmediate(reject, new StoreUnavailable('io', 'gone')));
            }
          return target.commit(batch);
        };
      },
    });
    const [task] = await watch(loop).look(night(1));
    await called.promise;
    const message = await loop.deliver('Are you there?');
    loop.deps.store = store;
    await loop.restart();
    assert.equal((await loop.settled(task ?? '')).status, 'done');
    assert.equal((await loop.settled(message)).text, 'Yes.');
  });
});

test('a restart in the night does not spend the budget a second time', async () => {
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  await withLoop(talk(...talk(), says('In short.'), says('In short.')), { clock }, async (loop, _log, model) => {
    for (const session of ['one', 'two'])
      for (let n = 1; n <= 4; n += 1) await loop.send(`question ${n}: ${LONG}`, session);
    const usd = 1.5 * model.choice().cost({ ...NO_USAGE, input: 3_700, output: 2_000 });
    ahead = night(1) - Date.now();
    const made: number[] = [];
    for (const at of [night(1), night(1) + 60_000, night(2)]) {
      const tasks = await watch(loop, { compaction: { ...COMPACTION, usd } }).look(at);
      for (const task of tasks) await loop.settled(task);
      made.push(tasks.length);
    }
    assert.deepEqual(made, [1, 0, 1]);
  });
});
