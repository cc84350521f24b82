import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Budget, NetworkBudget } from '../../src/core/budget.ts';
import type { EventOf, EventType } from '../../src/core/event.ts';
import { type ModelEvent, type ModelRequest, NO_USAGE } from '../../src/core/model.ts';
import { setTimeout } from 'node:timers/promises';
import type { Tool } from '../../src/core/ports/tool.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { extractTool } from '../../src/tools/extract.ts';
import { systemClock } from '../../src/platform/system.ts';
import { withLoop } from './with-loop.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { calls, fails, says, scriptedModel, type ScriptedModel, type ScriptStep } from '../fakes/scripted-model.ts';
import { type LeapClock, leapClock } from '../fakes/leap-clock.ts';
import { until } from '../fakes/until.ts';

// The scripted model costs a dollar for a million tokens, in and out alike.

const M = 1_000_000;

async function eventsOf<T extends EventType>(loop: Loop, type: T): Promise<EventOf<T>[]> {
  return (await loop.events()).filter((event): event is EventOf<T> => event.type === type);
}

/** Says something that took so many tokens, all of them input. */
const costing = (usd: number, text = 'done'): ScriptStep[] => [
  { type: 'text', delta: text },
  { type: 'finish', reason: 'stop', usage: { input: usd * M - 1, output: 1, cacheRead: 0, cacheWrite: 0 } },
];

const dear = (step: ModelEvent, usd: number): ModelEvent =>
  step.type === 'finish' ? { ...step, usage: { ...step.usage, input: usd * M - 1, output: 1 } } : step;

const usd = (limits: Budget['limits'][keyof Budget['limits']], onExceed: Budget['onExceed'] = 'stop'): Budget => ({
  limits: { usd: limits ?? {} },
  onExceed,
});

const withNetwork = (loop: Loop, budget: NetworkBudget): void =>
  void Object.assign(loop.governance, { settings: { ...loop.governance.settings, budget } });

test('without a budget nothing is set aside, and the request is as it was', async () => {
  await withLoop([says('hello')], {}, async (loop, _log, model) => {
    await loop.send('hi');
    const [called] = await eventsOf(loop, 'model.called');
    assert.equal(called?.data.reserved, undefined);
    assert.equal(model.requests[0]?.maxOutputTokens, undefined);
  });
});

test('the most that a call can cost is set aside with its intent, and settled by its answer', async () => {
  await withLoop([says('hello'), says('again')], { agent: { budget: usd({ day: 1 }) } }, async (loop, _log, model) => {
    await loop.send('hi');
    await loop.send('more');
    const [first, second] = await eventsOf(loop, 'model.called');
    const asked = model.requests[0] as ModelRequest;
    assert.equal(asked.maxOutputTokens, 16_000);
    const { reserved } = first?.data ?? {};
    assert.ok(reserved && reserved.tokens > 16_000 && Math.abs(reserved.usd - reserved.tokens / M) < 1e-9, 'all of it');
    assert.ok(second?.data.reserved);
    const by = await loop.deps.spend.spender((await loop.store.tasks({}))[0] as never);
    const [day] = await loop.deps.spend.sums([by]);
    assert.deepEqual([day?.account.scope, day?.account.window, day?.account.limit], ['agent:assistant', 'day', 1]);
    assert.equal(day?.spent, 30 / M, 'what the answers cost, not what was set aside');
  });
});

