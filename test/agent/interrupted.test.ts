import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRequest } from '../../src/core/model.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { until } from '../fakes/until.ts';
import { calls, says, type ScriptStep, type ScriptTurn } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const OWNER = 'person:owner';

/** The runs' store with some of its methods replaced. */
function wrapStore(loop: Loop, methods: (store: Store) => Partial<Store>): void {
  const { store } = loop.deps;
  const replaced = methods(store);
  loop.deps.store = new Proxy(store, {
    get: (target, name): unknown =>
      name in replaced ? replaced[name as keyof Store] : Reflect.get(target, name, target),
  });
}

/** A model call that waits until it is let go. */
function gated(then: readonly ScriptStep[]): { turn: ScriptTurn; started: Promise<void>; go(): void } {
  const started = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const turn: ScriptTurn = async () => {
    started.resolve();
    await gate.promise;
    return then;
  };
  return { turn, started: started.promise, go: gate.resolve };
}

/** The run's time is over when the test says so. */
function limitByHand(loop: Loop): () => void {
  const over = Promise.withResolvers<void>();
  const { clock } = loop.deps;
  // A sixtieth of its minute: the first tick comes when told, and the others with it.
  loop.deps.clock = { ...clock, sleep: (ms, signal) => (ms === 1_000 ? over.promise : clock.sleep(ms, signal)) };
  return over.resolve;
}

const change = calls(['write', { path: 'a.md', content: 'x' }]);

test('a run that is cancelled before its changes are on main does not land', () =>
  withLoop([change, says('done')], {}, async (loop) => {
    let landings = 0;
    const land: typeof loop.workspace.land = (request) => {
      landings += 1;
      return loop.workspace.land(request);
    };
    loop.deps.workspace = { ...loop.workspace, land };
    wrapStore(loop, (store) => ({
      commit: async (batch) => {
        const result = await store.commit(batch);
        const landing = batch.events.find((event) => event.type === 'landing.started');
        if (landing) assert.equal(await loop.runtime.cancel(await task, OWNER), true);
        return result;
      },
    }));
    const task = loop.deliver('go');
    assert.equal((await loop.settled(await task)).status, 'cancelled');
    await loop.send('next');
    assert.equal(landings, 0);
  }));

test('a message that is cancelled while it is being taken in costs the run nothing', async () => {
  const { turn, started, go } = gated(calls(['once', { path: 'x' }]));
  await withLoop([turn, says('done')], {}, async (loop, log, model) => {
    const first = await loop.deliver('first');
    await started;
    const second = await loop.deliver('second');
    let looks = 0;
    wrapStore(loop, (store) => ({
      tasks: async (filter) => {
        const found = await store.tasks(filter);
        if (filter.lane !== undefined && looks++ === 0) assert.equal(await loop.runtime.cancel(second, OWNER), true);
        return found;
      },
    }));
    go();
    const [a, b] = await Promise.all([loop.settled(first), loop.settled(second)]);
    assert.deepEqual([a.text, b.status, log], ['done', 'cancelled', ['once {"path":"x"}']]);
    assert.doesNotMatch(JSON.stringify(model.requests[1]?.messages), /second/);
    const events = await loop.events();
    assert.equal(events.filter((event) => event.type === 'task.finished').length, 2);
    assert.equal(events.filter((event) => event.type === 'message.queued').length, 2);
    assert.ok(looks > 1);
  });
});

test('messages are taken in at every step, however many came before', async () => {
  const one = gated(calls(['read', { path: 'README.md' }]));
  const two = gated(calls(['read', { path: 'README.md' }]));
  await withLoop([one.turn, two.turn, says('all')], {}, async (loop, _log, model) => {
    const tasks = [await loop.deliver('m0')];
    await one.started;
    for (let n = 1; n <= 20; n++) tasks.push(await loop.deliver(`m${n}`));
    one.go();
    await two.started;
    tasks.push(await loop.deliver('m21'));
    two.go();
    const outcomes = await Promise.all(tasks.map((task) => loop.settled(task)));
    assert.equal(outcomes.filter((outcome) => outcome.text === 'all').length, 22);
    assert.equal(model.requests.length, 3);
    assert.match(JSON.stringify(model.requests[2]?.messages.at(-1)), /m21/);
  });
});

test('messages that join a slow run bring the steps they would have had alone, and do not fail together by its limit', async () => {
  const limits = { steps: 3 };
  const slow = gated(calls(['read', { path: 'README.md' }]));
  const each = Array.from({ length: 30 }, () => calls(['read', { path: 'README.md' }]));
  await withLoop([slow.turn, ...each, says('all')], { limits }, async (loop) => {
    const tasks = [await loop.deliver('m0')];
    await slow.started;
    for (let n = 1; n <= 30; n++) tasks.push(await loop.deliver(`m${n}`));
    slow.go();
    const outcomes = await Promise.all(tasks.map((task) => loop.settled(task)));
    assert.equal(outcomes.filter(({ status, text }) => status === 'done' && text === 'all').length, 31);
  });
  // A run that nobody joins keeps its limit.
  await withLoop(each.slice(0, 4), { limits }, async (loop) => {
    assert.match((await loop.send('alone')).text, /more than 3 steps/);
  });
});

