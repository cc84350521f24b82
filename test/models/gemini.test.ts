import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { collectAnswer } from '../../src/agent/think/model-call.ts';
import type { ModelErrorKind, ModelEvent, ModelRequest, Part } from '../../src/core/model.ts';
import { ask, askedAndRead, askedToLook, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { openWire, sentBy } from '../contracts/model-wires.ts';
import { type ModelServer, modelServer, type Piece, type RawAnswer, sse } from '../fakes/model-server.ts';
import { geminiWire, parts } from '../fakes/wires/gemini.ts';

const NEVER = new AbortController().signal;

let server: ModelServer;
beforeEach(async () => {
  server = await modelServer();
});
afterEach(() => server.close());

const origin = (): string => new URL(server.baseUrl).origin;

async function given(answer: RawAnswer | readonly Piece[]): Promise<ModelEvent[]> {
  server.next('pieces' in answer ? answer : { pieces: answer });
  return collect(openWire(geminiWire, origin()).stream(ask('hi'), NEVER));
}

test('gemini: the request, where it goes, and the key in a header', async () => {
  const request = { ...askedAndRead('read a.md'), model: 'gemini-2.5-pro', maxOutputTokens: 100 };
  for (const end of ['', '/v1beta', '/v1beta/']) {
    server.next({ pieces: [parts([{ text: 'ok' }], 'STOP')] });
    await collect(openWire(geminiWire, '', { baseUrl: `${origin()}${end}` }).stream(request, NEVER));
    assert.equal(server.requests.at(-1)?.path, '/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse');
  }
  const [sent] = server.requests;
  assert.equal(sent?.headers['x-goog-api-key'], 'wire-key-0123456789');
  assert.deepEqual(sent.body, {
    systemInstruction: { parts: [{ text: 'You are a test.' }] },
    tools: [
      {
        functionDeclarations: [
          { name: 'read', description: 'Reads a file.', parametersJsonSchema: { type: 'object' } },
        ],
      },
    ],
    contents: [
      { role: 'user', parts: [{ text: 'read a.md' }] },
      { role: 'model', parts: [{ functionCall: { name: 'read', args: { path: 'a.md' } } }] },
      { role: 'user', parts: [{ functionResponse: { name: 'read', response: { output: 'RESULT-7' } } }] },
    ],
    generationConfig: { maxOutputTokens: 100 },
  });
});

interface Sent {
  functionCall?: { id?: string; name: string };
  thoughtSignature?: string;
}

const partsSent = async (request: ModelRequest): Promise<Sent[]> =>
  ((await sentBy(geminiWire, request)).contents as { parts: Sent[] }[]).flatMap((content) => content.parts);

test('gemini: calls come whole, and their signatures and ids go back to the model that gave them', async () => {
  server.next({
    pieces: [
      parts([{ text: 'I wonder.', thought: true }]),
      parts([
        { functionCall: { id: 'g1', name: 'read', args: { path: 'a.md' } }, thoughtSignature: 'gemini-signature' },
        { functionCall: { name: 'list' } },
      ]),
      parts([], 'STOP'),
    ],
  });
  const port = openWire(geminiWire, origin());
  const { message, finish } = await collectAnswer({ port }, ask('hi'), NEVER, () => undefined);
  assert.equal(finish, 'calls');
  assert.deepEqual(
    message.parts.map((part) => (part.type === 'call' ? part.args : part.type)),
    ['reasoning', '{"path":"a.md"}', '{}'],
  );
  const calls = message.parts.filter((part) => part.type === 'call');
  const results = calls.map(({ id, tool }): Part => ({
    type: 'result',
    id,
    tool,
    text: 'x',
    isError: tool === 'list',
  }));
  const request = ask('hi');
  request.messages.push(message, { role: 'tool', parts: results });
  assert.deepEqual((await partsSent(request)).slice(1), [
    { functionCall: { id: 'g1', name: 'read', args: { path: 'a.md' } }, thoughtSignature: 'gemini-signature' },
    { functionCall: { name: 'list', args: {} } },
    { functionResponse: { id: 'g1', name: 'read', response: { output: 'x' } } },
    { functionResponse: { name: 'list', response: { error: 'x' } } },
  ]);
  const signatures = async (model: string): Promise<unknown[]> =>
    (await partsSent({ ...request, model })).slice(1, 3).map((part) => part.thoughtSignature);
  assert.deepEqual(await signatures('gemini-3.1-pro'), ['skip_thought_signature_validator', undefined]);
  assert.deepEqual(await signatures('gemini-4-argon'), ['skip_thought_signature_validator', undefined]);
  assert.deepEqual(await signatures('gemini-2.5-flash'), [undefined, undefined], 'it would not know the word');
  assert.deepEqual(await signatures('models/gemini-2.0-flash'), [undefined, undefined]);
  request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'and?' }] });
  assert.deepEqual(await signatures('gemini-3.1-pro'), [undefined, undefined], 'only the present turn is checked');
});

