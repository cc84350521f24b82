import { openAiCompatible } from '../../../src/models/openai-compatible.ts';
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
  never: { raw: {}, aimock: {} },
};
