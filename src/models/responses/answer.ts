import { type Json, isObject } from '../../core/text/json.ts';
import type { Usage } from '../../core/model.ts';
import type { Draft, PartialCall, Read } from '../wire/answer.ts';
import { count, type Fields, wordsIn } from '../wire/fields.ts';

function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const details = isObject(raw.input_tokens_details) ? raw.input_tokens_details : {};
  return {
    input: count(raw.input_tokens),
    // What was thought is part of it.
    output: count(raw.output_tokens),
    cacheRead: count(details.cached_tokens),
    cacheWrite: count(details.cache_write_tokens),
  };
}

interface Items {
  /** Text of the message at this place of the output, as it comes. */
  say(at: number, text: string, refusal: boolean): void;
  think(at: number, text: string): void;
  begin(at: number, item: Fields): void;
  addArgs(at: number, delta: string): void;
  /** A whole item; what has been shown of it as it came is not shown again. */
  end(at: number, item: Fields): void;
  /** Whether the answer is a refusal in words. */
  refused(): boolean;
}

/** Puts the items of an output together. `own`: whom its reasoning goes back to. */
function items(draft: Draft, own: { from: string; model: string }): Items {
  const calls = new Map<number, PartialCall>();
  const shown = new Set<number>();
  const ended = new Set<number>();
  /** Whole items of reasoning since the last words or call. */
  let thoughts: Json[] = [];
  let refusals = 0;

  const say = (text: string): void => {
    if (text !== '') thoughts = [];
    draft.text(text);
  };
  const begin = (at: number, item: Fields): void => {
    if (item.type !== 'function_call' || calls.has(at)) return;
    const call = { id: wordsIn(item.call_id), tool: wordsIn(item.name), args: wordsIn(item.arguments) };
    draft.grow(call.args.length);
    calls.set(at, call);
    draft.pending.push(call);
  };
  const endCall = (at: number, item: Fields): void => {
    begin(at, item);
    const call = calls.get(at);
    if (!call) return;
    draft.pending = draft.pending.filter((each) => each !== call);
    const args = wordsIn(item.arguments) || call.args;
    thoughts = [];
    // A tool without arguments is often called with none at all.
    draft.call({ ...call, args: args.trim() === '' ? '{}' : args });
  };
  const endMessage = (at: number, item: Fields): void => {
    for (const part of Array.isArray(item.content) ? item.content : []) {
      if (!isObject(part)) continue;
      if (part.type === 'refusal') refusals += 1;
      if (!shown.has(at)) say(wordsIn(part.text) || wordsIn(part.refusal));
    }
  };
  const endReasoning = (at: number, item: Fields): void => {
    const parts = Array.isArray(item.summary) ? item.summary : [];
    const text = parts.map((part) => (isObject(part) ? wordsIn(part.text) : '')).join('\n\n');
    // Nothing is kept at the server, so an item without its content means nothing there.
    if (wordsIn(item.encrypted_content) === '') return draft.reasoning(shown.has(at) ? '' : text);
    // Not a copy for each item: a server may send a hundred thousand.
    thoughts.push(item as Json);
    draft.reasoning(shown.has(at) ? '' : text, { ...own, items: thoughts });
  };
  return {
    say(at, text, refusal) {
      if (refusal) refusals += 1;
      shown.add(at);
      say(text);
    },
    think(at, text) {
      if (text !== '') shown.add(at);
      draft.reasoning(text);
    },
    begin,
    addArgs(at, delta) {
      const call = calls.get(at);
      if (call) call.args += delta;
      draft.grow(delta.length);
    },
    end(at, item) {
      if (ended.has(at)) return;
      ended.add(at);
      if (item.type === 'function_call') endCall(at, item);
      if (item.type === 'message') endMessage(at, item);
      if (item.type === 'reasoning') endReasoning(at, item);
    },
    refused: () => refusals > 0 && calls.size === 0,
  };
}

/** Reads the events of a response. `own`: whom its reasoning goes back to. */
export function responsesReader(draft: Draft, own: { from: string; model: string }): Read {
  const output = items(draft, own);
  const end = (response: Fields, status: unknown): void => {
    draft.usage = readUsage(response.usage) ?? draft.usage;
    // Some servers send the items once more at the end, some only there.
    const list = Array.isArray(response.output) ? response.output : [];
    for (const [at, item] of list.entries()) if (isObject(item)) output.end(at, item);
    const why = isObject(response.incomplete_details) ? wordsIn(response.incomplete_details.reason) : '';
    if (status === 'incomplete') draft.reason = why === 'content_filter' ? 'refused' : 'length';
    else draft.reason = output.refused() ? 'refused' : 'stop';
    draft.done = true;
  };
  return (chunk) => {
    const at = typeof chunk.output_index === 'number' ? chunk.output_index : 0;
    const item = isObject(chunk.item) ? chunk.item : {};
    const response = isObject(chunk.response) ? chunk.response : {};
    const delta = wordsIn(chunk.delta);
    const type = wordsIn(chunk.type);
    switch (type) {
      case 'response.output_item.added':
        return output.begin(at, item);
      case 'response.output_item.done':
        return output.end(at, item);
      case 'response.output_text.delta':
        return output.say(at, delta, false);
      case 'response.refusal.delta':
        return output.say(at, delta, true);
      case 'response.reasoning_summary_part.added':
        return output.think(at, count(chunk.summary_index) > 0 ? '\n\n' : '');
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return output.think(at, delta);
      case 'response.function_call_arguments.delta':
        return output.addArgs(at, delta);
      case 'response.completed':
      case 'response.incomplete':
        return end(response, type === 'response.incomplete' ? 'incomplete' : response.status);
      case 'response.failed':
      case 'error':
        draft.usage = readUsage(response.usage) ?? draft.usage;
        draft.flaw = { told: failureIn(isObject(response.error) ? response.error : chunk) };
    }
  };
}

function failureIn(error: Fields): { status: null; codes: string; text: string } {
  const code = wordsIn(error.code) || 'server_error';
  return { status: null, codes: code.toLowerCase(), text: wordsIn(error.message) || code };
}

/** A response that came whole, as the events it would have been streamed as. */
export function responseEvents(body: Fields): Fields[] | null {
  if (body.object !== 'response' || !Array.isArray(body.output)) return null;
  const status = wordsIn(body.status);
  const type = status === 'failed' || status === 'incomplete' ? `response.${status}` : 'response.completed';
  return [{ type, response: body }];
}
