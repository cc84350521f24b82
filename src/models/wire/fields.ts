/** An object out of somebody else's JSON: nothing in it is certain. */
export type Fields = Record<string, unknown>;

/** Null for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** More than any model can take: what a server counts beyond it is no count, and sums of it would be no number. */
const MAX_COUNT = 1e11;

/** The first positive number among the fields in which servers may give it; else 0. */
export function count(...values: unknown[]): number {
  const value = values.find((each) => typeof each === 'number' && each > 0);
  return typeof value === 'number' ? Math.min(value, MAX_COUNT) : 0;
}

/** The text of a field; '' if it is none. */
export const wordsIn = (value: unknown): string => (typeof value === 'string' ? value : '');
