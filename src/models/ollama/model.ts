import type { ModelPort, ModelRequest } from '../../core/model.ts';
import type { Draft, Read } from '../wire/answer.ts';
import { type HttpModelOptions, joinUrl, overHttp, type Protocol } from '../wire/exchange.ts';
import { count, type Fields, wordsIn } from '../wire/fields.ts';
import { isObject, type Json } from '../../core/text/json.ts';
import { fullName, ollamaUrl, openOllamaModels } from './models.ts';
import { given, type ModelServer, type Provider, type ServerModel } from '../wire/provider.ts';
import { LOCAL_WINDOW } from '../prices/prices.ts';
import { argsOf, type ModelTurn, textOf, turnsOf, type UserTurn } from '../wire/turns.ts';

interface OllamaOptions extends HttpModelOptions {
  /** Tells what a model can hold and do. */
  models: ModelServer;
}

/** Ollama by its own protocol: only there can the window be asked for, and come thoughts and calls as what they are. */
export function ollama(options: OllamaOptions): ModelPort {
  const { provider, baseUrl, apiKey, models } = options;
  return {
    async *stream(request, signal) {
      const facts = await models.learn({ provider, baseUrl, apiKey }, request.model, signal);
      yield* overHttp(options, protocol(provider, facts)).stream(request, signal);
    },
  };
}

const OLLAMA_URL = 'http://127.0.0.1:11434';
/** Tokens, unless OLLAMA_CONTEXT_LENGTH says otherwise: enough for an agent at work, and little enough for most machines. */
export const OLLAMA_WINDOW = 32_768;

export const ollamaProvider: Provider = {
  type: 'ollama',
  name: 'ollama',
  // Without a word of the owner nothing but this machine is asked.
  url: OLLAMA_URL,
  free: true,
  // Where it is does not say yet whether it should be used.
  inEnvironment(env) {
    const host = given(env, 'OLLAMA_HOST');
    return host === null ? null : { baseUrl: host, apiKey: null, models: null };
  },
  server: {
    title: 'Ollama',
    commands: { start: 'ollama serve', get: (model) => `ollama pull ${model}` },
    suggested: 'qwen3',
    near(env) {
      const host = given(env, 'OLLAMA_HOST');
      const url = host === null ? OLLAMA_URL : ollamaUrl(host);
      if (url === null) throw new Error(`OLLAMA_HOST is "${host}", which is no host`);
      return url;
    },
    urlOf: ollamaUrl,
    fullName,
    open({ net, secrets, env }) {
      const wanted = Number(given(env, 'OLLAMA_CONTEXT_LENGTH') ?? 0);
      return openOllamaModels({ net, secrets, maxWindow: wanted > 0 ? wanted : OLLAMA_WINDOW });
    },
  },
  open(options, server) {
    if (server === null) throw new Error('an Ollama is opened with what its models can do');
    return ollama({ ...options, models: server });
  },
};

function protocol(provider: string, facts: ServerModel | null): Protocol {
  const about = { provider, window: facts?.window ?? LOCAL_WINDOW, thinking: facts?.thinking ?? false };
  return {
    urlEnd: 'the port, 11434',
    url: (baseUrl) => joinUrl(baseUrl, '/api/chat'),
    keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
    headers: { accept: 'application/x-ndjson' },
    body: (request) => ollamaRequest(request, about),
    reader: (draft) => ollamaReader(draft, provider),
    // One line is a stream as well.
    whole: () => null,
    feed: async (maxLine) => (await import('../wire/feed.ts')).lineFeed(maxLine),
  };
}

function ollamaReader(draft: Draft, provider: string): Read {
  const addCall = (raw: unknown): void => {
    if (!isObject(raw) || !isObject(raw.function)) return;
    const { name, arguments: given } = raw.function;
    const args = typeof given === 'string' ? given : JSON.stringify(given ?? {});
    draft.grow(args.length);
    draft.call({ id: wordsIn(raw.id), tool: wordsIn(name), args });
  };
  const end = (chunk: Fields): void => {
    const reason = wordsIn(chunk.done_reason);
    // It says `load` where it has only loaded the model, which is no answer.
    if (reason === 'load' || reason === 'unload') return;
    draft.usage = {
      input: count(chunk.prompt_eval_count),
      output: count(chunk.eval_count),
      cacheRead: 0,
      cacheWrite: 0,
    };
    draft.reason = reason === 'length' ? 'length' : 'stop';
    draft.done = true;
  };
  return (chunk) => {
    const message = isObject(chunk.message) ? chunk.message : {};
    const thought = wordsIn(message.thinking) || wordsIn(message.reasoning_content);
    if (thought !== '') draft.reasoning(thought, { from: provider });
    draft.text(wordsIn(message.content));
    if (Array.isArray(message.tool_calls)) for (const call of message.tool_calls) addCall(call);
    if (chunk.done === true) end(chunk);
  };
}

type Wire = { [key: string]: Json };

interface OllamaRequestOptions {
  /** Whose reasoning may be sent back. */
  provider: string;
  /** Tokens it is to hold: without being told it takes a few thousand, and silently drops what is before. */
  window: number;
  /** Whether the model thinks; then its thoughts come apart from its words. */
  thinking: boolean;
}

function wireUser(turn: UserTurn): Wire {
  const images = turn.parts.flatMap((part) => (part.type === 'image' ? [part.base64] : []));
  // Words and pictures come apart, so what stood around a picture gets a line of its own.
  const content = turn.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
  return { role: 'user', content, ...(images.length > 0 ? { images } : {}) };
}

function wireModel(turn: ModelTurn, provider: string): Wire[] {
  const thinking = turn.parts
    .map((part) =>
      part.type === 'reasoning' && isObject(part.opaque) && part.opaque.from === provider ? part.text : '',
    )
    .join('');
  const calls = turn.parts.flatMap((part) =>
    part.type === 'call' ? [{ id: part.id, function: { name: part.tool, arguments: argsOf(part) } }] : [],
  );
  return [
    {
      role: 'assistant',
      content: textOf(turn),
      ...(turn.present && thinking !== '' ? { thinking } : {}),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
    ...turn.results.map(({ id, tool, text }) => ({ role: 'tool', tool_name: tool, tool_call_id: id, content: text })),
  ];
}

/** The body of `POST /api/chat`. Equal requests give equal bytes. */
function ollamaRequest(request: ModelRequest, options: OllamaRequestOptions): Wire {
  const system: Wire[] = request.system === '' ? [] : [{ role: 'system', content: request.system }];
  const said = turnsOf(request, /./).flatMap((turn) =>
    turn.role === 'user' ? [wireUser(turn)] : wireModel(turn, options.provider),
  );
  const body: Wire = { model: request.model, messages: [...system, ...said] };
  if (request.tools.length > 0)
    body.tools = request.tools.map(({ name, description, input }) => ({
      type: 'function',
      function: { name, description, parameters: input },
    }));
  if (options.thinking) body.think = true;
  const most: Wire = request.maxOutputTokens === undefined ? {} : { num_predict: request.maxOutputTokens };
  return { ...body, options: { num_ctx: options.window, ...most }, stream: true };
}
