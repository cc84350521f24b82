import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { collectAnswer } from '../../src/agent/think/model-call.ts';
import type { ModelEvent, ModelRequest } from '../../src/core/model.ts';
import { ask, askedAndRead, askedToLook, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { openWire } from '../contracts/model-wires.ts';
import { type ModelServer, modelServer, type RawAnswer } from '../fakes/model-server.ts';
import { call, ended, event, message, openaiWire, usageOf } from '../fakes/wires/openai.ts';

const NEVER = new AbortController().signal;
const CALL = { id: 'call_a', tool: 'read', args: ['{"path":"a.md"}'] };

let server: ModelServer;
beforeEach(async () => void (server = await modelServer()));
afterEach(() => server.close());

const port = () => openWire(openaiWire, new URL(server.baseUrl).origin);

async function given(
  answer: RawAnswer | RawAnswer['pieces'],
  request: ModelRequest = ask('hi'),
): Promise<ModelEvent[]> {
  server.next('pieces' in answer ? answer : { pieces: answer });
  const events = await collect(port().stream(request, NEVER));
  endOf(events);
  return events;
}

const reasoning = (at: number, id: string, summary: readonly string[] = []): string[] => {
  const place = { output_index: at, item_id: id };
  const item = { type: 'reasoning', id, summary: [], encrypted_content: '' };
  return [
    event('response.output_item.added', { output_index: at, item }),
    ...summary.flatMap((delta, index) => [
      event('response.reasoning_summary_part.added', { ...place, summary_index: index }),
      event('response.reasoning_summary_text.delta', { ...place, summary_index: index, delta }),
    ]),
    event('response.output_item.done', {
      output_index: at,
      item: {
        ...item,
        summary: summary.map((text) => ({ type: 'summary_text', text })),
        encrypted_content: `openai-${id}`,
      },
    }),
  ];
};

test('reasoning that came without its content is known to nobody, and does not go back', async () => {
  const bare = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: null };
  const events = await given([
    event('response.output_item.done', { output_index: 0, item: bare }),
    ...call(1, CALL),
    ended('completed'),
  ]);
  assert.ok(
    events.every((each) => each.type !== 'reasoning' || each.opaque === undefined),
    JSON.stringify(events),
  );
  // As an older version has kept it.
  const request = askedAndRead('read a.md');
  const opaque = { from: 'openai', model: request.model, items: [bare] };
  request.messages[1]?.parts.unshift({ type: 'reasoning', text: '', opaque });
  await given([...message(0, ['ok']), ended('completed')], request);
  const input = server.requests.at(-1)?.body.input as { type?: string }[];
  assert.deepEqual(
    input.map(({ type = 'message' }) => type),
    ['message', 'function_call', 'function_call_output'],
  );
});

test('the request: nothing is kept there, everything is sent, in a stable order', async () => {
  const request = { ...askedAndRead('read a.md'), model: 'gpt-6.2-sol', maxOutputTokens: 100 };
  await given([...message(0, ['ok']), ended('completed')], request);
  const [sent] = server.requests;
  assert.equal(sent?.path, '/v1/responses');
  assert.deepEqual(sent.body, {
    model: 'gpt-6.2-sol',
    instructions: 'You are a test.',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'read a.md' }] },
      { type: 'function_call', call_id: 'c1', name: 'read', arguments: '{"path":"a.md"}' },
      { type: 'function_call_output', call_id: 'c1', output: 'RESULT-7' },
    ],
    tools: [
      { type: 'function', name: 'read', description: 'Reads a file.', parameters: { type: 'object' }, strict: false },
    ],
    parallel_tool_calls: true,
    max_output_tokens: 100,
    store: false,
    include: ['reasoning.encrypted_content'],
    stream: true,
  });
  await given([...message(0, ['ok']), ended('completed')], { ...ask('hi'), model: 'gpt-4.1' });
  assert.ok(!('include' in (server.requests[1]?.body ?? {})), 'a model that does not think refuses the wish');
});

test('reasoning items go back whole, in their places, while the turn lasts, and only to the same model', async () => {
  server.next({
    pieces: [
      ...reasoning(0, 'rs_1', ['First ', 'second']),
      ...reasoning(1, 'rs_2'),
      ...call(2, CALL),
      ...reasoning(3, 'rs_3'),
      ...call(4, { ...CALL, id: 'call_b' }),
      ended('completed'),
    ],
  });
  const request = ask('look');
  const seen: string[] = [];
  const answer = await collectAnswer({ port: port() }, request, NEVER, (kind, text) => seen.push(`${kind}:${text}`));
  assert.equal(answer.finish, 'calls');
  assert.deepEqual(seen, ['reasoning:First ', 'reasoning:\n\n', 'reasoning:second']);
  const results = ['call_a', 'call_b'].map((id) => ({
    type: 'result' as const,
    id,
    tool: 'read',
    text: 'R',
    isError: false,
  }));
  request.messages.push(answer.message, { role: 'tool', parts: results });
  const items = async (more: Partial<ModelRequest> = {}): Promise<string[]> => {
    await given([...message(0, ['ok']), ended('completed')], { ...request, ...more });
    const input = server.requests.at(-1)?.body.input as { type?: string; id?: string; call_id?: string }[];
    return input.map((item) => item.id ?? item.call_id ?? 'words');
  };
  assert.deepEqual(await items(), ['words', 'rs_1', 'rs_2', 'call_a', 'rs_3', 'call_b', 'call_a', 'call_b']);
  const sent = server.requests.at(-1)?.body.input as object[];
  assert.deepEqual(sent[1], {
    type: 'reasoning',
    id: 'rs_1',
    summary: [
      { type: 'summary_text', text: 'First ' },
      { type: 'summary_text', text: 'second' },
    ],
    encrypted_content: 'openai-rs_1',
  });
  const plain = ['words', 'call_a', 'call_b', 'call_a', 'call_b'];
  assert.deepEqual(await items({ model: 'another' }), plain);
  request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'and?' }] });
  assert.deepEqual(await items(), [...plain, 'words']);
});