test('what does not fit any more ends the run with the reason, and tells the owner once', async () => {
  const budget = usd({ day: 0.1 });
  await withLoop([costing(0.0995), says('never')], { agent: { budget } }, async (loop, _log, model) => {
    assert.equal((await loop.send('one')).status, 'done');
    const second = await loop.send('two', 'b');
    assert.equal(second.status, 'failed');
    assert.match(second.text ?? '', /budget is used up \(0\.10 USD today for the agent assistant; 0\.0995 USD spent/);
    assert.equal((await loop.send('three', 'c')).status, 'failed');
    assert.equal(model.left, 1, 'the model was not asked again');
    await until(async () => (await eventsOf(loop, 'matter.raised')).length === 2);
    const about = (await eventsOf(loop, 'matter.raised')).map(({ data }) => data.about.replace(/\d{4}-\d\d-\d\d/, 'D'));
    assert.deepEqual(about.sort(), ['agent-assistant-usd-day-D', 'agent-assistant-usd-day-D-80']);
  });
});

test('asked, the owner raises the limit, and the run goes on with its files, tools and words', async () => {
  const write = calls(['write', { path: 'a.txt', content: 'x' }]).map((step) => dear(step, 0.0395));
  const budget: Budget = { limits: { usd: { task: 0.04 } }, onExceed: 'ask' };
  await withLoop([write, costing(0.01, 'wrote it')], { agent: { budget } }, async (loop, log, model) => {
    const task = await loop.deliver('write');
    const approvals = async () => (await loop.runtime.pending()).filter(({ kind }) => kind === 'approval');
    const [asked] = await until(async () => ((await approvals()).length > 0 ? approvals() : null));
    assert.match(
      asked?.text ?? '',
      /Raise the budget: 0\.0400 USD for this task for the agent assistant; 0\.0395 USD spent/,
    );
    assert.match(asked?.reason ?? '', /goes on/);
    await loop.restart();
    assert.equal((await loop.runtime.approve(asked?.id ?? '', 'approve', 'person:owner')).ok, true);
    const done = await loop.settled(task);
    assert.deepEqual([done.status, done.text], ['done', 'wrote it']);
    assert.deepEqual(log, ['write a.txt'], 'nothing was done twice');
    assert.equal(model.requests.length, 2);
    const [answered] = await eventsOf(loop, 'budget.answered');
    assert.deepEqual([answered?.data.raised, answered?.data.by], [0.04, 'person:owner']);
  });
});

test('a call that breaks without a word of its cost counts with all that was set aside; one that was refused costs nothing', async () => {
  const script = [fails('rate', { retryable: false }), fails('network', { retryable: false, after: 'half' })];
  await withLoop(script, { agent: { budget: usd({ day: 1 }) } }, async (loop) => {
    await loop.send('one');
    assert.equal(await spentBy(loop), 0);
    await loop.send('two', 'b');
    const reserved = (await eventsOf(loop, 'model.called')).at(-1)?.data.reserved?.usd;
    assert.equal(await spentBy(loop), reserved);
    await loop.restart();
    assert.equal(await spentBy(loop), reserved, 'the record says the same');
  });
});

test('what a model is asked beside the work, and is cancelled at, counts with all that was set aside and holds up nobody', async () => {
  const gate = new Promise<never>(() => {});
  const fields = { total: 'number' };
  const script = [calls(['extract', { path: 'bill.txt', fields }]), [gate], says('never')];
  const tools = [...Object.values(testTools([])), extractTool];
  const options = { agent: { budget: usd({ day: 0.018 }) }, tools, files: { 'bill.txt': 'Total: 12' } };
  await withLoop(script, options, async (loop, _log, model) => {
    const task = await loop.deliver('what is it?');
    await until(() => model.requests.length === 2);
    assert.ok(await loop.runtime.cancel(task, 'person:owner'));
    await loop.settled(task);
    const [first, aside] = await eventsOf(loop, 'model.called');
    assert.equal(aside?.data.purpose, 'extract');
    await until(async () => (await spentBy(loop)) > (first?.data.reserved?.usd ?? 0) / 2);
    assert.equal(await spentBy(loop), 15 / M + (aside?.data.reserved?.usd ?? 0));
    assert.equal((await loop.send('and now?', 'b')).status, 'failed', 'it is told, and waits for nobody');
  });
});

const spentBy = async (loop: Loop): Promise<number> => {
  const by = { agent: 'assistant', task: null, root: null, conversation: null, person: null };
  return (await loop.deps.spend.sums([by]))[0]?.spent ?? -1;
};

test('a call that failed with its count told has cost that, also where no budget counts it', async () => {
  const usage = { input: 400, output: 100, cacheRead: 0, cacheWrite: 0 };
  const script = fails('invalid', { retryable: false, after: 'half' }).map((step) =>
    step.type === 'error' ? { ...step, usage } : step,
  );
  await withLoop([script], {}, async (loop) => {
    const { costUsd } = await loop.send('hi');
    const [failed] = await eventsOf(loop, 'model.failed');
    assert.deepEqual([failed?.data.cost, costUsd], [{ usd: 500 / M, tokens: 500 }, 500 / M]);
  });
});

test('what an agent has cost today is by the clock of the network, failed calls included', async () => {
  let now = Date.parse('2026-11-30T14:50:00Z');
  const clock = { ...systemClock, now: () => now };
  const failing = fails('invalid', { retryable: false }).map((step) =>
    step.type === 'error' ? { ...step, usage: { input: 0.25 * M, output: 0, cacheRead: 0, cacheWrite: 0 } } : step,
  );
  await withLoop([costing(0.5), failing, costing(0.125)], { clock }, async (loop) => {
    Object.assign(loop.governance, { settings: { ...loop.governance.settings, timezone: 'Asia/Tokyo' } });
    const today = async (): Promise<number | undefined> => (await loop.runtime.agentsToday())[0]?.costTodayUsd;
    await loop.send('one');
    await loop.send('two', 'b');
    assert.equal(await today(), 0.75);
    now += 20 * 60_000;
    assert.equal(await today(), 0, 'it is the first of December there');
    await loop.send('three', 'c');
    assert.equal(await today(), 0.125);
  });
});

test('an answer that its provider did not count is not free: it counts by its bytes, at most what was set aside', async () => {
  const uncounted = says('hello').map((step) => (step.type === 'finish' ? { ...step, usage: NO_USAGE } : step));
  const script = Array.from({ length: 9 }, () => uncounted);
  await withLoop(script, { agent: { budget: usd({ day: 0.006 }) } }, async (loop, _log, model) => {
    await loop.send('hi');
    const [called] = await eventsOf(loop, 'model.called');
    const [answered] = await eventsOf(loop, 'model.answered');
    assert.deepEqual([answered?.data.estimated, (answered?.data.costUsd ?? 0) > 0], [true, true]);
    assert.ok((answered?.data.costUsd ?? 1) <= (called?.data.reserved?.usd ?? 0), 'no more than was set aside');
    assert.equal(await spentBy(loop), answered?.data.costUsd);
    await loop.restart();
    assert.equal(await spentBy(loop), answered?.data.costUsd, 'the record says the same');
    const statuses = [];
    for (const session of 'bcdefgh') statuses.push((await loop.send('hi', session)).status);
    assert.equal(statuses.at(-1), 'failed', 'the limit holds');
    assert.ok(model.left > 0);
  });
});

test('a raise covers what is spent beyond the limit already, so one answer is enough', async () => {
  await withLoop([costing(0.5), says('done')], {}, async (loop) => {
    withNetwork(loop, usd({ day: 1 }, 'ask'));
    await loop.send('one');
    withNetwork(loop, usd({ day: 0.1 }, 'ask'));
    const task = await loop.deliver('two', 'b');
    const approvals = async () => (await loop.runtime.pending()).filter(({ kind }) => kind === 'approval');
    const [asked] = await until(async () => ((await approvals()).length > 0 ? approvals() : null));
    assert.match(asked?.text ?? '', /0\.10 USD today for the network; 0\.50 USD spent.*\nApproved, 0\.10 USD more may/);
    assert.equal((await loop.runtime.approve(asked?.id ?? '', 'approve', 'person:owner')).ok, true);
    assert.deepEqual([(await loop.settled(task)).text, (await eventsOf(loop, 'approval.asked')).length], ['done', 1]);
    assert.deepEqual(
      (await eventsOf(loop, 'budget.answered')).map(({ data }) => data.raised),
      [0.5],
    );
  });
});

test('budgets of the network, its conversations and its people count, and each begins anew in a new conversation', async () => {
  const answers = [costing(0.0595), costing(0.01)];
  await withLoop(answers, {}, async (loop) => {
    withNetwork(loop, { ...usd({ month: 5 }), conversation: usd({ day: 0.06 }), people: { others: usd({ day: 2 }) } });
    assert.equal((await loop.send('one', 'a')).status, 'done');
    assert.match((await loop.send('two', 'a')).text ?? '', /0\.0600 USD today for the conversation assistant\/a/);
    assert.equal((await loop.send('three', 'b')).status, 'done');
  });
});

/** Nothing fits any more in what is left of 0.10 USD. */
const ALMOST = 0.0995;

const approvals = async (loop: Loop) => (await loop.runtime.pending()).filter(({ kind }) => kind === 'approval');

for (const verdict of ['approve', 'deny'] as const)
  test(`five runs that come to a limit ask once; ${verdict === 'approve' ? 'raised, all go on' : 'refused, all end, and nobody is asked again'}`, async () => {
    let first = true;
    const answer = (): ScriptStep[] => {
      const now = first ? costing(ALMOST) : says('went on');
      first = false;
      return now;
    };
    await withLoop(answer, { agent: { budget: usd({ day: 0.1 }, 'ask') } }, async (loop) => {
      await loop.send('first');
      const tasks = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((session) => loop.deliver('work', session)));
      await until(async () => (await loop.runtime.status()).tasks.waiting === 5);
      const asked = await approvals(loop);
      assert.equal(asked.length, 1);
      await loop.restart();
      await loop.runtime.approve(asked[0]?.id ?? '', verdict, 'person:owner');
      const ended = await Promise.all(tasks.map(loop.settled));
      assert.deepEqual(
        new Set(ended.map(({ status }) => status)),
        new Set([verdict === 'approve' ? 'done' : 'failed']),
      );
      assert.equal((await loop.send('later', 'f')).status, verdict === 'approve' ? 'done' : 'failed');
      assert.equal((await approvals(loop)).length, 0);
    });
  });

