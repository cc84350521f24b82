import assert from 'node:assert/strict';
import { reaches } from '../../src/core/net/reach.ts';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import { ask, askedAndRead, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE, sse, type RawAnswer } from '../fakes/model-server.ts';
import { type FakeNet, fakeNet } from '../fakes/net.ts';
import { openAiCompatible } from '../../src/models/chat/model.ts';
import { systemClock } from '../../src/platform/system.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { NOW, KEY, NEVER, server, net, model, failed, finished, call } from './chat-kit.ts';

const USAGE = { prompt_tokens: 12, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 5 } };

test('the request says what the model needs, in a stable order', async () => {
  const request = askedAndRead('read a.md');
  request.maxOutputTokens = 100;
  await finished([chunk({ content: 'ok' }, 'stop'), DONE], request);
  const [sent] = server.requests;
  assert.equal(sent?.path, '/v1/chat/completions');
  assert.equal(sent.headers.authorization, `Bearer ${KEY}`);
  assert.deepEqual(sent.body, {
    model: 'm',
    messages: [
      { role: 'system', content: 'You are a test.' },
      { role: 'user', content: 'read a.md' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'read', arguments: '{"path":"a.md"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'RESULT-7' },
    ],
    tools: [
      { type: 'function', function: { name: 'read', description: 'Reads a file.', parameters: { type: 'object' } } },
    ],
    max_tokens: 100,
    stream: true,
    stream_options: { include_usage: true },
  });
  const [{ forWhom }] = net.asked as [FakeNet['asked'][number]];
  const host = new URL(server.baseUrl).host;
  assert.deepEqual(forWhom, { who: 'model:local', agent: null, run: null, privateHosts: [host], only: reaches(host) });
});

test('only pairs of call and result are sent, and arguments that servers can parse', async () => {
  const request = ask('go on');
  request.messages.unshift(
    { role: 'user', parts: [{ type: 'text', text: 'earlier' }] },
    {
      role: 'assistant',
      parts: [
        { type: 'call', id: 'a', tool: 'read', args: '{"path":' },
        { type: 'call', id: 'b', tool: 'read', args: '{}' },
      ],
    },
    { role: 'tool', parts: [{ type: 'result', id: 'a', tool: 'read', text: 'bad arguments', isError: true }] },
    { role: 'user', parts: [{ type: 'text', text: 'and' }] },
    { role: 'assistant', parts: [{ type: 'call', id: 'c', tool: 'read', args: '{}' }] },
  );
  await finished([chunk({ content: 'ok' }, 'stop'), DONE], request);
  const messages = server.requests[0]?.body.messages as Record<string, unknown>[];
  assert.deepEqual(messages.slice(1), [
    { role: 'user', content: 'earlier' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'read', arguments: '{"malformed":"{\\"path\\":"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'a', content: 'bad arguments' },
    // Two in a row are one: the call without a result between them is left out.
    { role: 'user', content: 'and\n\ngo on' },
  ]);
});

test('bytes may be cut anywhere: in a character, in a line, between CR and LF', async () => {
  const text = 'Grüße, 🐝 and "quotes"';
  const stream = `﻿: a comment\r\n\r\n${chunk({ content: text }).replaceAll('\n', '\r\n')}event: message\r\nid: 7\r\n${chunk({}, 'stop')}${DONE}`;
  const bytes = Buffer.from(stream);
  for (const size of [1, 2, 3, 7]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
      bytes.subarray(n * size, (n + 1) * size),
    );
    const answer = await finished(pieces);
    assert.deepEqual([answer.text, answer.reason], [text, 'stop'], `pieces of ${size}`);
  }
});

test('ends that servers leave out or repeat', async () => {
  const hello = chunk({ content: 'Hello' }, 'stop');
  const cases: Record<string, RawAnswer> = {
    'no [DONE]': { pieces: [hello] },
    'two [DONE]': { pieces: [hello, DONE, DONE, chunk({ content: ' again' })] },
    'no empty line at the end': { pieces: [chunk({ content: 'Hello' }), chunk({}, 'stop').trimEnd()] },
    'cut after the reason': { pieces: [hello], end: 'cut' },
    'open after [DONE]': { pieces: [hello, DONE], end: 'hang' },
    'no reason but [DONE]': { pieces: [chunk({ content: 'Hello' }), DONE] },
    'wrong content type': { headers: { 'content-type': 'text/plain' }, pieces: [hello, DONE] },
    'everything in one piece': { pieces: [chunk({ content: 'Hel' }) + chunk({ content: 'lo' }, 'stop') + DONE] },
    'a whole answer as JSON': {
      headers: { 'content-type': 'application/json' },
      pieces: [
        JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }] }),
      ],
    },
  };
  for (const [name, answer] of Object.entries(cases)) {
    const { text, reason, usage } = await finished(answer);
    assert.deepEqual([text, reason, usage.input], ['Hello', 'stop', 0], name);
  }
});

