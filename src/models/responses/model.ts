import type { ModelPort, ModelRequest } from '../../core/model.ts';
import { cacheFields } from '../wire/cache.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import { responseEvents, responsesReader } from './answer.ts';
import { given, type Provider, sameModel, type TierModels } from '../wire/provider.ts';
import { parseTarget } from '../../core/net/host.ts';
import { type Json, isObject } from '../../core/text/json.ts';
import { parseJson } from '../wire/fields.ts';
import { modelFacts } from '../prices/prices.ts';
import { argsOf, type Call, type ModelTurn, ownOpaque, turnsOf, type UserTurn } from '../wire/turns.ts';

/** OpenAI's own API, which keeps nothing of it. `baseUrl`: up to and without `/responses`. */
export function openai(options: HttpModelOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    // The hint is for a person who gets a 404.
    urlEnd: '/v1; a server that speaks chat completions only is of type openai-compatible',
    url: (baseUrl) => joinUrl(baseUrl, '/responses'),
    keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),
    body: (request, { host }) => ({ ...responsesRequest(request, provider), ...cacheFields(request, host) }),
    reader: (draft, { model }) => responsesReader(draft, { from: provider, model }),
    whole: responseEvents,
  });
}

const MODELS: TierModels = {
  // The cheap, the usual and the best, read on 2026-11-22; behind them what answers if the first will not.
  light: ['gpt-6-luna', 'gpt-6.2-sol'],
  standard: ['gpt-6.2-sol'],
  strong: ['gpt-6.2-astra', 'gpt-6.2-sol'],
};

export const openaiProvider: Provider = {
  type: 'openai',
  name: 'openai',
  url: 'https://api.openai.com/v1',
  maker: { keys: ['OPENAI_API_KEY'], models: MODELS },
  inEnvironment(env) {
    if (!given(env, 'OPENAI_API_KEY')) return null;
    const baseUrl = given(env, 'OPENAI_BASE_URL');
    const target = baseUrl === null ? null : parseTarget(baseUrl);
    const own = target === null || (target.ok && target.target.host === 'api.openai.com');
    const model = given(env, 'OPENAI_MODEL');
    return {
      // Other servers that call themselves OpenAI's speak chat completions; few know the newer protocol.
      ...(own ? {} : { type: 'openai-compatible' }),
      baseUrl,
      apiKey: 'env:OPENAI_API_KEY',
      models: model ? sameModel(model) : own ? MODELS : null,
      named: model !== null,
    };
  },
  open: openai,
};

type Item = { [key: string]: Json };

/** OpenAI refuses ids of calls that are longer. */
const CALL_ID = /^[\x21-\x7e]{1,64}$/;

const argsText = (call: Call): string => (isObject(parseJson(call.args)) ? call.args : JSON.stringify(argsOf(call)));

function userItem(turn: UserTurn): Item {
  const content = turn.parts.map((part): Item => {
    if (part.type === 'text') return { type: 'input_text', text: part.text };
    // Without it a photo of 12 megapixels is billed as five times as many tokens.
    return { type: 'input_image', image_url: `data:${part.mediaType};base64,${part.base64}`, detail: 'high' };
  });
  return { role: 'user', content };
}

function modelItems(turn: ModelTurn, provider: string, model: string): Item[] {
  const items: Item[] = [];
  for (const part of turn.parts) {
    if (part.type === 'text') items.push({ role: 'assistant', content: part.text });
    if (part.type === 'call')
      items.push({ type: 'function_call', call_id: part.id, name: part.tool, arguments: argsText(part) });
    const own = part.type === 'reasoning' && turn.present ? ownOpaque(part, provider, model) : null;
    if (Array.isArray(own?.items)) items.push(...own.items.filter(isItem));
  }
  // What was thought before something that is not sent would make the server refuse the request.
  while (items.at(-1)?.type === 'reasoning') items.pop();
  const outputs = turn.results.map(({ id, text }) => ({ type: 'function_call_output', call_id: id, output: text }));
  return [...items, ...outputs];
}

/** One without its content is known to nobody, since nothing is kept. */
const isItem = (value: Json): value is Item => isObject(value) && Boolean(value.encrypted_content);

/** The body of `POST /responses`: nothing is kept at OpenAI, so everything is sent. Equal requests give equal bytes. */
function responsesRequest(request: ModelRequest, provider: string): Item {
  const { model } = request;
  const input = turnsOf(request, CALL_ID).flatMap((turn) =>
    turn.role === 'user' ? [userItem(turn)] : modelItems(turn, provider, model),
  );
  const body: Item = { model };
  if (request.system !== '') body.instructions = request.system;
  body.input = input;
  if (request.tools.length > 0) {
    body.tools = request.tools.map(({ name, description, input: parameters }) => ({
      type: 'function',
      name,
      description,
      parameters,
      // Strict schemas would have to name every field as required.
      strict: false,
    }));
    body.parallel_tool_calls = true;
  }
  if (request.maxOutputTokens !== undefined) body.max_output_tokens = request.maxOutputTokens;
  body.store = false;
  // A model that does not think refuses the wish.
  if (modelFacts(model)?.reasoning !== false) body.include = ['reasoning.encrypted_content'];
  return { ...body, stream: true };
}
