import assert from 'node:assert/strict';
import { openAiCompatible } from '../../../src/models/chat/model.ts';
import type { ModelWire, Said } from '../../contracts/model-wires.ts';
import { chunk, DONE, sse } from '../model-server.ts';

const REASON = { stop: 'stop', calls: 'tool_calls', hidden: 'stop', length: 'length' };

function pieces({ text = [], calls = [], usage, end }: Said): string[] {
  const deltas = calls.flatMap(({ id, tool, args }, index) =>
    args.map((piece, n) => {
      const start = n === 0 ? { id, type: 'function', function: { name: tool, arguments: piece } } : null;
      return chunk({ tool_calls: [{ index, ...(start ?? { function: { arguments: piece } }) }] });
    }),
  );
  const { input, output, cacheRead, cacheWrite } = usage ?? { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const details = { cached_tokens: cacheRead, cache_write_tokens: cacheWrite };
  const counted = { prompt_tokens: input, completion_tokens: output, prompt_tokens_details: details };
  return [
    ...text.map((content) => chunk({ content })),
    ...deltas,
    ...(end === null ? [] : [chunk({}, REASON[end])]),
    ...(usage ? [sse({ choices: [], usage: counted })] : []),
    ...(end === null ? [] : [DONE]),
  ];
}

interface Message {
  role: string;
  content: string | { type: string; image_url?: { url: string } }[] | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

/** What servers refuse, the strictest of them: pairs in order, ids of at most forty characters, roles in turn. */
function valid(body: Record<string, unknown>): void {
  const messages = (body.messages as Message[]).filter(({ role }) => role !== 'system');
  assert.equal(messages[0]?.role, 'user');
  assert.ok(['user', 'tool'].includes(messages.at(-1)?.role ?? ''));
  const ids = new Set<string>();
  let open: string[] = [];
  let before = '';
  for (const { role, content, tool_calls: calls = [], tool_call_id } of messages) {
    if (role === 'tool') assert.equal(tool_call_id, open.shift(), 'results follow their calls, in order');
    else {
      assert.deepEqual(open, [], 'no call is left without a result');
      assert.notEqual(role, before);
      open = calls.map((call) => call.id);
    }
    before = role;
    assert.ok(calls.length > 0 || (content !== null && content.length > 0) || role === 'tool');
    for (const call of calls) {
      assert.ok(call.id.length <= 40 && !ids.has(call.id));
      ids.add(call.id);
      assert.match(call.function.name, /^[a-zA-Z0-9_-]{1,64}$/);
      assert.equal(typeof JSON.parse(call.function.arguments), 'object');
    }
  }
  assert.deepEqual(open, []);
  assert.doesNotMatch(JSON.stringify(body), /anthropic-|gemini-|skip_thought/, 'no foreign signature');
}

export const chatWire: ModelWire = {
  name: 'openai-compatible',
  open: openAiCompatible,
  baseUrl: (origin) => `${origin}/v1`,
  pieces,
  errors: {
    limited: { status: 429, body: { error: { message: 'Rate limit reached', type: 'rate_limit_error' } } },
    broken: { status: 500, body: { error: { message: 'Something broke', type: 'server_error' } } },
    overloaded: { status: 503, body: { error: { message: 'The engine is overloaded', type: 'server_error' } } },
    'too-long': {
      status: 400,
      body: { error: { message: 'Too long', type: 'invalid_request_error', code: 'context_length_exceeded' } },
    },
  },
  late: { piece: sse({ error: { message: 'The engine is overloaded', type: 'server_error' } }) },
  seen(body) {
    const messages = body.messages as Message[];
    const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
    return {
      results: messages.flatMap(({ role, content }) =>
        role === 'tool' && typeof content === 'string' ? [content] : [],
      ),
      images: parts.flatMap((part) => part.image_url?.url.split('base64,')[1] ?? []),
    };
  },
  valid,
  never: { raw: {}, aimock: {} },
};