test('an answer that is complete does not wait without end for its usage', async () => {
  let slept = 0;
  const clock: Clock = { now: () => NOW, sleep: async (ms) => void (slept += ms) };
  server.next({ pieces: [chunk({ content: 'Hello' }, 'stop')], end: 'hang' });
  const events = await collect(model({ clock, tailMs: 123 }).stream(ask('hi'), NEVER));
  assert.equal(endOf(events).type, 'finish');
  assert.equal(slept, 123);
  await server.hungUp;
});

test('usage in the places where servers put it', async () => {
  const forms: object[] = [
    { choices: [], usage: USAGE },
    { choices: [], usage: { prompt_tokens: 12, completion_tokens: 3, prompt_cache_hit_tokens: 5 } },
    { choices: [], x_groq: { usage: USAGE } },
    { choices: [{ index: 0, delta: {}, usage: USAGE }] },
  ];
  for (const form of forms) {
    const { usage } = await finished([chunk({ content: 'x' }, 'stop'), sse(form), DONE]);
    assert.deepEqual(usage, { input: 12, output: 3, cacheRead: 5, cacheWrite: 0 }, JSON.stringify(form));
  }
  const error = await failed([chunk({ content: 'x' }, null, { usage: USAGE })]);
  assert.equal(error.usage.input, 12);
});

test('reasoning in each of its fields, sent back in the same one with the calls it led to, to the same model alone', async () => {
  for (const field of ['reasoning_content', 'reasoning', 'thinking']) {
    const { events } = await finished([
      chunk({ [field]: 'Let me ' }),
      chunk({ [field]: 'see.' }),
      chunk({ content: '' }),
      chunk({ content: 'Yes.' }, 'stop'),
      DONE,
    ]);
    assert.deepEqual(events.slice(0, 2), [
      { type: 'reasoning', delta: 'Let me ', opaque: { from: 'local', model: 'm', field } },
      { type: 'reasoning', delta: 'see.' },
    ]);
    const request = askedAndRead('read');
    request.messages[1]?.parts.unshift({ type: 'reasoning', text: 'Let me see.', opaque: { from: 'local', field } });
    await finished([chunk({ content: 'x' }, 'stop'), DONE], request);
    const sent = server.requests.at(-1)?.body.messages as Record<string, unknown>[];
    assert.equal(sent[2]?.[field], 'Let me see.');
    request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'next' }] });
    await finished([chunk({ content: 'x' }, 'stop'), DONE], request);
    const later = server.requests.at(-1)?.body.messages as Record<string, unknown>[];
    assert.equal(later[2]?.[field], 'Let me see.', 'also in later turns');
    request.messages[1]?.parts.splice(0, 1, {
      type: 'reasoning',
      text: 'Let me see.',
      opaque: { from: 'local', model: 'another', field },
    });
    await finished([chunk({ content: 'x' }, 'stop'), DONE], request);
    const foreign = server.requests.at(-1)?.body.messages as Record<string, unknown>[];
    assert.equal(foreign[2]?.[field], undefined);
  }
  const parts = [
    { type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] },
    { type: 'text', text: 'Yes' },
  ];
  const { events, text } = await finished([chunk({ content: parts }, 'stop'), DONE]);
  assert.equal(text, 'Yes');
  assert.equal(events[0]?.type, 'reasoning');
});

