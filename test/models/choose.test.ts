import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProviderSettings, Settings } from '../../src/core/agent.ts';
import type { Clock } from '../../src/core/clock.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import { openModels } from '../../src/models/choose.ts';
import { CLOUD_WINDOW, costOf, LOCAL_WINDOW, windowOf } from '../../src/models/prices.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE, modelServer } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';

const clock: Clock = { now: () => 0, sleep: () => new Promise(() => {}) };
const NEVER = new AbortController().signal;
const EMPTY: Settings['tiers'] = { light: [], standard: [], strong: [] };
const DEMO_ONLY: Settings['tiers'] = { light: ['demo/demo'], standard: ['demo/demo'], strong: ['demo/demo'] };

const provider = (
  name: string,
  apiKey: string | null = null,
  baseUrl = 'http://127.0.0.1:11434/v1',
): ProviderSettings => ({
  name,
  type: 'openai-compatible',
  baseUrl,
  apiKey,
});

function models(
  tiers: Partial<Settings['tiers']> = {},
  providers: ProviderSettings[] = [],
  env: Record<string, string | undefined> = {},
) {
  const net = fakeNet();
  const settings = { providers, tiers: { ...EMPTY, ...tiers } };
  return { net, ...openModels({ settings, env, net, secrets: envSecrets({ env }), clock }) };
}

const names = (choices: { provider: string; model: string }[]): string[] =>
  choices.map((choice) => `${choice.provider}/${choice.model}`);

test('with nothing configured it is the demo, and says so', async () => {
  for (const tiers of [EMPTY, DEMO_ONLY]) {
    const { choices, describe, problems, net } = models(tiers);
    for (const tier of ['light', 'standard', 'strong']) assert.deepEqual(names(choices(tier)), ['demo/demo']);
    assert.deepEqual([describe().model, describe().demo, describe().source], ['demo/demo', true, 'demo']);
    assert.deepEqual(problems(), []);
    const text = textOf(await collect(choices('standard')[0]!.port.stream(ask('hello'), NEVER)));
    assert.match(text, /demo/i);
    assert.equal(net.asked.length, 0);
  }
});

test('key and model in the environment are used where nothing is configured, and named', async () => {
  const server = await modelServer();
  try {
    const env = {
      OPENAI_API_KEY: 'sk-from-the-environment',
      OPENAI_MODEL: 'gpt-5.4-mini',
      OPENAI_BASE_URL: server.baseUrl,
    };
    for (const tiers of [EMPTY, DEMO_ONLY]) {
      const { choices, describe } = models(tiers, [], env);
      assert.deepEqual(names(choices('light')), ['openai/gpt-5.4-mini']);
      assert.deepEqual(
        [describe().model, describe().demo, describe().source],
        ['openai/gpt-5.4-mini', false, 'environment'],
      );
      server.next({ pieces: [chunk({ content: 'Hello' }, 'stop'), DONE] });
      assert.equal(textOf(await collect(choices('light')[0]!.port.stream(ask('hi'), NEVER))), 'Hello');
      assert.equal(server.requests.at(-1)?.headers.authorization, 'Bearer sk-from-the-environment');
    }
  } finally {
    await server.close();
  }
  for (const env of [
    { OPENAI_API_KEY: 'sk-only-a-key' },
    { OPENAI_MODEL: 'only-a-model' },
    { OPENAI_API_KEY: ' ', OPENAI_MODEL: 'm' },
  ])
    assert.equal(models(EMPTY, [], env).describe().demo, true, JSON.stringify(env));
});

test('the environment stays out of what is configured, but its provider can be named', () => {
  const env = { OPENAI_API_KEY: 'sk-from-the-environment', OPENAI_MODEL: 'gpt-5' };
  const { choices, describe } = models({ standard: ['local/qwen3'] }, [provider('local')], env);
  assert.deepEqual(names(choices('standard')), ['local/qwen3']);
  assert.equal(describe().source, 'ruche.yaml');
  assert.deepEqual(names(choices('openai/gpt-4o')), ['openai/gpt-4o']);
});

test('tiers are lists in order; an empty one takes what the nearest has', () => {
  const { choices, describe } = models({ light: ['local/small'], standard: ['local/qwen3', 'demo/demo'] }, [
    provider('local'),
  ]);
  assert.deepEqual(names(choices('standard')), ['local/qwen3', 'demo/demo']);
  assert.deepEqual(names(choices('strong')), ['local/qwen3', 'demo/demo']);
  assert.deepEqual(names(choices('light')), ['local/small']);
  assert.deepEqual(names(choices('local/vendor/model:7b')), ['local/vendor/model:7b']);
  assert.deepEqual(describe().tiers.strong, ['local/qwen3', 'demo/demo']);
});

test('what cannot work is left out where something else can, and named as a problem', () => {
  const providers = [provider('local'), provider('cloud', 'env:CLOUD_KEY')];
  const { choices, problems } = models({ standard: ['cloud/big', 'gone/model', 'local/qwen3'] }, providers);
  assert.deepEqual(names(choices('standard')), ['local/qwen3']);
  assert.deepEqual(
    problems().map(({ file, key, severity }) => [file, key, severity]),
    [
      ['ruche.yaml', 'models.providers.cloud.apiKey', 'error'],
      ['ruche.yaml', 'models.standard.1', 'error'],
    ],
  );
  assert.match(problems()[0]!.message, /CLOUD_KEY is not set.*"cloud"/);
  assert.match(problems()[1]!.message, /"gone\/model".*local.*models\.providers/);
});

test('what cannot work and is the only one says why when it is called', async () => {
  const { choices, net } = models({ standard: ['cloud/big'] }, [provider('cloud', 'env:CLOUD_KEY')]);
  const cases: [string, RegExp][] = [
    ['standard', /CLOUD_KEY is not set/],
    ['gone/model', /not configured \(there are: .*cloud/],
    ['enormous', /write a tier \(light, standard, strong\) or provider\/model/],
    ['cloud/', /is no model/],
  ];
  for (const [name, message] of cases) {
    const [choice] = choices(name);
    assert.ok(choice);
    const end = endOf(await collect(choice.port.stream(ask('hi'), NEVER)));
    assert.ok(end.type === 'error' && !end.error.retryable);
    assert.match(end.error.message, message);
  }
  assert.equal(net.asked.length, 0);
});

test('prices and windows', () => {
  const usage = { ...NO_USAGE, input: 1_000_000, cacheRead: 400_000, output: 100_000 };
  assert.ok(Math.abs(costOf('gpt-4o')(usage) - (0.6 * 2.5 + 0.4 * 1.25 + 0.1 * 10)) < 1e-9);
  assert.equal(costOf('gpt-4o-2024-08-06')(usage), costOf('openai/gpt-4o')(usage));
  assert.equal(costOf('qwen3')(usage), 0);
  assert.equal(costOf('constructor')(usage), 0);
  assert.equal(windowOf('gpt-4o', 'https://api.openai.com/v1'), 128_000);
  assert.equal(windowOf('unknown', 'https://api.example.com/v1'), CLOUD_WINDOW);
  for (const host of ['127.0.0.1:11434', 'localhost:1234', '[::1]:8080', '192.168.1.5', 'gpu.local', 'ollama:11434'])
    assert.equal(windowOf('qwen3', `http://${host}/v1`), LOCAL_WINDOW, host);
});
