import assert from 'node:assert/strict';
import { reaches } from '../../src/core/net/reach.ts';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import type { KeptProvider } from '../../src/models/choice/kept.ts';
import { BUILTIN } from '../../src/app/builtin.ts';
import { openModels } from '../../src/models/choice/choose.ts';
import { openFound } from '../../src/models/choice/found.ts';
import { lineFeed } from '../../src/models/wire/feed.ts';
import { OLLAMA_WINDOW } from '../../src/models/ollama/model.ts';
import { ollamaUrl } from '../../src/models/ollama/models.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, askedAndRead, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { openWire } from '../contracts/model-wires.ts';
import { type ModelServer, modelServer, type RawAnswer, type RawRequest } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';
import { line, ollamaWire } from '../fakes/wires/ollama.ts';

const NEVER = new AbortController().signal;
const JSON_TYPE = { 'content-type': 'application/json' };

interface Shown {
  capabilities: string[];
  context?: number;
  parameters?: string;
  remote_model?: string;
}

/** An Ollama that has these models, the first one newest, and answers every chat with `Hello`. */
const having =
  (models: Record<string, Shown>) =>
  ({ path, body }: RawRequest): RawAnswer => {
    const names = Object.keys(models);
    if (path === '/api/tags')
      return { headers: JSON_TYPE, pieces: [JSON.stringify({ models: names.map((name) => ({ name })) })] };
    if (path === '/api/show') {
      const name = body['model'] as string;
      const shown = models[name] ?? models[`${name}:latest`];
      if (!shown) return { status: 404, headers: JSON_TYPE, pieces: ['{"error":"model not found"}'] };
      const { context, ...rest } = shown;
      const model_info = context === undefined ? {} : { 'qwen3.context_length': context };
      return { headers: JSON_TYPE, pieces: [JSON.stringify({ ...rest, model_info })] };
    }
    const done = line({}, { done: true, done_reason: 'stop', prompt_eval_count: 9, eval_count: 2 });
    return { headers: { 'content-type': 'application/x-ndjson' }, pieces: [line({ content: 'Hello' }), done] };
  };

const MODELS: Record<string, Shown> = {
  'embed:latest': { capabilities: ['embedding'], context: 512 },
  'qwen3:latest': { capabilities: ['completion', 'tools', 'thinking'], context: 262_144 },
  'llava:7b': { capabilities: ['completion', 'vision', 'tools'], context: 4_096 },
  'wide:latest': { capabilities: ['tools'], context: 131_072, parameters: 'temperature 0.7\nnum_ctx 65536\n' },
  'far:cloud': { capabilities: ['tools'], context: 262_144, remote_model: 'far' },
};

let server: ModelServer;
let origin: string;
beforeEach(async () => {
  server = await modelServer(having(MODELS));
  origin = new URL(server.baseUrl).origin;
});
afterEach(() => server.close());

function network(
  env: Record<string, string>,
  home: KeptProvider[] = [],
  standard: string[] = [],
  used: readonly string[] = ['ollama'],
) {
  const net = fakeNet();
  const secrets = envSecrets({ env });
  const found = openFound({
    env,
    kept: { providers: () => home, keep: async () => {} },
    net,
    secrets,
    kinds: BUILTIN.providers,
    used,
  });
  const clock = { now: () => 0, sleep: () => new Promise<void>(() => {}) };
  const settings = { providers: [], tiers: { light: [], standard, strong: [] } };
  return { net, found, models: openModels({ settings, found, net, secrets, clock }) };
}

test('an Ollama that nobody has chosen is offered and not used, also where the environment says where it is', async () => {
  const { models, found } = network({ OLLAMA_HOST: origin }, [], [], []);
  await models.prepare(NEVER);
  assert.deepEqual(
    models.choices('standard').map(({ provider }) => provider),
    ['demo'],
  );
  const offer = { kind: 'ollama', title: 'Ollama', baseUrl: origin, model: 'qwen3:latest' };
  assert.deepEqual([models.describe().demo, models.describe().offer], [true, offer]);
  assert.ok(server.requests.every(({ path }) => path !== '/api/chat'));
  const kept = { name: 'ollama', type: 'ollama', baseUrl: origin, apiKey: null, model: 'qwen3:latest' };
  const yes = network({ OLLAMA_HOST: origin }, [kept], [], []).models;
  assert.deepEqual([yes.describe().model, yes.describe().offer], ['ollama/qwen3:latest', null]);
  const named = network({ OLLAMA_HOST: origin }, [], ['ollama/qwen3'], []).models;
  assert.deepEqual(
    [named.describe().model, named.describe().offer],
    ['ollama/qwen3', null],
    'a name in ruche.yaml is a yes',
  );
  const key = network({ OLLAMA_HOST: origin, ANTHROPIC_API_KEY: 'sk-ant-0123456789' }, [], [], []);
  await key.found.look(NEVER);
  assert.equal(key.models.describe().offer, null, 'another model is chosen');
  await server.close();
  await found.look(NEVER);
  assert.match(found.missing, /./);
});

