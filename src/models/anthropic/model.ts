import type { ModelPort, ModelRequest } from '../../core/model.ts';
import { anthropicEvents, anthropicReader } from './answer.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import type { Provider } from '../wire/provider.ts';
import { type Json, isObject } from '../../core/text/json.ts';
import { argsOf, type ModelTurn, ownOpaque, type Turn, turnsOf, type UserTurn } from '../wire/turns.ts';

/** Claude, or whatever speaks Anthropic's messages. `baseUrl`: with or without `/v1` at its end. */
export function anthropic(options: HttpModelOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    urlEnd: '/v1',
    url: (baseUrl) => joinUrl(baseUrl, /\/v1\/*$/.test(baseUrl) ? '/messages' : '/v1/messages'),
    keyHeaders: (key) => ({ 'x-api-key': key }),
    headers: { 'anthropic-version': '2023-06-01' },
    body: (request) => anthropicRequest(request, provider),
    reader: (draft, { model }) => anthropicReader(draft, { from: provider, model }),
    whole: anthropicEvents,
  });
}

export const anthropicProvider: Provider = {
  type: 'anthropic',
  name: 'anthropic',
  url: 'https://api.anthropic.com',
  maker: {
    keys: ['ANTHROPIC_API_KEY'],
    // The cheap, the usual and the best, read on 2026-11-22; behind them what answers if the first will not.
    models: {
      light: ['claude-haiku-5-5', 'claude-sonnet-5-5'],
      standard: ['claude-sonnet-5-5'],
      strong: ['claude-opus-5-5', 'claude-sonnet-5-5'],
    },
  },
  open: anthropic,
};

type Wire = { [key: string]: Json };
type Message = { role: 'user' | 'assistant'; content: Wire[] };

const CACHED: Wire = { type: 'ephemeral' };
const IDS = /^[a-zA-Z0-9_-]{1,64}$/;

/** What is asked for where nobody says. Earlier models refuse more than they can; all count it against the window. */
function defaultMaxTokens(model: string): number {
  if (/claude-3-[57]/.test(model)) return 8_192;
  return /claude-(?:2|3-|instant)/.test(model) ? 4_096 : 32_000;
}

/**
 * Thinking as it came, block by block; null unless it is whole. Its text stands in the part, the lengths and
 * signatures in `opaque`: where a secret was taken out of the text, the signature no longer holds.
 */
function thinkingBlocks(text: string, opaque: Wire | null): Wire[] | null {
  if (!opaque || !Array.isArray(opaque.blocks)) return null;
  let at = 0;
  const blocks: Wire[] = [];
  for (const block of opaque.blocks) {
    if (!isObject(block)) return null;
    const { data, chars, signature } = block;
    if (typeof data === 'string') blocks.push({ type: 'redacted_thinking', data });
    else if (typeof chars === 'number' && typeof signature === 'string') {
      blocks.push({ type: 'thinking', thinking: text.slice(at, at + chars), signature });
      at += chars;
    } else return null;
  }
  return at === text.length ? blocks : null;
}

/**
 * Thinking has to come back with the calls it led to, unchanged or not at all. Of earlier turns Anthropic ignores it, and
 * other makers' models behind this wire refuse a conversation without it.
 */
function modelContent(turn: ModelTurn, provider: string, model: string): Wire[] {
  const thinks = turn.results.length > 0;
  return turn.parts.flatMap((part): Wire[] => {
    if (part.type === 'text') return [{ type: 'text', text: part.text }];
    if (part.type === 'call') return [{ type: 'tool_use', id: part.id, name: part.tool, input: argsOf(part) }];
    return thinks ? (thinkingBlocks(part.text, ownOpaque(part, provider, model)) ?? []) : [];
  });
}

const userContent = (turn: UserTurn): Wire[] =>
  turn.parts.map((part): Wire =>
    part.type === 'text'
      ? { type: 'text', text: part.text }
      : { type: 'image', source: { type: 'base64', media_type: part.mediaType, data: part.base64 } },
  );

const resultContent = (turn: ModelTurn): Wire[] =>
  turn.results.map(({ id, text, isError }) => ({
    type: 'tool_result',
    tool_use_id: id,
    content: text.trim() === '' ? '(empty)' : text,
    ...(isError ? { is_error: true } : {}),
  }));

/** Results and the user's next words are one message, the results first. */
function messagesOf(turns: readonly Turn[], provider: string, model: string): Message[] {
  const messages: Message[] = [];
  for (const turn of turns) {
    const last = messages.at(-1);
    if (turn.role === 'assistant') {
      messages.push({ role: 'assistant', content: modelContent(turn, provider, model) });
      if (turn.results.length > 0) messages.push({ role: 'user', content: resultContent(turn) });
    } else if (last?.role === 'user') last.content.push(...userContent(turn));
    else messages.push({ role: 'user', content: userContent(turn) });
  }
  return messages;
}

/**
 * Four marks are allowed: the tools, the system text, and the last two messages that are not the model's. The second
 * of them is where the cache of the step before ends, which the provider finds by itself only twenty blocks back.
 */
function markCache(blocks: readonly (Wire | undefined)[]): void {
  for (const block of blocks) if (block) block.cache_control = CACHED;
}

/** The body of `POST /v1/messages`. Equal requests give equal bytes, the stable part first. */
function anthropicRequest(request: ModelRequest, provider: string): Wire {
  const { model, maxOutputTokens } = request;
  const tools = request.tools.map(({ name, description, input }): Wire => ({ name, description, input_schema: input }));
  const system: Wire[] = request.system.trim() === '' ? [] : [{ type: 'text', text: request.system }];
  const messages = messagesOf(turnsOf(request, IDS), provider, model);
  const asked = messages.filter((message) => message.role === 'user').slice(-2);
  markCache([tools.at(-1), system.at(-1), ...asked.map(({ content }) => content.at(-1))]);
  return {
    model,
    max_tokens: maxOutputTokens ?? defaultMaxTokens(model),
    ...(tools.length > 0 ? { tools } : {}),
    ...(system.length > 0 ? { system } : {}),
    messages,
    stream: true,
  };
}
