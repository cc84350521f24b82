import type { ModelPort, ModelRequest } from '../../core/model.ts';
import { type HttpModelOptions, joinUrl, overHttp } from '../wire/exchange.ts';
import type { Provider } from '../wire/provider.ts';
import { type Json, isObject } from '../../core/text/json.ts';
import {
  argsOf,
  type Call,
  type ModelTurn,
  ownOpaque,
  type Result,
  type Turn,
  turnsOf,
  type UserTurn,
} from '../wire/turns.ts';
import type { Draft, Read } from '../wire/answer.ts';
import { count, type Fields, wordsIn } from '../wire/fields.ts';

/** Google's Gemini. `baseUrl`: with or without `/v1beta` at its end. */
export function gemini(options: HttpModelOptions): ModelPort {
  const { provider } = options;
  return overHttp(options, {
    urlEnd: '/v1beta',
    url: (baseUrl, model) => {
      const name = encodeURIComponent(model.replace(/^models\//, ''));
      const version = /\/v1[a-z0-9]*\/*$/.test(baseUrl) ? '' : '/v1beta';
      return joinUrl(baseUrl, `${version}/models/${name}:streamGenerateContent?alt=sse`);
    },
    // In a header, since addresses end up in logs.
    keyHeaders: (key) => ({ 'x-goog-api-key': key }),
    body: (request) => geminiRequest(request, provider),
    reader: (draft, { model }) => geminiReader(draft, { from: provider, model }),
    whole: (body) => ('candidates' in body || 'promptFeedback' in body ? [body] : null),
  });
}

export const geminiProvider: Provider = {
  type: 'gemini',
  name: 'gemini',
  url: 'https://generativelanguage.googleapis.com',
  maker: {
    keys: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    // The cheap, the usual and the best, read on 2026-11-22; behind them what answers if the first will not.
    models: {
      light: ['gemini-3.5-flash-lite', 'gemini-4-hydrogen'],
      standard: ['gemini-4-hydrogen'],
      strong: ['gemini-4-carbon', 'gemini-4-hydrogen'],
    },
  },
  open: gemini,
};

type Wire = { [key: string]: Json };
type Content = { role: 'user' | 'model'; parts: Wire[] };

/** Google's own word for a call that none of its models has signed. */
const UNSIGNED = 'skip_thought_signature_validator';
/** From the third generation on, the first call of each step in the present turn must be signed. */
const NEVER_SIGNED = /(?:^|\/)(?:gemini-[12](?:\.|-|$)|gemma)/;
const ANY_ID = /^/;

interface Maker {
  from: string;
  model: string;
}

function callPart(call: Call, first: boolean, turn: ModelTurn, { from, model }: Maker): Wire {
  const own = ownOpaque(call, from, model);
  const id: Wire = own && typeof own.id === 'string' ? { id: own.id } : {};
  const part: Wire = { functionCall: { ...id, name: call.tool, args: argsOf(call) } };
  if (typeof own?.signature === 'string') part.thoughtSignature = own.signature;
  else if (first && turn.present && !NEVER_SIGNED.test(model)) part.thoughtSignature = UNSIGNED;
  return part;
}

function resultPart(result: Result, call: Call | undefined, { from, model }: Maker): Wire {
  const own = call ? ownOpaque(call, from, model) : null;
  const id: Wire = own && typeof own.id === 'string' ? { id: own.id } : {};
  const response: Wire = result.isError ? { error: result.text } : { output: result.text };
  return { functionResponse: { ...id, name: result.tool, response } };
}

function modelContents(turn: ModelTurn, maker: Maker): Content[] {
  const calls = turn.parts.filter((part) => part.type === 'call');
  // Thoughts are summaries for people; what the model needs of them is in the signatures.
  const parts = turn.parts.flatMap((part): Wire[] => {
    if (part.type === 'text') return [{ text: part.text }];
    return part.type === 'call' ? [callPart(part, part === calls[0], turn, maker)] : [];
  });
  const said: Content = { role: 'model', parts };
  if (turn.results.length === 0) return [said];
  const results = turn.results.map((result, index) => resultPart(result, calls[index], maker));
  return [said, { role: 'user', parts: results }];
}

const userContent = (turn: UserTurn): Content => ({
  role: 'user',
  parts: turn.parts.map((part): Wire => {
    if (part.type === 'text') return { text: part.text };
    // The one kind that others see and Gemini refuses.
    if (part.mediaType === 'image/gif')
      return { text: `[image ${part.name} cannot be seen by this model: it is a GIF]` };
    return { inlineData: { mimeType: part.mediaType, data: part.base64 } };
  }),
});

const contentsOf = (turns: readonly Turn[], maker: Maker): Content[] =>
  turns.flatMap((turn) => (turn.role === 'user' ? [userContent(turn)] : modelContents(turn, maker)));

/** The body of `POST …:streamGenerateContent`. Equal requests give equal bytes, the stable part first. */
function geminiRequest(request: ModelRequest, provider: string): Wire {
  const { model, system, tools, maxOutputTokens } = request;
  const functionDeclarations = tools.map(({ name, description, input }): Wire => ({
    name,
    description,
    parametersJsonSchema: input,
  }));
  return {
    ...(system.trim() === '' ? {} : { systemInstruction: { parts: [{ text: system }] } }),
    ...(tools.length > 0 ? { tools: [{ functionDeclarations }] } : {}),
    contents: contentsOf(turnsOf(request, ANY_ID), { from: provider, model }),
    ...(maxOutputTokens === undefined ? {} : { generationConfig: { maxOutputTokens } }),
  };
}

const REASONS: ReadonlyMap<string, Draft['reason']> = new Map([
  ['MAX_TOKENS', 'length'],
  ['SAFETY', 'refused'],
  ['RECITATION', 'refused'],
  ['LANGUAGE', 'refused'],
  ['BLOCKLIST', 'refused'],
  ['PROHIBITED_CONTENT', 'refused'],
  ['SPII', 'refused'],
  ['IMAGE_SAFETY', 'refused'],
  ['IMAGE_PROHIBITED_CONTENT', 'refused'],
  ['IMAGE_RECITATION', 'refused'],
]);
/** The model wrote something that is no answer; another try often is. */
const UNUSABLE: ReadonlySet<string> = new Set([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MISSING_THOUGHT_SIGNATURE',
  'MALFORMED_RESPONSE',
  'NO_IMAGE',
  'OTHER',
]);

function readUsage(raw: Fields): Draft['usage'] {
  return {
    input: count(raw.promptTokenCount) + count(raw.toolUsePromptTokenCount),
    output: count(raw.candidatesTokenCount) + count(raw.thoughtsTokenCount),
    cacheRead: count(raw.cachedContentTokenCount),
    cacheWrite: 0,
  };
}

/** Reads the chunks of `streamGenerateContent`. `owner`: whom the signatures of its calls go back to. */
export function geminiReader(draft: Draft, owner: { from: string; model: string }): Read {
  const addCall = (raw: Fields, signature: string): void => {
    const id = wordsIn(raw.id);
    const opaque: { [key: string]: Json } = { ...owner };
    if (id !== '') opaque.id = id;
    if (signature !== '') opaque.signature = signature;
    const args = JSON.stringify(raw.args ?? {});
    draft.grow(args.length);
    draft.call({ id, tool: wordsIn(raw.name), args, opaque });
  };
  const addPart = (part: Fields): void => {
    const text = wordsIn(part.text);
    if (isObject(part.functionCall)) addCall(part.functionCall, wordsIn(part.thoughtSignature));
    else if (part.thought === true) draft.reasoning(text);
    else draft.text(text);
  };
  return (chunk) => {
    if (isObject(chunk.usageMetadata)) draft.usage = readUsage(chunk.usageMetadata);
    const feedback = isObject(chunk.promptFeedback) ? wordsIn(chunk.promptFeedback.blockReason) : '';
    if (feedback !== '') draft.reason = 'refused';
    const candidate: unknown = Array.isArray(chunk.candidates) ? chunk.candidates[0] : null;
    if (!isObject(candidate)) return;
    const parts = isObject(candidate.content) ? candidate.content.parts : null;
    for (const part of Array.isArray(parts) ? parts : []) if (isObject(part)) addPart(part);
    const reason = wordsIn(candidate.finishReason);
    if (reason === '' || reason === 'FINISH_REASON_UNSPECIFIED') return;
    draft.reason = REASONS.get(reason) ?? 'stop';
    if (UNUSABLE.has(reason)) draft.flaw = { unusable: `${reason} ${wordsIn(candidate.finishMessage)}`.trim() };
  };
}
