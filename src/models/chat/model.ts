import type { ModelPort, ModelRequest } from '../../core/model.ts';
import { chatReader } from './answer.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import type { Provider } from '../wire/provider.ts';
import { type Json, isObject } from '../../core/text/json.ts';
import { parseJson } from '../wire/fields.ts';
import { argsOf, type Call, type ModelTurn, textOf, turnsOf, type UserTurn } from '../wire/turns.ts';

/** `baseUrl`: up to and without `/chat/completions`, usually ending in `/v1`. */
export type OpenAiCompatibleOptions = HttpModelOptions;

/** OpenAI refuses ids of more than forty characters. */
const ANY = /^[\x21-\x7e]{1,40}$/;
const NINE = /^[a-zA-Z0-9]{9}$/;

/** A model behind any URL that speaks OpenAI's chat completions: OpenAI, Ollama, llama.cpp, vLLM, LM Studio, OpenRouter … */
export function openAiCompatible(options: OpenAiCompatibleOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    urlEnd: '/v1',
    url: (baseUrl) => joinUrl(baseUrl, '/chat/completions'),
    keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
    body: (request, { host }) => {
      const maxTokensField = host === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens';
      const idForm = host === 'api.mistral.ai' ? NINE : ANY;
      return chatRequest(request, { provider, maxTokensField, idForm });
    },
    reader: chatReader(provider),
    whole: (body) => ('choices' in body ? [body] : null),
  });
}

/** Any server with chat completions; `server` is the one whose URL the web page was given. */
export const compatibleProvider: Provider = {
  type: 'openai-compatible',
  name: 'server',
  url: '',
  open: openAiCompatible,
};

interface ChatRequestOptions {
  /** Whose reasoning may be sent back: another provider's fields are refused by some. */
  provider: string;
  /** OpenAI renamed the field, other servers know only the old name. */
  maxTokensField: 'max_tokens' | 'max_completion_tokens';
  /** The ids of calls that it takes. */
  idForm: RegExp;
}

type Wire = { [key: string]: Json };

/** As the model wrote them, if they are what servers can parse. */
const argsText = (call: Call): string => (isObject(parseJson(call.args)) ? call.args : JSON.stringify(argsOf(call)));

function wireCall(call: Call, provider: string): Wire {
  const own = isObject(call.opaque) && call.opaque.from === provider ? call.opaque.extra : undefined;
  const extra: Wire = own === undefined ? {} : { extra_content: own };
  return { id: call.id, type: 'function', function: { name: call.tool, arguments: argsText(call) }, ...extra };
}

/** Reasoning goes back only to the provider it came from, in the field it came in. */
function wireReasoning(turn: ModelTurn, provider: string): Wire {
  const fields: Wire = {};
  for (const part of turn.parts) {
    if (part.type !== 'reasoning' || !isObject(part.opaque)) continue;
    const { from, field } = part.opaque;
    if (from !== provider || typeof field !== 'string') continue;
    const before = fields[field];
    fields[field] = (typeof before === 'string' ? before : '') + part.text;
  }
  return fields;
}

function wireModel(turn: ModelTurn, provider: string): Wire[] {
  const content = textOf(turn);
  if (turn.results.length === 0) return [{ role: 'assistant', content }];
  const calls = turn.parts.filter((part) => part.type === 'call');
  return [
    {
      role: 'assistant',
      content: content === '' ? null : content,
      ...(turn.present ? wireReasoning(turn, provider) : {}),
      tool_calls: calls.map((call) => wireCall(call, provider)),
    },
    ...turn.results.map(({ id, text }) => ({ role: 'tool', tool_call_id: id, content: text })),
  ];
}

/** Words alone are a string: not every server takes parts. */
function wireUser(turn: UserTurn): Wire {
  if (turn.parts.every((part) => part.type === 'text')) return { role: 'user', content: textOf(turn) };
  const content = turn.parts.map((part): Wire => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    return { type: 'image_url', image_url: { url: `data:${part.mediaType};base64,${part.base64}` } };
  });
  return { role: 'user', content };
}

/** The body of `POST /chat/completions`. Equal requests give equal bytes, the stable part first. */
function chatRequest(request: ModelRequest, options: ChatRequestOptions): Wire {
  const { provider, idForm } = options;
  const system: Wire[] = request.system === '' ? [] : [{ role: 'system', content: request.system }];
  const said = turnsOf(request, idForm).flatMap((turn) =>
    turn.role === 'user' ? [wireUser(turn)] : wireModel(turn, provider),
  );
  const body: Wire = { model: request.model, messages: [...system, ...said] };
  if (request.tools.length > 0) {
    body.tools = request.tools.map(({ name, description, input }) => ({
      type: 'function',
      function: { name, description, parameters: input },
    }));
  }
  if (request.maxOutputTokens !== undefined) body[options.maxTokensField] = request.maxOutputTokens;
  return { ...body, stream: true, stream_options: { include_usage: true } };
}