test('a home that an Ollama has answered before goes on with it: its newest model that can use tools', async () => {
  const { models, net } = network({ OLLAMA_HOST: origin });
  assert.equal(models.describe().demo, true);
  await models.prepare(NEVER);
  assert.deepEqual([models.describe().model, models.describe().source], ['ollama/qwen3:latest', 'found']);
  const [choice] = models.choices('standard');
  assert.deepEqual(
    [choice?.window, choice?.images, choice?.cost({ input: 9, output: 9, cacheRead: 0, cacheWrite: 0 })],
    [OLLAMA_WINDOW, false, 0],
  );
  const host = new URL(origin).host;
  for (const { forWhom, request } of net.asked) {
    assert.deepEqual([forWhom.only, forWhom.privateHosts], [reaches(host), [host]]);
    assert.ok((request.timeoutMs ?? Infinity) <= 5_000);
  }
  const answer = await collect(choice!.port.stream(ask('hi', { model: choice!.model }), NEVER));
  assert.equal(textOf(answer), 'Hello');
  assert.deepEqual(endOf(answer).usage, { input: 9, output: 2, cacheRead: 0, cacheWrite: 0 });
  const sent = server.requests.at(-1);
  assert.equal(sent?.path, '/api/chat');
  assert.deepEqual([sent.body['options'], sent.body['think']], [{ num_ctx: OLLAMA_WINDOW }, true]);
});

