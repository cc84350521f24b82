import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LLMock } from '@copilotkit/aimock';
import { AGENT, Home } from '../fakes/home.ts';
import { chunk, type ModelServer, modelServer } from '../fakes/model-server.ts';
import { obedientModel, order, orders, text } from '../fakes/obedient-model.ts';

const KEY = 'wire-key-of-the-tests-4711';

let [first, second]: ModelServer[] = [];
let mock: LLMock;
let home: Home;
before(async () => {
  first = await obedientModel();
  second = await modelServer(() => text('the second answers'));
  mock = new LLMock({ port: 0, logLevel: 'silent' });
  mock.on(
    { userMessage: 'note it', hasToolResult: false },
    { toolCalls: [{ name: 'write', arguments: '{"path":"mock.md","content":"noted"}' }] },
  );
  mock.on({ userMessage: 'note it', hasToolResult: true }, { content: 'It is noted.' });
  await mock.start();
  const provider = (name: string, baseUrl: string): string =>
    `    ${name}: { type: openai-compatible, baseUrl: "${baseUrl}", apiKey: env:WIRE_KEY }\n`;
  const models = `models:
  providers:
${provider('first', first.baseUrl)}${provider('second', second.baseUrl)}${provider('mock', `${mock.url}/v1`)}  standard: [first/one, second/two]
  light: [mock/mini]
  strong: [second/two]
`;
  const agent = (model: string): string => `---\ndescription: helps\nmodel: ${model}\n---\nYou help.\n`;
  home = await Home.up({
    beside: [first, second, { close: () => mock.stop() }],
    env: { WIRE_KEY: KEY },
    files: {
      'ruche.yaml': models,
      'agents/assistant/AGENT.md': AGENT,
      'agents/mini/AGENT.md': agent('light'),
      'agents/lone/AGENT.md': agent('second/two'),
    },
  });
});
after(() => home.close());

test('a model over the wire works in the workspace, and its name, tokens and key are where they belong', async () => {
  const outcome = await home.ask(
    orders(order('write', { path: 'w.md', content: 'wired' }), order('read', { path: 'w.md' })),
  );
  assert.equal(outcome.status, 'done', outcome.text);
  assert.match(outcome.text, /Created w\.md[\s\S]*---\nwired/);
  assert.equal(home.read('w.md'), 'wired');
  assert.deepEqual([outcome.usage.input, outcome.usage.output], [30, 15]);
  assert.match(home.git('log', '-1', '--format=%B'), /^Ruche-Model: first\/one$/m);
  const requests = first?.requests ?? [];
  assert.equal(requests.length, 3);
  for (const { headers, body } of requests) {
    assert.equal(headers.authorization, `Bearer ${KEY}`);
    assert.equal(body['model'], 'one');
  }
  assert.equal((await home.status()).model, 'first/one');
});

test('several calls in one answer, and arguments that are no JSON, come back to the model as results', async () => {
  const outcome = await home.ask(
    orders(
      [order('write', { path: 'p1.md', content: '1' }), order('write', { path: 'p2.md', content: '2' })],
      order('read', '{"path":'),
    ),
  );
  assert.match(outcome.text, /Created p1\.md[\s\S]*Created p2\.md[\s\S]*JSON/);
  assert.deepEqual([home.read('p1.md'), home.read('p2.md')], ['1', '2']);
});

test('aimock: a tool call and its answer', async () => {
  const outcome = await home.ask('note it', 'mocked', 'mini');
  assert.equal(outcome.text, 'It is noted.');
  assert.equal(home.read('mock.md'), 'noted');
  assert.match(home.git('log', '-1', '--format=%an %(trailers:key=Ruche-Model,valueonly)'), /^mini mock\/mini/);
});

test('500 again and again, or 429 for a long time: the next of the tier answers', async () => {
  first?.next({ status: 500, pieces: ['{"error":{"message":"broken"}}'] });
  first?.next({ status: 503, pieces: ['{"error":{"message":"broken"}}'] });
  assert.equal((await home.ask('hello')).text, 'the second answers');
  first?.next({ status: 429, headers: { 'retry-after': '3600' }, pieces: ['{"error":{"message":"slow down"}}'] });
  const before = performance.now();
  assert.equal((await home.ask('hello')).text, 'the second answers');
  assert.ok(performance.now() - before < 60_000, 'nobody waits an hour');
  const failed = await home.events('model.failed');
  assert.deepEqual(failed.map(({ data }) => data['error']).slice(-3), ['unavailable', 'overloaded', 'rate']);
  assert.equal((await home.ask('and now?')).text, 'You said: and now?', 'the first is asked first again');
});

test('a model that dies in the middle is asked again: nothing of the half answer is in the reply, and it is on record', async () => {
  const half = chunk({ role: 'assistant', content: 'Half of an ans' });
  first?.next({ pieces: [half], end: 'cut' });
  const outcome = await home.ask('say it whole');
  assert.equal(outcome.text, 'You said: say it whole');
  const failed = (await home.events('model.failed')).at(-1);
  assert.match(JSON.stringify(failed), /Half of an ans/);
  // The same in the middle of a call: it is not run.
  const call = {
    index: 0,
    id: 'c',
    type: 'function',
    function: { name: 'write', arguments: '{"path":"half.md","content":"ha' },
  };
  first?.next({ pieces: [chunk({ role: 'assistant', tool_calls: [call] })], end: 'close' });
  assert.equal((await home.ask('once more')).text, 'You said: once more');
  assert.ok(!home.exists('half.md'));
});

test('a key that is refused ends the run at once, with what to do and without the key', async () => {
  second?.next({ status: 401, pieces: [JSON.stringify({ error: { message: `Incorrect API key provided: ${KEY}` } })] });
  const outcome = await home.ask('hello', 'refused', 'lone');
  assert.equal(outcome.status, 'failed');
  assert.match(outcome.text, /key/i);
  assert.ok(!outcome.text.includes(KEY), outcome.text);
  const { code, out } = await home.cli('ask', 'lone', 'hello again');
  assert.deepEqual([code, out.trim()], [0, 'the second answers'], 'the next one works again');
});
