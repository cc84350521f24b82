import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { type ModelServer, modelServer } from '../fakes/model-server.ts';
import { text } from '../fakes/obedient-model.ts';
import { until } from '../fakes/until.ts';

let model: ModelServer;
let home: Home;
before(async () => {
  model = await modelServer(({ body }) =>
    JSON.stringify(body).includes('freeze') ? { pieces: [], end: 'hang' } : text('I am here.'),
  );
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
  const frozen = await home.say('freeze', 'one');
  const joined = await home.say('hello', 'one');
  for (const [at, signal] of (['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const).entries()) {
    await until(() => model.requests.length > at, `life ${at + 1} asks the model`);
    await home.end(signal);
    await home.start();
  }
  const outcome = await home.settled(frozen);
  assert.equal(outcome.status, 'dead');
  assert.match(outcome.text, /Ruche ended without a stop 3 times while this was under way .* so it was set aside/);
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
