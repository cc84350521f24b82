import type { ModelPort, ModelRequest, ToolSchema } from '../../core/model.ts';
import { chatReader } from './answer.ts';
import { openTelling } from './telling.ts';
import { cacheFields } from '../wire/cache.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import type { Provider } from '../wire/provider.ts';
import { type Json, isObject } from '../../core/text/json.ts';
import { parseJson } from '../wire/fields.ts';
import { type Quirk, Quirks } from '../wire/quirks.ts';
import { argsOf, type Call, type ModelTurn, textOf, type Turn, turnsOf, type UserTurn } from '../wire/turns.ts';

/** `baseUrl`: up to and without `/chat/completions`, usually ending in `/v1`. */
export type OpenAiCompatibleOptions = HttpModelOptions;

/** OpenAI refuses ids of more than forty characters. */
const ANY = /^[\x21-\x7e]{1,40}$/;
/** Stands between a result and the next words of the user, where a server insists on it. */
const BETWEEN = 'Noted.';
const NINE = /^[a-zA-Z0-9]{9}$/;

/** A model behind any URL that speaks OpenAI's chat completions: OpenAI, Ollama, llama.cpp, vLLM, LM Studio, OpenRouter … */
export function openAiCompatible(options: OpenAiCompatibleOptions): ModelPort {
  const { provider } = options;
  const quirks = new Quirks(options.quirks);
  const unopened = new Set<string>();
  const port = overHttp(options, {
    urlEnd: '/v1',
    url: (baseUrl) => joinUrl(baseUrl, '/chat/completions'),
    keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
    body: (request, { host }) => {
      const known = quirks.of(request.model);
      const newName = host === 'api.openai.com' || known.has('other-max-tokens');
      const maxTokensField = newName ? 'max_completion_tokens' : 'max_tokens';
      const idForm = host === 'api.mistral.ai' ? NINE : ANY;
      return { ...chatRequest(request, { provider, maxTokensField, idForm, known }), ...cacheFields(request, host) };
    },
    learn: (told, { model }) => quirks.learn(told, model),
    reader: chatReader(provider, unopened),
    whole: (body) => ('choices' in body ? [body] : null),
  });
  return {
    async *stream(request, signal) {
      await options.learn?.(request.model, signal);
      yield* port.stream(request, signal);
    },
  };
}

/** Any server with chat completions; `server` is the one whose URL the web page was given. */
export const compatibleProvider: Provider = {
  type: 'openai-compatible',
  name: 'server',
  url: '',
  telling: openTelling,
  open: openAiCompatible,
};

interface ChatRequestOptions {
  /** Whose reasoning may be sent back: another provider's fields are refused by some. */
  provider: string;
  /** OpenAI renamed the field, other servers know only the old name. */
  maxTokensField: 'max_tokens' | 'max_completion_tokens';
  /** The ids of calls that it takes. */
  idForm: RegExp;
  /** What it refuses. */
  known: ReadonlySet<Quirk>;
}

type Wire = { [key: string]: Json };

/** As the model wrote them, if they are what servers can parse. */
const argsText = (call: Call): string => (isObject(parseJson(call.args)) ? call.args : JSON.stringify(argsOf(call)));

function wireCall(call: Call, provider: string): Wire {
  const own = isObject(call.opaque) && call.opaque.from === provider ? call.opaque.extra : undefined;
  const extra: Wire = own === undefined ? {} : { extra_content: own };
  return { id: call.id, type: 'function', function: { name: call.tool, arguments: argsText(call) }, ...extra };
}

interface Whose {
  provider: string;
  model: string;
  known: ReadonlySet<Quirk>;
}

/**
 * Reasoning goes back only to the model it came from, in the field it came in, and with the calls it led to: models that
 * think refuse a conversation in which it is missing there, also in earlier turns.
 */
function wireReasoning(turn: ModelTurn, { provider, model, known }: Whose): Wire {
  const fields: Wire = {};
  for (const part of turn.parts) {
    if (part.type !== 'reasoning' || !isObject(part.opaque)) continue;
    const { from, field, details, model: by = model } = part.opaque;
    if (from !== provider || by !== model || typeof field !== 'string') continue;
    const before = fields[field];
    if (part.text !== '') fields[field] = (typeof before === 'string' ? before : '') + part.text;
    if (Array.isArray(details)) {
      const kept = fields.reasoning_details;
      fields.reasoning_details = [...(Array.isArray(kept) ? kept : []), ...details];
    }
  }
  if (known.has('no-reasoning')) return {};
  if (known.has('reasoning-always')) fields.reasoning_content ??= '';
  // What stood between tags in the content stays out of it.
  delete fields.content;
  return fields;
}

