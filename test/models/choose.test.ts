import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProviderSettings, Settings } from '../../src/core/agent.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import { BUILTIN } from '../../src/app/builtin.ts';
import { openModels } from '../../src/models/choice/choose.ts';
import { openFound } from '../../src/models/choice/found.ts';
import type { Kept, KeptProvider } from '../../src/models/choice/kept.ts';
import { PRICES, CLOUD_WINDOW, costOf, LOCAL_WINDOW, modelFacts, windowOf } from '../../src/models/prices/prices.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE, modelServer } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';

const clock: Clock = { now: () => 0, sleep: () => new Promise(() => {}) };
const NEVER = new AbortController().signal;
const EMPTY: Settings['tiers'] = { light: [], standard: [], strong: [] };
const TIERS = ['light', 'standard', 'strong'] as const;

const provider = (
  name: string,
  apiKey: string | null = null,
  baseUrl: string | null = 'http://127.0.0.1:11434/v1',
  more: Partial<ProviderSettings> = {},
): ProviderSettings => ({ name, type: 'openai-compatible', baseUrl, apiKey, ...more });

function models(
  tiers: Partial<Settings['tiers']> = {},
  providers: ProviderSettings[] = [],
  env: Record<string, string | undefined> = {},
  home: KeptProvider[] = [],
) {
  const net = fakeNet();
  const settings = { providers, tiers: { ...EMPTY, ...tiers } };
  const secrets = envSecrets({ env });
  const kept: Kept = { providers: () => home, keep: async (each) => void home.unshift(each) };
  const found = openFound({ env, kept, net, secrets, kinds: BUILTIN.providers, used: [] });
  return { net, found, ...openModels({ settings, found, net, secrets, clock }) };
}

function usualOf(type: string) {
  const maker = BUILTIN.providers.find((each) => each.type === type)?.maker;
  assert.ok(maker);
  return maker.models;
}

const names = (choices: { provider: string; model: string }[]): string[] =>
  choices.map((choice) => `${choice.provider}/${choice.model}`);

test('what a server has refused once is not tried again by the next call', async () => {
  const server = await modelServer((raw) =>
    'stream_options' in raw.body
      ? { status: 400, pieces: ['{"error":{"message":"stream_options is unsupported"}}'] }
      : { pieces: [chunk({ content: 'ok' }, 'stop'), DONE] },
  );
  try {
    const { choices } = models({}, [provider('local', null, server.baseUrl)]);
    for (const _ of ['first', 'second']) {
      const [choice] = choices('local/m');
      assert.equal(textOf(await collect(choice!.port.stream(ask('hi'), NEVER))), 'ok');
    }
    assert.equal(server.requests.length, 3);
  } finally {
    await server.close();
  }
});

test('what ruche.yaml says of how a model is asked counts for that model', async () => {
  const server = await modelServer(() => ({ pieces: [chunk({ content: 'ok' }, 'stop'), DONE] }));
  try {
    const wants = { streamOptions: false };
    const { choices } = models({}, [provider('local', null, server.baseUrl, { byModel: { odd: { wants } } })]);
    for (const name of ['odd', 'plain'])
      await collect(choices(`local/${name}`)[0]!.port.stream(ask('hi', { model: name }), NEVER));
    assert.deepEqual(
      server.requests.map(({ body }) => 'stream_options' in body),
      [false, true],
    );
  } finally {
    await server.close();
  }
});

