import { patternPackage } from '../packages/late.ts';
import { FORMATS } from './words.ts';

/** A text that is held against a pattern. `steps`: what that may cost at the worst. */
export interface Pattern {
  fits(text: string): boolean;
  steps(text: string): number;
}

/** Parts that a pattern is compiled to. */
const MAX_SIZE = 1_000;
const INSTEAD =
  'write it without look-ahead (?=…), look-behind (?<=…) and back-references \\1, with repeats {n} up to 1000; for lengths use "minLength" and "maxLength"';

/** An engine of linear time: the platform's may never end, and what it looks at is a stranger's. */
export function readPattern(text: string): { ok: true; pattern: Pattern } | { ok: false; error: string } {
  const { RE2JS } = patternPackage();
  // The engine takes \k for a letter.
  if (/(?<!\\)(?:\\\\)*\\k/.test(text)) return { ok: false, error: `has a back-reference, \\k: ${INSTEAD}` };
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(text));
    const size = compiled.programSize();
    if (size > MAX_SIZE) return { ok: false, error: `is too large: ${INSTEAD}` };
    return { ok: true, pattern: { fits: (each) => compiled.test(each), steps: (each) => each.length * size } };
  } catch (error) {
    // The engine's errors have no class in common with others.
    if (error instanceof Error && error.name.startsWith('RE2JS'))
      return { ok: false, error: `is not a pattern that can be used (${reason(error)}): ${INSTEAD}` };
    throw error;
  }
}

const reason = (error: Error): string => error.message.replace(/^error parsing regexp: /, '').slice(0, 200);

/** One of the named formats; a date must be one of the calendar, too. */
export function formatPattern(name: string): Pattern | null {
  const format = FORMATS[name];
  const read = format && readPattern(format.pattern);
  if (!read?.ok) return null;
  const { pattern } = read;
  return name.startsWith('date')
    ? { ...pattern, fits: (text) => pattern.fits(text) && isDay(text.slice(0, 10)) }
    : pattern;
}

const isDay = (day: string): boolean => new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
