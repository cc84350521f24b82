import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { ProviderSettings, Settings } from '../../src/core/agent.ts';
import type { KeptSecrets } from '../../src/core/ports/secrets.ts';
import type { SetupRequest } from '../../src/core/api/views.ts';
import { BUILTIN } from '../../src/app/builtin.ts';
import { openModels } from '../../src/models/choice/choose.ts';
import { openDesk } from '../../src/models/setup/desk.ts';
import { openFound } from '../../src/models/choice/found.ts';
import type { KeptProvider } from '../../src/models/choice/kept.ts';
import { openSecrets } from '../../src/secrets/open.ts';
import { chunk, DONE, type ModelServer, modelServer, type RawAnswer, type RawRequest } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';
import { begin, block, finish } from '../fakes/wires/anthropic.ts';
import { line } from '../fakes/wires/ollama.ts';

const NEVER = new AbortController().signal;
const KEY = 'sk-desk-Canary-0123456789';
const JSON_TYPE = { 'content-type': 'application/json' };

/** A server that speaks several protocols, and counts how often it was asked with which key. */
function speaking({ path, headers }: RawRequest): RawAnswer {
  const wrong = headers.authorization === 'Bearer wrong-key-0123' || headers['x-api-key'] === 'wrong-key-0123';
  if (wrong)
    return { status: 401, headers: JSON_TYPE, pieces: ['{"error":{"message":"Incorrect API key: wrong-key-0123"}}'] };
  if (path === '/v1/messages')
    return {
      pieces: [
        begin(),
        ...block(0, { type: 'text', text: '' }, [{ type: 'text_delta', text: 'Here.' }]),
        ...finish('end_turn'),
      ],
    };
  if (path === '/v1/chat/completions')
    return {
      pieces: [chunk({ content: 'Here.' }, 'stop', { usage: { prompt_tokens: 9, completion_tokens: 2 } }), DONE],
    };
  if (path === '/api/tags')
    return { headers: JSON_TYPE, pieces: ['{"models":[{"name":"old:1b"},{"name":"qwen3:latest"}]}'] };
  if (path === '/api/show')
    return {
      headers: JSON_TYPE,
      pieces: ['{"capabilities":["tools","vision"],"model_info":{"q.context_length":9000}}'],
    };
  if (path === '/api/chat')
    return { pieces: [line({ content: 'Here.' }), line({}, { done: true, done_reason: 'stop' })] };
  return { status: 404, headers: JSON_TYPE, pieces: ['{"error":{"message":"Not Found"}}'] };
}

let server: ModelServer;
let origin: string;
beforeEach(async () => {
  server = await modelServer(speaking);
  origin = new URL(server.baseUrl).origin;
});
afterEach(() => server.close());

async function desk(
  more: { providers?: ProviderSettings[]; standard?: string[]; named?: string[]; env?: Record<string, string> } = {},
) {
  const env = { OLLAMA_HOST: 'http://127.0.0.1:2', ...more.env };
  const net = fakeNet();
  const stored = new Map<string, string>();
  const file = (path: string) => ({
    path,
    read: async () => stored.get(path) ?? null,
    write: async (text: string) => void stored.set(path, text),
  });
  const secrets: KeptSecrets = await openSecrets({ env, home: '/home', clock: { now: () => 1_000 }, file });
  const home: KeptProvider[] = [];
  const found = openFound({
    env,
    kept: { providers: () => home, keep: async (each) => void home.unshift(each) },
    net,
    secrets,
    kinds: BUILTIN.providers,
    used: [],
  });
  const settings: Pick<Settings, 'providers' | 'tiers'> = {
    providers: more.providers ?? [],
    tiers: { light: [], standard: more.standard ?? [], strong: [] },
  };
  const clock = {
    now: () => 1_000,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('over')))),
  };
  const models = openModels({ settings, found, net, secrets, clock });
  const made = openDesk({
    settings: () => settings,
    models: () => models,
    named: () => more.named ?? [],
    found,
    net,
    secrets,
    clock,
  });
  return { ...made, models, home, secrets, kept: () => secrets.vault.list().map(({ name }) => name), stored };
}

