import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Governance } from '../../src/core/agent.ts';
import { type Budget, type Cost, type NetworkBudget, spansAt } from '../../src/core/budget.ts';
import type { Event, NewEvent } from '../../src/core/event.ts';
import { agentActor, runStream } from '../../src/core/ids.ts';
import { type Hold, isReached } from '../../src/core/ports/spend.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { openCosts } from '../../src/spend/costs.ts';
import { Spending } from '../../src/spend/spending.ts';
import { openWall, windowAt } from '../../src/core/time/wall.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { quiet } from '../fakes/loop.ts';
import { until } from '../fakes/until.ts';

const NEVER = new AbortController().signal;
const REF = { hash: 'h', size: 1, subject: 's' };
const DAY = 86_400_000;
const START = Date.parse('2026-11-30T10:00:00Z');

const budget = (limits: Budget['limits']): Budget => ({ limits, onExceed: 'stop' });

/** A record, and one process after the other that spends by it. */
async function openBook(governance: Governance) {
  let now = START;
  const store = openMemoryStore({ clock: { now: () => now, sleep: async () => {} }, random: systemRandom.bytes });
  let tell: (events: readonly Event[]) => void = () => undefined;
  const open = () =>
    new Spending({
      store,
      clock: { now: () => now },
      governance: () => governance,
      zone: () => 'UTC',
      log: quiet,
      onCommitted: (listener) => (tell = listener),
    });
  let spending = open();
  const commit = async (event: Pick<NewEvent, 'type' | 'data'>, run: string, agent: string): Promise<void> => {
    const whole = { ...event, stream: runStream(run), actor: agentActor(agent), cause: null, labels: [] } as NewEvent;
    const result = await store.commit({ events: [whole], sync: false });
    assert.ok(result.ok);
    tell(result.events);
  };
  return {
    store,
    commit,
    get spending(): Spending {
      return spending;
    },
    pass: (ms: number) => void (now += ms),
    now: () => now,
    kill: () => void (spending = open()),
  };
}

const spender = (agent: string) => ({ agent, task: null, root: null, conversation: null, person: null });

const called = (step: number, reserved: Cost) => ({
  type: 'model.called' as const,
  data: { step, purpose: 'turn' as const, provider: 'p', model: 'm', request: REF, reserved },
});

const answered = (step: number, { usd, tokens }: Cost) => ({
  type: 'model.answered' as const,
  data: {
    step,
    purpose: 'turn' as const,
    provider: 'p',
    model: 'm',
    answer: REF,
    finish: 'stop' as const,
    ms: 1,
    usage: { input: tokens, output: 0, cacheRead: 0, cacheWrite: 0 },
    costUsd: usd,
  },
});

type Op =
  | { op: 'call'; agent: number; cents: number; share: number }
  | { op: 'answer'; which: number; recorded: boolean }
  | { op: 'lose'; which: number }
  | { op: 'kill' }
  | { op: 'pass'; minutes: number };

const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      op: fc.constant('call' as const),
      agent: fc.nat(3),
      cents: fc.integer({ min: 1, max: 25 }),
      share: fc.constantFrom(0, 0.3, 1, 1, 1, 1),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('answer' as const), which: fc.nat(9), recorded: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('lose' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('kill' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 90 }) }) },
);