const ABOUT: Record<string, [about: Record<string, object>, window: number | null, images?: boolean]> = {
  vLLM: [{ '/v1/models': { data: [{ id: 'm', owned_by: 'vllm', max_model_len: 40_960 }] } }, 40_960],
  'llama.cpp': [
    {
      '/v1/models': { data: [{ id: 'a.gguf', meta: { n_ctx_train: 131_072 } }] },
      '/props': { default_generation_settings: { n_ctx: 16_384 }, modalities: { vision: true } },
    },
    16_384,
    true,
  ],
  'an older llama.cpp': [{ '/v1/models': { data: [{ id: 'a.gguf', meta: { n_ctx_train: 4_096 } }] } }, 4_096],
  'LM Studio': [
    {
      '/v1/models': { data: [{ id: 'm' }, { id: 'other' }] },
      '/api/v0/models': {
        data: [{ id: 'm', type: 'vlm', state: 'loaded', loaded_context_length: 8_000, max_context_length: 262_144 }],
      },
    },
    8_000,
    true,
  ],
  'LM Studio, which has not loaded it': [
    {
      '/v1/models': { data: [{ id: 'm' }, { id: 'other' }] },
      '/api/v0/models': { data: [{ id: 'm', state: 'not-loaded', max_context_length: 262_144 }] },
    },
    null,
  ],
  OpenRouter: [
    {
      '/v1/models': {
        data: [
          { id: 'other', context_length: 9_000 },
          {
            id: 'm',
            context_length: 1_048_576,
            architecture: { input_modalities: ['text', 'image'] },
            top_provider: { context_length: 200_000, max_completion_tokens: 8_000 },
          },
        ],
      },
    },
    200_000,
    true,
  ],
  Mistral: [
    { '/v1/models': { data: [{ id: 'm', max_context_length: 131_072, capabilities: { vision: false } }] } },
    131_072,
    false,
  ],
  Groq: [{ '/v1/models': { data: [{ id: 'm', context_window: 131_072, max_completion_tokens: 32_768 }] } }, 131_072],
  Copilot: [{ '/v1/models': { data: [{ id: 'm', capabilities: { limits: { max_prompt_tokens: 64_000 } } }] } }, 64_000],
  'one that says nothing': [{ '/v1/models': { data: [{ id: 'm' }] } }, null],
  'one that lies': [{ '/v1/models': { data: [{ id: 'm', context_length: -1 }] } }, null],
  'one that has no list': [{}, null],
};
for (const [who, [about, window, images = false]] of Object.entries(ABOUT))
  test(`the window that the server tells: ${who}`, async () => {
    const server = await modelServer();
    Object.assign(server.about, about);
    try {
      const tiers = { standard: ['local/m'] };
      const { prepare, choices, assumed } = models(tiers, [provider('local', null, server.baseUrl)]);
      assert.deepEqual(assumed(), {}, 'nobody has looked');
      await prepare(NEVER);
      const [choice] = choices('standard');
      assert.deepEqual(
        [choice?.window, choice?.assumed, choice?.images],
        [window ?? LOCAL_WINDOW, window === null ? true : undefined, images],
      );
      assert.deepEqual(assumed(), window === null ? { 'local/m': LOCAL_WINDOW } : {});
      assert.equal(server.requests.length, 0, 'nothing was asked');
    } finally {
      await server.close();
    }
  });

test('a server is asked what it holds once, before its first request, and not where its owner has said it', async () => {
  const server = await modelServer(() => ({ pieces: [chunk({ content: 'ok' }, 'stop'), DONE] }));
  server.about['/v1/models'] = { data: [{ id: 'm', max_model_len: 40_960 }] };
  try {
    const { choices } = models({}, [
      provider('local', null, server.baseUrl),
      provider('told', null, server.baseUrl, { window: 5_000 }),
    ]);
    for (const name of ['told/m', 'local/m', 'local/m'])
      await collect(choices(name)[0]!.port.stream(ask('hi', { model: 'm' }), NEVER));
    assert.deepEqual([choices('local/m')[0]?.window, choices('told/m')[0]?.window], [40_960, 5_000]);
    assert.deepEqual(server.looked, ['/v1/models']);
  } finally {
    await server.close();
  }
});

test('with nothing configured and nothing found it is the demo, and says so', async () => {
  const { choices, describe, problems, net } = models();
  for (const tier of TIERS) assert.deepEqual(names(choices(tier)), ['demo/demo']);
  assert.deepEqual([describe().model, describe().demo, describe().source], ['demo/demo', true, 'stand-in']);
  assert.deepEqual(problems(), []);
  const text = textOf(await collect(choices('standard')[0]!.port.stream(ask('hello'), NEVER)));
  assert.match(text, /demo/i);
  assert.equal(net.asked.length, 0);
});

test('the demo named in ruche.yaml is meant, whatever there is beside it', () => {
  const env = { ANTHROPIC_API_KEY: 'sk-ant-0123456789' };
  const { choices, describe } = models({ standard: ['demo/demo'] }, [], env);
  assert.deepEqual(names(choices('standard')), ['demo/demo']);
  assert.deepEqual([describe().demo, describe().source], [true, 'ruche.yaml']);
});