test('nobody is asked where something is configured or found', async () => {
  const kept: KeptProvider = {
    name: 'gemini',
    type: 'gemini',
    baseUrl: null,
    apiKey: 'env:GEMINI_API_KEY',
    model: null,
  };
  for (const each of [
    network({ OLLAMA_HOST: origin }, [], ['demo/demo']),
    network({ OLLAMA_HOST: origin, ANTHROPIC_API_KEY: 'sk-ant-0123456789' }),
    network({ OLLAMA_HOST: origin }, [kept]),
  ]) {
    await each.models.prepare(NEVER);
    assert.equal(each.net.asked.length, 0);
  }
  const nobody = network({});
  await nobody.found.look(NEVER);
  for (const { request } of nobody.net.asked) assert.match(request.url, /^http:\/\/127\.0\.0\.1:11434\//);
  assert.ok(nobody.net.asked.length > 0);
});

test('what the models can do, by what Ollama says of them', async () => {
  const { models } = network(
    { OLLAMA_HOST: origin },
    [],
    ['ollama/llava:7b', 'ollama/wide', 'ollama/far:cloud', 'ollama/gone'],
  );
  assert.deepEqual(
    models.choices('standard').map(({ window }) => window),
    [8_192, 8_192, 8_192, 8_192],
    'careful until it is known',
  );
  await models.prepare(NEVER);
  assert.deepEqual(
    models.choices('standard').map(({ window, images }) => [window, images]),
    [
      [4_096, true],
      [65_536, false],
      [262_144, false],
      [8_192, false],
    ],
  );
  const small = network({ OLLAMA_HOST: origin, OLLAMA_CONTEXT_LENGTH: '16384' }, [], ['ollama/qwen3']);
  await small.models.prepare(NEVER);
  assert.equal(small.models.choices('standard')[0]?.window, 16_384);
});

test('an Ollama that is not there, or is something else, is none', async () => {
  const other = await modelServer(() => ({ headers: { 'content-type': 'text/html' }, pieces: ['<html>'] }));
  try {
    for (const host of [new URL(other.baseUrl).origin, 'http://127.0.0.1:1', 'not a host', 'ftp://x']) {
      const { found, models } = network({ OLLAMA_HOST: host });
      await models.prepare(NEVER);
      assert.equal(models.describe().demo, true, host);
      assert.ok(found.missing.length > 0, host);
    }
  } finally {
    await other.close();
  }
});

test('an Ollama that goes away does not make the demo answer in its place', async () => {
  const { found, models } = network({ OLLAMA_HOST: origin });
  await models.prepare(NEVER);
  await server.close();
  await found.look(NEVER);
  assert.equal(models.describe().model, 'ollama/qwen3:latest');
  const end = endOf(await collect(models.choices('standard')[0]!.port.stream(ask('hi'), NEVER)));
  assert.ok(end.type === 'error' && end.error.kind === 'network' && end.error.retryable, JSON.stringify(end));
  server = await modelServer();
});

test('OLLAMA_HOST in the forms that people write', () => {
  const cases: [string, string | null][] = [
    ['127.0.0.1', 'http://127.0.0.1:11434'],
    ['0.0.0.0:8080', 'http://127.0.0.1:8080'],
    ['[::]:11434', 'http://[::1]:11434'],
    ['gpu.lan', 'http://gpu.lan:11434'],
    ['http://gpu.lan:11434/v1', 'http://gpu.lan:11434'],
    ['https://ollama.example.org/api/', 'https://ollama.example.org'],
    ['http://user:pass@gpu.lan', null],
    ['', null],
  ];
  for (const [written, url] of cases) assert.equal(ollamaUrl(written), url, written);
});

test('calls keep their order, get ids where there are none, and thoughts go back within the turn', async () => {
  const call = (path: string) => ({ function: { name: 'read', arguments: { path } } });
  server.next({
    pieces: [
      line({ thinking: 'Let me ' }),
      line({ thinking: 'see.' }),
      line({ tool_calls: [call('a.md'), call('b.md')] }),
      line({ tool_calls: [{ id: 'x', function: { name: 'list', arguments: {} } }] }),
      line({}, { done: true, done_reason: 'stop' }),
    ],
  });
  const events = await collect(openWire(ollamaWire, origin).stream(ask('go'), NEVER));
  const calls = callsOf(events);
  assert.deepEqual(
    calls.map(({ tool, args }) => [tool, args]),
    [
      ['read', '{"path":"a.md"}'],
      ['read', '{"path":"b.md"}'],
      ['list', '{}'],
    ],
  );
  assert.equal(new Set(calls.map(({ id }) => id)).size, 3);
  const request = askedAndRead('read');
  request.messages[1]?.parts.unshift({ type: 'reasoning', text: 'Hm.', opaque: { from: 'ollama' } });
  await collect(openWire(ollamaWire, origin).stream(request, NEVER));
  const sent = server.requests.at(-1)?.body['messages'] as Record<string, unknown>[];
  assert.deepEqual(sent.slice(2), [
    {
      role: 'assistant',
      content: '',
      thinking: 'Hm.',
      tool_calls: [{ id: 'c1', function: { name: 'read', arguments: { path: 'a.md' } } }],
    },
    { role: 'tool', tool_name: 'read', tool_call_id: 'c1', content: 'RESULT-7' },
  ]);
});

test('lines may be cut anywhere, and what is no line of JSON is kept for the error', () => {
  const lines = ['{"a":"Grüße 🐝"}', '{"b":2}', '{"c":3}'];
  const bytes = Buffer.from(`${lines.join('\n')}\n`);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.boolean(), (size, ended) => {
      const feed = lineFeed(1_000);
      const all = ended ? bytes : bytes.subarray(0, -1);
      const got: string[] = [];
      for (let at = 0; at < all.length; at += size) got.push(...feed.bytes(all.subarray(at, at + size)));
      got.push(...feed.bytes(null));
      assert.deepEqual(got, lines);
      assert.ok(feed.any);
    }),
  );
  const page = lineFeed(1_000);
  assert.deepEqual([...page.bytes(Buffer.from('<html>\n<body>')), ...page.bytes(null)], []);
  assert.deepEqual([page.any, page.head], [false, '<html>\n<body>']);
  const long = lineFeed(10);
  assert.match(long.bytes(Buffer.from(`{${'x'.repeat(50)}`)).join(''), /more than 10 characters/);
});