function wireModel(turn: ModelTurn, whose: Whose): Wire[] {
  const content = textOf(turn);
  if (turn.results.length === 0) return [{ role: 'assistant', content }];
  const { provider, known } = whose;
  const calls = turn.parts.filter((part) => part.type === 'call');
  return [
    {
      role: 'assistant',
      content: content === '' && !known.has('no-null') ? null : content,
      ...wireReasoning(turn, whose),
      tool_calls: calls.map((call) => wireCall(call, provider)),
    },
    ...turn.results.map(({ id, text }) => ({ role: 'tool', tool_call_id: id, content: text })),
  ];
}

/** Models of OpenAI that bill each pixel of a picture unless they are told not to. Of other servers not all know that word. */
const BY_PIXEL = /(?:^|\/)gpt-(?:5\.[4-9]|[6-9])/;

/** Words alone are a string: not every server takes parts. */
function wireUser({ role, parts }: UserTurn, { model, known }: Whose): Wire {
  const shown = parts.map((part) =>
    part.type === 'image' && known.has('no-images')
      ? { type: 'text' as const, text: `[image ${part.name}: this model cannot see images]` }
      : part,
  );
  if (shown.every((part) => part.type === 'text')) return { role, content: textOf({ role, parts: shown }) };
  const content = shown.map((part): Wire => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    const url = `data:${part.mediaType};base64,${part.base64}`;
    return { type: 'image_url', image_url: { url, ...(BY_PIXEL.test(model) ? { detail: 'high' } : {}) } };
  });
  return { role, content };
}

/** Those that earlier turns have called, where the request itself offers none. */
function usedTools(turns: readonly Turn[]): ToolSchema[] {
  const names = turns.flatMap((turn) => (turn.role === 'assistant' ? turn.results.map(({ tool }) => tool) : []));
  return [...new Set(names)].map((name) => ({
    name,
    description: 'Not to be called now.',
    input: { type: 'object', properties: {} },
  }));
}

/** Words of JSON Schema that every server knows. */
const SCHEMA_WORDS = new Set(['type', 'description', 'properties', 'required', 'items', 'enum', 'anyOf']);

function plainSchema(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(plainSchema);
  if (!isObject(schema)) return schema;
  const kept = Object.entries(schema).filter(([word]) => SCHEMA_WORDS.has(word));
  return Object.fromEntries(
    kept.map(([word, value]) => {
      if (word !== 'properties' || !isObject(value)) return [word, word === 'enum' ? value : plainSchema(value)];
      const inner = Object.entries(value).map(([name, each]) => [name, plainSchema(each)]);
      return [word, Object.fromEntries(inner) as Wire];
    }),
  );
}

/** The body of `POST /chat/completions`. Equal requests give equal bytes, the stable part first. */
function chatRequest(request: ModelRequest, options: ChatRequestOptions): Wire {
  const { provider, idForm, known } = options;
  const { model } = request;
  const whose = { provider, model, known };
  const turns = turnsOf(request, idForm);
  const [first] = turns;
  const none = request.system === '' || known.has('no-system');
  if (none && request.system !== '' && first?.role === 'user')
    first.parts.unshift({ type: 'text', text: `${request.system}\n\n` });
  const system: Wire[] = none ? [] : [{ role: 'system', content: request.system }];
  const said = turns.flatMap((turn, at): Wire[] => {
    if (turn.role === 'assistant') return wireModel(turn, whose);
    const before = turns[at - 1];
    const between = known.has('reply-between') && before?.role === 'assistant' && before.results.length > 0;
    return [...(between ? [{ role: 'assistant', content: BETWEEN }] : []), wireUser(turn, whose)];
  });
  const body: Wire = { model: request.model, messages: [...system, ...said] };
  const tools = request.tools.length === 0 && known.has('tools-with-calls') ? usedTools(turns) : request.tools;
  if (tools.length > 0) {
    body.tools = tools.map(({ name, description, input }) => ({
      type: 'function',
      function: { name, description, parameters: known.has('plain-schemas') ? plainSchema(input) : input },
    }));
  }
  if (request.maxOutputTokens !== undefined) body[options.maxTokensField] = request.maxOutputTokens;
  body.stream = true;
  if (!known.has('no-stream-options')) body.stream_options = { include_usage: true };
  return body;
}
