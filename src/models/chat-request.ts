import type { Json } from '../core/json.ts';
import type { ModelMessage, ModelRequest, Part } from '../core/model.ts';

export interface ChatRequestOptions {
  /** Whose reasoning may be sent back: another provider's fields are refused by some. */
  provider: string;
  /** OpenAI renamed the field, other servers know only the old name. */
  maxTokensField: 'max_tokens' | 'max_completion_tokens';
}

type Call = Extract<Part, { type: 'call' }>;
type Result = Extract<Part, { type: 'result' }>;
type Wire = { [key: string]: Json };

const textOf = (message: ModelMessage): string =>
  message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');

/** Servers parse the arguments of earlier calls and refuse the whole request if they cannot. */
function parsableArgs(args: string): string {
  try {
    const parsed: unknown = JSON.parse(args);
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)) return args;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return JSON.stringify({ malformed: args });
}

function wireCall(call: Call): Wire {
  const extra: Wire = call.opaque === undefined ? {} : { extra_content: call.opaque };
  return { id: call.id, type: 'function', function: { name: call.tool, arguments: parsableArgs(call.args) }, ...extra };
}

/** Reasoning goes back only to the provider it came from, in the field it came in. */
function wireReasoning(message: ModelMessage, provider: string): Wire {
  const fields: Wire = {};
  for (const part of message.parts) {
    if (part.type !== 'reasoning' || part.opaque === undefined) continue;
    const { from, field } = part.opaque as { from?: Json; field?: Json };
    if (from !== provider || typeof field !== 'string') continue;
    const before = fields[field];
    fields[field] = (typeof before === 'string' ? before : '') + part.text;
  }
  return fields;
}

/** The results that follow a message, up to the next one of the model. */
function resultsAfter(messages: readonly ModelMessage[], index: number): Map<string, Result> {
  const results = new Map<string, Result>();
  for (const message of messages.slice(index + 1)) {
    if (message.role === 'assistant') break;
    for (const part of message.parts) if (part.type === 'result') results.set(part.id, part);
  }
  return results;
}

/** A call without a result, or a result without its call, makes servers refuse the request: only pairs are sent. */
function wireAssistant(messages: readonly ModelMessage[], index: number, provider: string, inTurn: boolean): Wire[] {
  const message = messages[index];
  if (!message) return [];
  const results = resultsAfter(messages, index);
  const pairs = message.parts.flatMap((part) => {
    const result = part.type === 'call' ? results.get(part.id) : undefined;
    return part.type === 'call' && result ? [{ call: part, result }] : [];
  });
  const content = textOf(message);
  if (pairs.length === 0) return content === '' ? [] : [{ role: 'assistant', content }];
  return [
    {
      role: 'assistant',
      content: content === '' ? null : content,
      ...(inTurn ? wireReasoning(message, provider) : {}),
      tool_calls: pairs.map(({ call }) => wireCall(call)),
    },
    ...pairs.map(({ result }) => ({ role: 'tool', tool_call_id: result.id, content: result.text })),
  ];
}

/** Two user messages in a row become one: templates of local models insist on alternation. */
function addUser(wire: Wire[], text: string): void {
  const last = wire.at(-1);
  if (last?.role === 'user' && typeof last.content === 'string') last.content += `\n\n${text}`;
  else wire.push({ role: 'user', content: text });
}

/** The body of `POST /chat/completions`. Equal requests give equal bytes, the stable part first. */
export function chatRequest(request: ModelRequest, options: ChatRequestOptions): Wire {
  const wire: Wire[] = request.system === '' ? [] : [{ role: 'system', content: request.system }];
  const lastUser = request.messages.findLastIndex((message) => message.role === 'user');
  for (const [index, message] of request.messages.entries()) {
    if (message.role === 'user') addUser(wire, textOf(message));
    if (message.role === 'assistant')
      wire.push(...wireAssistant(request.messages, index, options.provider, index > lastUser));
  }
  const body: Wire = { model: request.model, messages: wire };
  if (request.tools.length > 0) {
    body.tools = request.tools.map(({ name, description, input }) => ({
      type: 'function',
      function: { name, description, parameters: input },
    }));
  }
  if (request.maxOutputTokens !== undefined) body[options.maxTokensField] = request.maxOutputTokens;
  return { ...body, stream: true, stream_options: { include_usage: true } };
}
