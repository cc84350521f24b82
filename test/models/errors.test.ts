import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ModelError, ModelErrorKind } from '../../src/core/model.ts';
import { httpOnly, NetError } from '../../src/core/ports/net.ts';
import { openAiCompatible, type OpenAiCompatibleOptions } from '../../src/models/chat/model.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE, type ModelServer, modelServer, type RawAnswer, sse } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const KEY = 'sk-error-canary-0123456789';
const clock: Clock = { now: () => NOW, sleep: () => new Promise(() => {}) };
const NEVER = new AbortController().signal;

let server: ModelServer;
beforeEach(async () => {
  server = await modelServer();
});
afterEach(() => server.close());

const model = (more: Partial<OpenAiCompatibleOptions> = {}) =>
  openAiCompatible({
    provider: 'local',
    baseUrl: server.baseUrl,
    apiKey: 'env:LOCAL_KEY',
    net: fakeNet(),
    secrets: envSecrets({ env: { LOCAL_KEY: KEY } }),
    clock,
    idleMs: 10_000,
    ...more,
  });

async function errorOf(options: Partial<OpenAiCompatibleOptions>): Promise<ModelError & { text: string }> {
  const events = await collect(model(options).stream(ask('hi', { model: 'qwen3' }), NEVER));
  const end = endOf(events);
  assert.ok(end.type === 'error', JSON.stringify(end));
  assert.equal(JSON.stringify(events).includes(KEY), false, 'no key in events');
  return { ...end.error, text: textOf(events) };
}

async function answered(answer: RawAnswer): Promise<ModelError & { text: string }> {
  server.next(answer);
  return errorOf({});
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): RawAnswer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  pieces: [typeof body === 'string' ? body : JSON.stringify(body)],
});
const message = (text: string, more: object = {}): object => ({ error: { message: text, ...more } });