test('what was thought before nothing that is sent stays here', async () => {
  const request = ask('look');
  const opaque = {
    from: 'openai',
    model: 'm',
    items: [{ type: 'reasoning', id: 'rs_1', encrypted_content: 'openai-1' }],
  };
  request.messages.push(
    {
      role: 'assistant',
      parts: [
        { type: 'text', text: 'Let me see.' },
        { type: 'reasoning', text: '', opaque },
      ],
    },
    { role: 'tool', parts: [] },
  );
  await given([...message(0, ['ok']), ended('completed')], request);
  assert.ok(!JSON.stringify(server.requests[0]?.body).includes('rs_1'));
});

test('usage with what was cached, what was thought and what was written', async () => {
  const usage = { input: 12, output: 3, cacheRead: 5, cacheWrite: 2 };
  const events = await given([...message(0, ['x']), ended('completed', { usage: usageOf(usage) })]);
  assert.deepEqual(endOf(events).usage, usage);
});

test('refusals and answers that are not whole', async () => {
  const refusal = event('response.refusal.delta', { output_index: 0, delta: 'I cannot do that.' });
  const cases: [RawAnswer['pieces'], string, string][] = [
    [[refusal, ended('completed')], 'refused', 'I cannot do that.'],
    [[...message(0, ['I']), ended('incomplete', { incomplete_details: { reason: 'content_filter' } })], 'refused', 'I'],
    [
      [...message(0, ['I']), ended('incomplete', { incomplete_details: { reason: 'max_output_tokens' } })],
      'length',
      'I',
    ],
    [[...message(0, ['I']), ended('incomplete', { incomplete_details: null })], 'length', 'I'],
  ];
  for (const [pieces, reason, text] of cases) {
    const events = await given(pieces);
    const end = endOf(events);
    assert.ok(end.type === 'finish', JSON.stringify(end));
    assert.deepEqual([end.reason, textOf(events)], [reason, text]);
  }
});

test('a call that is cut at the limit is no whole one', async () => {
  const begun = call(0, { ...CALL, args: ['{"path":"a.md","content":"half'] }).slice(0, 2);
  const events = await given([...begun, ended('incomplete', { incomplete_details: { reason: 'max_output_tokens' } })]);
  const end = endOf(events);
  assert.ok(end.type === 'finish' && end.reason === 'length');
  assert.equal(callsOf(events)[0]?.args, '{"path":"a.md","content":"half');
});

test('failures told in the middle keep what had come', async () => {
  const hello = message(0, ['Hello']).slice(0, 3);
  const failed = (code: string, text: string): string =>
    event('response.failed', { response: { status: 'failed', error: { code, message: text }, usage: null } });
  const cases: [string, string, boolean][] = [
    [failed('server_error', 'The model failed'), 'unavailable', true],
    [failed('rate_limit_exceeded', 'Rate limit reached. Please try again in 3s'), 'rate', true],
    [failed('context_length_exceeded', 'Your input exceeds the context window'), 'context', false],
    [event('error', { code: 'server_is_overloaded', message: 'We are overloaded' }), 'overloaded', true],
    [event('error', { error: { type: 'server_error', code: null, message: 'Something broke' } }), 'unavailable', true],
    ['', 'network', true],
  ];
  for (const [piece, kind, retryable] of cases) {
    const events = await given(piece === '' ? hello : [...hello, piece]);
    const end = endOf(events);
    assert.ok(end.type === 'error', JSON.stringify(end));
    assert.deepEqual([end.error.kind, end.error.retryable, textOf(events)], [kind, retryable, 'Hello'], piece);
  }
});

test('servers that send items only at the end, or the whole without a stream', async () => {
  const output = [
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hello' }] },
    { type: 'function_call', call_id: 'call_a', name: 'read', arguments: '' },
  ];
  const whole = { object: 'response', status: 'completed', error: null, output };
  const cases: RawAnswer[] = [
    { pieces: [ended('completed', { output })] },
    { headers: { 'content-type': 'application/json' }, pieces: [JSON.stringify(whole)] },
    { pieces: [...message(0, ['Hello']), ...call(1, { ...CALL, args: [''] }), ended('completed', { output })] },
  ];
  for (const answer of cases) {
    const events = await given(answer);
    assert.deepEqual([textOf(events), callsOf(events).map(({ args }) => args)], ['Hello', ['{}']]);
    const end = endOf(events);
    assert.ok(end.type === 'finish' && end.reason === 'calls');
  }
});

test('a server that does not know the protocol gets its type named', async () => {
  const pieces = ['{"error":{"message":"Not Found"}}'];
  const end = endOf(await given({ status: 404, headers: { 'content-type': 'application/json' }, pieces }));
  assert.ok(end.type === 'error' && end.error.kind === 'invalid' && !end.error.retryable);
  assert.match(end.error.message, /type openai-compatible/);
});

test('a picture is sent with the detail that bounds its bill', async () => {
  const detailOf = (body: unknown): string | undefined => /"detail":"(\w+)"/.exec(JSON.stringify(body))?.[1];
  await given([...message(0, ['seen']), ended('completed')], askedToLook('look'));
  assert.equal(detailOf(server.requests.at(-1)?.body), 'high');
});
