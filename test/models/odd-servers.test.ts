import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ModelRequest } from '../../src/core/model.ts';
import { ask, askedAndRead, askedToLook, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE, sse, type RawAnswer } from '../fakes/model-server.ts';
import { NOW, NEVER, server, model, failed, finished, call } from './chat-kit.ts';

test('details of reasoning, pieced together, go back as they came', async () => {
  const signed = { type: 'reasoning.encrypted', index: 1, data: 'SIGNED', id: 'r1' };
  const { events } = await finished([
    chunk({ reasoning: 'Let ', reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'Let ' }] }),
    chunk({ reasoning: 'me.', reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'me.' }] }),
    chunk({ reasoning_details: [signed] }),
    chunk(call(0, 'c1', 'read', '{"path":"a.md"}')),
    chunk({}, 'tool_calls'),
    DONE,
  ]);
  const thought = events.findLast((event) => event.type === 'reasoning');
  const opaque = thought?.type === 'reasoning' ? thought.opaque : undefined;
  const request = askedAndRead('read');
  request.messages[1]?.parts.unshift({ type: 'reasoning', text: 'Let me.', ...(opaque !== undefined && { opaque }) });
  await finished([chunk({ content: 'x' }, 'stop'), DONE], request);
  const sent = server.requests.at(-1)?.body.messages as Record<string, unknown>[];
  assert.equal(sent[2]?.reasoning, 'Let me.');
  assert.deepEqual(sent[2]?.reasoning_details, [{ type: 'reasoning.text', index: 0, text: 'Let me.' }, signed]);
});

test('a picture goes to the models that bill each pixel with the detail that bounds it, and to others without that word', async () => {
  const detailFor = async (name: string): Promise<string | undefined> => {
    await finished([chunk({ content: 'x' }, 'stop'), DONE], { ...askedToLook('look'), model: name });
    return /"detail":"(\w+)"/.exec(JSON.stringify(server.requests.at(-1)?.body))?.[1];
  };
  for (const name of ['gpt-5.5', 'openai/gpt-6.2-sol', 'gpt-5.4-mini'])
    assert.equal(await detailFor(name), 'high', name);
  for (const name of ['qwen3-vl', 'gpt-4o', 'gpt-5', 'openai/gpt-oss-120b'])
    assert.equal(await detailFor(name), undefined, name);
});

test('thinking between tags at the beginning of the content is no part of the answer, wherever it is cut', async () => {
  const whole = '<think>Let me see.</think>\n\nYes: <think> is a tag.';
  for (let at = 0; at <= whole.length; at += 1) {
    const cut = [whole.slice(0, at), whole.slice(at)].filter((piece) => piece !== '');
    const { text, events } = await finished([...cut.map((content) => chunk({ content })), chunk({}, 'stop'), DONE]);
    assert.equal(text, 'Yes: <think> is a tag.', `${at}`);
    const thought = events.map((event) => (event.type === 'reasoning' ? event.delta : '')).join('');
    assert.equal(thought, 'Let me see.', `${at}`);
  }
  for (const [content, thinking, words] of [
    ['<think>a</think><think>b</think>Hello', 'ab', 'Hello'],
    ['\n\n<thinking>secret</thinking>\nHello', 'secret', 'Hello'],
    ['  <Think>secret</Think>Hello', 'secret', 'Hello'],
    ['<thought>secret</thought>Hello', 'secret', 'Hello'],
    ['</think>\n\nHello', '', 'Hello'],
    ['<thinker> is no tag', '', '<thinker> is no tag'],
    ['</thin> is none', '', '</thin> is none'],
  ] as const)
    for (let at = 0; at <= content.length; at += 1) {
      const cut = [content.slice(0, at), content.slice(at)].filter((piece) => piece !== '');
      const { text, events } = await finished([
        ...cut.map((piece) => chunk({ content: piece })),
        chunk({}, 'stop'),
        DONE,
      ]);
      const thought = events.map((event) => (event.type === 'reasoning' ? event.delta : '')).join('');
      assert.deepEqual([thought, text], [thinking, words], `${content} cut at ${at}`);
    }
  assert.equal((await finished([chunk({ content: '<thin' }, 'stop'), DONE])).text, '<thin');
  assert.equal((await finished([chunk({ content: 'a <think>b</think>' }, 'stop'), DONE])).text, 'a <think>b</think>');
});

