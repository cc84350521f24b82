import type { Json } from '../core/json.ts';

/** A tool call as far as it has arrived. */
export interface PartialCall {
  index: number | null;
  id: string;
  tool: string;
  args: string;
  opaque?: Json;
}

interface CallDelta {
  index: number | null;
  id: string;
  tool: string;
  args: string;
  opaque?: Json;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** Servers differ in what they leave out; whatever is not there counts as empty. */
function readDelta(raw: unknown): CallDelta | null {
  if (!isObject(raw)) return null;
  const fn = isObject(raw.function) ? raw.function : {};
  const args = isObject(fn.arguments) ? JSON.stringify(fn.arguments) : fn.arguments;
  return {
    index: typeof raw.index === 'number' ? raw.index : null,
    id: typeof raw.id === 'string' ? raw.id : '',
    tool: typeof fn.name === 'string' ? fn.name : '',
    args: typeof args === 'string' ? args : '',
    ...(isObject(raw.extra_content) ? { opaque: raw.extra_content as Json } : {}),
  };
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** A name and a fresh object after a whole one: a server that repeats an index, or gives none, starts another call. */
const startsAnother = (delta: CallDelta, known: PartialCall): boolean =>
  delta.tool !== '' && delta.args.trimStart().startsWith('{') && parses(known.args);

const belongs = (delta: CallDelta, known: PartialCall): boolean => {
  if (delta.id !== '' && known.id !== '' && delta.id !== known.id && delta.tool !== '') return false;
  return !startsAnother(delta, known);
};

function findCall(calls: readonly PartialCall[], delta: CallDelta): PartialCall | undefined {
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
export function addCallDelta(calls: PartialCall[], raw: unknown): number {
  const delta = readDelta(raw);
  if (!delta) return 0;
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

/**
 * Ids that are unique in the answer and among those used before, so that a result always finds its call: some
 * servers give none, and some the same one each time.
 */
export function uniqueIds(calls: readonly PartialCall[], used: ReadonlySet<string>, prefix: string): PartialCall[] {
  const taken = new Set(used);
  return calls.map((call, index) => {
    let id = call.id;
    for (let n = index; id === '' || taken.has(id); n += 1) id = `${prefix}_${n}`;
    taken.add(id);
    return { ...call, id };
  });
}