test('key and model in the environment are used where nothing is configured, and named', async () => {
  const server = await modelServer();
  try {
    const env = {
      OPENAI_API_KEY: 'sk-from-the-environment',
      OPENAI_MODEL: 'gpt-5.4-mini',
      OPENAI_BASE_URL: server.baseUrl,
      ANTHROPIC_API_KEY: 'sk-ant-for-another-program',
    };
    const { choices, describe } = models({}, [], env);
    assert.deepEqual(names(choices('light')), ['openai/gpt-5.4-mini']);
    const { model, demo, source } = describe();
    assert.deepEqual([model, demo, source], ['openai/gpt-5.4-mini', false, 'environment']);
    // A server that only calls itself OpenAI's speaks chat completions.
    server.next({ pieces: [chunk({ content: 'Hello' }, 'stop'), DONE] });
    assert.equal(textOf(await collect(choices('light')[0]!.port.stream(ask('hi'), NEVER))), 'Hello');
    assert.equal(server.requests.at(-1)?.path, '/v1/chat/completions');
    assert.equal(server.requests.at(-1)?.headers.authorization, 'Bearer sk-from-the-environment');
  } finally {
    await server.close();
  }
});

test('a key alone is enough where its maker is known: home, then anthropic, openai, gemini', () => {
  const keys = {
    GOOGLE_API_KEY: 'g-0123456789',
    OPENAI_API_KEY: 'sk-0123456789',
    ANTHROPIC_API_KEY: 'sk-ant-0123456789',
  };
  const home: KeptProvider = {
    name: 'gemini',
    type: 'gemini',
    baseUrl: null,
    apiKey: 'env:GOOGLE_API_KEY',
    model: null,
  };
  const cases: [Record<string, string>, KeptProvider[], string][] = [
    [keys, [home], 'gemini'],
    [keys, [], 'anthropic'],
    [{ ...keys, ANTHROPIC_API_KEY: ' ' }, [], 'openai'],
    [{ GOOGLE_API_KEY: 'g-0123456789' }, [], 'gemini'],
    [{ GEMINI_API_KEY: 'g-0123456789' }, [], 'gemini'],
  ];
  for (const [env, kept, maker] of cases) {
    const { choices, describe } = models({}, [], env, kept);
    for (const tier of TIERS)
      assert.deepEqual(
        names(choices(tier)),
        usualOf(maker)[tier].map((model) => `${maker}/${model}`),
      );
    assert.equal(describe().source, kept.length > 0 ? 'home' : 'environment');
  }
  for (const env of [{ OPENAI_MODEL: 'only-a-model' }, { OPENAI_API_KEY: ' ', OPENAI_MODEL: 'm' }])
    assert.equal(models({}, [], env).describe().demo, true, JSON.stringify(env));
  // Which models another server has, nobody knows.
  const elsewhere = { OPENAI_API_KEY: 'sk-0123456789', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' };
  const { describe, choices } = models({}, [], elsewhere);
  assert.equal(describe().demo, true);
  assert.deepEqual(names(choices('openai/qwen3')), ['openai/qwen3']);
});

test('what a person gives while it runs is used at once', async () => {
  const { choices, found } = models();
  assert.deepEqual(names(choices('standard')), ['demo/demo']);
  await found.keep({
    name: 'server',
    type: 'openai-compatible',
    baseUrl: 'http://127.0.0.1:9/v1',
    apiKey: null,
    model: 'q',
  });
  assert.deepEqual(names(choices('standard')), ['server/q']);
  await found.keep({ name: 'ollama', type: 'ollama', baseUrl: 'http://127.0.0.1:9', apiKey: null, model: 'qwen3' });
  assert.deepEqual(names(choices('standard')), ['ollama/qwen3'], 'the last one given');
});

test('the environment stays out of what is configured, but its provider can be named', () => {
  const env = { OPENAI_API_KEY: 'sk-from-the-environment', OPENAI_MODEL: 'gpt-5' };
  const { choices, describe } = models({ standard: ['local/qwen3'] }, [provider('local')], env);
  assert.deepEqual(names(choices('standard')), ['local/qwen3']);
  assert.equal(describe().source, 'ruche.yaml');
  assert.deepEqual(names(choices('openai/gpt-4o')), ['openai/gpt-4o']);
});

test('a key of the environment goes to its maker, and not to another address that the file names', () => {
  const env = { ANTHROPIC_API_KEY: 'sk-ant-0123456789' };
  const given = [
    provider('work', null, null, { type: 'anthropic' }),
    provider('proxy', null, 'http://127.0.0.1:9', { type: 'anthropic' }),
    provider('anthropic', null, 'http://127.0.0.1:9', { type: 'anthropic' }),
  ];
  const known = new Map(
    models({}, given, env)
      .providers()
      .map((each) => [each.name, each]),
  );
  assert.deepEqual(
    [known.get('work')?.apiKey, known.get('work')?.baseUrl],
    ['env:ANTHROPIC_API_KEY', 'https://api.anthropic.com'],
  );
  assert.equal(known.get('proxy')?.apiKey, null);
  assert.equal(known.get('anthropic')?.apiKey, null);
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
  const providers = [provider('local'), provider('cloud', 'env:CLOUD_KEY'), provider('kept', 'home:kept')];
  const refs = ['cloud/big', 'gone/model', 'kept/x', 'gemini/gemini-4-hydrogen', 'server/x', 'local/qwen3'];
  const { choices, problems } = models({ standard: refs }, providers);
  assert.deepEqual(names(choices('standard')), ['local/qwen3']);
  assert.deepEqual(
    problems().map(({ file, key, severity }) => [file, key, severity]),
    [
      ['ruche.yaml', 'models.providers.cloud.apiKey', 'error'],
      ['ruche.yaml', 'models.providers.kept.apiKey', 'error'],
      ['ruche.yaml', 'models.standard.1', 'error'],
      ['ruche.yaml', 'models.standard.3', 'error'],
      ['ruche.yaml', 'models.standard.4', 'error'],
    ],
  );
  const said = problems().map(({ message }) => message);
  assert.match(said[0]!, /CLOUD_KEY is not set.*"cloud"/);
  assert.match(
    said[1]!,
    /secret "kept" cannot be read, and provider.*ruche secrets list says why.*ruche secrets set kept.*web page/,
  );
  assert.match(said[2]!, /"gone\/model".*local.*models\.providers/);
  assert.match(said[3]!, /no key for "gemini": set GEMINI_API_KEY.*web page/);
  assert.match(said[4]!, /"server\/x" is at the URL that the web page was given/);
});

test('what cannot work and is the only one says why when it is called', async () => {
  const { choices, problem, net } = models({ standard: ['cloud/big'] }, [provider('cloud', 'env:CLOUD_KEY')]);
  const cases: [string, RegExp][] = [
    ['standard', /^models\.providers\.cloud\.apiKey in ruche\.yaml: .*CLOUD_KEY is not set/],
    ['gone/model', /not configured \(there are: .*cloud/],
    ['anthropic/claude', /^There is no key for "anthropic"/],
    ['enormous', /write a tier \(light, standard, strong\) or provider\/model/],
    ['cloud/', /is not a model/],
  ];
  for (const [name, message] of cases) {
    const [choice] = choices(name);
    assert.ok(choice);
    const end = endOf(await collect(choice.port.stream(ask('hi'), NEVER)));
    assert.ok(end.type === 'error' && !end.error.retryable);
    assert.match(end.error.message, message);
    if (name !== 'standard') assert.match(problem(name), message);
  }
  assert.equal(net.asked.length, 0);
});

test('who can see: known of the makers’ models, unknown of another server’s unless it is said', () => {
  const env = { OPENAI_API_KEY: 'sk-0123456789' };
  const eyes = provider('eyes', null, undefined, { images: true });
  const blind = provider('work', 'env:OPENAI_API_KEY', null, { type: 'openai', images: false });
  const { choices } = models({}, [provider('local'), eyes, blind], env);
  const sees = (ref: string): boolean => choices(ref)[0]!.images;
  assert.deepEqual(
    [
      'openai/gpt-6.2-sol',
      'openai/gpt-99',
      'local/gpt-4o',
      'local/qwen3',
      'eyes/qwen3',
      'work/gpt-6.2-sol',
      'demo/demo',
    ].map(sees),
    [true, true, true, false, true, false, false],
  );
});

test('what the file says of a model counts more than what is known of it', () => {
  const price = { input: 1, output: 4 };
  const lan = provider('lan', null, 'http://10.0.0.5:8000/v1', {
    window: 32_768,
    price,
    byModel: { big: { window: 131_072, images: true }, free: { price: { input: 0, output: 0 } } },
  });
  const { choices } = models({}, [lan]);
  const of = (model: string) => choices(`lan/${model}`)[0];
  assert.deepEqual([of('small')?.window, of('big')?.window, of('gpt-4o')?.window], [32_768, 131_072, 32_768]);
  assert.deepEqual([of('small')?.images, of('big')?.images], [false, true]);
  const usage = { ...NO_USAGE, input: 1_000_000, cacheRead: 500_000, output: 1_000_000 };
  assert.deepEqual([of('small')?.cost(usage), of('free')?.cost(usage), of('gpt-4o')?.cost(usage)], [5, 0, 5]);
  assert.equal(of('free')?.unpriced, undefined, 'an owner may say that it costs nothing');
});

test('F7 a price that nobody says is unknown, wherever the model runs', () => {
  const providers = [provider('lan', null, 'http://10.0.0.5:8000/v1'), provider('cloud', null, 'https://a.example/v1')];
  const { choices } = models({}, providers);
  const unpriced = (ref: string) => choices(ref)[0]?.unpriced ?? false;
  assert.deepEqual(['lan/qwen3', 'cloud/large', 'cloud/openai/gpt-4o', 'demo/demo'].map(unpriced), [
    true,
    true,
    false,
    false,
  ]);
});

test('prices and windows', () => {
  const usage = { ...NO_USAGE, input: 1_000_000, cacheRead: 400_000, output: 100_000 };
  assert.ok(Math.abs(costOf('gpt-4o')(usage) - (0.6 * 2.5 + 0.4 * 1.25 + 0.1 * 10)) < 1e-9);
  const written = { ...usage, cacheWrite: 500_000 };
  assert.ok(Math.abs(costOf('claude-sonnet-5-5')(written) - (0.1 * 2 + 0.4 * 0.1 + 0.5 * 2.5 + 0.1 * 10)) < 1e-9);
  assert.ok(costOf('gpt-6-luna')({ ...NO_USAGE, input: 10, cacheRead: 99, cacheWrite: 99 }) > 0, 'never below nothing');
  assert.equal(costOf('gpt-4o-2024-08-06')(usage), costOf('openai/gpt-4o')(usage));
  for (const name of ['claude-opus-4.5', 'claude-opus-4-5-20251101', 'anthropic/claude-opus-4.5'])
    assert.equal(modelFacts(name), PRICES['claude-opus-4-5'], name);
  assert.equal(modelFacts('models/gemini-3.1-pro-preview'), PRICES['gemini-3.1-pro']);
  assert.equal(costOf('qwen3')(usage), 0);
  assert.equal(costOf('constructor')(usage), 0);
  assert.equal(windowOf('gpt-4o', 'https://api.openai.com/v1'), 128_000);
  assert.equal(windowOf('unknown', 'https://api.example.com/v1'), CLOUD_WINDOW);
  for (const host of ['127.0.0.1:11434', 'localhost:1234', '[::1]:8080', '192.168.1.5', 'gpu.local', 'ollama:11434'])
    assert.equal(windowOf('qwen3', `http://${host}/v1`), LOCAL_WINDOW, host);
});

test('every row of the table can be right, and every default model has one', () => {
  const rows = Object.entries(PRICES);
  assert.ok(rows.length >= 45, `${rows.length} rows`);
  for (const [name, { input, cached, cacheWrite, output, window, maxOutput, asOf }] of rows) {
    assert.ok(cached > 0 && cached < input && input <= cacheWrite && input < output, name);
    assert.ok(window >= 100_000 && maxOutput >= 16_384 && maxOutput < window * 2, name);
    assert.match(asOf, /^2026-\d\d-\d\d$/);
  }
  const makers = BUILTIN.providers.flatMap(({ maker }) => maker ?? []);
  assert.ok(makers.length >= 3);
  for (const { models: tiers } of makers)
    for (const tier of TIERS) for (const model of tiers[tier]) assert.ok(PRICES[model], model);
});
