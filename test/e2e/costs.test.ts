// What it costs and may cost, over a real gateway: `ruche costs`, the API behind it, a budget of a file, a price put right.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CostReport } from '../../src/core/api/costs.ts';
import { Home } from '../fakes/home.ts';
import { chunk, DONE, type ModelServer, modelServer } from '../fakes/model-server.ts';

/** Tokens of every answer: a dollar at the price in the file. */
const usage = { prompt_tokens: 400_000, completion_tokens: 60_000, prompt_tokens_details: { cached_tokens: 100_000 } };

let model: ModelServer;
let home: Home;
before(async () => {
  model = await modelServer(() => ({
    pieces: [chunk({ content: 'hello' }), chunk({}, 'stop'), chunk({}, null, { usage }), DONE],
  }));
  home = await Home.up({
    beside: [model],
    files: {
      // The month has begun here while it is still the last day of the one before in Greenwich.
      'ruche.yaml': `timezone: Pacific/Kiritimati
models:
  providers:
    shop: { type: openai-compatible, baseUrl: "${model.baseUrl}", window: 200000, price: { input: 1, output: 10 } }
  standard: [shop/big]
budget: { usd: { month: 10 }, conversation: { calls: { day: 1 } }, onExceed: stop }
`,
      'agents/ada/AGENT.md':
        '---\ndescription: helps\nbudget: { usd: { day: 2.01 }, onExceed: stop }\n---\nYou help.\n',
      'agents/bob/AGENT.md': '---\ndescription: helps\n---\nYou help.\n',
    },
  });
});
after(() => home.close());

const report = async (...flags: string[]): Promise<CostReport> =>
  JSON.parse((await home.cli('costs', '--json', ...flags)).out) as CostReport;

test('costs are shown by agent, model, task, day, person and queue, with what is cached, projected and left', async () => {
  assert.match((await home.cli('costs')).out, /^Nothing spent since \d{4}-\d\d-01\.$/m);
  for (const [agent, session] of [
    ['ada', 'one'],
    ['ada', 'two'],
    ['bob', 'one'],
  ] as const)
    assert.equal((await home.ask('hi', session, agent)).text, 'hello');
  const { rows, total, month, days, budgets } = await report();
  assert.deepEqual(
    rows.map(({ name, usd, calls, input, cached }) => [name, usd, calls, input, cached]),
    [
      ['ada', 2, 2, 800_000, 200_000],
      ['bob', 1, 1, 400_000, 100_000],
    ],
  );
  assert.deepEqual([total.usd, month.usd, days.length, days.at(-1)?.usd], [3, 3, 30, 3]);
  assert.ok(month.projected >= 3);
  const own = budgets.find(({ scope }) => scope === 'agent:ada');
  assert.deepEqual([own?.limit, own?.spent, budgets.find(({ scope }) => scope === 'network')?.spent], [2.01, 2, 3]);
  const names = async (by: string): Promise<string[]> => (await report('--by', by)).rows.map(({ name }) => name);
  assert.deepEqual(await names('model'), ['shop/big']);
  assert.deepEqual(await names('person'), ['owner']);
  assert.deepEqual(await names('queue'), ['ada', 'bob']);
  assert.match((await names('day')).join(), /^\d{4}-\d\d-\d\d$/);
  assert.equal((await names('task')).filter((name) => name.startsWith('tsk_')).length, 3);
  const { out } = await home.cli('costs');
  assert.match(out, /ada +2\.0000 USD +2 +800000 +25 % +120000/);
  assert.match(out, /the agent ada +day +2\.00 USD of 2\.01 USD \(100 %\) +0\.0100 USD left/);
});

test('the budget of a file ends a run, and that of each conversation is its own', async () => {
  assert.match((await home.ask('more', 'three', 'ada')).text, /2\.01 USD today for the agent ada; 2\.00 USD spent/);
  assert.match((await home.ask('more', 'one', 'bob')).text, /1 model call today for the conversation bob\/one/);
  assert.equal((await home.ask('hi', 'two', 'bob')).text, 'hello');
});

test('a wrong price is corrected on record, and all sums and budgets count by it', async () => {
  const price = ['--model', 'shop/big', '--since', '1h', '--input', '0.25', '--output', '2.5'];
  const { out } = await home.cli('costs', 'correct', ...price);
  assert.match(out, /^Corrected 4 answers of shop\/big: 4\.0000 USD became 1\.0000 USD\.$/m);
  assert.match(out, /models\.providers\.shop\.models\.big\.price/);
  assert.equal((await report()).total.usd, 1);
  assert.equal((await report()).budgets.find(({ scope }) => scope === 'agent:ada')?.spent, 0.5);
  assert.match((await home.cli('log', '--type', 'price.')).out, /corrected the price of shop\/big/);
  assert.equal((await home.ask('more', 'four', 'ada')).text, 'hello', 'there is room again');
});

test('what cannot be asked for says so', async () => {
  assert.match((await home.cli('costs', '--by', 'moon')).err, /Unknown --by "moon"/);
  assert.match((await home.cli('costs', 'lower')).err, /Unknown action "lower"/);
  assert.match((await home.cli('costs', 'correct', '--model', 'a/b')).err, /Give --model/);
  const typo = ['--model', 'shop/bgi', '--since', '1h', '--input', '1', '--output', '1'];
  const { code, err } = await home.cli('costs', 'correct', ...typo);
  assert.match(err, /No answers of shop\/bgi since .*ruche costs --by model/);
  assert.equal(code, 1);
  assert.doesNotMatch((await home.cli('log', '--type', 'price.')).out, /bgi/);
  await assert.rejects(home.api('/api/costs?by=moon'), /must be one of agent, model/);
  await assert.rejects(
    home.api('/api/costs/correct', { model: 'x', since: 0, input: 1, output: 1 }),
    /provider\/model/,
  );
});
