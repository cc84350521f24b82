import assert from 'node:assert/strict';
import { ollama } from '../../../src/models/ollama/model.ts';
import type { ModelServer } from '../../../src/models/wire/provider.ts';
import type { ModelWire, Said } from '../../contracts/model-wires.ts';

/** One line of the stream. */
export const line = (message: object, more: object = {}): string =>
  `${JSON.stringify({ model: 'm', created_at: '2026-11-22T12:00:00Z', message: { role: 'assistant', content: '', ...message }, done: false, ...more })}\n`;

const REASON = { stop: 'stop', calls: 'stop', hidden: 'stop', length: 'length' };

function pieces({ text = [], calls = [], usage, end }: Said): string[] {
  const done = { done: true, done_reason: end && REASON[end] };
  const counts = { prompt_eval_count: usage?.input ?? 1, eval_count: usage?.output ?? 1 };
  return [
    ...text.map((content) => line({ content })),
    ...calls.map(({ id, tool, args }) =>
      line({ tool_calls: [{ id, function: { name: tool, arguments: JSON.parse(args.join('')) as unknown } }] }),
    ),
    ...(end === null ? [] : [line({}, { ...done, ...counts })]),
  ];
}

interface Message {
  role: string;
  content: string;
  images?: string[];
  tool_calls?: { id: string; function: { name: string; arguments: object } }[];
  tool_name?: string;
  tool_call_id?: string;
}

/** What templates of models insist on: turns that alternate, results behind their calls, and a window that was asked for. */
function valid(body: Record<string, unknown>): void {
  const messages = (body.messages as Message[]).filter(({ role }) => role !== 'system');
  assert.equal(messages[0]?.role, 'user');
  assert.ok(['user', 'tool'].includes(messages.at(-1)?.role ?? ''));
  let open: [string, string][] = [];
  for (const { role, tool_calls: calls = [], tool_call_id, tool_name } of messages) {
    if (role === 'tool') {
      assert.deepEqual([tool_call_id, tool_name], open.shift(), 'results follow their calls, in order');
      continue;
    }
    assert.equal(open.length, 0, 'no call is left without a result');
    open = calls.map((call) => [call.id, call.function.name]);
    for (const call of calls)
      assert.ok(typeof call.function.arguments === 'object' && call.function.arguments !== null);
  }
  assert.equal(open.length, 0);
  assert.ok(Number((body.options as { num_ctx?: number }).num_ctx) > 0);
  assert.doesNotMatch(JSON.stringify(body), /anthropic-|gemini-|openai-|skip_thought/, 'no foreign signature');
}

/** Knows every model, so that nothing but the chat is asked for. */
export const knowing: ModelServer = {
  list: () => Promise.resolve([]),
  known: () => null,
  learn: (_place, name) => Promise.resolve({ name, window: 16_384, images: true, tools: true, thinking: true }),
};

export const ollamaWire: ModelWire = {
  name: 'ollama',
  open: (options) => ollama({ ...options, models: knowing }),
  baseUrl: (origin) => origin,
  contentType: 'application/x-ndjson',
  pieces,
  errors: {
    limited: { status: 429, body: { error: 'too many requests, slow down' } },
    broken: { status: 500, body: { error: 'llama runner process has terminated: exit status 2' } },
    overloaded: { status: 503, body: { error: 'server busy, please try again. maximum pending requests exceeded' } },
    'too-long': {
      status: 400,
      body: { error: 'the prompt is longer than the context window of the model, exceeds the context length' },
    },
  },
  late: { piece: `${JSON.stringify({ error: 'server busy, please try again. maximum pending requests exceeded' })}\n` },
  malformed: [`${JSON.stringify({ error: 'error parsing tool call: raw=\'{"path": a\', err=invalid character' })}\n`],
  seen(body) {
    const messages = body.messages as Message[];
    return {
      results: messages.flatMap(({ role, content }) => (role === 'tool' ? [content] : [])),
      images: messages.flatMap(({ images = [] }) => images),
    };
  },
  valid,
  never: {
    raw: {
      usage: 'Ollama does not say what it had cached',
      written: 'Ollama does not say what it writes to its cache',
    },
    aimock: {
      image: 'aimock drops images before a fixture sees them',
      long: 'aimock ends every answer of this wire with stop',
    },
  },
};
