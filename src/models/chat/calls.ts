import type { Json } from '../../core/text/json.ts';
import { MAX_CALLS, type PartialCall } from '../wire/answer.ts';
import { isObject, parseJson, wordsIn } from '../wire/fields.ts';

/** A call, or one more piece of it. */
export interface CallDelta extends PartialCall {
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

/** Puts one more piece of `delta.tool_calls` where it belongs. Gives the characters it added. */
export function addCallDelta(calls: CallDelta[], raw: unknown, provider: string): number {
  const delta = readDelta(raw, provider);
  // One more than there may be ends the answer: to look through all of them for each piece would take for ever.
  if (!delta || calls.length > MAX_CALLS) return 0;
  const known = findCall(calls, delta);
  if (!known) {
    calls.push({ ...delta });
    return delta.args.length;
  }
  known.args += delta.args;
  if (known.id === '') known.id = delta.id;
  if (known.tool === '') known.tool = delta.tool;
  if (delta.opaque !== undefined) known.opaque = delta.opaque;
  return delta.args.length;
}