for (const tier of ['standard', 'strong'])
  test(`a budget that wants a cheaper tier than ${tier} has it answer while its models fit, on record with who answered`, async () => {
    await withLoop(
      [costing(ALMOST)],
      { agent: { model: tier, budget: usd({ day: 0.1 }, 'tier-down') } },
      async (loop, _log, model) => {
        await loop.send('first');
        const small = scriptedModel([says('from the small one')]);
        const { cost, ...light } = small.choice({ model: 'small' });
        loop.deps.models = (agent) =>
          agent.model === 'light' ? [{ ...light, cost: (usage) => cost(usage) / 1000 }] : [model.choice()];
        const second = await loop.send('two', 'b');
        assert.equal(second.text, 'from the small one');
        const [met] = await eventsOf(loop, 'budget.met');
        assert.deepEqual([met?.data.action, met?.data.to], ['tier-down', 'scripted/small']);
        const told = (await loop.runtime.pending()).map(({ text }) => text).join('\n');
        assert.match(told, /does not fit the budget of 0\.10 USD today.* Work goes on with scripted\/small\./);
      },
    );
  });

test('a budget that waits puts the task off until the next window, uncounted', async () => {
  await withLoop([costing(ALMOST)], { agent: { budget: usd({ day: 0.1 }, 'wait') } }, async (loop) => {
    await loop.send('first');
    const task = await loop.deliver('two', 'b');
    const [retried] = await until(async () => {
      const found = await eventsOf(loop, 'task.retried');
      return found.length > 0 ? found : null;
    });
    assert.deepEqual([retried?.data.error, retried?.data.attempt], ['budget.spent', 1]);
    const wait = (retried?.data.notBefore ?? 0) - Date.now();
    assert.ok(wait > 0 && wait <= 25 * 3_600_000, `${wait}`);
    assert.equal((await loop.store.task(task))?.status, 'queued');
  });
});

