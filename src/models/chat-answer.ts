import type { FinishReason, ModelError, ModelEvent, Usage } from '../core/model.ts';
import { NO_USAGE } from '../core/model.ts';
import { addCallDelta, type PartialCall, uniqueIds } from './chat-calls.ts';
import { readError, type Told } from './chat-errors.ts';

/** Why a stream that the server ended is no answer. */
export type Flaw = 'cut' | 'malformed' | 'nameless' | 'too-long' | { told: Told };

export interface AnswerOptions {
  provider: string;
  /** Ids of the calls in the request. */
  usedIds: ReadonlySet<string>;
  /** For ids the server left out; unique to this answer. */
  idPrefix: string;
  /** Characters of text, reasoning and arguments together. */
  maxChars: number;
}

/** An answer as it is put together, chunk by chunk. Pure: it knows nothing of the wire. */
export interface Answer {
  /** One chunk's JSON text. Gives what a listener can see at once. */
  feed(data: string): ModelEvent[];
  /** `finished`: all that counts has arrived, though usage may follow. `over`: nothing more is wanted. */
  readonly state: 'open' | 'finished' | 'over';
  /** The last events: calls, then exactly one end. `failure`: what stopped the reading; null if the server ended it. */
  end(failure: ModelError | null, explain: (flaw: Flaw) => ModelError): ModelEvent[];
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
const count = (...values: unknown[]): number => {
  const value = values.find((each) => typeof each === 'number' && each > 0);
  return typeof value === 'number' ? value : 0;
};

function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const details = isObject(raw.prompt_tokens_details) ? raw.prompt_tokens_details : {};
  return {
    input: count(raw.prompt_tokens),
    output: count(raw.completion_tokens),
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
    if (typeof part.text === 'string') out.text += part.text;
    if (Array.isArray(part.thinking)) out.thinking += readParts(part.thinking).text;
    else if (typeof part.thinking === 'string') out.thinking += part.thinking;
  }
  return out;
}

interface State {
  events: ModelEvent[];
  calls: PartialCall[];
  chars: number;
  reason: string | null;
  usage: Usage;
  done: boolean;
  refusal: boolean;
  reasoning: string | null;
  flaw: Flaw | null;
}

function addText(state: State, text: unknown): void {
  if (typeof text !== 'string' || text === '') return;
  state.reasoning = null;
  state.chars += text.length;
  state.events.push({ type: 'text', delta: text });
}

function addReasoning(state: State, field: string, text: unknown, provider: string): void {
  if (typeof text !== 'string' || text === '') return;
  const first = state.reasoning !== field;
  state.reasoning = field;
  state.chars += text.length;
  // Where it came in goes with the first piece: the request builder sends it back in the same field.
  const opaque = first ? { opaque: { from: provider, field } } : {};
  state.events.push({ type: 'reasoning', delta: text, ...opaque });
}

function addDelta(state: State, delta: Fields, provider: string): void {
  const field = REASONING_FIELDS.find((name) => typeof delta[name] === 'string' && delta[name] !== '');
  if (field) addReasoning(state, field, delta[field], provider);
  if (Array.isArray(delta.content)) {
    const { text, thinking } = readParts(delta.content);
    addReasoning(state, 'content', thinking, provider);
    addText(state, text);
  } else addText(state, delta.content);
  if (typeof delta.refusal === 'string' && delta.refusal !== '') {
    state.refusal = true;
    addText(state, delta.refusal);
  }
  if (!Array.isArray(delta.tool_calls)) return;
  for (const raw of delta.tool_calls) state.chars += addCallDelta(state.calls, raw);
}

const FAILED: ReadonlyMap<string, string> = new Map([
  ['error', 'the server reported an error without saying which'],
  ['abort', 'the server aborted the answer'],
  ['insufficient_system_resource', 'overloaded (insufficient_system_resource)'],
]);

function addChunk(state: State, chunk: unknown, provider: string): void {
  const told = readError(chunk);
  if (told) {
    state.flaw = { told };
    return;
  }
  if (!isObject(chunk)) {
    state.flaw = 'malformed';
    return;
  }
  const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
  const extra = isObject(chunk.x_groq) ? chunk.x_groq.usage : undefined;
  const usage = readUsage(chunk.usage ?? (isObject(choice) ? choice.usage : undefined) ?? extra);
  if (usage) state.usage = usage;
  if (!isObject(choice)) return;
  // A server that does not stream sends the whole as `message`.
  const delta = isObject(choice.delta) ? choice.delta : choice.message;
  if (isObject(delta)) addDelta(state, delta, provider);
  if (typeof choice.finish_reason !== 'string' || choice.finish_reason === '') return;
  state.reason = choice.finish_reason;
  const failed = FAILED.get(state.reason);
  if (failed !== undefined) state.flaw = { told: { status: null, codes: 'server_error', text: failed } };
}

function finishReason(state: State): FinishReason {
  if (state.reason === 'length' || state.reason === 'max_tokens') return 'length';
  if (state.reason === 'content_filter') return 'refused';
  if (state.calls.length > 0) return 'calls';
  return state.refusal ? 'refused' : 'stop';
}

/** What is wrong with an answer that ended without failure of the wire; null if it is whole. */
function flawOf(state: State): Flaw | null {
  if (state.flaw) return state.flaw;
  if (state.reason === null) {
    // Some servers give no reason but do say that they are done; calls need the stronger proof.
    return state.done && state.calls.length === 0 && state.chars > 0 ? null : 'cut';
  }
  return finishReason(state) === 'calls' && state.calls.some((call) => call.tool === '') ? 'nameless' : null;
}

export function newAnswer(options: AnswerOptions): Answer {
  const state: State = {
    events: [],
    calls: [],
    chars: 0,
    reason: null,
    usage: NO_USAGE,
    done: false,
    refusal: false,
    reasoning: null,
    flaw: null,
  };
  const parse = (data: string): void => {
    try {
      addChunk(state, JSON.parse(data), options.provider);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      state.flaw = 'malformed';
    }
  };
  return {
    feed(data) {
      if (state.flaw !== null || state.done) return [];
      if (data.trim() === '[DONE]') state.done = true;
      else parse(data);
      if (state.chars > options.maxChars && state.flaw === null) state.flaw = 'too-long';
      const events = state.events;
      state.events = [];
      return events;
    },
    get state() {
      if (state.flaw !== null || state.done) return 'over';
      return state.reason === null ? 'open' : 'finished';
    },
    end(failure, explain) {
      // A connection that breaks after the reason was given has lost nothing but the usage.
      const lost = failure !== null && !(state.reason !== null && failure.kind !== 'aborted');
      const flaw = flawOf(state);
      const error = lost ? failure : flaw === null ? null : explain(flaw);
      const whole = error === null && finishReason(state) === 'calls';
      const calls: ModelEvent[] = uniqueIds(state.calls, options.usedIds, options.idPrefix).map((call) => ({
        type: 'call',
        id: call.id,
        tool: call.tool,
        // A tool without arguments is often called with none at all.
        args: whole && call.args.trim() === '' ? '{}' : call.args,
        ...(call.opaque === undefined ? {} : { opaque: call.opaque }),
      }));
      const { usage } = state;
      if (error) return [...calls, { type: 'error', error, usage }];
      return [...calls, { type: 'finish', reason: finishReason(state), usage }];
    },
  };
}