test('whatever is called, answered, lost and killed in whatever order, no limit of any window is passed', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const limits = { hour: 0.8, day: 1, month: 1.5 };
  const own = { hour: 0.4, day: 0.5 };
  const network: NetworkBudget = budget({ usd: limits });
  let [calls, refusals, kills] = [0, 0, 0];
  let mostShare = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(op, { minLength: 20, maxLength: 80 }), async (ops) => {
      const agents = names.map((name) => anAgent({ name, budget: budget({ usd: own }) }));
      const book = await openBook(governing(agents, { settings: { ...SETTINGS, budget: network } }));
      /** What really was spent, as only the provider knows. */
      const truth: { agent: string; at: number; usd: number }[] = [];
      let open: { hold: Hold; run: string; agent: string; cost: Cost; at: number }[] = [];
      let count = 0;
      for (const each of ops) {
        const live = 'which' in each ? open[each.which % Math.max(1, open.length)] : undefined;
        if (each.op === 'pass') book.pass(each.minutes * 60_000);
        if (each.op === 'kill') {
          // What was under way has been paid for, and nobody will ever record its end.
          for (const { agent, at, cost } of open) truth.push({ agent, at, usd: cost.usd });
          open = [];
          book.kill();
          kills += 1;
        }
        if (each.op === 'call') {
          const agent = names[each.agent] ?? 'a';
          const run = `run_${(count += 1)}`;
          const reserved = { usd: each.cents / 100, tokens: each.cents };
          // One that would wait for others is given up: nothing ends while it waits here.
          const hold = await book.spending
            .reserve({ run, step: 1, by: spender(agent), costs: [reserved] }, AbortSignal.timeout(1))
            .catch(() => null);
          calls += 1;
          if (hold === null || isReached(hold)) {
            refusals += 1;
            continue;
          }
          await book.commit(called(1, reserved), run, agent);
          const cost = { usd: reserved.usd * each.share, tokens: Math.floor(reserved.tokens * each.share) };
          open.push({ hold, run, agent, cost, at: book.now() });
        }
        if (live !== undefined && (each.op === 'answer' || each.op === 'lose')) {
          open = open.filter((other) => other !== live);
          truth.push({ agent: live.agent, at: live.at, usd: live.cost.usd });
          book.spending.settle(live.hold, each.op === 'answer' ? live.cost : live.hold.cost);
          if (each.op === 'answer' && each.recorded) await book.commit(answered(1, live.cost), live.run, live.agent);
        }
        const all = [...truth, ...open.map(({ agent, at, cost }) => ({ agent, at, usd: cost.usd }))];
        for (const window of ['hour', 'day', 'month'] as const) {
          const sums = new Map<string, number>();
          for (const { agent, at, usd } of all) {
            const span = spansAt(at)[window];
            for (const key of [`network ${span}`, `${agent} ${span}`]) sums.set(key, (sums.get(key) ?? 0) + usd);
          }
          for (const [key, usd] of sums) {
            const most = key.startsWith('network') ? limits[window] : window === 'month' ? Infinity : own[window];
            mostShare = Math.max(mostShare, usd / most);
            assert.ok(usd <= most + 1e-9, `${key}: ${usd} of ${most}`);
          }
        }
      }
    }),
    { numRuns: 150 },
  );
  console.log(`${calls} calls, ${refusals} did not fit, ${kills} kills; at most ${mostShare.toFixed(3)} of a limit`);
  assert.ok(mostShare > 0.99, 'what may be spent can be');
  assert.ok(refusals > calls / 20 && refusals < calls * 0.95 && kills > 20, 'the budgets were met, and not only met');
});

test('50 calls at once wait for each other, and each that fits in the end is made', async () => {
  const agent = anAgent({ name: 'a', budget: budget({ usd: { day: 1 } }) });
  const book = await openBook(governing([agent]));
  let [under, most, spent, refused] = [0, 0, 0, 0];
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const costs = [{ usd: 0.2, tokens: 1 }];
      const hold = await book.spending.reserve({ run: `r${index}`, step: 1, by: spender('a'), costs }, NEVER);
      if (isReached(hold)) return void (refused += 1);
      under += hold.cost.usd;
      most = Math.max(most, under + spent);
      await new Promise((resolve) => setImmediate(resolve));
      under -= hold.cost.usd;
      spent += 0.03;
      book.spending.settle(hold, { usd: 0.03, tokens: 1 });
    }),
  );
  assert.ok(most <= 1 + 1e-9, `${most}`);
  // After 27 answers 0.81 are spent, and no further call of 0.20 fits.
  assert.deepEqual([Math.round(spent * 100), refused], [81, 23]);
});

