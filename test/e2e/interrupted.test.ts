import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { type ModelServer, modelServer } from '../fakes/model-server.ts';
import { obey, order, orders, text } from '../fakes/obedient-model.ts';
import { until } from '../fakes/until.ts';

let model: ModelServer;
let home: Home;
before(async () => {
  model = await modelServer((request) => {
    const said = JSON.stringify(request.body);
    if (!said.includes('freeze')) return text('I am here.');
    return said.includes('"role":"tool"') ? { pieces: [], end: 'hang' } : obey(request);
  });
  const provider = `{ type: openai-compatible, baseUrl: "${model.baseUrl}", apiKey: env:WIRE_KEY }`;
  home = await Home.up({
    beside: [model],
    env: { WIRE_KEY: 'wire-key-of-the-tests-4711' },
    files: {
      'ruche.yaml': `models:\n  providers:\n    wire: ${provider}\n  standard: [wire/one]\n`,
      'agents/assistant/AGENT.md': AGENT,
    },
  });
});
after(() => home.close());

test('a run under way at three unclean ends of the process is set aside with its cause; stops in order do not count', async () => {
  const frozen = await home.say(orders(order('write', { path: 'freeze.md', content: 'so far\n' })), 'one');
  await until(() => model.requests.length > 1, 'it has written, and asks the model again');
  const joined = await home.say('hello', 'one');
  for (const [at, signal] of (['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const).entries()) {
    await until(() => model.requests.length > at + 1, `life ${at + 1} asks the model`);
    await home.end(signal);
    await home.start();
  }
  const outcome = await home.settled(frozen);
  assert.equal(outcome.status, 'dead');
  assert.match(outcome.text, /Ruche ended without a stop 3 times while this was under way .* so it was set aside/);
  const kept = / Its changes are kept at (refs\/ruche\/unlanded\/run_[\w-]+)\./.exec(outcome.text)?.[1] ?? '';
  assert.notEqual(kept, '', outcome.text);
  assert.equal(home.git('show', `${kept}:freeze.md`), 'so far\n');
  assert.equal((await home.settled(joined)).status, 'dead', 'what it has taken in ends with it');
  assert.equal((await home.ask('hello', 'two')).text, 'I am here.');
  const [matter] = await home.pending();
  assert.match(JSON.stringify(matter), /is given up: Ruche ended without a stop 3 times/);

  const counted = (await home.events('gateway.started')).map(({ data }) =>
    (data['interrupted'] as { deaths: number }[] | undefined)?.map(({ deaths }) => deaths),
  );
  assert.deepEqual(counted, [undefined, [1], [1], [2], [2], undefined]);
  const ends = await home.events('run.finished');
  assert.deepEqual(ends.map(({ data }) => [data['status'], data['error']])[0], ['dead', 'interrupted']);
  assert.deepEqual((await home.verify()).findings, []);
});
