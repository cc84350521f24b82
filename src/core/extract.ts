import { isObject, type Json, jsonIn } from './text/json.ts';

// What may come out of a text from outside: values whose form was settled before anybody read it, so that no words can.

/** A field of an answer: one of some words, or a kind of value. */
export type FieldKind = { enum: readonly string[] } | 'boolean' | 'date' | 'number' | 'id';

export interface Field {
  name: string;
  kind: FieldKind;
  /** Several of them. */
  list: boolean;
}

export type FieldsResult = { ok: true; fields: Field[] } | { ok: false; error: string };

const MAX_FIELDS = 16;
const MAX_WORDS = 32;
const MAX_WORD = 40;
/** Values of one list. */
const MAX_LIST = 20;
/** Characters of a text that is read for values. */
export const MAX_SOURCE = 200_000;

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,31}$/;
const KINDS = ['boolean', 'date', 'number', 'id'] as const;

const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });

/** Reads what a caller asks for: `{ due: "date", total: "number", kind: ["invoice", "other"], orders: "id[]" }`. */
export function readFields(given: unknown): FieldsResult {
  if (!isObject(given)) return bad('"fields" must be an object of names and kinds');
  const entries = Object.entries(given);
  if (entries.length === 0 || entries.length > MAX_FIELDS) return bad(`"fields" must have 1 to ${MAX_FIELDS} entries`);
  const fields: Field[] = [];
  for (const [name, kind] of entries) {
    if (!NAME.test(name)) return bad(`the field ${JSON.stringify(name.slice(0, 40))} must be a short name of letters`);
    const read = readField(name, kind);
    if (typeof read === 'string') return bad(read);
    fields.push(read);
  }
  return { ok: true, fields };
}

function readField(name: string, kind: unknown): Field | string {
  if (Array.isArray(kind)) {
    const words = kind.filter((word): word is string => typeof word === 'string' && word !== '');
    const fits = words.length === kind.length && words.length >= 2 && words.length <= MAX_WORDS;
    if (!fits || words.some((word) => word.length > MAX_WORD))
      return `"fields.${name}" must list 2 to ${MAX_WORDS} words of up to ${MAX_WORD} characters`;
    return { name, kind: { enum: words }, list: false };
  }
  const plain = typeof kind === 'string' ? kind.replace(/\[\]$/, '') : '';
  const known = KINDS.find((each) => each === plain);
  if (known === undefined)
    return `"fields.${name}" must be a list of words, boolean, date, number or id, or id[] for several`;
  return { name, kind: known, list: kind !== plain };
}

/** The values, and those of them that are somebody else's: not words of the caller, nor yes and no. */
export type Extracted =
  | { ok: true; values: { [name: string]: Json }; foreign: string[] }
  | { ok: false; misfit: string };

/**
 * What an answer says, if it is exactly of the form and its numbers and ids stand in the source. What does not fit is named without
 * a word of it.
 */
export function readExtracted(fields: readonly Field[], answer: string, source: string): Extracted {
  const found = jsonIn(/\{[^]*\}/.exec(answer)?.[0] ?? '');
  if (!isObject(found)) return { ok: false, misfit: 'it is no JSON object' };
  if (Object.keys(found).some((name) => !fields.some((field) => field.name === name)))
    return { ok: false, misfit: 'it has a field that was not asked for' };
  const seen: Source = { text: source, numbers: null };
  const values: { [name: string]: Json } = {};
  const foreign = new Set<string>();
  for (const { name, kind, list } of fields) {
    const given = found[name] ?? null;
    const all = list && Array.isArray(given) ? given : [given];
    if (list && given !== null && !Array.isArray(given)) return { ok: false, misfit: `${name} is no list` };
    if (all.length > MAX_LIST) return { ok: false, misfit: `${name} has more than ${MAX_LIST} entries` };
    const read: Json[] = [];
    for (const each of all) {
      if (each === null) continue;
      if (!fits(kind, each, seen)) return { ok: false, misfit: `${name} is not of its kind, or not in the text` };
      read.push(each as Json);
      if (typeof kind === 'string' && kind !== 'boolean') foreign.add(String(each));
    }
    values[name] = list ? read : (read[0] ?? null);
  }
  return { ok: true, values, foreign: [...foreign] };
}

