import type { Json } from '../../core/text/json.ts';
import type { Draft, Read } from '../wire/answer.ts';
import { count, type Fields, isObject, wordsIn } from '../wire/fields.ts';

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