test('each way of setting up: tried first, kept then, used at once', async () => {
  const ways: [SetupRequest, KeptProvider, string][] = [
    [
      { kind: 'key', provider: 'anthropic', key: ` ${KEY} `, baseUrl: origin },
      { name: 'anthropic', type: 'anthropic', baseUrl: origin, apiKey: 'secret:anthropic', model: null },
      'anthropic/claude-sonnet-5-5',
    ],
    [
      { kind: 'key', provider: 'anthropic', key: KEY, baseUrl: origin, model: 'claude-opus-5-5' },
      { name: 'anthropic', type: 'anthropic', baseUrl: origin, apiKey: 'secret:anthropic', model: 'claude-opus-5-5' },
      'anthropic/claude-opus-5-5',
    ],
    [
      { kind: 'url', baseUrl: `${origin}/v1/chat/completions`, model: 'q', key: KEY },
      { name: 'server', type: 'openai-compatible', baseUrl: `${origin}/v1`, apiKey: 'secret:server', model: 'q' },
      'server/q',
    ],
    [
      { kind: 'url', baseUrl: `${origin}/v1`, model: 'q' },
      { name: 'server', type: 'openai-compatible', baseUrl: `${origin}/v1`, apiKey: null, model: 'q' },
      'server/q',
    ],
    [
      { kind: 'ollama', baseUrl: new URL(origin).host },
      { name: 'ollama', type: 'ollama', baseUrl: origin, apiKey: null, model: 'old:1b' },
      'ollama/old:1b',
    ],
  ];
  for (const [request, kept, model] of ways) {
    const { setup, models, home, kept: names, secrets } = await desk();
    assert.deepEqual(await setup(request, NEVER), { ok: true, model, said: 'Here.' });
    assert.deepEqual(home, [kept]);
    assert.equal(models.describe().model, model);
    const name = kept.apiKey?.slice('secret:'.length);
    assert.deepEqual(names(), name === undefined ? [] : [name]);
    if (kept.apiKey !== null) assert.equal(await secrets.resolve(kept.apiKey, 'a test'), KEY);
    assert.ok(!JSON.stringify(home).includes(KEY));
  }
});

test('what does not work is not kept: the field to mend, and never the key', async () => {
  const cases: [SetupRequest, string, RegExp][] = [
    [
      { kind: 'key', provider: 'anthropic', key: 'wrong-key-0123', baseUrl: origin },
      'key',
      /refused the key: copy it once more/,
    ],
    [{ kind: 'key', provider: 'openai', key: 'short', baseUrl: origin }, 'key', /no key/],
    [{ kind: 'key', provider: 'openai', key: 'with a space in it', baseUrl: origin }, 'key', /one long word/],
    [{ kind: 'key', provider: 'openai', key: KEY, baseUrl: `${origin}/v1` }, 'model', /openai-compatible/],
    [
      { kind: 'key', provider: 'gemini', key: KEY, baseUrl: 'http://127.0.0.1:2' },
      'baseUrl',
      /cannot be reached|broke/,
    ],
    [{ kind: 'key', provider: 'gemini', key: KEY, baseUrl: 'nowhere' }, 'baseUrl', /no address of an API/],
    [
      { kind: 'key', provider: 'gemini', key: KEY, baseUrl: 'http://me:pass@127.0.0.1/' },
      'baseUrl',
      /no address of an API/,
    ],
    [{ kind: 'url', baseUrl: `${origin}/v1`, model: ' ' }, 'model', /name of a model/],
    [{ kind: 'url', baseUrl: `${origin}/v2`, model: 'q' }, 'model', /the address/],
    [{ kind: 'ollama', baseUrl: 'http://127.0.0.1:2' }, 'baseUrl', /No Ollama answers at http:\/\/127\.0\.0\.1:2/],
    [{ kind: 'ollama', baseUrl: 'not an address' }, 'baseUrl', /no address/],
  ];
  for (const [request, field, message] of cases) {
    const { setup, home, stored, models } = await desk();
    const result = await setup(request, NEVER);
    assert.ok(!result.ok, JSON.stringify(request));
    assert.equal(result.field, field, result.message);
    assert.match(result.message, message);
    assert.doesNotMatch(result.message, /wrong-key|Canary|ruche\.yaml/);
    assert.deepEqual([home.length, stored.size, models.describe().demo], [0, 0, true]);
  }
  const { setup, secrets } = await desk();
  await setup({ kind: 'key', provider: 'anthropic', key: 'wrong-key-0123', baseUrl: origin }, NEVER);
  assert.equal(secrets.redact('wrong-key-0123'), '[redacted]', 'hidden though it was not kept');
  // A file that was pasted: to hide each spelling of megabytes would take the process's memory, and hide what it holds.
  const pasted = 'a line that stands in a file\n'.repeat(1_000);
  const tooLong = await setup({ kind: 'key', provider: 'openai', key: pasted }, NEVER);
  assert.ok(!tooLong.ok && tooLong.field === 'key');
  assert.equal(secrets.redact('a line that stands in a file'), 'a line that stands in a file');
});

