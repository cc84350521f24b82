import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent, Settings } from '../../src/core/agent.ts';
import type { ModelChoice } from '../../src/core/model.ts';
import { routeOf, type RoutedStep, type Routing } from '../../src/core/routing.ts';
import { openLoop, testTools, type Loop } from '../fakes/loop.ts';
import { fails, says, scriptedModel, type ScriptTurn } from '../fakes/scripted-model.ts';

const step = (more: Partial<RoutedStep> & { model?: string; own?: Agent['routing'] } = {}): RoutedStep => {
  const { model = 'standard', own, ...rest } = more;
  const agent = { name: 'desk', model, ...(own === undefined ? {} : { routing: own }) };
  return { purpose: 'turn', agent, from: 'person', labels: [], ...rest };
};

test('the tier of a step: a rule, the agent’s file, the kind of step, and light for what is small', () => {
  const routing: Routing = {
    steps: { extract: 'strong' },
    rules: [
      { id: 'home', labels: ['private'], use: 'local/qwen3' },
      { id: 'clock', steps: ['turn'], from: 'schedule', use: 'light' },
      { id: 'desk', steps: ['title'], agent: 'desk', use: 'standard' },
    ],
  };
  const cases: [RoutedStep, Routing | undefined, string, string][] = [
    [step(), undefined, 'standard', 'agent'],
    [step({ model: 'strong' }), routing, 'strong', 'agent'],
    [step({ purpose: 'compact' }), undefined, 'light', 'step'],
    [step({ purpose: 'classify' }), routing, 'light', 'step'],
    [step({ purpose: 'extract' }), routing, 'strong', 'step'],
    [step({ purpose: 'extract', own: { extract: 'standard' } }), routing, 'standard', 'agent'],
    [step({ from: 'schedule' }), routing, 'light', 'rule:clock'],
    [step({ from: 'schedule', labels: ['private', 'untrusted'] }), routing, 'local/qwen3', 'rule:home'],
    [step({ purpose: 'title', own: { title: 'strong' } }), routing, 'standard', 'rule:desk'],
    // Who names a model has a reason: only what names the agent moves it.
    [step({ model: 'home/own', purpose: 'compact' }), routing, 'home/own', 'agent'],
    [step({ model: 'home/own', labels: ['private'] }), routing, 'home/own', 'agent'],
    [step({ model: 'home/own', purpose: 'title' }), routing, 'standard', 'rule:desk'],
    [step({ model: 'home/own', purpose: 'compact', own: { compact: 'light' } }), routing, 'light', 'agent'],
  ];
  for (const [asked, given, to, by] of cases)
    assert.deepEqual(routeOf(asked, given), { to, by }, JSON.stringify(asked));
});

interface Tiers {
  light: ScriptTurn[];
  standard: ScriptTurn[];
  agent?: Partial<Agent>;
  routing?: Settings['routing'];
  windows?: { light?: number; standard?: number };
}

/** A loop with a model of its own for each tier. */
async function withTiers(
  { light, standard, agent = {}, routing, windows = {} }: Tiers,
  body: (loop: Loop) => Promise<void>,
) {
  const models = { light: scriptedModel(light), standard: scriptedModel(standard) };
  const loop = await openLoop({ tools: Object.values(testTools([])), choices: [], agent });
  const choices = (to: string): ModelChoice[] => {
    const tier = to === 'light' ? 'light' : 'standard';
    return [models[tier].choice({ provider: 'p', model: tier, window: windows[tier] ?? 100_000 })];
  };
  loop.deps.models = ({ model }) => choices(model);
  if (routing !== undefined) loop.governance.settings = { ...loop.governance.settings, routing };
  try {
    await body(loop);
    assert.deepEqual([models.light.left, models.standard.left], [0, 0], 'turns that nobody asked for');
  } finally {
    await loop.close();
  }
}

const asked = async (loop: Loop) =>
  (await loop.events()).flatMap((event) =>
    event.type === 'model.called' ? [[event.data.purpose, event.data.model, event.data.route?.by ?? null]] : [],
  );

test('what is thought is done by the agent’s own model, and the record says nothing more of it', async () => {
  await withTiers({ light: [], standard: [says('hello')] }, async (loop) => {
    assert.equal((await loop.send('hello')).text, 'hello');
    assert.deepEqual(await asked(loop), [['turn', 'standard', null]]);
  });
});

test('where the light tier refuses, is silent or finds it too long, the next one is asked once, on record', async () => {
  for (const [failure, by] of [
    [fails('refused'), 'after:refused'],
    [says(' '), 'after:invalid'],
    [fails('context'), 'after:context'],
  ] as const) {
    const windows = { light: 50_000, standard: 100_000 };
    const agent = { model: 'light' };
    await withTiers({ light: [failure, says('two')], standard: [says('one')], agent, windows }, async (loop) => {
      assert.equal((await loop.send('first')).text, 'one');
      assert.equal((await loop.send('second')).text, 'two', 'the next step begins with the light tier again');
      assert.deepEqual(await asked(loop), [
        ['turn', 'light', null],
        ['turn', 'standard', by],
        ['turn', 'light', null],
      ]);
    });
  }
});

test('the next tier is asked once: where it fails too, so does the run', async () => {
  const agent = { model: 'light' };
  await withTiers({ light: [fails('refused')], standard: [fails('refused')], agent }, async (loop) => {
    assert.equal((await loop.send('hello')).status, 'failed');
    assert.equal((await asked(loop)).length, 2);
  });
});

const LONG = 'filler words here '.repeat(250);

test('a summary is made by the light tier, by the next one where that fails or would see too little, and elsewhere as a rule says', async () => {
  const windows = { standard: 2_000, light: 2_000 };
  const own = (more: ScriptTurn[] = []): ScriptTurn[] => [says('noted'), ...more, says('after')];
  const talk = async (loop: Loop): Promise<unknown[]> => {
    await loop.send(LONG);
    assert.equal((await loop.send('and now?')).text, 'after');
    return (await asked(loop)).slice(1, -1);
  };
  await withTiers({ light: [says('In short.')], standard: own(), windows }, async (loop) =>
    assert.deepEqual(await talk(loop), [['compact', 'light', 'step']]),
  );
  await withTiers({ light: [fails('auth')], standard: own([says('In short.')]), windows }, async (loop) =>
    assert.deepEqual(await talk(loop), [
      ['compact', 'light', 'step'],
      ['compact', 'standard', 'after:auth'],
    ]),
  );
  const small = { light: 1_000, standard: 2_000 };
  await withTiers({ light: [], standard: own([says('In short.')]), windows: small }, async (loop) =>
    assert.deepEqual(await talk(loop), [['compact', 'standard', 'window']]),
  );
  const routing: Routing = { steps: { compact: 'standard' }, rules: [] };
  await withTiers({ light: [], standard: own([says('In short.')]), windows, routing }, async (loop) =>
    assert.deepEqual(await talk(loop), [['compact', 'standard', 'step']]),
  );
});