test('calls, in the ways in which servers stream them', async () => {
  const A = '{"path":"a.md"}';
  const B = '{"path":"b.md"}';
  const ways: Record<string, string[]> = {
    'several in one delta': [
      chunk({
        tool_calls: [
          { index: 0, id: 'x', function: { name: 'read', arguments: A } },
          { index: 1, id: 'y', function: { name: 'read', arguments: B } },
        ],
      }),
    ],
    'without index and id': [chunk(call(null, null, 'read', A)), chunk(call(null, null, 'read', B))],
    'without index, in pieces': [
      chunk(call(null, 'x', 'read', '{"path":')),
      chunk(call(null, null, null, '"a.md"}')),
      chunk(call(null, 'y', 'read', B)),
    ],
    'index always 0, ids differ': [chunk(call(0, 'x', 'read', A)), chunk(call(0, 'y', 'read', B))],
    'index always 0, no ids': [chunk(call(0, null, 'read', A)), chunk(call(0, null, 'read', B))],
    'the same id twice': [chunk(call(0, 'x', 'read', A)), chunk(call(1, 'x', 'read', B))],
    'the same id twice, no index': [chunk(call(null, 'x', 'read', A)), chunk(call(null, 'x', 'read', B))],
    'id and name on every piece': [
      chunk(call(0, 'x', 'read', '{"path":')),
      chunk(call(0, 'x', 'read', '"a.md"}')),
      chunk(call(1, 'y', 'read', B)),
    ],
    'the name comes late': [
      chunk(call(0, 'x', null, '')),
      chunk(call(0, null, 'read', A)),
      chunk(call(1, 'y', 'read', B)),
    ],
    'arguments as an object': [
      chunk({ tool_calls: [{ index: 0, function: { name: 'read', arguments: { path: 'a.md' } } }] }),
      chunk(call(1, 'y', 'read', B)),
    ],
    interleaved: [
      chunk(call(0, 'x', 'read', '{"pa')),
      chunk(call(1, 'y', 'read', '{"path"')),
      chunk(call(0, null, null, 'th":"a.md"}')),
      chunk(call(1, null, null, ':"b.md"}')),
    ],
  };
  for (const [name, pieces] of Object.entries(ways)) {
    for (const reason of ['tool_calls', 'stop']) {
      const answer = await finished([...pieces, chunk({}, reason), DONE], askedAndRead('go'));
      assert.deepEqual(
        answer.calls.map(({ tool, args }) => [tool, args]),
        [
          ['read', A],
          ['read', B],
        ],
        name,
      );
      assert.equal(answer.reason, 'calls', name);
      const ids = new Set(answer.calls.map(({ id }) => id));
      assert.equal(ids.size, 2, name);
      assert.ok(!ids.has('') && !ids.has('c1'), name);
    }
  }
});

test('an id that the conversation knows already is replaced', async () => {
  const answer = await finished([chunk(call(0, 'c1', 'read', '{}'), 'tool_calls'), DONE], askedAndRead('go'));
  assert.equal(answer.calls.length, 1);
  assert.notEqual(answer.calls[0]?.id, 'c1');
});

