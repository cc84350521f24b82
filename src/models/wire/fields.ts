import { isObject, jsonDepth } from '../../core/text/json.ts';

/** An object out of somebody else's JSON: nothing in it is certain. */
export type Fields = Record<string, unknown>;

/** Nesting of what a provider says: no answer needs more, and what walks through it has a stack. */
const MAX_DEPTH = 256;

/** Null for what is no JSON, or is nested too deep. */
export function parseJson(text: string): unknown {
  if (jsonDepth(text, MAX_DEPTH) > MAX_DEPTH) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** More than any model can take: what a server counts beyond it is no count, and sums of it would be no number. */
const MAX_COUNT = 1e8;

/** The first count of tokens among the fields in which servers may give it, some as text; else 0. */
export function count(...values: unknown[]): number {
  const counts = values.map((each) => (typeof each === 'string' && /^\d{1,9}$/.test(each) ? Number(each) : each));
  const value = counts.find((each): each is number => typeof each === 'number' && each > 0);
  return value !== undefined && value <= MAX_COUNT ? Math.ceil(value) : 0;
}

/** The text of a field; '' if it is none. */
export const wordsIn = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * Arguments as the model meant them, where a server has damaged them: an empty object put in front (`{}{"a":1}`), the
 * whole flushed twice, or the JSON as a string. Everything else stays as it is, for the model to be told.
 */
export function mendArgs(args: string): string {
  const parsed = parseJson(args);
  if (typeof parsed === 'string') return isObject(parseJson(parsed)) ? parsed : args;
  if (parsed !== null) return args;
  const text = args.trim();
  if (text.startsWith('{}')) return isObject(parseJson(text.slice(2))) ? text.slice(2) : args;
  const half = text.slice(0, text.length / 2);
  return half + half === text && isObject(parseJson(half)) ? half : args;
}