interface Source {
  text: string;
  /** All numbers that stand in it; made when one is looked for. */
  numbers: Set<number> | null;
}

function fits(kind: FieldKind, value: unknown, source: Source): boolean {
  if (typeof kind === 'object') return typeof value === 'string' && kind.enum.includes(value);
  if (kind === 'boolean') return typeof value === 'boolean';
  if (kind === 'date') return typeof value === 'string' && isDate(value);
  if (kind === 'id') return typeof value === 'string' && isId(value) && standsAlone(value, source.text);
  source.numbers ??= numbersIn(source.text);
  return typeof value === 'number' && Number.isFinite(value) && source.numbers.has(Math.abs(value));
}

/** A day of the calendar, as ISO writes it. */
function isDate(text: string): boolean {
  const [, year = '', month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text) ?? [];
  if (Number(year) < 1900 || Number(year) > 2200) return false;
  const at = new Date(`${year}-${month}-${day}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

const MAX_ID = 40;
/** Letters in a row, and in all, that an id may have: more would be words. */
const MAX_RUN = 6;
const MAX_LETTERS = 12;

/** A number with a name, such as `INV-2026-00417`: it has digits, and cannot spell a sentence. Hexadecimal ones are ids as well. */
function isId(text: string): boolean {
  if (text.length > MAX_ID || !/\d/.test(text)) return false;
  if (/^[0-9a-f]+(?:-[0-9a-f]+)*$/i.test(text) && !/[a-f]{7}/i.test(text)) return true;
  if (!/^[A-Z0-9]+(?:[-._/#][A-Z0-9]+){0,4}$/i.test(text)) return false;
  const letters = text.match(/[A-Z]+/gi) ?? [];
  return letters.every((run) => run.length <= MAX_RUN) && letters.join('').length <= MAX_LETTERS;
}

const WORD = /[\p{L}\p{N}]/u;

/** Whether it stands in the text, and not as a part of something longer. */
function standsAlone(value: string, text: string): boolean {
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1))
    if (!WORD.test(text[at - 1] ?? '') && !WORD.test(text[at + value.length] ?? '')) return true;
  return false;
}

/** Numbers as people write them: `1,200.50`, `1.200,50`, `1 200`, `1'200.50`. */
function numbersIn(text: string): Set<number> {
  const found = new Set<number>();
  for (const [written] of text.matchAll(/\d(?:[\d.,'’ \u00a0\u202f]{0,30}\d)?/g))
    for (const part of [written, ...written.split(/[ \u00a0\u202f]+/)]) {
      const digits = part.replace(/['’ \u00a0\u202f]/g, '');
      for (const plain of [
        digits.replaceAll(',', ''),
        digits.replaceAll('.', '').replace(',', '.'),
        digits.replace(',', '.'),
      ])
        if (/^\d+(?:\.\d+)?$/.test(plain)) found.add(Number(plain));
      for (const single of part.match(/\d+/g) ?? []) found.add(Number(single));
    }
  return found;
}

/** A value in the form in which it is looked for: longer ones also within others. */
const MIN_WITHIN = 4;

/** Accounts and numbers are written with spaces and any signs between, or without; letter case plays no part. */
const bareId = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(/[^\p{L}\p{N}]/gu, '')
    .toUpperCase();

/** Whether a value is, or holds, one that was taken out of a text from outside. */
export function isForeign(value: string, foreign: ReadonlySet<string>): boolean {
  if (foreign.size === 0) return false;
  const text = value.trim();
  if (foreign.has(text)) return true;
  const bare = bareId(text);
  for (const each of foreign) {
    if (each.length >= MIN_WITHIN && (text.includes(each) || bare.includes(bareId(each)))) return true;
    // A credit and a debit are of the same amount.
    if (text !== '' && /^-?[\d.]+$/.test(each) && Math.abs(Number(each)) === Math.abs(Number(text))) return true;
  }
  return false;
}
