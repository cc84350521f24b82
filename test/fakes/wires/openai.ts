import assert from 'node:assert/strict';
import { openai } from '../../../src/models/responses/model.ts';
import type { ModelWire, Said } from '../../contracts/model-wires.ts';

/** One event, as OpenAI frames it: its name stands before it and in it. */
export const event = (type: string, more: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: 0, ...more })}\n\n`;

export const usageOf = (usage: NonNullable<Said['usage']>): object => ({
  input_tokens: usage.input,
  output_tokens: usage.output,
  input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
  output_tokens_details: { reasoning_tokens: 1 },
});

/** A message and its text as it comes. */
export const message = (at: number, deltas: readonly string[]): string[] => {
  const place = { output_index: at, item_id: `msg_${at}`, content_index: 0 };
  const item = { type: 'message', id: `msg_${at}`, role: 'assistant', status: 'in_progress', content: [] };
  const text = deltas.join('');
  return [
    event('response.output_item.added', { output_index: at, item }),
    event('response.content_part.added', { ...place, part: { type: 'output_text', text: '' } }),
    ...deltas.map((delta) => event('response.output_text.delta', { ...place, delta })),
    event('response.output_text.done', { ...place, text }),
    event('response.output_item.done', {
      output_index: at,
      item: { ...item, status: 'completed', content: [{ type: 'output_text', text, annotations: [] }] },
    }),
  ];
};

export const call = (at: number, { id, tool, args }: NonNullable<Said['calls']>[number]): string[] => {
  const item = { type: 'function_call', id: `fc_${at}`, call_id: id, name: tool, arguments: '', status: 'in_progress' };
  const place = { output_index: at, item_id: `fc_${at}` };
  return [
    event('response.output_item.added', { output_index: at, item }),
    ...args.map((delta) => event('response.function_call_arguments.delta', { ...place, delta })),
    event('response.function_call_arguments.done', { ...place, arguments: args.join('') }),
    event('response.output_item.done', {
      output_index: at,
      item: { ...item, arguments: args.join(''), status: 'completed' },
    }),
  ];
};

const begun = event('response.created', {
  response: { id: 'resp_1', object: 'response', status: 'in_progress', output: [] },
});

export const ended = (status: 'completed' | 'incomplete', more: object = {}): string =>
  event(`response.${status}`, {
    response: { id: 'resp_1', object: 'response', status, error: null, output: [], ...more },
  });

function pieces({ text = [], calls = [], usage, end }: Said): string[] {
  const said = text.length > 0 ? message(0, text) : [];
  const more = usage ? { usage: usageOf(usage) } : {};
  return [
    begun,
    // Without an end the message has none either.
    ...(end === null ? said.slice(0, 2 + text.length) : said),
    ...calls.flatMap((each, index) => call(index + 1, each)),
    ...(end === 'length'
      ? [ended('incomplete', { incomplete_details: { reason: 'max_output_tokens' }, ...more })]
      : []),
    ...(end === null || end === 'length' ? [] : [ended('completed', more)]),
  ];
}

interface Item {
  type?: string;
  role?: string;
  content?: string | { type: string; image_url?: string }[];
  call_id?: string;
  name?: string;
  arguments?: string;
  output?: string;
  encrypted_content?: string;
}

/** What the endpoint answers with 400 to: calls and results that are not pairs, reasoning without what it led to. */
function valid(body: Record<string, unknown>): void {
  const input = body.input as Item[];
  assert.equal(body.store, false);
  assert.equal(input[0]?.role, 'user');
  const last = input.at(-1);
  assert.ok(last?.role === 'user' || last?.type === 'function_call_output');
  const open = new Set<string>();
  const used = new Set<string>();
  for (const [index, item] of input.entries()) {
    const id = item.call_id ?? '';
    if (item.type === 'function_call') {
      assert.ok(id.length > 0 && id.length <= 64 && !used.has(id));
      used.add(id);
      open.add(id);
      assert.match(item.name ?? '', /^[a-zA-Z0-9_-]{1,64}$/);
      assert.equal(typeof JSON.parse(item.arguments ?? ''), 'object');
    } else if (item.type === 'function_call_output') assert.ok(open.delete(id), 'a result follows its call');
    else if (item.role === 'user') assert.equal(open.size, 0, 'no call is left without a result');
    if (item.type !== 'reasoning') continue;
    assert.match(item.encrypted_content ?? '', /^openai-/, 'no foreign signature');
    assert.ok(['reasoning', 'function_call', undefined].includes(input[index + 1]?.type));
    assert.notEqual(input[index + 1]?.role, 'user');
  }
  assert.equal(open.size, 0);
  assert.doesNotMatch(JSON.stringify(body), /anthropic-|gemini-|skip_thought/, 'no foreign signature');
}

const error = (code: string, text: string): object => ({
  error: { message: text, type: 'invalid_request_error', param: null, code },
});

export const openaiWire: ModelWire = {
  name: 'openai',
  open: openai,
  baseUrl: (origin) => `${origin}/v1`,
  pieces,
  errors: {
    limited: { status: 429, body: error('rate_limit_exceeded', 'Rate limit reached for gpt-6.2-sol') },
    broken: { status: 500, body: error('server_error', 'The server had an error while processing your request') },
    overloaded: { status: 503, body: error('server_error', 'The engine is currently overloaded') },
    'too-long': {
      status: 400,
      body: error('context_length_exceeded', 'Your input exceeds the context window of this model.'),
    },
  },
  late: { piece: event('error', { code: 'server_is_overloaded', message: 'The engine is currently overloaded' }) },
  seen(body) {
    const input = body.input as Item[];
    const parts = input.flatMap(({ content }) => (Array.isArray(content) ? content : []));
    return {
      results: input.flatMap(({ output }) => output ?? []),
      images: parts.flatMap((part) => part.image_url?.split('base64,')[1] ?? []),
    };
  },
  valid,
  mockCut: 9,
  never: { raw: {}, aimock: { image: 'aimock drops images before a fixture sees them' } },
};
