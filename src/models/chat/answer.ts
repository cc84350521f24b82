import type { ModelRequest, Usage } from '../../core/model.ts';
import { type Draft, type Read, MAX_CALLS, type PartialCall } from '../wire/answer.ts';
import { count, type Fields, wordsIn, parseJson } from '../wire/fields.ts';
import { isObject, type Json } from '../../core/text/json.ts';
import { ThinkTags } from './thinking.ts';

function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const details = isObject(raw.prompt_tokens_details) ? raw.prompt_tokens_details : {};
  const thought = isObject(raw.completion_tokens_details) ? count(raw.completion_tokens_details.reasoning_tokens) : 0;
  const [input, said] = [count(raw.prompt_tokens), count(raw.completion_tokens)];
  // Some count the reasoning beside the answer, which only their sum shows.
  const beside = thought > 0 && count(raw.total_tokens) === input + said + thought;
  return {
    input,
    output: beside ? said + thought : said,
    cacheRead: count(details.cached_tokens, raw.prompt_cache_hit_tokens, raw.cache_read_input_tokens),
    cacheWrite: count(details.cache_write_tokens, raw.cache_creation_input_tokens),
  };
}

const REASONING_FIELDS = ['reasoning_content', 'reasoning', 'thinking'] as const;

/** Some servers send content as typed parts; thinking among them holds parts again. */
function readParts(parts: readonly unknown[]): { text: string; thinking: string } {
  const out = { text: '', thinking: '' };
  for (const part of parts) {
    if (!isObject(part)) continue;
    out.text += wordsIn(part.text);
    out.thinking += Array.isArray(part.thinking) ? readParts(part.thinking).text : wordsIn(part.thinking);
  }
  return out;
}

const FAILED: ReadonlyMap<string, string> = new Map([
  ['error', 'the server reported an error without saying which'],
  ['abort', 'the server aborted the answer'],
  ['insufficient_system_resource', 'overloaded (insufficient_system_resource)'],
  ['network_error', 'the server lost the one that was answering (network_error)'],
]);
/** What filters are called beside OpenAI's `content_filter`. */
const FILTERED =
  /^(?:content[-_ ]?filter(?:ed)?|sensitive|safety|prohibited_content|blocklist|recitation|moderation)$/i;
/** Google's word for a call that the model did not write as one. */
const MALFORMED = /malformed_function_call|unexpected_tool_call|malformed_tool_call/i;

/**
 * Reads chunks of a chat completion, or a whole one. `provider`: where its reasoning goes back to. `unopened`: models that
 * do not open their thinking, as they have shown before.
 */
export function chatReader(
  provider: string,
  unopened: Set<string> = new Set(),
): (draft: Draft, request: Pick<ModelRequest, 'model'>) => Read {
  return (draft, { model }) => {
    const calls: CallDelta[] = [];
    draft.pending = calls;
    let field: string | null = null;
    let refusal = false;
    let streamed = false;
    let details: Json[] = [];
    const tags = new ThinkTags(unopened.has(model), () => unopened.add(model));

    const addText = (text: string): void => {
      if (text !== '') field = null;
      draft.text(text);
    };
    const addReasoning = (into: string, text: string, more: readonly unknown[] = []): void => {
      if (text === '' && more.length === 0) return;
      details = more.reduce(withDetail, field === into ? details : []);
      // Where it came in goes with the first piece: the request builder sends it back in the same field.
      const given = field === into && more.length === 0;
      const opaque = { from: provider, model, field: into, ...(details.length > 0 && { details }) };
      draft.reasoning(text, given ? undefined : opaque);
      field = into;
    };
    const addWords = ({ thinking, words }: { thinking: string; words: string }): void => {
      addReasoning('content', thinking);
      addText(words);
    };
    draft.last = () => addWords(tags.end());
    const addDelta = (delta: Fields): void => {
      const into = REASONING_FIELDS.find((name) => wordsIn(delta[name]) !== '');
      const more = Array.isArray(delta.reasoning_details) ? delta.reasoning_details : [];
      addReasoning(into ?? 'reasoning', into === undefined ? '' : wordsIn(delta[into]), more);
      const parts = Array.isArray(delta.content) ? readParts(delta.content) : null;
      if (parts) addReasoning('content', parts.thinking);
      addWords(tags.split(parts ? parts.text : wordsIn(delta.content)));
      const refused = wordsIn(delta.refusal);
      refusal ||= refused !== '';
      addText(refused);
      if (Array.isArray(delta.tool_calls))
        for (const raw of delta.tool_calls) draft.grow(addCallDelta(calls, raw, provider));
    };
    const addReason = (reason: string): void => {
      const failed = FAILED.get(reason);
      if (failed !== undefined) draft.flaw = { told: { status: null, codes: 'server_error', text: failed } };
      if (MALFORMED.test(reason)) draft.flaw = { unusable: `the model wrote a call that is none (${reason})` };
      const refused = FILTERED.test(reason) || (refusal && calls.length === 0);
      draft.reason = reason === 'length' || reason === 'max_tokens' ? 'length' : refused ? 'refused' : 'stop';
    };
    return (chunk) => {
      const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
      const extra = isObject(chunk.x_groq) ? chunk.x_groq.usage : undefined;
      const usage = readUsage(chunk.usage ?? (isObject(choice) ? choice.usage : undefined) ?? extra);
      // Zeros after real counts are no counts.
      if (usage && usage.input + usage.output > 0) draft.usage = usage;
      if (!isObject(choice)) return;
      // A server that does not stream sends the whole as `message`; one that does may repeat the whole at the end.
      const delta = isObject(choice.delta) ? choice.delta : streamed ? null : choice.message;
      streamed ||= isObject(choice.delta);
      if (isObject(delta)) addDelta(delta);
      const reason = wordsIn(choice.finish_reason);
      // A router may give a harmless reason for an answer that its server broke off.
      const native = wordsIn(choice.native_finish_reason).toLowerCase();
      if (reason !== '') addReason(FAILED.has(native) ? native : reason);
    };
  };
}