test('a model whose thinking is opened in its prompt shows it once, and from then on it is told from the answer', async () => {
  const port = model();
  const answer = async (...contents: string[]): Promise<[string, string]> => {
    server.next({ pieces: [...contents.map((content) => chunk({ content })), chunk({}, 'stop'), DONE] });
    const events = await collect(port.stream(ask('hi'), NEVER));
    return [events.map((event) => (event.type === 'reasoning' ? event.delta : '')).join(''), textOf(events)];
  };
  await answer('Let me see.</th', 'ink>\n\nHello');
  assert.deepEqual(await answer('Hm', 'm.</thi', 'nk>\n\nHello again'), ['Hmm.', 'Hello again']);
  assert.deepEqual(await answer('Without ', 'a thought'), ['', 'Without a thought']);
});

test('what a server says twice is said and done once', async () => {
  const whole = { role: 'assistant', content: 'Hello there.' };
  const twice = sse({ choices: [{ index: 0, message: whole, finish_reason: 'stop' }] });
  assert.equal(
    (await finished([chunk({ content: 'Hello ' }), chunk({ content: 'there.' }), twice, DONE])).text,
    'Hello there.',
  );
  const again = chunk(call(0, 'c1', 'read', '{"path":"a.md"}'));
  assert.equal((await finished([again, again, chunk({}, 'tool_calls'), DONE])).calls.length, 1);
});

test('arguments that the server has damaged are what the model meant; others stay for the model to be told', async () => {
  const args = async (given: string): Promise<string | undefined> =>
    (await finished([chunk(call(0, 'x', 'read', given)), chunk({}, 'tool_calls'), DONE])).calls[0]?.args;
  const A = '{"path":"a.md"}';
  for (const damaged of [`{}${A}`, A + A, JSON.stringify(A)]) assert.equal(await args(damaged), A, damaged);
  for (const wrong of ['{"path":', `${A}{"path":"b.md"}`, '"a word"', 'a word']) assert.equal(await args(wrong), wrong);
  const bare = await finished([chunk(call(0, 'x', 'read', A)), DONE]);
  assert.deepEqual([bare.reason, bare.calls[0]?.args], ['calls', A], 'whole, and the server has said that it is done');
});

test('a reason in every chunk does not end the answer: only silence does', async () => {
  const sleepers: (() => void)[] = [];
  const clock: Clock = {
    now: () => NOW,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push(resolve);
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      }),
  };
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const pieces = [chunk({ content: 'a' }, 'stop'), gates[0].promise, chunk({ content: 'b' }, 'stop'), gates[1].promise];
  server.next({ pieces: [...pieces, chunk({ content: 'c' }, 'stop')], end: 'hang' });
  let text = '';
  for await (const event of model({ clock }).stream(ask('hi'), NEVER)) {
    if (event.type === 'text') text += event.delta;
    if (text === 'a') gates[0].resolve();
    if (text === 'ab') {
      // The ten seconds since the first reason are over while the answer goes on.
      sleepers[0]?.();
      gates[1].resolve();
    }
    if (text === 'abc') setImmediate(() => sleepers.at(-1)?.());
  }
  assert.equal(text, 'abc');
});

