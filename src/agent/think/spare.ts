import { type ModelMessage, type Part, wordsOf } from '../../core/model.ts';
import { withoutBoundaries } from '../../core/text/untrusted.ts';

// What a request is spared, by the record alone: the same messages always stand the same way. Each change in the middle of a
// request makes a provider's cache worthless from there on, so results leave it seldom and many at once.

/** Tokens of a request above which old results leave it, however large the window. */
const MOST = 64_000;
/** The share of the window that counts instead where that is less: a conversation is summarised at seventy percent. */
const SHARE = 0.4;
/** Of that: what the newest results may have, and what must be gained at once. */
const KEPT = 1 / 8;
const STEP = 1 / 3;
/** What must be gained where the cache is cold, and nothing is lost by it. */
const COLD_STEP = 1_000;
/** Characters from which a result is worth it. */
const WORTH = 600;
/** Characters of a call's arguments that name it. */
const ARGS = 160;

type Result = Extract<Part, { type: 'result' }>;
/** A result and the call it is of, in words. */
interface Known {
  result: Result;
  call: string;
}

export interface Sequence {
  messages: readonly ModelMessage[];
  /** Indexes of messages before which it was quiet for long. */
  cold: ReadonlySet<number>;
  /** Tokens of the system text and the tools. */
  head: number;
  window: number;
  tokensOf(message: ModelMessage): number;
  stubOf(message: ModelMessage): ModelMessage;
}

/** Indexes of the messages whose results stand as stubs: what each request along the way has left out, one after the other. */
export function leftOut(sequence: Sequence): ReadonlySet<number> {
  const { messages, cold, head, window, tokensOf } = sequence;
  const limit = Math.min(window * SHARE, MOST);
  const out = new Set<number>();
  let [total, due, quiet] = [head, limit, false];
  const look = (end: number): void => {
    if (!quiet && total <= due) return;
    const found = leaving(sequence, end, out, limit * KEPT);
    const gained = found.reduce((sum, { gain }) => sum + gain, 0);
    if (gained >= (quiet ? COLD_STEP : limit * STEP)) {
      for (const { index } of found) out.add(index);
      total -= gained;
    }
    quiet = false;
    due = Math.max(limit, total + limit * STEP);
  };
  for (const [index, message] of messages.entries()) {
    // Whatever the model has said was asked with all that stands before it.
    if (message.role === 'assistant') look(index);
    if (cold.has(index)) quiet = true;
    total += tokensOf(message);
  }
  look(messages.length);
  return out;
}

/** What could leave a request of the first `end` messages: older than the newest results, and answered. */
function leaving(
  { messages, tokensOf, stubOf }: Sequence,
  end: number,
  out: ReadonlySet<number>,
  kept: number,
): { index: number; gain: number }[] {
  const found: { index: number; gain: number }[] = [];
  const needed = new Set<string>();
  let [answered, room] = [false, kept];
  for (let index = end - 1; index >= 0; index -= 1) {
    const message = messages[index];
    if (message?.role === 'assistant') answered = true;
    if (message?.role !== 'tool') continue;
    const results = message.parts.filter((part) => part.type === 'result');
    const tokens = tokensOf(message);
    if (!answered || room >= tokens || results.some(({ output }) => output !== undefined && needed.has(output))) {
      if (answered) room -= tokens;
      // What a result that stays refers to stays with it.
      for (const { same } of results) if (same !== undefined) needed.add(same);
      continue;
    }
    room = 0;
    if (out.has(index)) continue;
    const gain = tokens - tokensOf(stubOf(message));
    if (gain > 0) found.push({ index, gain });
  }
  return found;
}

/** A message with how to read its long results again in their place. `reader`: the tool for it; null if the agent has none. */
export function stubbed(message: ModelMessage, reader: string | null): ModelMessage {
  const parts = message.parts.map((part): Part => {
    if (part.type !== 'result' || part.text.length < WORTH) return part;
    const { output } = part;
    const again =
      output === undefined || reader === null
        ? 'Run the tool again if you need them.'
        : `If you need them, use \`${reader}\` with path "${output}".`;
    return { ...part, text: `[${part.text.length} characters, left out to save room. ${again}]` };
  });
  return parts.every((part, index) => part === message.parts[index]) ? message : { ...message, parts };
}

/** The results, without those that stand in the request already, whole: these are referred to. */
export function referring(results: ModelMessage, before: readonly ModelMessage[]): ModelMessage {
  const known = new Map<string, Known>();
  for (const message of before) learn(known, message, before);
  const parts = results.parts.map((part): Part => {
    if (!isLong(part)) return part;
    const text = knownBy(part);
    const first = known.get(text);
    if (first === undefined) {
      known.set(text, { result: part, call: callText(part, before) });
      return part;
    }
    const { output } = first.result;
    const where = output === undefined ? '' : `, also at "${output}"`;
    const said = `[Nothing new: the same text as the result of ${first.call} above${where}.]`;
    return { ...part, text: said, ...(output === undefined ? {} : { same: output }) };
  });
  return { ...results, parts };
}

/** Whether one of the results is long enough to be referred to instead. */
export const mayRefer = (results: ModelMessage): boolean => results.parts.some(isLong);

/** Whatever its call has marked it with. */
const knownBy = ({ text, digest }: Result): string => digest ?? withoutBoundaries(text);

const isLong = (part: Part): part is Result => part.type === 'result' && part.text.length >= WORTH;

function learn(known: Map<string, Known>, message: ModelMessage, all: readonly ModelMessage[]): void {
  for (const part of message.parts)
    if (isLong(part)) known.set(knownBy(part), { result: part, call: callText(part, all) });
}

function callText({ id, tool }: Result, messages: readonly ModelMessage[]): string {
  for (const message of messages.toReversed())
    for (const part of message.parts)
      if (part.type === 'call' && part.id === id) {
        const args = wordsOf(part);
        return `\`${tool}\` ${args.length > ARGS ? `${args.slice(0, ARGS).toWellFormed()}…` : args}`;
      }
  return `\`${tool}\``;
}
