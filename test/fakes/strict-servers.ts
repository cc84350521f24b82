import type { RawAnswer } from './model-server.ts';
import { sse } from './model-server.ts';

export interface StrictMessage {
  role: string;
  content: string | null | { type: string; text?: string }[];
  reasoning_content?: string;
  reasoning_details?: { data?: string }[];
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

/** A server as its users know it: what it refuses, in its own words, and what it expects back. */
export interface Strict {
  window: number;
  /** What `ruche.yaml` says of it, rightly or not. */
  images: boolean;
  /** Characters of a request that it takes. */
  most: number;
  /** What stands beside its calls, and has to come back. */
  thinking: object;
  /** By name, whether a request is wrong, and what it says then. */
  rules: Record<
    string,
    [wrong: (messages: readonly StrictMessage[], body: Record<string, unknown>) => boolean, said: RawAnswer]
  >;
  /** Rules that a conversation with everything in it runs into. */
  expects: readonly string[];
}

export const wordsOf = (message: StrictMessage | undefined): string =>
  typeof message?.content === 'string'
    ? message.content
    : (message?.content ?? []).map(({ text = '' }) => text).join('');

const no = (status: number, error: object): RawAnswer => ({ status, pieces: [JSON.stringify({ error })] });
const hasImage = (messages: readonly StrictMessage[]): boolean =>
  messages.some(({ content }) => Array.isArray(content) && content.some(({ type }) => type === 'image_url'));
const forbidden = (messages: readonly StrictMessage[]): boolean => JSON.stringify(messages).includes('FORBIDDEN');
const calling = (messages: readonly StrictMessage[]): StrictMessage[] =>
  messages.filter(({ tool_calls = [] }) => tool_calls.length > 0);
const userAfterTool = (messages: readonly StrictMessage[]): boolean =>
  messages.some(({ role }, at) => role === 'user' && messages[at - 1]?.role === 'tool');

/** What every one of them refuses: results without their calls, calls without their results, arguments that are no JSON. */
function unpaired(messages: readonly StrictMessage[]): boolean {
  let open: string[] = [];
  for (const { role, tool_calls = [], tool_call_id = '' } of messages) {
    if (role === 'tool') {
      if (!open.includes(tool_call_id)) return true;
      open = open.filter((id) => id !== tool_call_id);
      continue;
    }
    if (open.length > 0) return true;
    open = tool_calls.map(({ id }) => id);
    for (const call of tool_calls) JSON.parse(call.function.arguments);
  }
  return open.length > 0;
}

/** What a request is refused for first; null if it is taken. */
export function refusalOf(strict: Strict, body: Record<string, unknown>): { why: string; answer: RawAnswer } | null {
  const messages = body['messages'] as StrictMessage[];
  if (unpaired(messages))
    return { why: 'unpaired', answer: no(400, { message: 'tool messages must follow their tool_calls' }) };
  if (!['user', 'tool'].includes(messages.at(-1)?.role ?? ''))
    return { why: 'order', answer: no(400, { message: 'Expected last role User or Tool' }) };
  for (const [why, [wrong, answer]] of Object.entries(strict.rules)) if (wrong(messages, body)) return { why, answer };
  const { most } = strict;
  if (JSON.stringify(messages).length > most) return { why: 'overflow', answer: strict.rules['overflow']![1] };
  return null;
}

const never = (): boolean => false;
const SIGNED = { type: 'reasoning.encrypted', data: 'c2lnbmF0dXJl', format: 'google-gemini-v1', index: 0 };

export const STRICT: Record<string, Strict> = {
  DeepSeek: {
    window: 128_000,
    images: true,
    most: 24_000,
    thinking: { reasoning_content: 'I should read.' },
    rules: {
      images: [
        hasImage,
        no(400, { message: 'Failed to deserialize: messages[5]: unknown variant `image_url`, expected `text`' }),
      ],
      reasoning: [
        (messages) => calling(messages).some(({ reasoning_content }) => reasoning_content === undefined),
        no(400, { message: 'The `reasoning_content` in the thinking mode must be passed back to the API.' }),
      ],
      filter: [forbidden, no(400, { message: 'Content Exists Risk', type: 'invalid_request_error' })],
      overflow: [
        never,
        no(400, { message: "This model's maximum context length is 15000 tokens. Please reduce the length." }),
      ],
    },
    expects: ['images', 'filter', 'overflow'],
  },
  Mistral: {
    window: 128_000,
    images: true,
    most: 24_000,
    thinking: {},
    rules: {
      options: [
        (_messages, body) => 'stream_options' in body,
        {
          status: 422,
          pieces: [JSON.stringify({ detail: [{ type: 'extra_forbidden', loc: ['body', 'stream_options'] }] })],
        },
      ],
      roles: [
        userAfterTool,
        {
          status: 400,
          pieces: [
            JSON.stringify({ object: 'error', message: "Unexpected role 'user' after role 'tool'", code: '3230' }),
          ],
        },
      ],
      ids: [
        (messages) =>
          calling(messages).some(({ tool_calls = [] }) => tool_calls.some(({ id }) => !/^[a-zA-Z0-9]{9}$/.test(id))),
        no(400, { message: 'Tool call id must be a-z, A-Z, 0-9, with a length of 9.' }),
      ],
      filter: [forbidden, no(403, { message: 'Your input was flagged by moderation' })],
      overflow: [
        never,
        no(400, { message: 'Prompt contains 40000 tokens, too large for model with 32768 maximum context length' }),
      ],
    },
    expects: ['options', 'roles', 'filter', 'overflow'],
  },
  OpenRouter: {
    window: 128_000,
    images: true,
    most: 24_000,
    thinking: { content: '', reasoning: 'I should read.', reasoning_details: [SIGNED] },
    rules: {
      signature: [
        (messages) =>
          calling(messages).some(({ reasoning_details = [] }) => reasoning_details[0]?.data !== SIGNED.data),
        no(400, { message: 'Provider returned error', metadata: { raw: 'reasoning details have to be preserved' } }),
      ],
      // After a 200, as routers do.
      filter: [
        forbidden,
        {
          pieces: [
            ': OPENROUTER PROCESSING\n\n',
            sse({
              error: { code: 403, message: 'Provider returned error', metadata: { raw: 'flagged by moderation' } },
              choices: [{ delta: {}, finish_reason: 'error' }],
            }),
          ],
        },
      ],
      overflow: [
        never,
        no(400, {
          message: "This endpoint's maximum context length is 15000 tokens. However, you requested about 20000.",
        }),
      ],
    },
    expects: ['filter', 'overflow'],
  },
  'a small window': {
    window: 8_192,
    images: false,
    most: 16_000,
    thinking: {},
    rules: {
      roles: [
        userAfterTool,
        {
          pieces: [
            `event: error\n${sse({ error: { message: 'Conversation roles must alternate user/assistant/user' } })}`,
          ],
        },
      ],
      filter: [forbidden, no(400, { message: 'blocked', code: 'content_filter' })],
      overflow: [
        never,
        no(400, { message: 'the request exceeds the available context size', type: 'exceed_context_size_error' }),
      ],
    },
    expects: ['roles', 'filter'],
  },
};
