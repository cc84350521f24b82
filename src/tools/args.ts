import type { Json } from '../core/text/json.ts';
import type { Parsed } from '../core/ports/tool.ts';

/** The kinds of argument the file tools take; `?` marks what may be left out. */
type Kind = 'text' | 'text?' | 'count?' | 'flag?' | 'list?' | 'any?';
type Value<K extends Kind> = K extends 'text'
  ? string
  : K extends 'text?'
    ? string | null
    : K extends 'count?'
      ? number | null
      : K extends 'list?'
        ? string[]
        : K extends 'any?'
          ? Json
          : boolean;

/** Arguments by name. A pair adds a description, for a name that does not say enough. */
type Spec = Readonly<Record<string, Kind | readonly [Kind, string]>>;
type KindOf<E> = E extends readonly [infer K extends Kind, string] ? K : E extends Kind ? E : never;
export type ArgsOf<S extends Spec> = { [Name in keyof S]: Value<KindOf<S[Name]>> };

const JSON_TYPES: Readonly<Record<string, Json>> = {
  text: { type: 'string' },
  count: { type: 'integer' },
  flag: { type: 'boolean' },
  list: { type: 'array', items: { type: 'string' } },
  any: {},
};

const split = (entry: Spec[string]): [kind: Kind, description: string | null] =>
  typeof entry === 'string' ? [entry, null] : [entry[0], entry[1]];

/** The JSON Schema the model gets. Every turn pays for it, so it says no more than needed. */
export function argsSchema(spec: Spec): Json {
  const properties: { [name: string]: Json } = {};
  const required: string[] = [];
  for (const [name, entry] of Object.entries(spec)) {
    const [kind, description] = split(entry);
    const type = JSON_TYPES[kind.replace('?', '')] as { [name: string]: Json };
    properties[name] = description === null ? type : { ...type, description };
    if (!kind.endsWith('?')) required.push(name);
  }
  return required.length > 0 ? { type: 'object', properties, required } : { type: 'object', properties };
}

const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });

function readOne(name: string, kind: Kind, value: unknown): Parsed<Json> {
  if (value === undefined || value === null) {
    if (kind === 'list?') return { ok: true, value: [] };
    if (kind.endsWith('?')) return { ok: true, value: kind === 'flag?' ? false : null };
    return bad(`"${name}" is missing`);
  }
  switch (kind) {
    case 'text':
    case 'text?':
      if (typeof value !== 'string') return bad(`"${name}" must be a string`);
      return value.isWellFormed() ? { ok: true, value } : bad(`"${name}" is not valid Unicode`);
    case 'count?': {
      // Some models put numbers in quotes.
      const count = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
      return Number.isSafeInteger(count) && Number(count) >= 1
        ? { ok: true, value: Number(count) }
        : bad(`"${name}" must be a whole number from 1`);
    }
    case 'list?': {
      // Some models give one without brackets.
      const list = [value].flat();
      return list.every((each): each is string => typeof each === 'string' && each.isWellFormed())
        ? { ok: true, value: list }
        : bad(`"${name}" must be a list of strings`);
    }
    case 'any?':
      return { ok: true, value: value as Json };
    case 'flag?':
      return typeof value === 'boolean' ? { ok: true, value } : bad(`"${name}" must be true or false`);
  }
}

/** Checks a model's arguments. An unknown name is an error: what is not understood must not seem to have counted. */
export function readArgs<S extends Spec>(spec: S, args: unknown): Parsed<ArgsOf<S>> {
  if (args === null || typeof args !== 'object' || Array.isArray(args)) return bad('they must be an object');
  const unknown = Object.keys(args).find((name) => !Object.hasOwn(spec, name));
  if (unknown !== undefined) {
    const known = Object.keys(spec).join(', ');
    return bad(`there is no argument ${JSON.stringify(unknown)}; there are: ${known}`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(spec)) {
    const read = readOne(name, split(entry)[0], (args as Record<string, unknown>)[name]);
    if (!read.ok) return read;
    values[name] = read.value;
  }
  return { ok: true, value: values as ArgsOf<S> };
}