test('the owner is told once in a window, at 80 %, and it closes itself when the window is over', async () => {
  const book = await openBook(governing([anAgent({ name: 'a', budget: budget({ usd: { day: 1 } }) })]));
  const spend = async (run: string): Promise<void> => {
    const hold = await book.spending.reserve(
      { run, step: 1, by: spender('a'), costs: [{ usd: 0.1, tokens: 1 }] },
      NEVER,
    );
    assert.ok(!isReached(hold));
    book.spending.settle(hold, { usd: 0.1, tokens: 1 });
  };
  const matters = async (type: 'matter.raised' | 'matter.settled'): Promise<string[]> =>
    (await Array.fromAsync(book.store.read({ types: [type] }))).flatMap((event) =>
      'matter' in event.data && event.data.matter !== null ? [event.data.matter] : [],
    );
  for (let n = 0; n < 9; n++) await spend(`r${n}`);
  assert.deepEqual(await matters('matter.raised'), ['mat_budget_agent-a-usd-day-2026-11-30-80']);
  assert.deepEqual(await matters('matter.settled'), []);
  book.kill();
  book.pass(DAY);
  await spend('later');
  await until(async () => (await matters('matter.settled')).length === 1);
  assert.equal((await matters('matter.raised')).length, 1);
});

test('bytes that left count for their agent, also those of before a start', async () => {
  const book = await openBook(governing([anAgent({ name: 'a', budget: budget({ bytesOut: { day: 1_000 } }) })]));
  const by = spender('a');
  const sent = (bytesOut: number) => ({
    type: 'net.sent' as const,
    data: {
      who: 'tool:fetch',
      agent: 'a',
      run: 'r',
      host: 'x.org',
      port: 443,
      kind: 'request' as const,
      bytesOut,
      bytesIn: 0,
      outcome: 'ok' as const,
      started: START,
      ms: 1,
    },
  });
  await book.commit(sent(600), 'r', 'a');
  assert.equal(await book.spending.room(by), null);
  await book.commit(sent(500), 'r', 'a');
  const full = await until(() => book.spending.room(by));
  assert.deepEqual([full.account.meter, full.spent], ['bytesOut', 1_100]);
  book.kill();
  assert.equal((await book.spending.room(by))?.spent, 1_100);
  book.pass(DAY);
  assert.equal(await book.spending.room(by), null, 'a new day');
});

test('windows are those of the clock on the wall', () => {
  const wall = Date.UTC(2026, 11, 31, 23, 30);
  assert.deepEqual(spansAt(wall), { hour: 'hour:2026-12-31T23', day: 'day:2026-12-31', month: 'month:2026-12' });
  const paris = openWall('Europe/Paris');
  assert.ok(paris !== null);
  const now = Date.UTC(2026, 2, 31, 23, 30);
  assert.deepEqual(windowAt('month', now, paris), { from: Date.UTC(2026, 2, 31, 22), to: Date.UTC(2026, 3, 30, 22) });
});

test('a window that would begin at an hour that a clock leaves out begins where the clock jumps', () => {
  // In 2026 Cairo goes from 0:00 to 1:00 on 24 April.
  const cairo = openWall('Africa/Cairo');
  assert.ok(cairo !== null);
  const jump = Date.UTC(2026, 3, 23, 22);
  assert.equal(windowAt('day', jump - 60_000, cairo).to, jump);
  assert.equal(windowAt('day', jump + 60_000, cairo).to, Date.UTC(2026, 3, 24, 21));
  assert.equal(windowAt('day', jump + 60_000, cairo).from, jump);
});

test('a call that a kill has lost stands among the costs as budgets count it, one under way does not', async () => {
  const governance = governing([anAgent({ name: 'a', budget: budget({ usd: { day: 10 } }) })]);
  const book = await openBook(governance);
  const { store } = book;
  const totals = async (): Promise<number[]> => {
    const parts = { store, clock: { now: book.now }, governance: () => governance, zone: () => 'UTC' };
    const desk = openCosts({ ...parts, spend: book.spending });
    const { total, budgets } = await desk.report({ by: 'agent' });
    return [total.calls, total.usd, budgets[0]?.spent ?? -1];
  };
  await book.commit(called(1, { usd: 2, tokens: 20 }), 'r', 'a');
  assert.deepEqual((await totals()).slice(0, 2), [0, 0], 'it may be under way');
  book.kill();
  await book.commit(called(1, { usd: 3, tokens: 30 }), 'r', 'a');
  await book.commit(answered(1, { usd: 1, tokens: 10 }), 'r', 'a');
  assert.deepEqual(await totals(), [2, 3, 3]);
});
