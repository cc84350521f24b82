import { type Json, isObject } from '../../core/text/json.ts';
import { type FinishReason, type ModelError, type ModelEvent, type Usage, NO_USAGE } from '../../core/model.ts';
import { type Flaw, readError } from './errors.ts';
import { type Fields, mendArgs, parseJson } from './fields.ts';

/** A tool call as far as it has arrived. Empty means that nothing has come of it. */
export interface PartialCall {
  id: string;
  tool: string;
  args: string;
  opaque?: Json;
}

/** An answer in the making: what a provider's reader writes its chunks into. */
export interface Draft {
  text(delta: string): void;
  /** `opaque` belongs to all reasoning since the last text or call, and replaces what was given before. */
  reasoning(delta: string, opaque?: Json): void;
  /** A call that has come whole. Those in pieces wait in `pending`. */
  call(call: PartialCall): void;
  /** Calls as far as they have come; those left here follow at the end. */
  pending: PartialCall[];
  /** Counts characters of arguments: an answer without end is stopped. */
  grow(chars: number): void;
  usage: Usage;
  /** Why the model stopped, once it has said so. Calls make `calls` of `stop` by themselves. */
  reason: 'stop' | 'length' | 'refused' | null;
  /** Nothing more will come. */
  done: boolean;
  flaw: Flaw | null;
  /** Called when no more will come, for what a reader has held back. */
  last?: () => void;
}

/** Reads one chunk, parsed, into the draft. */
export type Read = (chunk: Fields) => void;

/** Calls of one answer. Each would be decided on, journaled and answered. */
export const MAX_CALLS = 1_000;

export interface AnswerOptions {
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
  /** Characters so far: what comes after the reason was given is part of the answer still. */
  readonly chars: number;
  /** The last events: calls, then exactly one end. `failure`: what stopped the reading; null if the server ended it. */
  end(failure: ModelError | null, explain: (flaw: Flaw) => ModelError): ModelEvent[];
}

interface State extends Draft {
  events: ModelEvent[];
  chars: number;
  calls: number;
}

/**
 * Ids that are unique in the answer and among those used before, so that a result always finds its call: some
 * servers give none, and some the same one each time.
 */
function uniqueIds({ usedIds, idPrefix }: AnswerOptions): (id: string) => string {
  const taken = new Set(usedIds);
  let n = 0;
  return (given) => {
    let id = given;
    for (let at = n; id === '' || taken.has(id); at += 1) id = `${idPrefix}_${at}`;
    n += 1;
    taken.add(id);
    return id;
  };
}

function newState(options: AnswerOptions): State {
  const idOf = uniqueIds(options);
  const state: State = {
    events: [],
    chars: 0,
    calls: 0,
    pending: [],
    usage: NO_USAGE,
    reason: null,
    done: false,
    flaw: null,
    text(delta) {
      if (delta === '') return;
      state.chars += delta.length;
      state.events.push({ type: 'text', delta });
    },
    reasoning(delta, opaque) {
      if (delta === '' && opaque === undefined) return;
      state.chars += delta.length;
      state.events.push({ type: 'reasoning', delta, ...(opaque === undefined ? {} : { opaque }) });
    },
    call({ id, tool, args, opaque }) {
      if (tool === '') state.flaw ??= 'nameless';
      state.calls += 1;
      state.events.push({ type: 'call', id: idOf(id), tool, args, ...(opaque === undefined ? {} : { opaque }) });
    },
    grow(chars) {
      state.chars += chars;
    },
  };
  return state;
}

function finishReason(state: State): FinishReason {
  if (state.reason === 'length' || state.reason === 'refused') return state.reason;
  return state.calls + state.pending.length > 0 ? 'calls' : 'stop';
}

/** What is wrong with an answer that ended without failure of the wire; null if it is whole. */
function flawOf(state: State): Flaw | null {
  if (state.flaw) return state.flaw;
  if (state.reason === null) {
    // Some servers give no reason but do say that they are done; calls must be whole besides.
    const whole = state.pending.every(({ tool, args }) => tool !== '' && isObject(parseJson(args)));
    return state.done && state.chars > 0 && whole ? null : 'cut';
  }
  return finishReason(state) === 'calls' && state.pending.some((call) => call.tool === '') ? 'nameless' : null;
}

function readInto(state: State, read: Read, data: string): void {
  const chunk = parseJson(data);
  const told = readError(chunk);
  if (told) state.flaw = { told };
  else if (isObject(chunk)) read(chunk);
  else state.flaw = 'malformed';
}

/** `reader` gets the draft that is to be filled, and gives what reads a chunk into it. */
export function newAnswer(options: AnswerOptions, reader: (draft: Draft) => Read): Answer {
  const state = newState(options);
  const read = reader(state);
  const taken = (): ModelEvent[] => state.events.splice(0);
  return {
    feed(data) {
      if (state.flaw !== null || state.done) return [];
      if (data.trim() === '[DONE]') state.done = true;
      else readInto(state, read, data);
      if (state.chars > options.maxChars || state.calls + state.pending.length > MAX_CALLS) state.flaw ??= 'too-long';
      return taken();
    },
    get state() {
      if (state.flaw !== null || state.done) return 'over';
      return state.reason === null ? 'open' : 'finished';
    },
    get chars() {
      return state.chars;
    },
    end(failure, explain) {
      state.last?.();
      // A connection that breaks after the reason was given has lost nothing but the usage.
      const lost = failure !== null && !(state.reason !== null && failure.kind !== 'aborted');
      const flaw = flawOf(state);
      const error = lost ? failure : flaw === null ? null : explain(flaw);
      const reason = finishReason(state);
      // A tool without arguments is often called with none at all.
      const whole = error === null && reason === 'calls';
      for (const call of state.pending.splice(0))
        state.call(whole ? { ...call, args: call.args.trim() === '' ? '{}' : mendArgs(call.args) } : call);
      const { usage } = state;
      return [...taken(), error ? { type: 'error', error, usage } : { type: 'finish', reason, usage }];
    },
  };
}
