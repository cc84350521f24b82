import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { collectAnswer } from '../../src/agent/think/model-call.ts';
import type { ModelErrorKind, ModelEvent, Part } from '../../src/core/model.ts';
import { ask, askedAndRead, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { openWire, sentBy } from '../contracts/model-wires.ts';
import { type ModelServer, modelServer, type Piece, type RawAnswer } from '../fakes/model-server.ts';
import { anthropicWire, begin, block, event, finish } from '../fakes/wires/anthropic.ts';

const NEVER = new AbortController().signal;

let server: ModelServer;
beforeEach(async () => {
  server = await modelServer();
});
afterEach(() => server.close());

const port = () => openWire(anthropicWire, new URL(server.baseUrl).origin);

async function given(answer: RawAnswer | readonly Piece[]): Promise<ModelEvent[]> {
  server.next('pieces' in answer ? answer : { pieces: answer });
  return collect(port().stream(ask('hi'), NEVER));
}

const said = (text: string): string[] => block(0, { type: 'text', text: '' }, [{ type: 'text_delta', text }]);
const thought = (index: number, text: string, signature: string): string[] =>
  block(index, { type: 'thinking', thinking: '', signature: '' }, [
    ...(text === '' ? [] : [{ type: 'thinking_delta', thinking: text }]),
    { type: 'signature_delta', signature },
  ]);

test('anthropic: the request, its headers, and where the cache is marked', async () => {
  server.next({ pieces: [begin(), ...finish('end_turn')] });
  const request = askedAndRead('read a.md');
  request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'and?' }] });
  await collect(port().stream(request, NEVER));
  const [sent] = server.requests;
  assert.equal(sent?.path, '/v1/messages');
  assert.equal(sent.headers['x-api-key'], 'wire-key-0123456789');
  assert.equal(sent.headers['anthropic-version'], '2023-06-01');
  assert.equal(sent.headers.authorization, undefined);
  const cache_control = { type: 'ephemeral' };
  assert.deepEqual(sent.body, {
    model: 'm',
    max_tokens: 32_000,
    tools: [{ name: 'read', description: 'Reads a file.', input_schema: { type: 'object' }, cache_control }],
    system: [{ type: 'text', text: 'You are a test.', cache_control }],
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'read a.md', cache_control }] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'read', input: { path: 'a.md' } }] },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'c1', content: 'RESULT-7' },
          { type: 'text', text: 'and?', cache_control },
        ],
      },
    ],
    stream: true,
  });
});

test('anthropic: a baseUrl with /v1 or without, and the most it may be asked to say', async () => {
  for (const end of ['', '/', '/v1', '/v1/']) {
    server.next({ pieces: [begin(), ...finish('end_turn')] });
    const baseUrl = `${new URL(server.baseUrl).origin}${end}`;
    await collect(openWire(anthropicWire, '', { baseUrl }).stream(ask('hi'), NEVER));
    assert.equal(server.requests.at(-1)?.path, '/v1/messages');
  }
  const asked = async (model: string, maxOutputTokens?: number): Promise<unknown> =>
    (await sentBy(anthropicWire, ask('hi', { model, maxOutputTokens }))).max_tokens;
  assert.equal(await asked('claude-opus-5', 100), 100);
  assert.equal(await asked('claude-3-5-haiku-20241022'), 8_192);
  assert.equal(await asked('claude-3-haiku-20240307'), 4_096);
});

test('anthropic: thinking in any number of blocks goes back as it came, to the model that thought it', async () => {
  server.next({
    pieces: [
      begin(),
      ...thought(0, 'Ça va 🐝: ', 'anthropic-1'),
      ...block(1, { type: 'redacted_thinking', data: 'anthropic-sealed' }, []),
      ...thought(2, '', 'anthropic-omitted'),
      ...block(3, { type: 'text', text: '' }, [{ type: 'text_delta', text: 'So.' }]),
      ...thought(4, 'More.', 'anthropic-2'),
      ...block(5, { type: 'tool_use', id: 'toolu_1', name: 'read', input: {} }, []),
      ...finish('tool_use'),
    ],
  });
  const { message } = await collectAnswer({ port: port() }, ask('hi'), NEVER, () => undefined);
  const request = ask('hi');
  const result: Part = { type: 'result', id: 'toolu_1', tool: 'read', text: 'x', isError: true };
  request.messages.push(message, { role: 'tool', parts: [result] });
  const blocks = async (changed = request): Promise<{ type: string }[]> =>
    ((await sentBy(anthropicWire, changed)).messages as { content: { type: string }[] }[])[1]?.content ?? [];
  assert.deepEqual(await blocks(), [
    { type: 'thinking', thinking: 'Ça va 🐝: ', signature: 'anthropic-1' },
    { type: 'redacted_thinking', data: 'anthropic-sealed' },
    { type: 'thinking', thinking: '', signature: 'anthropic-omitted' },
    { type: 'text', text: 'So.' },
    { type: 'thinking', thinking: 'More.', signature: 'anthropic-2' },
    { type: 'tool_use', id: 'toolu_1', name: 'read', input: {} },
  ]);
  const types = (all: { type: string }[]): string => all.map(({ type }) => type).join(' ');
  assert.equal(types(await blocks({ ...request, model: 'another' })), 'text tool_use');
  const redacted = structuredClone(request);
  const [first] = redacted.messages[1]?.parts ?? [];
  if (first?.type === 'reasoning') first.text = 'Ça va [secret]: ';
  assert.equal(types(await blocks(redacted)), 'text thinking tool_use', 'a signature of other words is none');
});