test('a call without arguments has none, one that needs a signature carries it', async () => {
  const raw = {
    index: 0,
    id: 'x',
    function: { name: 'list' },
    extra_content: { google: { thought_signature: 'sig' } },
  };
  const { calls, events } = await finished([chunk({ tool_calls: [raw] }, 'tool_calls'), DONE]);
  assert.deepEqual(events[0], {
    type: 'call',
    id: 'x',
    tool: 'list',
    args: '{}',
    opaque: { from: 'local', extra: { google: { thought_signature: 'sig' } } },
  });
  const request = ask('go');
  const part = { type: 'call' as const, id: 'x', tool: 'list', args: '{}', opaque: calls[0]?.opaque };
  request.messages.push(
    { role: 'assistant', parts: [part] },
    { role: 'tool', parts: [{ type: 'result', id: 'x', tool: 'list', text: 'a', isError: false }] },
  );
  await finished([chunk({ content: 'x' }, 'stop'), DONE], request);
  assert.match(JSON.stringify(server.requests.at(-1)?.body), /"extra_content":\{"google":\{"thought_signature":"sig"/);
});

test('a call that was cut is never one to run', async () => {
  const cut = [chunk({ content: 'Writing.' }), chunk(call(0, 'x', 'write', '{"path":"a.md","content":"half'))];
  const error = await failed({ pieces: cut, end: 'cut' });
  assert.deepEqual([error.kind, error.retryable, error.text], ['network', true, 'Writing.']);
  assert.equal(error.calls[0]?.args, '{"path":"a.md","content":"half');
  assert.equal((await failed(cut)).kind, 'network');
  assert.equal((await failed([...cut, DONE])).kind, 'network');
  const long = await finished([...cut, chunk({}, 'length'), DONE]);
  assert.equal(long.reason, 'length');
  const whole = [chunk(call(0, 'x', 'write', '{"path":"a.md","content":"all"}'))];
  assert.equal((await failed(whole)).kind, 'network', 'an early end, even with arguments that parse');
  const truncated = await finished([...cut, chunk({}, 'tool_calls'), DONE]);
  assert.equal(
    truncated.calls[0]?.args,
    '{"path":"a.md","content":"half',
    'said to be whole: as it came, for the loop to refuse',
  );
  const nameless = await failed([chunk(call(0, 'x', null, '{}')), chunk({}, 'tool_calls'), DONE]);
  assert.deepEqual([nameless.kind, nameless.retryable], ['invalid', true]);
});

test('a refusal is one, whatever it is called', async () => {
  assert.equal((await finished([chunk({ content: 'I' }), chunk({}, 'content_filter'), DONE])).reason, 'refused');
  const refusal = await finished([chunk({ refusal: 'I cannot ' }), chunk({ refusal: 'do that.' }, 'stop'), DONE]);
  assert.deepEqual([refusal.reason, refusal.text], ['refused', 'I cannot do that.']);
});

test('an empty answer is an answer', async () => {
  const { text, reason, calls } = await finished([chunk({ content: '' }, 'stop'), DONE]);
  assert.deepEqual([text, reason, calls.length], ['', 'stop', 0]);
});

test('an answer without end is bounded, on the wire and in itself', async () => {
  const pieces = Array.from({ length: 40 }, () => chunk({ content: 'x'.repeat(256 * 1024) }));
  const long = await failed({ pieces, end: 'hang' }, { maxChars: 1_000_000 });
  assert.deepEqual([long.kind, long.retryable], ['invalid', false]);
  assert.ok(long.text.length <= 1_300_000);
  await server.hungUp;
  const noise = await failed(
    { pieces: Array.from({ length: 50 }, () => `: ${'z'.repeat(1000)}\n`) },
    { maxChars: 100 },
  );
  assert.equal(noise.kind, 'invalid');
  const line = await failed(
    { pieces: ['data: ', ...Array.from({ length: 10 }, () => 'y'.repeat(50))] },
    { maxChars: 100 },
  );
  assert.equal(line.kind, 'invalid');
});

test('a large piece arrives whole', async () => {
  const text = 'é'.repeat(2 * 1024 * 1024);
  assert.equal((await finished([chunk({ content: text }), chunk({}, 'stop'), DONE])).text.length, text.length);
});

test('silence is a timeout, and keeps what had come', async () => {
  const error = await failed({ pieces: [chunk({ content: 'Hello' })], end: 'hang' }, { idleMs: 500 });
  assert.deepEqual([error.kind, error.retryable, error.text], ['timeout', true, 'Hello']);
});

test('slow bytes are no silence', async () => {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));
  const bytes = chunk({ content: 'Hello' }, 'stop');
  const third = Math.ceil(bytes.length / 3);
  const piece = (n: number): string => bytes.slice(n * third, (n + 1) * third);
  const gate = pause();
  server.next({ pieces: [piece(0), gate, piece(1), gate.then(pause), piece(2), DONE] });
  const events = await collect(model().stream(ask('hi'), NEVER));
  assert.equal(textOf(events), 'Hello');
});

test('a server is told what it wants to use its cache by, and others are told nothing', async () => {
  const sentTo = async (baseUrl: string, name: string): Promise<object> => {
    const asked = fakeNet();
    const port = openAiCompatible({
      provider: 'p',
      baseUrl,
      apiKey: null,
      net: asked,
      secrets: envSecrets({ env: {} }),
      clock: systemClock,
    });
    const signal = new AbortController().signal;
    await collect(port.stream({ ...ask('hello'), model: name, cacheKey: 'a-key' }, signal));
    return JSON.parse(String(asked.asked[0]?.request.body)) as object;
  };
  const marks = async (baseUrl: string, name: string): Promise<[string, unknown][]> =>
    Object.entries(await sentTo(baseUrl, name)).filter(([key]) => /cache/.test(key));
  assert.deepEqual(await marks('https://api.openai.com/v1', 'gpt-6.2-sol'), [['prompt_cache_key', 'a-key']]);
  const claude = 'anthropic/claude-sonnet-5.5';
  assert.deepEqual(await marks('https://openrouter.ai/api/v1', claude), [['cache_control', { type: 'ephemeral' }]]);
  assert.deepEqual(await marks('https://openrouter.ai/api/v1', 'openai/gpt-6.2-sol'), []);
  assert.deepEqual(await marks('https://llm.example.org/v1', 'gpt-6.2-sol'), []);
});