test('tokens: reasoning that is counted beside the answer, and zeros after the real counts', async () => {
  const xai = {
    prompt_tokens: 10,
    completion_tokens: 1_499,
    total_tokens: 4_318,
    completion_tokens_details: { reasoning_tokens: 2_809 },
  };
  const zeros = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  const { usage } = await finished([
    chunk({ content: 'x' }, 'stop'),
    sse({ choices: [], usage: xai }),
    sse({ choices: [], usage: zeros }),
    DONE,
  ]);
  assert.deepEqual([usage.input, usage.output], [10, 4_308]);
});

test('an event called error is one, in its own words', async () => {
  const { message, kind } = await failed(['event: error\ndata: {"message":"engine is overloaded","code":529}\n\n']);
  assert.equal(kind, 'overloaded');
  assert.match(message, /engine is overloaded/);
  assert.match((await failed(['event: error\ndata: the disk is full\n\n'])).message, /the disk is full/);
});

test('half a character, which a model wrote, is never sent', async () => {
  const request = askedAndRead('read \ud83d and 🐝');
  request.messages[1]?.parts.splice(0, 1, {
    type: 'call',
    id: 'c1',
    tool: 'read',
    args: '{"path":"\\ud83d","b":"\\ud83d\\udc1d"}',
  });
  await finished([chunk({ content: 'x' }, 'stop'), DONE], request);
  const messages = server.requests.at(-1)?.body.messages as {
    content: string;
    tool_calls: { function: { arguments: string } }[];
  }[];
  assert.equal(messages[1]?.content, 'read \ufffd and 🐝');
  assert.deepEqual(JSON.parse(messages[2]?.tool_calls[0]?.function.arguments ?? ''), { path: '\ufffd', b: '🐝' });
});

const refusing = (text: string): RawAnswer => ({ status: 422, pieces: [JSON.stringify({ error: { message: text } })] });
const QUIRKS: Record<
  string,
  [said: string, request: () => ModelRequest, right: (body: Record<string, unknown>) => boolean]