const wordsOf = (request: ModelRequest): string =>
  request.messages.flatMap(({ parts }) => parts.map((part) => ('text' in part ? part.text : ''))).join('\n');

const agentFile = calls(['write', { path: 'agents/new/AGENT.md', content: '---\ndescription: x\n---\nx\n' }]);

test('a schedule that is approved after its moment does not land, and the agent says so', () =>
  withLoop([agentFile, says('made'), (request) => says(wordsOf(request))], {}, async (loop) => {
    const waiting = await loop.send('at 01:18, say hello');
    assert.equal(waiting.status, 'waiting');
    const { reader } = loop.deps;
    loop.deps.reader = {
      ...reader,
      // The clock has gone on meanwhile.
      protectedChanges: async (...of) => {
        const found = await reader.protectedChanges(...of);
        return found && { ...found, over: ['hello'] };
      },
    };
    await loop.runtime.approve(waiting.waits[0]?.id ?? '', 'approve', OWNER);
    const outcome = await loop.settled(waiting.task);
    assert.match(outcome.text, /after the moment of hello had passed, so it would never fire/);
    assert.equal(outcome.commit, null);
  }));

test('what an approved landing changes governs even if the process dies before it is told', async () => {
  const told: string[] = [];
  const dying = Promise.withResolvers<void>();
  const applyLanded = async (commit: string): Promise<void> => {
    told.push(commit);
    if (told.length > 1) return;
    dying.resolve();
    await new Promise(() => {});
  };
  await withLoop([agentFile, says('made')], { applyLanded }, async (loop) => {
    const waiting = await loop.send('make one');
    assert.match(waiting.text, /changes protected files/);
    await loop.runtime.approve(waiting.waits[0]?.id ?? '', 'approve', OWNER);
    await dying.promise;
    await loop.restart();
    const outcome = await loop.settled(waiting.task);
    assert.equal(outcome.text, 'made');
    assert.deepEqual(told, [outcome.commit, outcome.commit]);
    assert.equal(await loop.workspace.head(), outcome.commit);
  });
});

test('an agent that gives itself up with approval still answers', () =>
  withLoop([agentFile, says('goodbye')], {}, async (loop) => {
    loop.deps.governanceLanded = async () => {
      loop.governance.agents = new Map();
    };
    const waiting = await loop.send('make another');
    await loop.runtime.approve(waiting.waits[0]?.id ?? '', 'approve', OWNER);
    const outcome = await loop.settled(waiting.task);
    assert.deepEqual([outcome.status, outcome.text], ['done', 'goodbye']);
  }));

test('what has landed is told even if the time of the run is over', () =>
  withLoop([change, says('done')], {}, async (loop) => {
    const timeIsOver = limitByHand(loop);
    loop.deps.workspace = {
      ...loop.workspace,
      land: async (request) => {
        timeIsOver();
        await new Promise((resolve) => setImmediate(resolve));
        return loop.workspace.land(request);
      },
    };
    const outcome = await loop.send('go');
    assert.deepEqual([outcome.status, outcome.text], ['done', 'done']);
    assert.equal(outcome.commit, await loop.workspace.head());
  }));

/** Tools of which the first tells when it works, works until it is stopped, and keeps something. */
function stoppable() {
  const log: string[] = [];
  const working = Promise.withResolvers<void>();
  const { once } = testTools(log);
  const lasting: typeof once = {
    ...once,
    name: 'lasting',
    run: async (_input, { signal }) => {
      working.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return { ok: false, text: 'stopped', labels: [], changes: [] };
    },
    settled: async (key) => void log.push(`let go ${key.replace(/^.*-/, '')}`),
  };
  return { log, working: working.promise, tools: [lasting, once] };
}

const two = calls(['lasting', { path: 'x' }], ['once', { path: 'x' }]);

test('no further call begins once the time of the run is over', async () => {
  const { log, working, tools } = stoppable();
  await withLoop([two], { tools }, async (loop) => {
    const timeIsOver = limitByHand(loop);
    const task = await loop.deliver('go');
    await working;
    timeIsOver();
    assert.match((await loop.settled(task)).text, /took longer/);
    assert.deepEqual(log, ['let go s1c1']);
  });
});

test('what a tool keeps for the case of a crash is given up when its task is cancelled', async () => {
  const { log, working, tools } = stoppable();
  await withLoop([two], { tools }, async (loop) => {
    const task = await loop.deliver('go');
    await working;
    await loop.runtime.cancel(task, OWNER);
    await until(() => log.length > 0, 'it is let go');
    assert.equal(log[0], 'let go s1c1');
    assert.ok(!log.some((line) => line.startsWith('once')));
  });
});