test('anthropic: how an answer ends', async () => {
  const ends: [reason: string, finish: string][] = [
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['pause_turn', 'length'],
    ['refusal', 'refused'],
    ['something_new', 'stop'],
  ];
  for (const [reason, expected] of ends) {
    const end = endOf(await given([begin(), ...said('Well.'), ...finish(reason)]));
    assert.ok(end.type === 'finish' && end.reason === expected, `${reason}: ${JSON.stringify(end)}`);
  }
  const early = endOf(await given([begin(), ...said('Well.')]));
  assert.ok(early.type === 'error' && early.error.kind === 'network');
  const tail = endOf(
    await given({ pieces: [begin(), ...said('Well.'), ...finish('end_turn').slice(0, 1)], end: 'cut' }),
  );
  assert.equal(tail.type, 'finish', 'nothing but the last word is missing');
});

test('anthropic: usage from the start and the end, with what was read from the cache and written to it', async () => {
  const usage = { input_tokens: 3, cache_read_input_tokens: 20, cache_creation_input_tokens: 7, output_tokens: 1 };
  const { usage: got } = endOf(await given([begin(usage), ...said('x'), ...finish('end_turn', { output_tokens: 9 })]));
  assert.deepEqual(got, { input: 30, output: 9, cacheRead: 20, cacheWrite: 7 });
  const broken = await given({ pieces: [begin(usage), ...said('x')], end: 'cut' });
  assert.deepEqual(endOf(broken).usage, { input: 30, output: 1, cacheRead: 20, cacheWrite: 7 });
  const zeros = finish('end_turn', { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 9 });
  assert.equal(endOf(await given([begin(usage), ...said('x'), ...zeros])).usage.input, 30);
});

test('anthropic: a call whose arguments came at once, one without any, and one that was cut', async () => {
  const whole = await given([
    begin(),
    ...block(0, { type: 'tool_use', id: 'a', name: 'read', input: { path: 'a.md' } }, []),
    ...block(1, { type: 'tool_use', id: 'b', name: 'list' }, [{ type: 'input_json_delta', partial_json: '' }]),
    ...finish('tool_use'),
  ]);
  assert.deepEqual(
    callsOf(whole).map(({ args }) => args),
    ['{"path":"a.md"}', '{}'],
  );
  const delta = { type: 'input_json_delta', partial_json: '{"path":"a.' };
  const half = block(0, { type: 'tool_use', id: 'a', name: 'read', input: {} }, [delta]).slice(0, 2);
  const cut = await given([begin(), ...half]);
  assert.deepEqual([endOf(cut).type, callsOf(cut)[0]?.args], ['error', '{"path":"a.']);
});

test('anthropic: events nobody knows yet are passed over, and a whole answer as JSON is one too', async () => {
  const odd = [
    event('ping'),
    event('content_block_delta', { index: 9, delta: { type: 'x' } }),
    event('news', { a: 1 }),
  ];
  const events = await given([begin(), ...odd, ...said('Hello'), ...odd, ...finish('end_turn')]);
  assert.deepEqual([textOf(events), endOf(events).type], ['Hello', 'finish']);
  const content = [
    { type: 'text', text: 'Hello' },
    { type: 'tool_use', id: 'a', name: 'read', input: { path: 'a.md' } },
  ];
  const usage = { input_tokens: 5, output_tokens: 2 };
  const body = JSON.stringify({ type: 'message', content, stop_reason: 'tool_use', usage });
  const plain = await given({ headers: { 'content-type': 'application/json' }, pieces: [body] });
  assert.deepEqual([textOf(plain), callsOf(plain)[0]?.args], ['Hello', '{"path":"a.md"}']);
  const end = endOf(plain);
  assert.ok(end.type === 'finish' && end.reason === 'calls' && end.usage.input === 5, JSON.stringify(end));
});

test('anthropic: its errors', async () => {
  const errors: [status: number, type: string, message: string, kind: ModelErrorKind, retryable: boolean][] = [
    [401, 'authentication_error', 'invalid x-api-key', 'auth', false],
    [403, 'permission_error', 'Your API key does not have permission', 'auth', false],
    [402, 'billing_error', 'Payment is overdue', 'rate', false],
    [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.', 'rate', false],
    [404, 'not_found_error', 'model: claude-nine', 'invalid', false],
    [413, 'request_too_large', 'Request exceeds the maximum size', 'context', false],
    [400, 'invalid_request_error', 'prompt is too long: 213462 tokens > 200000 maximum', 'context', false],
    [
      400,
      'invalid_request_error',
      'input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000',
      'context',
      false,
    ],
    [400, 'invalid_request_error', 'messages.0.content: Field required', 'invalid', false],
    [429, 'rate_limit_error', 'This request would exceed your rate limit', 'rate', true],
    [500, 'api_error', 'Internal server error', 'unavailable', true],
    [504, 'timeout_error', 'Request timed out', 'unavailable', true],
    [529, 'overloaded_error', 'Overloaded', 'overloaded', true],
  ];
  for (const [status, type, message, kind, retryable] of errors) {
    const pieces = [JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_1' })];
    const end = endOf(await given({ status, headers: { 'content-type': 'application/json' }, pieces }));
    assert.ok(end.type === 'error', message);
    assert.deepEqual([end.error.kind, end.error.retryable], [kind, retryable], `${status} ${message}`);
    assert.ok(end.error.message.includes(message.slice(0, 20)), end.error.message);
  }
});