test('a model without a price is not free: with a budget in USD it is refused until it has a price, or its tokens a limit', async () => {
  const choice = { unpriced: true } as const;
  await withLoop([says('hello')], { choice, agent: { budget: usd({ day: 1 }) } }, async (loop, _log, model) => {
    const refused = await loop.send('hi');
    assert.equal(refused.status, 'failed');
    assert.match(
      refused.text ?? '',
      /The price of scripted\/model is unknown.*models\.providers\.scripted\.models\.model\.price/,
    );
    assert.equal(model.requests.length, 0);
    assert.equal((await eventsOf(loop, 'matter.raised')).length, 1);
    withNetwork(loop, { limits: { tokens: { day: 1_000_000 } }, onExceed: 'stop' });
    assert.equal((await loop.send('again', 'b')).status, 'done');
  });
});

/** A tool that takes its time. */
const sleepy: Tool = {
  ...testTools([]).read,
  run: async (_input, { signal }) => {
    await setTimeout(20, undefined, { signal });
    return { ok: true, text: 'slept', labels: [], changes: [] };
  },
};

test('seconds of tools are counted when they are known, and no further call is made once they are used up', async () => {
  const slow = calls(['read', { path: 'README.md' }]);
  const budget: Budget = { limits: { toolSeconds: { task: 0.000_001 }, calls: { day: 2 } }, onExceed: 'stop' };
  await withLoop([slow, slow, slow], { agent: { budget }, tools: [sleepy] }, async (loop, log) => {
    assert.match((await loop.send('read')).text ?? '', /seconds of tools for this task/);
    assert.deepEqual(log, []);
    assert.equal((await eventsOf(loop, 'tool.returned')).length, 1);
    await loop.send('read', 'b');
    assert.match((await loop.send('read', 'c')).text ?? '', /2 model calls today/);
  });
});

