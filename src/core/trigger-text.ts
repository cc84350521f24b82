import type { Json } from './text/json.ts';
import { COMMON_FIELDS, type Facts, OPEN_FIELDS, TRIGGER_FIELDS, type TriggerOn } from './trigger.ts';
import { neutralise } from './text/untrusted.ts';

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;
/** Characters of one value, and values of one list, that are filled in. */
const MAX_VALUE = 500;
const MAX_LISTED = 20;
/** What reads the same in quotes or without. */
const PLAIN = /^[\p{L}\p{N}_./:@+#-]{1,200}$/u;

/** The first placeholder of a text that names nothing a cause of this kind has, and what there is; null if all do. */
export function unknownPlaceholder(text: string, on: TriggerOn): string | null {
  for (const [whole, inner = ''] of text.matchAll(PLACEHOLDER)) {
    const wrong = unknownField(inner.trim().split('.'), on);
    if (wrong !== null) return `has the placeholder ${whole}; ${wrong}`;
  }
  return null;
}

/** Why a name such as `event.path` or `body.issue.title` stands for nothing; null if it does. */
export function unknownField([first = '', ...rest]: readonly string[], on: TriggerOn): string | null {
  const fields = TRIGGER_FIELDS[on];
  const known = `${on} has ${fields.join(', ')}, and event.${COMMON_FIELDS.join(', event.')}`;
  if ([first, ...rest].some((part) => !/^[A-Za-z_][\w-]*$/.test(part))) return `there is no such name: ${known}`;
  const [name = '', ...deeper] = first === 'event' && rest.length > 0 ? rest : [first, ...rest];
  const isCommon = first === 'event' && rest.length > 0 && (COMMON_FIELDS as readonly string[]).includes(name);
  if (!isCommon && !fields.includes(name)) return known;
  return deeper.length > 0 && !OPEN_FIELDS.includes(name) ? `"${name}" has no parts: ${known}` : null;
}

/**
 * The text with what happened in the places of its placeholders. What is filled in is data: on one line, of a bounded
 * length, with nothing hidden in it, and in quotes unless it is a plain name.
 */
export function fillPlaceholders(text: string, facts: Facts): string {
  return text.replace(PLACEHOLDER, (_whole, inner: string) => {
    const parts = inner.trim().split('.');
    const value = valueAt(facts, parts[0] === 'event' ? parts.slice(1) : parts);
    if (!Array.isArray(value)) return shown(value);
    const listed = value.slice(0, MAX_LISTED).map(shown);
    const more = value.length > MAX_LISTED ? ` and ${value.length - MAX_LISTED} more, all of them in the input` : '';
    return listed.length === 0 ? '(none)' : `${listed.join(', ')}${more}`;
  });
}

/** Names that a text has placeholders for, and these facts do not have. */
export function missingFacts(text: string, facts: Facts): string[] {
  const named = [...text.matchAll(PLACEHOLDER)].map(([, inner = '']) => inner.trim());
  const common = COMMON_FIELDS.map((name) => `event.${name}`);
  const names = named.filter((name) => !common.includes(name)).map((name) => name.replace(/^event\./, ''));
  return [...new Set(names)].filter((name) => valueAt(facts, name.split('.')) === undefined);
}

function valueAt(facts: Facts, path: readonly string[]): Json | undefined {
  let here: Json | undefined = facts;
  for (const step of path) {
    const inside: Json | undefined = here;
    if (inside === null || typeof inside !== 'object' || Array.isArray(inside)) return undefined;
    here = Object.hasOwn(inside, step) ? inside[step] : undefined;
  }
  return here;
}

function shown(value: Json | undefined): string {
  if (value === undefined || value === null || value === '') return '(none)';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = neutralise(text).text.replace(/\s+/g, ' ').trim();
  const short = line.length <= MAX_VALUE ? line : `${line.slice(0, MAX_VALUE).toWellFormed()}…`;
  return PLAIN.test(short) ? short : JSON.stringify(short);
}