> = {
  'no stream_options': [
    "property 'stream_options' is unsupported",
    () => ask('hi'),
    (body) => !('stream_options' in body),
  ],
  'the new name of max_tokens': [
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    () => ({ ...ask('hi'), maxOutputTokens: 9 }),
    (body) => body.max_completion_tokens === 9 && !('max_tokens' in body),
  ],
  'words of the model between a result and the user': [
    "Unexpected role 'user' after role 'tool'",
    () => {
      const request = askedAndRead('read');
      request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'and?' }] });
      return request;
    },
    ({ messages }) =>
      (messages as { role: string }[]).map(({ role }) => role).join(' ') ===
      'system user assistant tool assistant user',
  ],
  'reasoning with every call': [
    'The `reasoning_content` in the thinking mode must be passed back to the API.',
    () => askedAndRead('read'),
    ({ messages }) => (messages as { reasoning_content?: string }[])[2]?.reasoning_content === '',
  ],
  'no reasoning back': [
    "'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : property 'reasoning' is unsupported)]",
    () => {
      const request = askedAndRead('read');
      const opaque = { from: 'local', model: request.model, field: 'reasoning' };
      request.messages[1]?.parts.unshift({ type: 'reasoning', text: 'hm', opaque });
      return request;
    },
    ({ messages }) => !('reasoning' in (messages as object[])[2]!),
  ],
  'a string as the content of calls': [
    '1 validation error: messages.2.content Input should be a valid string [input_value=None]',
    () => askedAndRead('read'),
    ({ messages }) => (messages as { content: unknown }[])[2]?.content === '',
  ],
  'no images': [
    'messages[1]: unknown variant `image_url`, expected `text`',
    () => {
      const request = ask('look');
      const blob = { hash: 'h', size: 1, subject: 's' };
      request.messages[0]?.parts.push({ type: 'image', mediaType: 'image/png', name: 'a.png', blob });
      return { ...request, images: new Map([['h', new Uint8Array([1])]]) };
    },
    ({ messages }) =>
      (messages as { content: unknown }[])[1]?.content === 'look[image a.png: this model cannot see images]',
  ],
  // anomalyco/opencode#9912, can1357/oh-my-pi#1227 (LiteLLM before Bedrock): a summary offers no tools.
  'tools named where earlier calls are sent': [
    "litellm.UnsupportedParamsError: Bedrock doesn't support tool calling without `tools=` param specified.",
    () => ({ ...askedAndRead('read'), tools: [] }),
    ({ tools }) => (tools as { function: { name: string } }[] | undefined)?.[0]?.function.name === 'read',
  ],
  'plain schemas': [
    'Invalid JSON payload received. Unknown name "additionalProperties" at \'tools.function_declarations[0].parameters\'',
    () => {
      const input = {
        type: 'object',
        properties: { default: { type: 'string', minLength: 1 } },
        additionalProperties: false,
      };
      return { ...ask('hi'), tools: [{ name: 'read', description: 'Reads.', input }] };
    },
    ({ tools }) =>
      JSON.stringify((tools as { function: { parameters: unknown } }[])[0]?.function.parameters) ===
      '{"type":"object","properties":{"default":{"type":"string"}}}',
  ],
  'no system message': [
    'System role not supported',
    () => ask('hi'),
    ({ messages }) => {
      const [first] = messages as { role: string; content: string }[];
      return first?.role === 'user' && first.content === 'You are a test.\n\nhi';
    },
  ],
};
for (const [what, [said, request, right]] of Object.entries(QUIRKS))
  test(`a server that wants ${what} says so once, and is asked so from then on`, async () => {
    const port = model();
    for (const _ of ['first', 'second']) {
      server.next((raw) => (right(raw.body) ? { pieces: [chunk({ content: 'ok' }, 'stop'), DONE] } : refusing(said)));
      server.next((raw) => (right(raw.body) ? { pieces: [chunk({ content: 'ok' }, 'stop'), DONE] } : refusing(said)));
      const events = await collect(port.stream(request(), NEVER));
      assert.equal(textOf(events), 'ok', JSON.stringify(endOf(events)));
    }
    // One refusal, and never the same one again.
    assert.equal(server.requests.length, 3);
    server.next(refusing(said));
    server.next(refusing(said));
  });

test('a refusal inside a 200 is learned from, too: in the stream, or as the whole of it', async () => {
  const said = "Error rendering prompt with jinja template: 'Conversation roles must alternate user/assistant'";
  for (const refusal of [
    { pieces: [`event: error\n${sse({ error: { message: said } })}`] },
    { headers: { 'content-type': 'application/json' }, pieces: [JSON.stringify({ error: said })] },
  ]) {
    server.next(refusal);
    server.next({ pieces: [chunk({ content: 'ok' }, 'stop'), DONE] });
    const request = askedAndRead('read');
    request.messages.push({ role: 'user', parts: [{ type: 'text', text: 'and?' }] });
    assert.equal(textOf(await collect(model().stream(request, NEVER))), 'ok');
    const sent = server.requests.at(-1)?.body.messages as { role: string }[];
    assert.equal(sent.map(({ role }) => role).join(' '), 'system user assistant tool assistant user');
  }
});

test('a refusal that quotes a text from outside leaves nothing behind where nothing helped', async () => {
  const port = model();
  const quoted = 'bad request: {"input": "stream_options; system role is not supported"}';
  for (let n = 0; n < 3; n += 1) server.next(refusing(quoted));
  assert.equal(endOf(await collect(port.stream(ask('hi'), NEVER))).type, 'error');
  assert.equal(server.requests.length, 3);
  server.next({ pieces: [chunk({ content: 'ok' }, 'stop'), DONE] });
  assert.equal(textOf(await collect(port.stream(ask('hi'), NEVER))), 'ok');
  const { body: sent } = server.requests.at(-1)!;
  assert.deepEqual(['stream_options' in sent, (sent.messages as { role: string }[])[0]?.role], [true, 'system']);
});