/** One more of OpenRouter's details of reasoning, which may carry a signature. Pieces of one have the same index and type. */
function withDetail(details: Json[], piece: unknown): Json[] {
  if (!isObject(piece)) return details;
  const fields = piece as { [key: string]: Json };
  const last = details.at(-1);
  const same = isObject(last) && fields.index !== undefined && last.index === fields.index && last.type === fields.type;
  if (!same) return [...details, fields];
  const grown = ['text', 'summary', 'data'].flatMap((key) =>
    typeof last[key] === 'string' && typeof fields[key] === 'string' ? [[key, last[key] + fields[key]] as const] : [],
  );
  return [...details.slice(0, -1), { ...last, ...fields, ...Object.fromEntries(grown) }];
}

/** A call, or one more piece of it. */
interface CallDelta extends PartialCall {
  index: number | null;
}

/** Servers differ in what they leave out; whatever is not there counts as empty. */
function readDelta(raw: unknown, provider: string): CallDelta | null {
  if (!isObject(raw)) return null;
  const fn = isObject(raw.function) ? raw.function : {};
  const args = isObject(fn.arguments) ? JSON.stringify(fn.arguments) : fn.arguments;
  return {
    index: typeof raw.index === 'number' ? raw.index : null,
    id: wordsIn(raw.id),
    tool: wordsIn(fn.name),
    args: wordsIn(args),
    ...(isObject(raw.extra_content) ? { opaque: { from: provider, extra: raw.extra_content as Json } } : {}),
  };
}

/** A name and a fresh object after a whole one: a server that repeats an index, or gives none, starts another call. */
const startsAnother = (delta: CallDelta, known: CallDelta): boolean =>
  delta.tool !== '' && delta.args.trimStart().startsWith('{') && parseJson(known.args) !== null;

const belongs = (delta: CallDelta, known: CallDelta): boolean => {
  if (delta.id !== '' && known.id !== '' && delta.id !== known.id && delta.tool !== '') return false;
  return !startsAnother(delta, known);
};

function findCall(calls: readonly CallDelta[], delta: CallDelta): CallDelta | undefined {
  if (delta.index !== null) {
    const known = calls.findLast((call) => call.index === delta.index);
    return known && belongs(delta, known) ? known : undefined;
  }
  if (delta.id !== '') {
    const known = calls.findLast((call) => call.id === delta.id);
    return known && !startsAnother(delta, known) ? known : undefined;
  }
  return delta.tool === '' ? calls.at(-1) : undefined;
}

const sameCall = (a: CallDelta, b: CallDelta): boolean => a.id === b.id && a.tool === b.tool && a.args === b.args;

/** Puts one more piece of `delta.tool_calls` where it belongs. Gives the characters it added. */
function addCallDelta(calls: CallDelta[], raw: unknown, provider: string): number {
  const delta = readDelta(raw, provider);
  // One more than there may be ends the answer: to look through all of them for each piece would take far too long.
  if (!delta || calls.length > MAX_CALLS) return 0;
  const known = findCall(calls, delta);
  if (!known) {
    // The very same call again, whole: the server repeats itself.
    if (delta.id !== '' && calls.some((call) => sameCall(call, delta))) return 0;
    // An entry that names nothing and holds nothing is no call.
    if (delta.tool === '' && delta.args === '' && delta.id === '') return 0;
    calls.push({ ...delta });
    return delta.args.length;
  }
  known.args += delta.args;
  if (known.id === '') known.id = delta.id;
  if (known.tool === '') known.tool = delta.tool;
  if (delta.opaque !== undefined) known.opaque = delta.opaque;
  return delta.args.length;
}
