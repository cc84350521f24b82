import assert from 'node:assert/strict';
import { anthropic } from '../../../src/models/anthropic/model.ts';
import type { ModelWire, Said } from '../../contracts/model-wires.ts';

/** One event, as the provider frames it: its name stands before it and in it. */
export const event = (type: string, more: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;

/** A block of content and what fills it. */
export const block = (index: number, content_block: object, deltas: readonly object[]): string[] => [
  event('content_block_start', { index, content_block }),
  ...deltas.map((delta) => event('content_block_delta', { index, delta })),
  event('content_block_stop', { index }),
];

export const begin = (usage: object = { input_tokens: 1, output_tokens: 1 }): string =>
  event('message_start', { message: { id: 'msg_1', type: 'message', role: 'assistant', content: [], usage } });

export const finish = (stop_reason: string, usage: object = { output_tokens: 3 }): string[] => [
  event('message_delta', { delta: { stop_reason, stop_sequence: null }, usage }),
  event('message_stop'),
];

const REASON = { stop: 'end_turn', calls: 'tool_use', hidden: 'end_turn', length: 'max_tokens' };

function pieces({ text = [], calls = [], usage, end }: Said): string[] {
  const { input, output, cacheRead, cacheWrite } = usage ?? { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 };
  const started = begin({
    input_tokens: input - cacheRead - cacheWrite,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
    output_tokens: 1,
  });
  const said = text.map((piece) => ({ type: 'text_delta', text: piece }));
  return [
    started,
    event('ping'),
    ...(said.length > 0 ? block(0, { type: 'text', text: '' }, said).slice(0, end === null ? -1 : undefined) : []),
    ...calls.flatMap(({ id, tool, args }, index) =>
      block(
        index + 1,
        { type: 'tool_use', id, name: tool, input: {} },
        args.map((partial_json) => ({ type: 'input_json_delta', partial_json })),
      ),
    ),
    ...(end === null ? [] : finish(REASON[end], { output_tokens: output })),
  ];
}

interface Block {
  type: string;
  text?: string;
  id?: string;
  tool_use_id?: string;
  name?: string;
  input?: unknown;
  signature?: string;
  content?: string;
  source?: { data: string };
  cache_control?: object;
}

interface Message {
  role: string;
  content: Block[];
}

const blocksOf = (message: Message | undefined, type: string): Block[] =>
  message?.content.filter((each) => each.type === type) ?? [];

/** What the messages endpoint answers with 400 to, as far as a conversation can get it wrong. */
function valid(body: Record<string, unknown>): void {
  const messages = body.messages as Message[];
  assert.ok(Number(body.max_tokens) > 0);
  assert.equal(messages[0]?.role, 'user');
  assert.equal(messages.at(-1)?.role, 'user', 'newer models refuse to be given the beginning of their answer');
  const ids = new Set<string>();
  for (const [index, message] of messages.entries()) {
    if (index > 0) assert.notEqual(message.role, messages[index - 1]?.role, 'roles alternate');
    assert.ok(message.content.length > 0);
    for (const { text } of blocksOf(message, 'text')) assert.match(text ?? '', /\S/);
    const calls = blocksOf(message, 'tool_use');
    for (const { id, name, input } of calls) {
      assert.match(id ?? '', /^[a-zA-Z0-9_-]+$/);
      assert.ok(!ids.has(id ?? ''), 'ids are used once');
      ids.add(id ?? '');
      assert.match(name ?? '', /^[a-zA-Z0-9_-]{1,128}$/);
      assert.ok(typeof input === 'object' && input !== null && !Array.isArray(input));
    }
    const answers = blocksOf(messages[index + 1], 'tool_result');
    if (message.role === 'assistant')
      assert.deepEqual(
        answers.map((each) => each.tool_use_id),
        calls.map((each) => each.id),
        'each call has its result in the next message, and no other',
      );
    if (index === 0) assert.equal(blocksOf(message, 'tool_result').length, 0);
    const first = message.content.findIndex((each) => each.type !== 'tool_result');
    if (first >= 0)
      assert.ok(
        message.content.slice(first).every((each) => each.type !== 'tool_result'),
        'results first',
      );
    for (const { signature } of blocksOf(message, 'thinking')) {
      assert.ok(signature && calls.length > 0, 'thinking comes with its calls, and signed');
      assert.match(signature ?? '', /^anthropic-/, 'no foreign signature');
    }
  }
  const all = [
    ...((body.tools ?? []) as Block[]),
    ...((body.system ?? []) as Block[]),
    ...messages.flatMap((m) => m.content),
  ];
  const marks = all.filter((each) => each.cache_control).length;
  assert.ok(marks >= 1 && marks <= 4, `${marks} cache marks`);
}

const error = (type: string, message: string): object => ({ type: 'error', error: { type, message } });

export const anthropicWire: ModelWire = {
  name: 'anthropic',
  open: anthropic,
  baseUrl: (origin) => origin,
  pieces,
  errors: {
    limited: { status: 429, body: error('rate_limit_error', 'This would exceed your rate limit') },
    broken: { status: 500, body: error('api_error', 'Internal server error') },
    overloaded: { status: 529, body: error('overloaded_error', 'Overloaded') },
    'too-long': {
      status: 400,
      body: error('invalid_request_error', 'prompt is too long: 213462 tokens > 200000 maximum'),
    },
  },
  late: { piece: event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } }) },
  seen(body) {
    const blocks = (body.messages as Message[]).flatMap(({ content }) => content);
    return {
      results: blocks.flatMap(({ type, content }) => (type === 'tool_result' && content ? [content] : [])),
      images: blocks.flatMap(({ source }) => source?.data ?? []),
    };
  },
  valid,
  never: { raw: {}, aimock: { image: 'aimock drops images before a fixture sees them' } },
};