test('of an error as long as an answer only the beginning is looked at', async () => {
  const error = { error: { message: `${'tools '.repeat(20_000)} stream_options is unsupported` } };
  await failed([sse(error)]);
  assert.equal(server.requests.length, 1);
});

test('what the owner has said of a model is not tried first', async () => {
  const port = model({ quirks: (name) => (name === ask('x').model ? ['no-stream-options', 'no-system'] : []) });
  server.next({ pieces: [chunk({ content: 'ok' }, 'stop'), DONE] });
  await collect(port.stream(ask('hi'), NEVER));
  const { body } = server.requests.at(-1)!;
  assert.deepEqual(['stream_options' in body, (body.messages as { role: string }[])[0]?.role], [false, 'user']);
});

/** Public reports of 2025 and 2026 that are not in the other tests; decision 0015 lists them all. */
const body = (more: object): object => ({ choices: [{ index: 0, ...more }] });
const REPORTS: Record<string, [pieces: string[], text: string]> = {
  'sgl-project/sglang#8417: the reason comes with the content, and once more': [
    [chunk({ content: 'Hello' }, 'stop'), chunk({}, 'stop'), DONE],
    'Hello',
  ],
  'sgl-project/sglang#18335: role and content are null while it thinks': [
    [
      chunk({ role: null, content: null, reasoning_content: 'hm' }),
      chunk({ content: 'Hello' }),
      chunk({}, 'stop'),
      DONE,
    ],
    'Hello',
  ],
  'vllm-project/vllm#27572: the reason is null to the end': [[chunk({ content: 'Hello' }), chunk({}), DONE], 'Hello'],
  'lmstudio-bug-tracker#1318: an empty list of calls beside the words': [
    [chunk({ content: 'Hello', tool_calls: [] }), chunk({ tool_calls: [] }, 'stop'), DONE],
    'Hello',
  ],
  'lmstudio-bug-tracker#830: an entry of a call that names nothing': [
    [
      chunk({ content: 'Hello' }),
      chunk({ tool_calls: [{ index: 0, id: '', type: 'function' }] }),
      chunk({}, 'stop'),
      DONE,
    ],
    'Hello',
  ],
  'CopilotKit#2468, autogen#6465: chunks of a filter without a delta, and without a choice': [
    [
      sse({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] }),
      chunk({ content: 'Hello' }),
      sse(body({ finish_reason: null, content_filter_offsets: { check_offset: 4 } })),
      chunk({}, 'stop'),
      DONE,
    ],
    'Hello',
  ],
  'mistralai/client-python#325: parts that refer to sources by ids in words': [
    [
      chunk({
        content: [
          { type: 'text', text: 'Hello' },
          { type: 'reference', reference_ids: ['a'] },
        ],
      }),
      chunk({}, 'stop'),
      DONE,
    ],
    'Hello',
  ],
};
for (const [report, [pieces, text]] of Object.entries(REPORTS))
  test(`a report: ${report}`, async () => {
    const answer = await finished(pieces);
    assert.deepEqual([answer.text, answer.calls.length], [text, 0]);
  });

test('reports: pieces of a call without id and with an empty name, and a reason in the singular', async () => {
  // anomalyco/opencode#49692 and earendil-works/pi#8387 (Mistral's GLM), ml-explore/mlx-lm#782.
  const piece = { index: 0, type: 'function', function: { name: '', arguments: '.md"}' } };
  const { calls, reason } = await finished([
    chunk(call(0, 'c1', 'read', '{"path":"a')),
    chunk({ tool_calls: [piece], content: '' }),
    chunk({}, 'tool_call'),
    DONE,
  ]);
  assert.deepEqual([reason, calls.map(({ args }) => args)], ['calls', ['{"path":"a.md"}']]);
});