test('gemini: how an answer ends', async () => {
  const ends: [reason: string, finish: string][] = [
    ['STOP', 'stop'],
    ['MAX_TOKENS', 'length'],
    ['SAFETY', 'refused'],
    ['RECITATION', 'refused'],
    ['PROHIBITED_CONTENT', 'refused'],
    ['SPII', 'refused'],
    ['BLOCKLIST', 'refused'],
    ['MALFORMED_FUNCTION_CALL', 'invalid'],
    ['UNEXPECTED_TOOL_CALL', 'invalid'],
    ['MISSING_THOUGHT_SIGNATURE', 'invalid'],
    ['OTHER', 'invalid'],
    ['SOMETHING_NEW', 'stop'],
  ];
  for (const [reason, expected] of ends) {
    const events = await given([parts([{ text: 'Well.' }]), parts([], reason)]);
    const end = endOf(events);
    assert.equal(end.type === 'finish' ? end.reason : end.error.kind, expected, reason);
    if (end.type === 'error') assert.ok(end.error.retryable && end.error.message.includes(reason));
    assert.equal(textOf(events), 'Well.');
  }
  const blocked = endOf(await given([sse({ promptFeedback: { blockReason: 'SAFETY' } })]));
  assert.ok(blocked.type === 'finish' && blocked.reason === 'refused', JSON.stringify(blocked));
  const early = endOf(await given([parts([{ text: 'Well.' }])]));
  assert.ok(early.type === 'error' && early.error.kind === 'network');
});

test('gemini: usage counts thoughts as output; the last chunk is right', async () => {
  const first = { promptTokenCount: 30, cachedContentTokenCount: 20 };
  const last = { ...first, candidatesTokenCount: 4, thoughtsTokenCount: 5, totalTokenCount: 39 };
  const { usage } = endOf(
    await given([
      parts([{ text: 'x' }], undefined, { usageMetadata: first }),
      parts([], 'STOP', { usageMetadata: last }),
    ]),
  );
  assert.deepEqual(usage, { input: 30, output: 9, cacheRead: 20, cacheWrite: 0 });
});

test('gemini: a whole answer as JSON, a call without a name, and more after the reason', async () => {
  const body = { candidates: [{ content: { parts: [{ text: 'Hello' }] }, finishReason: 'STOP' }] };
  const plain = await given({ headers: { 'content-type': 'application/json' }, pieces: [JSON.stringify(body)] });
  assert.deepEqual([textOf(plain), endOf(plain).type], ['Hello', 'finish']);
  const nameless = endOf(await given([parts([{ functionCall: { args: {} } }], 'STOP')]));
  assert.ok(nameless.type === 'error' && nameless.error.kind === 'invalid' && nameless.error.retryable);
  const late = await given([parts([], 'STOP'), parts([{ functionCall: { name: 'read', args: {} } }])]);
  const end = endOf(late);
  assert.ok(end.type === 'finish' && end.reason === 'calls' && callsOf(late).length === 1);
});

test('gemini: pictures it takes, and the one kind it does not', async () => {
  assert.match(JSON.stringify(await partsSent(askedToLook('see'))), /"inlineData":\{"mimeType":"image\/png","data":"/);
  const gif = askedToLook('see');
  for (const part of gif.messages[0]?.parts ?? []) if (part.type === 'image') part.mediaType = 'image/gif';
  const sent = JSON.stringify(await partsSent(gif));
  assert.match(sent, /\[image pixel\.png cannot be seen by this model: it is a GIF\]/);
  assert.doesNotMatch(sent, /inlineData/);
});

test('gemini: its errors, and what its quotas mean', async () => {
  const retry = (delay: string): object => ({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: delay });
  const quota = (quotaId: string): object => ({
    '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
    violations: [{ quotaMetric: 'requests', quotaId }],
  });
  type Row = [
    status: number,
    name: string,
    message: string,
    details: object[],
    kind: ModelErrorKind,
    wait: number | null | 'lasting',
  ];
  const spent = 'You exceeded your current quota, please check your plan and billing details.';
  const errors: Row[] = [
    [429, 'RESOURCE_EXHAUSTED', spent, [quota('GenerateRequestsPerMinutePerProject'), retry('34.07s')], 'rate', 34_070],
    [429, 'RESOURCE_EXHAUSTED', spent, [quota('GenerateRequestsPerDayPerProject'), retry('12s')], 'rate', 'lasting'],
    [
      429,
      'RESOURCE_EXHAUSTED',
      'Your prepayment credits are depleted. You exceeded your current quota',
      [],
      'rate',
      'lasting',
    ],
    [429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).', [], 'rate', null],
    [503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.', [], 'overloaded', null],
    [500, 'INTERNAL', 'An internal error has occurred.', [], 'unavailable', null],
    [504, 'DEADLINE_EXCEEDED', 'Deadline expired', [], 'unavailable', null],
    [400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', [], 'auth', 'lasting'],
    [400, 'INVALID_ARGUMENT', 'API key expired. Please renew the API key.', [], 'auth', 'lasting'],
    [403, 'PERMISSION_DENIED', 'Method doesn’t allow unregistered callers', [], 'auth', 'lasting'],
    [404, 'NOT_FOUND', 'models/gemini-9 is not found for API version v1beta', [], 'invalid', 'lasting'],
    [
      400,
      'INVALID_ARGUMENT',
      'The input token count (1190000) exceeds the maximum number of tokens allowed (1048576).',
      [],
      'context',
      'lasting',
    ],
    [
      400,
      'INVALID_ARGUMENT',
      'Please ensure that function call turn comes immediately after',
      [],
      'invalid',
      'lasting',
    ],
  ];
  for (const [status, name, message, details, kind, wait] of errors) {
    const error = { code: status, status: name, message, details };
    // Without alt=sse errors come as a list; some gateways keep that.
    for (const body of [{ error }, [{ error }]]) {
      const headers = { 'content-type': 'application/json' };
      const end = endOf(await given({ status, headers, pieces: [JSON.stringify(body)] }));
      assert.ok(end.type === 'error', message);
      assert.deepEqual([end.error.kind, end.error.retryable], [kind, wait !== 'lasting'], message);
      if (wait !== 'lasting') assert.equal(end.error.retryAfter, wait);
    }
  }
});
