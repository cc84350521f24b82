import { createHmac, timingSafeEqual } from 'node:crypto';
import { formsOf } from './redactor.ts';

/** What all placeholders begin with. */
const PREFIX = 'ruche-secret.';
const PLACEHOLDER = /ruche-secret\.([a-z][a-z0-9-]{0,31})\.([0-9a-f]{32})/gi;
/** Longer than any spelling of a placeholder that is looked for. */
export const LONGEST_PLACEHOLDER = 512;

/** Whom a placeholder is for. */
export interface Holder {
  agent: string;
  run: string;
}

/** A placeholder in a request. `name` is null of one whose spelling hides which it is. */
export interface Found {
  name: string | null;
  tag: string;
}

function tagOf(key: Uint8Array, { agent, run }: Holder, name: string): string {
  const bound = JSON.stringify([agent, run, name]);
  return createHmac('sha256', key).update(`placeholder ${bound}`).digest('hex').slice(0, 32);
}

/** What stands for a secret in one run of one agent: it says which secret, and is worth nothing elsewhere. */
export const placeholderOf = (key: Uint8Array, holder: Holder, name: string): string =>
  `${PREFIX}${name}.${tagOf(key, holder, name)}`;

/** Whether it was made for this run. */
export function isOwn(key: Uint8Array, holder: Holder, { name, tag }: Found): boolean {
  if (name === null) return false;
  return timingSafeEqual(Buffer.from(tagOf(key, holder, name)), Buffer.from(tag.toLowerCase()));
}

/** Spellings in which the name cannot be read: what matters is that it is a placeholder. */
const HIDDEN = formsOf(PREFIX).filter((form) => form !== PREFIX && !form.includes('%'));

function decodedPercents(text: string): string {
  return text.includes('%')
    ? text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text;
}

/** Every placeholder in a text, in whatever common spelling. */
export function placeholdersIn(text: string): Found[] {
  // Twice: a value within a URL within a URL.
  const decoded = decodedPercents(decodedPercents(text));
  const found = new Map<string, Found>();
  for (const [whole, name = '', tag = ''] of [text, decoded].join('\n').matchAll(PLACEHOLDER))
    found.set(whole, { name: name.toLowerCase(), tag });
  if (HIDDEN.some((form) => text.includes(form) || decoded.includes(form))) found.set('', { name: null, tag: '' });
  return [...found.values()];
}