/** What servers say, from their own words. */
const SAID: readonly [status: number, body: unknown, kind: ModelErrorKind, retryable: boolean][] = [
  [401, message('Incorrect API key provided: sk-ab***', { code: 'invalid_api_key' }), 'auth', false],
  [401, '', 'auth', false],
  [403, message('Country, region, or territory not supported'), 'auth', false],
  [403, message('Your input was flagged', { metadata: { raw: 'moderation' } }), 'refused', false],
  [429, message('Rate limit reached for gpt-4o', { code: 'rate_limit_exceeded' }), 'rate', true],
  [429, message('You exceeded your current quota', { code: 'insufficient_quota' }), 'rate', false],
  [402, message('Insufficient credits'), 'rate', false],
  [503, message('The engine is currently overloaded'), 'overloaded', true],
  [503, message('Loading model', { type: 'unavailable_error' }), 'overloaded', true],
  [529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'overloaded', true],
  [500, message('The server had an error while processing your request'), 'unavailable', true],
  [502, '<html><head><title>502 Bad Gateway</title></head></html>', 'unavailable', true],
  [500, message('model is at capacity'), 'overloaded', true],
  [408, '', 'timeout', true],
  [404, message('model "qwen3" not found, try pulling it first', { type: 'api_error' }), 'invalid', false],
  [404, message('The model `qwen3` does not exist', { code: 'model_not_found' }), 'invalid', false],
  [404, '404 page not found', 'invalid', false],
  [400, message('No models loaded. Please load a model'), 'invalid', false],
  [400, message("Invalid value for 'temperature'"), 'invalid', false],
  [422, { detail: 'messages: field required' }, 'invalid', false],
  [400, message('The response was filtered', { code: 'content_filter' }), 'refused', false],
  [413, '<html><title>413 Request Entity Too Large</title></html>', 'context', false],
  [
    400,
    message("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."),
    'context',
    false,
  ],
  [
    400,
    message('Your input exceeds the context window of this model.', { code: 'context_length_exceeded' }),
    'context',
    false,
  ],
  [400, message('the input length exceeds the context length'), 'context', false],
  [400, message('prompt too long; exceeded max context length by 12 tokens'), 'context', false],
  [
    400,
    message('the request exceeds the available context size', { type: 'exceed_context_size_error' }),
    'context',
    false,
  ],
  [400, message('The decoder prompt (length 9000) is longer than the maximum model length of 8192.'), 'context', false],
  [
    400,
    message(
      'Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens',
    ),
    'context',
    false,
  ],
  [
    400,
    message('The number of tokens to keep from the initial prompt is greater than the context length'),
    'context',
    false,
  ],
  [400, message("This endpoint's maximum context length is 131072 tokens."), 'context', false],
  [400, message('prompt is too long: 213462 tokens > 200000 maximum'), 'context', false],
  [400, message('The input token count (1190000) exceeds the maximum number of tokens allowed'), 'context', false],
  [400, message('Please reduce the length of the messages or completion.'), 'context', false],
  [
    400,
    message("This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    'context',
    false,
  ],
  [
    400,
    message('Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length'),
    'context',
    false,
  ],
  [400, message("The input (9000 tokens) is longer than the model's context length (8192 tokens)."), 'context', false],
  [500, message('Context size has been exceeded.'), 'context', false],
  [400, message('Prompt exceeds max length', { code: '1261' }), 'context', false],
  [400, message('Content Exists Risk'), 'refused', false],
  [400, message('Input data may contain inappropriate content.', { code: 'DataInspectionFailed' }), 'refused', false],
  [400, message('Prompt tokens too long', { code: 'prompt_tokens_too_long' }), 'context', false],
  [400, message('prompt tokens (140000) plus max_tokens exceed the model maximum (131072)'), 'context', false],
  [400, message('Input tokens (9000) exceeded the configured limit'), 'context', false],
  [400, message('The conversation is too long for this model'), 'context', false],
  [400, message('输入内容过长，超过模型上下文长度限制'), 'context', false],
  [400, message('max_tokens must be at least 1'), 'invalid', false],
  [429, message('余额不足或无可用资源包,请充值。', { code: '1113' }), 'rate', false],
];

test('what servers say is understood, and told to people with where and what to do', async () => {
  for (const [status, body, kind, retryable] of SAID) {
    const error = await answered(json(status, body));
    const what = `${status} ${JSON.stringify(body)}`;
    assert.deepEqual([error.kind, error.retryable], [kind, retryable], what);
    assert.match(error.message, new RegExp(`local.*HTTP ${status}`), what);
    assert.ok(error.message.length < 900 && !error.message.includes('<'), what);
  }
  assert.ok(SAID.length > 30);
});

test('an unknown model is named, with what to do', async () => {
  const error = await answered(json(404, message('model "qwen3" not found, try pulling it first')));
  assert.match(error.message, /does not know the model "qwen3".*ollama pull qwen3/);
  assert.match((await answered(json(404, '404 page not found'))).message, /qwen3.*\/v1.*models\.providers\.local/);
});

test('a server or a model that takes no tools is called that, with what to do', async () => {
  for (const [status, said] of [
    [400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'],
    [400, 'registry.ollama.ai/library/gemma3 does not support tools'],
    [404, 'No endpoints found that support tool use. To learn more about provider routing, visit: …'],
    [500, 'tools param requires --jinja flag'],
    [400, '`tool calling` is not supported with this model'],
    [400, "Unrecognized request argument supplied: 'tools'"],
  ] as const) {
    const error = await answered(json(status, message(said)));
    assert.match(error.message, /takes no tools.*--jinja.*It said/, said);
    assert.equal(error.retryable, false, said);
  }
  const account = await answered(json(404, message('No endpoints found matching your data policy.')));
  assert.match(account.message, /for this account/);
});

test('how often what is wrong is asked again: silence and answers that cannot be used less, a page once more', async () => {
  const silent = await errorOf({
    net: httpOnly(() => Promise.reject(new NetError('timeout', 'nothing came for 5 ms'))),
  });
  assert.deepEqual(silent.asks, { most: 2, later: false });
  assert.match(
    silent.message,
    /did not begin to answer: nothing came for 5 ms.*set timeout of models\.providers\.local/,
  );
  assert.deepEqual((await answered({ pieces: [chunk({ content: 'x' })] })).asks, { most: 3, later: false });
  const page = await answered({ headers: { 'content-type': 'text/html' }, pieces: ['<html>'] });
  assert.deepEqual(page.asks, { most: 2, later: true });
});

const YEAR = 366 * 86_400_000;

test('how long to wait, in all its forms', async () => {
  const forms: [Record<string, string>, string, number | null][] = [
    [{ 'retry-after': '7' }, '', 7_000],
    [{ 'retry-after': '0.5' }, '', 500],
    [{ 'retry-after': 'Sun, 22 Nov 2026 12:00:30 GMT' }, '', 30_000],
    [{ 'retry-after': 'Sun, 22 Nov 2026 11:00:00 GMT' }, '', 0],
    [{ 'retry-after-ms': '1234', 'retry-after': '7' }, '', 1_234],
    [{ 'retry-after': '-5' }, '', null],
    [{ 'retry-after': '99999999999999999999' }, '', YEAR],
    [{ 'retry-after': 'Fri, 31 Dec 275000 00:00:00 GMT' }, '', YEAR],
    [{ 'retry-after': '9'.repeat(400) }, '', null],
    [{ 'retry-after-ms': 'Infinity' }, '', null],
    [{}, 'Please try again in 99999999999999999m', YEAR],
    [{ 'retry-after': 'soon' }, '', null],
    [{}, '', null],
    [{}, 'Please try again in 7.66s.', 7_660],
    [{}, 'Please try again in 1m12s.', 72_000],
    [{}, 'Please try again in 320ms.', 320],
    [{}, 'Please try again in a while.', null],
  ];
  const inField = await answered(json(429, message('Usage limit', { resets_in_seconds: 9_000 })));
  assert.equal(inField.retryAfter, 9_000_000);
  for (const [headers, text, wait] of forms) {
    const error = await answered(json(429, message(`Too many requests. ${text}`), headers));
    assert.deepEqual([error.kind, error.retryAfter], ['rate', wait], JSON.stringify([headers, text]));
  }
});

test('an error in the middle of a 200 keeps what had come', async () => {
  const forms: [string, ModelErrorKind, boolean][] = [
    [sse({ error: { message: 'Overloaded', code: 529 } }), 'overloaded', true],
    [sse({ error: 'model runner has unexpectedly stopped' }), 'unavailable', true],
    [
      sse({ object: 'error', message: 'internal server error', code: 500, type: 'InternalServerError' }),
      'unavailable',
      true,
    ],
    [
      sse({ id: 'x', error: { code: 429, message: 'slow down' }, choices: [{ finish_reason: 'error', delta: {} }] }),
      'rate',
      true,
    ],
    [`event: error\n${sse({ error: { message: 'greater than the context length' } })}`, 'context', false],
    ['error: {"code":500,"message":"the slot failed","type":"server_error"}\n\n', 'unavailable', true],
    [chunk({}, 'error'), 'unavailable', true],
    [chunk({}, 'insufficient_system_resource'), 'overloaded', true],
    ['data: {"choices":[{"del\n\n', 'invalid', true],
    ['data: "hello"\n\n', 'invalid', true],
    ['data: null\n\n', 'invalid', true],
  ];
  for (const [bad, kind, retryable] of forms) {
    const error = await answered({
      pieces: [chunk({ content: 'Hello' }), bad, chunk({ content: ' lost' }, 'stop'), DONE],
    });
    assert.deepEqual([error.kind, error.retryable, error.text], [kind, retryable, 'Hello'], bad);
  }
});

test('an error as the whole of a 200', async () => {
  const error = await answered(json(200, message('Rate limit exceeded', { code: 429 })));
  assert.deepEqual([error.kind, error.retryable], ['rate', true]);
});

test('what is no answer at all says so', async () => {
  const page = await answered({
    headers: { 'content-type': 'text/html' },
    pieces: ['<!doctype html><title>Welcome</title>'],
  });
  assert.deepEqual([page.kind, page.retryable], ['invalid', true]);
  assert.match(page.message, /text\/html.*the URL is wrong: check baseUrl of models\.providers\.local.*\/v1/);
  for (const body of ['OK', '{"status":"ok"}', '[]', '<p>'])
    assert.equal((await answered(json(200, body))).kind, 'invalid', body);
  for (const pieces of [[], [' \n'], [': only a comment\n\n'], ['data: {"choi']]) {
    const early = await answered({ pieces });
    assert.deepEqual([early.kind, early.retryable], ['network', true], JSON.stringify(pieces));
  }
  const moved = await answered({ status: 301, headers: { location: 'https://elsewhere.example/v1' }, pieces: [] });
  assert.deepEqual([moved.kind, moved.retryable], ['invalid', false]);
});

test('a connection that is cut, at once or in the middle of a character', async () => {
  const start = await answered({ pieces: [], end: 'cut' });
  assert.deepEqual([start.kind, start.retryable], ['network', true]);
  const bytes = Buffer.from(chunk({ content: 'Hello 🐝' }));
  const half = await answered({
    pieces: [chunk({ content: 'Hello' }), bytes.subarray(0, bytes.indexOf('🐝') + 2)],
    end: 'cut',
  });
  assert.deepEqual([half.kind, half.text], ['network', 'Hello']);
});

test('nobody listens, or nobody may', async () => {
  const closed = createServer();
  closed.listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const refused = await errorOf({ baseUrl: `http://127.0.0.1:${port}/v1` });
  assert.deepEqual([refused.kind, refused.retryable], ['network', true]);
  assert.match(refused.message, /is it running\?.*models\.providers\.local.*ECONNREFUSED/);
  assert.equal(refused.unsent, true);
  const resets = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
  resets.listen(0, '127.0.0.1');
  await new Promise((resolve) => resets.once('listening', resolve));
  const reset = await errorOf({ baseUrl: `http://127.0.0.1:${(resets.address() as AddressInfo).port}/v1` });
  resets.close();
  assert.deepEqual([reset.kind, reset.unsent], ['network', undefined], 'it was sent, so it may have cost something');
  const blocked = await errorOf({ baseUrl: 'http://192.0.2.1/v1' });
  assert.deepEqual([blocked.kind, blocked.retryable], ['unavailable', false]);
  for (const baseUrl of ['not a url', 'ftp://host/v1', 'http://user:secret-word@host/v1']) {
    const bad = await errorOf({ baseUrl });
    assert.deepEqual([bad.kind, bad.retryable], ['invalid', false]);
    assert.ok(!bad.message.includes('secret-word'));
  }
});

test('what the network guard says becomes an error of the right kind', async () => {
  const kinds: [NetError['code'], ModelErrorKind][] = [
    ['blocked', 'unavailable'],
    ['dns', 'network'],
    ['connect', 'network'],
    ['timeout', 'timeout'],
    ['too-large', 'invalid'],
    ['redirect', 'invalid'],
    ['protocol', 'network'],
    ['aborted', 'network'],
  ];
  for (const [code, kind] of kinds) {
    const net = httpOnly(() => Promise.reject(new NetError(code, `it said ${KEY}`)));
    assert.equal((await errorOf({ net })).kind, kind, code);
  }
  assert.equal((await errorOf({ net: httpOnly(() => Promise.reject('odd')) })).kind, 'network');
});

test('A64 a missing key names its variable; a key never comes back in an error', async () => {
  const missing = await errorOf({ apiKey: 'env:OTHER_KEY' });
  assert.deepEqual([missing.kind, missing.retryable], ['auth', false]);
  assert.match(missing.message, /OTHER_KEY is not set.*provider "local"/);
  server.next(json(401, message(`Incorrect API key provided: ${KEY}, ${Buffer.from(KEY).toString('base64')}`)));
  assert.match((await errorOf({})).message, /\[redacted\], \[redacted\]/);
  assert.equal(server.requests.length, 1, 'nothing was asked without the key');
});

test('a provider without a key is sent none', async () => {
  server.next({ pieces: [chunk({ content: 'x' }, 'stop'), DONE] });
  endOf(await collect(model({ apiKey: null }).stream(ask('hi'), NEVER)));
  assert.equal(server.requests[0]?.headers.authorization, undefined);
});