test('reports: what ends an answer that is none', async () => {
  // anomalyco/opencode#44092: a filter by another name.
  assert.equal((await finished([chunk({ content: 'x' }), chunk({}, 'sensitive'), DONE])).reason, 'refused');
  // OleksandrChekhovskyi/hax#15: a harmless reason over a server that broke off.
  const broken = sse(body({ delta: {}, finish_reason: 'stop', native_finish_reason: 'network_error' }));
  const lost = await failed([chunk({ content: 'half' }), broken, DONE]);
  assert.deepEqual([lost.kind, lost.retryable], ['unavailable', true]);
  // pydantic/pydantic-ai#3300, NousResearch/hermes-agent#83886: Gemini's malformed calls.
  const none = await failed([chunk({}, 'function_call_filter: MALFORMED_FUNCTION_CALL'), DONE]);
  assert.deepEqual([none.retryable, none.asks?.most], [true, 3]);
  assert.match(none.message, /MALFORMED_FUNCTION_CALL/);
});

test('reports: a call that the server could not read is asked again, whatever the status, and not for ever', async () => {
  for (const [status, error] of [
    // pydantic/pydantic-ai#4350, huggingface/smolagents#1119, tashfeenahmed/freellmapi#291 (Groq).
    [400, { message: "Failed to call a function. See 'failed_generation'.", code: 'tool_use_failed' }],
    [400, { message: 'tool call validation failed: parameters did not match schema', code: 'tool_use_failed' }],
    // vxcontrol/pentagi#313, ggml-org/llama.cpp#20532.
    [500, { message: 'Failed to parse tool call arguments as JSON: unexpected end of input' }],
    [500, { message: 'Failed to parse input at pos 184: <tool_call>' }],
  ] as const) {
    const { retryable, asks, message } = await failed({ status, pieces: [JSON.stringify({ error })] });
    assert.deepEqual([retryable, asks], [true, { most: 3, later: false }], error.message);
    assert.match(message, /wrote a call that its server could not read/);
  }
});

test('two calls that learn the same at once are both answered', async () => {
  const port = model();
  const both = Promise.withResolvers<void>();
  let asked = 0;
  const strict = (raw: { body: Record<string, unknown> }): RawAnswer => {
    if (!('stream_options' in raw.body)) return { pieces: [chunk({ content: 'ok' }, 'stop'), DONE] };
    asked += 1;
    if (asked === 2) both.resolve();
    return {
      ...refusing("'stream_options' is unsupported"),
      pieces: [both.promise, ...refusing("'stream_options' is unsupported").pieces],
    };
  };
  for (let n = 0; n < 4; n += 1) server.next(strict);
  const answers = await Promise.all(['one', 'two'].map((text) => collect(port.stream(ask(text), NEVER))));
  assert.deepEqual(answers.map(textOf), ['ok', 'ok']);
});

test('a request that is larger than the limit of a minute is too long, whatever the status says', async () => {
  const { kind } = await failed({
    status: 429,
    pieces: [
      '{"error":{"message":"Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 37313.","type":"tokens","code":"rate_limit_exceeded"}}',
    ],
  });
  assert.equal(kind, 'context');
});

test('only counts are taken for counts: not what is below nothing, beyond all models or no number', async () => {
  const counted = async (prompt_tokens: unknown, completion_tokens: unknown): Promise<number[]> => {
    const usage = { prompt_tokens, completion_tokens };
    const said = await finished([chunk({ content: 'x' }, 'stop'), chunk({}, null, { usage }), DONE]);
    return [said.usage.input, said.usage.output];
  };
  for (const [prompt, completion, ...counts] of [
    [10, 2, 10, 2],
    ['10', '2', 10, 2],
    [10.5, 2.25, 11, 3],
    [-10, 2, 0, 2],
    [1e300, 2, 0, 2],
    [null, 'NaN', 0, 0],
  ] as const)
    assert.deepEqual(await counted(prompt, completion), counts, `${prompt}, ${completion}`);
});