/** Milliseconds between two looks at whether a limit has room. */
const LOOK_MS = 10_000;

/** Somebody waits for a raise of 0.10 USD today, of which nothing is left; and another waits for what comes of that. */
async function waiting(body: (loop: Loop, tasks: string[], clock: LeapClock, model: ScriptedModel) => Promise<void>) {
  const clock = leapClock(Date.parse('2026-11-30T12:00:00Z'));
  const script = [costing(ALMOST), says('went on'), says('went on')];
  await withLoop(script, { clock }, async (loop, _log, model) => {
    withNetwork(loop, usd({ day: 0.1 }, 'ask'));
    Object.assign(loop.governance.settings, { timezone: 'UTC' });
    await loop.send('first');
    const tasks = [await loop.deliver('work', 'a'), await loop.deliver('work', 'b')];
    await until(async () => (await loop.runtime.status()).tasks.waiting === 2);
    assert.equal((await approvals(loop)).length, 1);
    await body(loop, tasks, clock, model);
  });
}

async function goesOn(loop: Loop, tasks: string[], why: RegExp): Promise<void> {
  await until(async () => (await loop.runtime.status()).tasks.waiting === 0);
  const ended = await Promise.all(tasks.map(loop.settled));
  assert.deepEqual(
    ended.map(({ text }) => text),
    ['went on', 'went on'],
  );
  const answers = await eventsOf(loop, 'approval.answered');
  const reason = answers[0]?.data.reason ?? null;
  const said = reason === null ? null : await readJson<{ text: string }>(loop.store, reason);
  assert.match(said?.text ?? '', why);
  assert.deepEqual(
    answers.map(({ data }) => [data.verdict, data.by]),
    [['approve', 'runtime']],
  );
  assert.deepEqual(
    (await eventsOf(loop, 'budget.answered')).map(({ data }) => [data.raised, data.by]),
    [[null, 'runtime']],
  );
  assert.equal((await approvals(loop)).length, 0);
}

const settings: Record<string, { budget: NetworkBudget | undefined; why: RegExp }> = {
  'the limit is raised': { budget: usd({ day: 1 }, 'ask'), why: /settings at [0-9a-f]{40}: 1\.00 USD today/ },
  'the limit is removed': { budget: undefined, why: /settings at [0-9a-f]{40} do not have this limit/ },
  'another window is limited': { budget: usd({ month: 5 }, 'ask'), why: /do not have this limit/ },
};
for (const [what, { budget, why }] of Object.entries(settings))
  test(`runs that wait for a raise go on by themselves once ${what}, on record with the settings, also after a restart`, () =>
    waiting(async (loop, tasks, clock) => {
      const { budget: _before, ...rest } = loop.governance.settings;
      Object.assign(loop.governance, { settings: budget === undefined ? rest : { ...rest, budget } });
      if (budget === undefined) await loop.restart();
      clock.leap(LOOK_MS);
      await goesOn(loop, tasks, why);
    }));

