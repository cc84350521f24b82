import { isCjk, isPunctuation, unescaped } from './characters.ts';

/** Brackets within an address that are looked at: each `](` would otherwise read on to the end of the text. */
const BRACKETS = 32;

/** Where an address stands in the text, and what it is. */
interface Target {
  href: string;
  end: number;
}

/** The address of a link or a definition: `<in angles>`, or up to the next space with its brackets in balance. */
export function destination(text: string, from: number): Target | null {
  if (text[from] === '<') {
    for (let at = from + 1; at < text.length; at += 1) {
      const char = text[at];
      if (char === '>') return { href: unescaped(text.slice(from + 1, at)), end: at + 1 };
      if (char === '\n' || char === '<') return null;
      if (char === '\\') at += 1;
    }
    return null;
  }
  let open = 0;
  let at = from;
  for (; at < text.length; at += 1) {
    const char = text[at] ?? '';
    if (char <= ' ' || char === '\x7f') break;
    if (char === '\\' && isPunctuation(text[at + 1] ?? '')) at += 1;
    else if (char === '(' && (open += 1) > BRACKETS) return null;
    else if (char === ')' && (open -= 1) < 0) break;
  }
  return open > 0 ? null : { href: unescaped(text.slice(from, at)), end: at };
}

const CLOSING: Readonly<Record<string, string>> = { '"': '"', "'": "'", '(': ')' };

/** Where a title ends that begins here; null if none does. What it says is not shown: it would hide what a link is about. */
export function titleEnd(text: string, from: number): number | null {
  const first = text[from] ?? '';
  const last = CLOSING[first];
  if (last === undefined) return null;
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === last) return at + 1;
    if (text[at] === '\\') at += 1;
    else if (first === '(' && text[at] === '(') return null;
  }
  return null;
}

export function skipSpace(text: string, from: number): number {
  let at = from;
  while (/[ \t\n]/.test(text[at] ?? '')) at += 1;
  return at;
}

/** What stands in brackets behind the words of a link: `(address "title")`. */
export function inBrackets(text: string, from: number): Target | null {
  if (text[from] !== '(') return null;
  const to = destination(text, skipSpace(text, from + 1));
  if (!to) return null;
  let end = skipSpace(text, to.end);
  if (end > to.end) end = skipSpace(text, titleEnd(text, end) ?? end);
  return text[end] === ')' ? { href: to.href, end: end + 1 } : null;
}

/** Labels of references are the same whatever their case and spaces. */
export const labelOf = (text: string): string => text.trim().replace(/\s+/g, ' ').toLowerCase().toUpperCase();

const LABEL = /\[((?:[^[\]\\]|\\[^])*)\]/y;
/** Characters of a label, as CommonMark has it. */
export const LABEL_LENGTH = 999;

/** A label in brackets that begins here; null if none does, or if it is longer than a label may be. */
export function label(text: string, from: number): { text: string; end: number } | null {
  const inside = found(LABEL, text.slice(0, from + LABEL_LENGTH + 2), from)?.[1];
  return inside === undefined ? null : { text: inside, end: from + inside.length + 2 };
}

const WEB = /(?:https?:\/\/|www\.)(?=[\p{L}\p{N}])[^\s<>"`[\]\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]+/iuy;
const IN_ANGLES = /<(?:((?:https?:\/\/|mailto:)[^\s<>]+)|([^\s<>@"'`(),:;\\]+@[a-z\d][a-z\d.-]*))>/iy;
const LOCAL = /[a-z\d.+_-]+/iy;
const DOMAIN = /@(?:[a-z\d-]+\.)+[a-z\d-]*[a-z\d]/iy;

/** What a pattern finds at a place, and nowhere after it. */
function found(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

export interface Address {
  href: string;
  shown: string;
  length: number;
}

/** `<https://example.org>` or `<somebody@example.org>`. */
export function addressInAngles(text: string, at: number): Address | null {
  const [whole = '', web, mail = ''] = found(IN_ANGLES, text, at) ?? [];
  if (whole === '') return null;
  return { href: web ?? `mailto:${mail}`, shown: web ?? mail, length: whole.length };
}

/** A web address in the middle of a text; null if none begins here. */
export function webAddress(text: string, at: number, previous: string): Address | null {
  if (/[\p{L}\p{N}]/u.test(previous) && !isCjk(previous)) return null;
  const shown = trimmed(found(WEB, text, at)?.[0] ?? '');
  if (shown === '') return null;
  return { href: /^www/i.test(shown) ? `http://${shown}` : shown, shown, length: shown.length };
}

/** What ends a sentence is no part of an address, nor a bracket that it does not open. */
function trimmed(address: string): string {
  const count = (char: string): number => address.split(char).length - 1;
  let surplus = count(')') - count('(');
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1] ?? '';
    if (last === ')' && surplus > 0) surplus -= 1;
    else if (!/[.,;:!?'*_~]/.test(last)) break;
  }
  return address.slice(0, end);
}

/** A mail address that begins here; otherwise where the next could begin. */
export function mailAddress(text: string, at: number): Address | number {
  const local = found(LOCAL, text, at)?.[0] ?? '';
  const domain = found(DOMAIN, text, at + local.length)?.[0];
  if (domain === undefined) return at + Math.max(1, local.length);
  return { href: `mailto:${local}${domain}`, shown: local + domain, length: local.length + domain.length };
}

export interface Definition {
  label: string;
  href: string;
  /** Where the next line begins. */
  end: number;
}

/** `[label]: address "title"`, alone on its line; null if there is none. */
export function definition(text: string, from: number): Definition | null {
  const name = label(text, from);
  // A note at the foot of the text is no address.
  if (!name || name.text.trim() === '' || name.text.startsWith('^') || text[name.end] !== ':') return null;
  const begin = skipSpace(text, name.end + 1);
  const to = destination(text, begin);
  if (!to || to.end === begin) return null;
  const title = skipSpace(text, to.end);
  const titled = title > to.end ? titleEnd(text, title) : null;
  const end = (titled === null ? null : lineEnd(text, titled)) ?? lineEnd(text, to.end);
  return end === null ? null : { label: labelOf(name.text), href: to.href, end };
}

/** Where the next line begins if nothing else is on this one. */
function lineEnd(text: string, from: number): number | null {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t') at += 1;
  return at >= text.length ? at : text[at] === '\n' ? at + 1 : null;
}
