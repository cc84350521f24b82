import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chunk, DONE, type ModelServer, modelServer, type RawAnswer, type RawRequest } from '../fakes/model-server.ts';
import { randomFrom } from '../fakes/random.ts';
import { until } from '../fakes/until.ts';
import { Crashes } from './driver.ts';

const RUNS = 50;
const CAP = 1;
/** USD for a million tokens. */
const PRICE = { input: 0.25, output: 0.6 };
/** Steps of each second run, which looks at the workspace in all but the last; the others answer at once. */
const STEPS = 12;

/** Sends a bill for every request that reaches it, even if nobody is left to read the answer. */
async function billingServer(): Promise<{ server: ModelServer; bill: { usd: number; calls: number; most: number } }> {
  const bill = { usd: 0, calls: 0, most: 0 };
  const random = randomFrom(12);
  let open = 0;
  const answer = ({ body }: RawRequest): RawAnswer => {
    const content = JSON.stringify([body['messages'], body['tools']]);
    const limit = Number(body['max_tokens'] ?? body['max_completion_tokens']);
    // Now and then all that it may say; mostly far less.
    const output = random() < 0.2 ? limit : Math.floor((limit * random()) / 4);
    const input = Math.floor(content.length / (2 + 2 * random()));
    bill.usd += (input * PRICE.input + output * PRICE.output) / 1_000_000;
    bill.calls += 1;
    open += 1;
    bill.most = Math.max(bill.most, open);
    const wait = new Promise<void>((resolve) => setTimeout(resolve, 150 * random()));
    void wait.then(() => (open -= 1));
    const usage = { prompt_tokens: input, completion_tokens: output };
    const results = (body['messages'] as { role: string }[]).filter(({ role }) => role === 'tool').length;
    const looks = /Do the work \d*[02468]\./.test(content) && results < STEPS - 1;
    const call = { index: 0, id: `c${results}`, function: { name: 'list', arguments: '{"path":"."}' } };
    const said = looks ? chunk({ tool_calls: [call] }) : chunk({ content: 'done' });
    const end = chunk({}, looks ? 'tool_calls' : 'stop');
    return { pieces: [wait, said, end, chunk({}, null, { usage }), DONE] };
  };
  return { server: await modelServer(answer), bill };
}

let crashes: Crashes;
let billing: Awaited<ReturnType<typeof billingServer>>;
before(async () => {
  billing = await billingServer();
  crashes = await Crashes.open();
  writeFileSync(
    join(crashes.dir, 'template', 'ruche.yaml'),
    `models:
  providers:
    billed: { type: openai-compatible, baseUrl: ${billing.server.baseUrl}, window: 100000, price: ${JSON.stringify(PRICE)} }
  standard: [billed/model]
budget: { usd: { day: ${CAP} }, onExceed: stop }
`,
  );
  writeFileSync(
    join(crashes.dir, 'template', 'agents', 'helper', 'AGENT.md'),
    '---\ndescription: idle\n---\nYou help.\n',
  );
});
after(async () => {
  await crashes.close();
  await billing.server.close();
});

test('50 parallel runs under a cap of 1.00 USD spend at most 1.00 across three kills', async (context) => {
  const { bill } = billing;
  const replies = (): string[] => crashes.replies.map(({ text }) => text);
  assert.ok(await crashes.start(), crashes.log);
  for (let n = 0; n < RUNS; n++) crashes.platform.say(`b${n}`, `Do the work ${n}.`);
  for (const calls of [20, 70, 120]) {
    await until(() => bill.calls >= calls, `${calls} calls`);
    await crashes.kill();
    assert.ok(bill.usd <= CAP, `${bill.usd} USD`);
    assert.ok(await crashes.start(), crashes.log);
  }
  const chats = (): Set<string> => new Set(crashes.replies.map(({ to }) => to));
  await until(() => chats().size === RUNS, 'every message has its reply', 120_000);
  assert.equal(await crashes.stop(), 0);
  const refused = replies().filter((text) => text.includes('The budget is used up')).length;
  // One that was there at each kill may be the cause of them, and is set aside.
  const other = replies().filter((text) => !/^done$|budget is used up|ended without a stop 3 times/.test(text));
  assert.deepEqual(other, []);
  const done = replies().filter((text) => text.includes('done')).length;
  assert.ok(bill.usd <= CAP, `${bill.usd} USD`);
  assert.ok(bill.usd > CAP / 3, `only ${bill.usd} USD could be spent`);
  assert.ok(refused > 0 && done > 0, `${done} done, ${refused} refused`);
  context.diagnostic(
    `${RUNS} runs, 3 kills: ${bill.calls} calls billed ${bill.usd.toFixed(4)} of ${CAP.toFixed(2)} USD, ${bill.most} at once; ${done} done, ${refused} refused`,
  );
});