test('runs that wait for a raise go on by themselves in the next window, which is new to them', () =>
  waiting(async (loop, tasks, clock) => {
    await loop.restart();
    // Beyond the time in which an approval that nobody answers is denied.
    clock.leap(36 * 3_600_000);
    await goesOn(loop, tasks, /window of this limit is over/);
  }));

test('a process that ends between that answer and the run that it wakes doubles nothing', () =>
  waiting(async (loop, tasks, clock) => {
    await loop.runtime.pauseAgent('assistant', 'person:owner', 'to see what lies in between');
    withNetwork(loop, usd({ day: 1 }, 'ask'));
    clock.leap(LOOK_MS);
    await until(async () => (await eventsOf(loop, 'approval.answered')).length === 1);
    await loop.restart();
    clock.leap(LOOK_MS);
    assert.equal((await eventsOf(loop, 'budget.answered')).length, 0);
    await loop.runtime.resumeAgent('assistant', 'person:owner');
    await goesOn(loop, tasks, /More is left/);
  }));

test('runs that wait for a raise go on by themselves once a corrected price makes room', () =>
  waiting(async (loop, tasks, clock) => {
    const [answer] = await eventsOf(loop, 'model.answered');
    const { provider, model } = answer?.data ?? {};
    const data = { model: `${provider}/${model}`, since: 0, price: { input: 0.1, output: 0.1 } };
    const event = {
      type: 'price.corrected' as const,
      stream: 'prices',
      actor: 'person:owner',
      cause: null,
      labels: [],
    };
    assert.ok((await loop.store.commit({ events: [{ ...event, data }], sync: true })).ok);
    clock.leap(LOOK_MS);
    await goesOn(loop, tasks, /More is left than when this was asked/);
  }));

test('what still does not fit is asked anew, with what is left now; what has not changed stays asked', () =>
  waiting(async (loop, _tasks, clock, model) => {
    const { spend } = loop.deps;
    const { sums } = spend;
    let looks = 0;
    spend.sums = (by) => sums.call(spend, by).finally(() => (looks += 1));
    const [before] = await approvals(loop);
    for (const budget of [
      { ...usd({ day: 0.1 }, 'ask'), conversation: usd({ day: 3 }) },
      usd({ day: 0.0999 }, 'ask'),
    ]) {
      withNetwork(loop, budget);
      const seen = looks;
      await until(() => {
        clock.leap(LOOK_MS);
        return looks > seen + 1;
      });
    }
    assert.equal((await approvals(loop))[0]?.id, before?.id);
    withNetwork(loop, usd({ day: 0.1001 }, 'ask'));
    const after = await until(async () => {
      clock.leap(LOOK_MS);
      const [asked] = await approvals(loop);
      return asked !== undefined && asked.id !== before?.id ? asked : null;
    });
    assert.match(after.text, /0\.10 USD today for the network; 0\.0995 USD spent/);
    assert.equal(model.left, 2, 'the model was not asked');
    assert.deepEqual((await eventsOf(loop, 'approval.asked')).length, 2);
    const asked = await eventsOf(loop, 'budget.met');
    assert.deepEqual(asked.at(-1)?.data.limit, 0.1001);
  }));

test('what is said of a model without a price closes once it has one', async () => {
  const clock = leapClock(Date.parse('2026-11-30T12:00:00Z'));
  const options = { choice: { unpriced: true } as const, clock, agent: { budget: usd({ day: 1 }) } };
  await withLoop([says('hello')], options, async (loop, _log, model) => {
    assert.equal((await loop.send('hi')).status, 'failed');
    const open = async () => (await loop.runtime.pending()).filter(({ id }) => id.includes('unpriced'));
    assert.equal((await open()).length, 1);
    clock.leap(LOOK_MS);
    loop.deps.models = () => [model.choice()];
    await until(async () => {
      clock.leap(LOOK_MS);
      return (await open()).length === 0;
    });
    assert.equal((await eventsOf(loop, 'matter.settled'))[0]?.data.by, 'runtime');
    assert.equal((await loop.send('again', 'b')).status, 'done');
  });
});