test('ruche.yaml counts more than the page, and the page says so', async () => {
  const own: ProviderSettings = { name: 'server', type: 'openai-compatible', baseUrl: `${origin}/v1`, apiKey: null };
  const shadowed = await desk({ providers: [own] });
  const refused = await shadowed.setup({ kind: 'url', baseUrl: `${origin}/v1`, model: 'q' }, NEVER);
  assert.ok(!refused.ok && /ruche\.yaml has a provider "server"/.test(refused.message));
  const named = await desk({ standard: ['demo/demo'] });
  const result = await named.setup({ kind: 'url', baseUrl: `${origin}/v1`, model: 'q' }, NEVER);
  assert.ok(result.ok && /ruche\.yaml names the models.*server\/q/.test(result.said), JSON.stringify(result));
});

test('the list: what is configured and found, with price, window, abilities and what is wrong', async () => {
  const providers: ProviderSettings[] = [
    { name: 'local', type: 'openai-compatible', baseUrl: `${origin}/v1`, apiKey: null },
    { name: 'cloud', type: 'openai', baseUrl: null, apiKey: 'env:CLOUD_KEY' },
  ];
  const { list } = await desk({
    providers,
    standard: ['local/qwen3', 'cloud/gpt-6.2-sol', 'ollama/qwen3', 'ollama/gone'],
    named: ['standard', 'anthropic/claude-haiku-5-5'],
    env: { OLLAMA_HOST: origin, GEMINI_API_KEY: 'g-0123456789' },
  });
  const view = await list(NEVER);
  assert.deepEqual([view.model, view.demo], ['local/qwen3', false]);
  const provider = (name: string) => view.providers.find((each) => each.name === name);
  assert.deepEqual(
    view.providers.map(({ name, source, key }) => [name, source, key]),
    [
      ['ollama', 'environment', null],
      ['anthropic', 'built in', 'env:ANTHROPIC_API_KEY'],
      ['gemini', 'environment', 'env:GEMINI_API_KEY'],
      ['local', 'ruche.yaml', null],
      ['cloud', 'ruche.yaml', 'env:CLOUD_KEY'],
    ],
  );
  assert.match(provider('cloud')?.problem ?? '', /CLOUD_KEY is not set/);
  assert.match(provider('anthropic')?.problem ?? '', /no key for "anthropic"/);
  assert.equal(provider('ollama')?.problem, '');
  const model = (ref: string) => view.models.find((each) => each.ref === ref);
  assert.deepEqual(model('cloud/gpt-6.2-sol')?.price, { input: 2, cached: 0.1, output: 10, asOf: '2026-11-22' });
  assert.deepEqual(
    model('cloud/gpt-6.2-sol')?.tiers.map(({ tier, place }) => [tier, place]),
    [
      ['light', 1],
      ['standard', 1],
      ['strong', 1],
    ],
  );
  assert.match(model('cloud/gpt-6.2-sol')?.problem ?? '', /CLOUD_KEY/);
  const { tiers: _tiers, ...plain } = model('ollama/qwen3:latest') ?? { tiers: [] };
  assert.deepEqual(plain, {
    ref: 'ollama/qwen3:latest',
    provider: 'ollama',
    model: 'qwen3:latest',
    window: 9000,
    images: true,
    reasoning: false,
    price: null,
    problem: '',
  });
  assert.equal(model('ollama/qwen3')?.problem, '');
  assert.match(model('ollama/gone')?.problem ?? '', /ollama pull gone/);
  assert.match(model('anthropic/claude-haiku-5-5')?.problem ?? '', /no key/);
  assert.ok(model('gemini/gemini-4-hydrogen'), 'what is found can be used');
  assert.deepEqual(
    [model('local/qwen3')?.price, model('local/qwen3')?.window, model('local/qwen3')?.problem],
    [null, null, ''],
  );
});

test('one small call: how long, what it cost, what it said; or what is wrong', async () => {
  const local: ProviderSettings = { name: 'local', type: 'openai-compatible', baseUrl: `${origin}/v1`, apiKey: null };
  const gone: ProviderSettings = { ...local, name: 'gone', baseUrl: `${origin}/nothing` };
  const { test: tryOut } = await desk({ providers: [local, gone] });
  const { ok, said, usage, costUsd } = await tryOut('local/gpt-6.2-sol', NEVER);
  assert.deepEqual([ok, said, usage.output], [true, 'Here.', 2]);
  assert.ok(Math.abs(costUsd - (9 * 2 + 2 * 10) / 1e6) < 1e-12);
  for (const [ref, message] of [
    ['gone/q', /found nothing/],
    ['gemini/x', /no key for "gemini"/],
    ['nobody/x', /not configured/],
  ] as const) {
    const result = await tryOut(ref, NEVER);
    assert.ok(!result.ok && message.test(result.said), JSON.stringify(result));
  }
  assert.equal(server.requests.filter(({ path }) => path === '/v1/chat/completions').length, 1);
});
