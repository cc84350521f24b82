import { z } from 'zod';
import type { Problem } from '../core/agent.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { problem } from './yaml-source.ts';
import type { Path, YamlSource } from './yaml-source.ts';

type Issue = z.core.$ZodIssue;

/** Problems told of one kind: a file that is wrong throughout need not be listed throughout. */
const SHOWN = 20;

export const listed = (names: Iterable<string>): string => [...names].sort().join(', ');

/** YAML gives null for a key with nothing after it, which people mean as "not given". */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}

const TYPES: Record<string, string> = {
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

const kindOf = (value: unknown): string =>
  value === null || value === undefined ? 'empty' : (TYPES[Array.isArray(value) ? 'array' : typeof value] ?? 'that');

/** What stands at a path, as it was written. */
export function at(value: unknown, path: Path): unknown {
  let here = value;
  for (const step of path)
    here = here !== null && typeof here === 'object' ? (here as Record<string | number, unknown>)[step] : undefined;
  return here;
}

/** Keys a schema's object has at a path, for "did you mean". */
function knownKeys(schema: z.ZodType, path: Path): string[] {
  let here: unknown = schema;
  const unwrap = (): void => {
    while (here instanceof z.ZodOptional) here = here.unwrap();
    // Of a text or a map: keys are those of the map.
    if (here instanceof z.ZodUnion) here = here.options.find((option) => option instanceof z.ZodObject) ?? here;
  };
  for (const step of path) {
    unwrap();
    const type = here as { shape?: Record<string, unknown>; element?: unknown; valueType?: unknown };
    here = type.shape?.[String(step)] ?? type.element ?? type.valueType;
  }
  unwrap();
  return Object.keys((here as { shape?: object } | undefined)?.shape ?? {});
}

function messageOf(issue: Issue, given: unknown): string {
  if (issue.code === 'invalid_type') {
    // A schema that knows what people write there says it in words of its own.
    if (!issue.message.startsWith('Invalid input')) return issue.message;
    const wanted = TYPES[issue.expected] ?? issue.expected;
    return given === undefined ? `is missing; it must be ${wanted}` : `must be ${wanted}, not ${kindOf(given)}`;
  }
  if (issue.code === 'invalid_value') {
    const near = typeof given === 'string' ? didYouMean(given, issue.values.map(String)) : '';
    return `must be one of ${issue.values.map(String).join(', ')}.${near}`;
  }
  if (issue.code === 'too_small')
    return issue.origin === 'array' || issue.origin === 'string'
      ? 'must not be empty'
      : `must be at least ${String(issue.minimum)}`;
  if (issue.code === 'too_big')
    return issue.origin === 'array' || issue.origin === 'string'
      ? `must not be longer than ${String(issue.maximum)}`
      : `must be at most ${String(issue.maximum)}`;
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  return issue.message;
}

/** Of what may have several forms: what is wrong with the form that was chosen, where the value says which. */
function ofUnion(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.filter(
    (found) => !found.some(({ code, path }) => code === 'invalid_type' && path.length === 0),
  );
  const [only] = meant;
  if (meant.length !== 1 || only === undefined) return [issue];
  return only.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })).flatMap(ofUnion);
}

export interface Validation<T> {
  value: T | null;
  problems: Problem[];
}

/** Of a text that is a length of time: what to write, for a person who gave a number. */
export const timeNeeded = (given: { input?: unknown }): string | undefined =>
  typeof given.input === 'number' ? `must be a time such as 10m, not the number ${given.input}` : undefined;

/** Holds a parsed file, or what is `under` a path of it, against its schema; each problem names line and key. `explain` may say more of an unknown key. */
export function validate<T>(
  schema: z.ZodType<T>,
  source: YamlSource,
  file: string,
  explain: (path: Path, key: string) => string | null = () => null,
  under: Path = [],
): Validation<T> {
  const input = withoutNulls(at(source.value ?? {}, under));
  const parsed = schema.safeParse(input);
  if (parsed.success) return { value: parsed.data, problems: [] };
  const problems: Problem[] = [];
  for (const issue of parsed.error.issues.flatMap(ofUnion).slice(0, SHOWN)) {
    const inner = issue.path.filter((step) => typeof step !== 'symbol');
    const path = [...under, ...inner];
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(schema, inner);
      for (const key of issue.keys.slice(0, SHOWN)) {
        const said =
          explain(path, key) ?? `is not a known key.${didYouMean(key, known) || ` Known: ${listed(known)}.`}`;
        problems.push(problem(file, source.lineOf([...path, key]), [...path, key].join('.'), said));
      }
      continue;
    }
    problems.push(problem(file, source.lineOf(path), path.join('.'), messageOf(issue, at(input, inner))));
  }
  return { value: null, problems };
}
