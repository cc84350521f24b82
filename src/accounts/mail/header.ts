// The lines before a body: fields, encoded words (RFC 2047) and parameters (RFC 2231), with the faults they have in the wild.
import { decodeBytes } from './charset.ts';

/** One field. `raw` holds a byte in each character; it is unfolded. */
export interface Field {
  name: string;
  raw: string;
}

/** Fields of one part: more is nobody's mail. */
const MAX_FIELDS = 2000;
/** Characters of one field that are looked at. */
const MAX_FIELD = 64 * 1024;

/** The fields of a header block. Only space and tab continue a field; lines without a colon are left out. */
export function fieldsOf(block: string): Field[] {
  const lines: string[][] = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const last = lines.at(-1);
    if (last !== undefined && /^[ \t]/.test(line)) last.push(line);
    else if (line !== '' && lines.length < MAX_FIELDS) lines.push([line]);
  }
  return lines.flatMap((parts) => {
    const whole = parts.join('').slice(0, MAX_FIELD);
    const colon = whole.indexOf(':');
    const name = whole.slice(0, Math.max(0, colon)).trim().toLowerCase();
    return colon <= 0 || !/^[!-9;-~]+$/.test(name) ? [] : [{ name, raw: whole.slice(colon + 1).trim() }];
  });
}

const bytesOf = (raw: string): Uint8Array => Buffer.from(raw, 'latin1');

/** Control characters mean nothing in a header, and could begin a line of their own. */
const tidy = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

/** The characters of a raw value, without decoding its encoded words. Raw eight-bit text is read by the mail's own charset. */
export function plainValue(raw: string, charset: string | null = null): string {
  if (!/[\x80-\xff]/.test(raw) && !raw.includes('\x1b')) return tidy(raw);
  return tidy(decodeBytes(bytesOf(raw), charset).text);
}

const WORD = /=\?([^?\s]{1,100})\?([QqBb])\?([^?]{0,60000})\?=/g;

function wordBytes(encoding: string, text: string): Buffer {
  if (encoding.toUpperCase() === 'B') return Buffer.from(text, 'base64');
  const plain = text.replaceAll('_', ' ').replace(/=\s+(?=[0-9a-f])/gi, '=');
  const latin = plain.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // What was there as a character beyond ASCII is no byte of the word's charset.
  return Buffer.from(/[^\0-\xff]/.test(latin) ? Buffer.from(latin, 'utf8') : Buffer.from(latin, 'latin1'));
}

/**
 * A value with its encoded words decoded. Neighbours of one charset are joined as bytes first: many senders split a
 * character between two words.
 */
export function decodeWords(value: string): string {
  let out = '';
  let at = 0;
  let pending: { charset: string; bytes: Buffer[] } | null = null;
  const flush = (): void => {
    if (pending !== null) out += tidy(decodeBytes(Buffer.concat(pending.bytes), pending.charset).text);
    pending = null;
  };
  for (const found of value.matchAll(WORD)) {
    const [all, label = '', encoding = '', text = ''] = found;
    const between = value.slice(at, found.index);
    const charset = label.replace(/\*.*$/, '').toLowerCase();
    // Spaces between two words only folded the line.
    const joined: { charset: string; bytes: Buffer[] } | null = pending;
    if (joined === null || /[^ \t]/.test(between)) {
      flush();
      out += between;
    }
    const bytes = wordBytes(encoding, text);
    const open: { charset: string; bytes: Buffer[] } | null = pending;
    if (open !== null && (open as { charset: string }).charset === charset)
      (open as { bytes: Buffer[] }).bytes.push(bytes);
    else {
      flush();
      pending = { charset, bytes: [bytes] };
    }
    at = found.index + all.length;
  }
  flush();
  return out + value.slice(at);
}

/** A field as people read it. */
export const shownValue = (raw: string, charset: string | null = null): string =>
  decodeWords(plainValue(raw, charset)).trim();

/** The same value with each encoded word in UTF-8, for a reader that knows fewer encodings. Its syntax stays. */
export const recoded = (raw: string, charset: string | null): string =>
  plainValue(raw, charset).replace(
    /=\?[^?\s]{1,100}\?[QqBb]\?[^?]{0,60000}\?=(?:[ \t]+=\?[^?\s]{1,100}\?[QqBb]\?[^?]{0,60000}\?=)*/g,
    (words) => `=?utf-8?B?${Buffer.from(decodeWords(words), 'utf8').toString('base64')}?=`,
  );

export interface Structured {
  value: string;
  parameters: ReadonlyMap<string, string>;
}

/** Comments in brackets, outside quotes. A bracket that continues a parameter's value is content: `name=Invoice(1).pdf`. */
function withoutComments(text: string): string {
  let out = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === '\\' && (quoted || depth > 0)) {
      if (depth === 0) out += char + (text[at + 1] ?? '');
      at++;
      continue;
    }
    if (depth === 0 && char === '"') quoted = !quoted;
    const opens = char === '(' && !quoted && (depth > 0 || out === '' || /[\s;]$/.test(out.slice(-1)));
    if (opens) depth++;
    else if (char === ')' && depth > 0) depth--;
    else if (depth === 0) out += char;
  }
  // A bracket that never closes is no comment.
  return depth === 0 ? out : text;
}

const PARAMETER = /;\s*([^\s=;"]{1,100})\s*=\s*(?:"((?:[^"\\]|\\[^])*)(?:"|$)|([^;]*))/g;

/** `text/plain; charset="x"; name*0*=utf-8''a; name*1=b`. The first of two parameters of one name counts. */
export function structured(raw: string): Structured {
  const text = withoutComments(raw);
  const semicolon = text.indexOf(';');
  const value = (semicolon === -1 ? text : text.slice(0, semicolon)).trim().toLowerCase().replace(/\s+/g, '');
  const plain = new Map<string, string>();
  const pieces = new Map<string, { at: number; text: string; encoded: boolean }[]>();
  for (const [, key = '', quoted, token] of text.slice(Math.max(0, semicolon)).matchAll(PARAMETER)) {
    const given = quoted === undefined ? (token ?? '').trim() : unquoted(quoted);
    const [, name = '', at, star] = /^(.*?)(?:\*(\d{1,4}))?(\*)?$/.exec(key.toLowerCase()) ?? [];
    if (at === undefined && star === undefined) {
      if (!plain.has(name)) plain.set(name, given);
      continue;
    }
    const list = pieces.get(name) ?? [];
    if (list.length < 1000) list.push({ at: Number(at ?? 0), text: given, encoded: star !== undefined });
    pieces.set(name, list);
  }
  // What is given in the newer form is the better one.
  for (const [name, list] of pieces) plain.set(name, `\0${continued(list)}`);
  return { value, parameters: plain };
}

/** A backslash escapes within quotes, except in paths that Windows mailers put there. */
const unquoted = (text: string): string => (/^[a-z]:\\[^\\"]/i.test(text) ? text : text.replace(/\\([^])/g, '$1'));

function continued(list: readonly { at: number; text: string; encoded: boolean }[]): string {
  let charset: string | null = null;
  const bytes: Buffer[] = [];
  for (const { at, text, encoded } of list.toSorted((a, b) => a.at - b.at)) {
    const named = at === 0 && encoded ? /^([^']{0,60})'[^']{0,60}'([^]*)$/.exec(text) : null;
    if (named !== null) charset = named[1] ?? null;
    const rest = named?.[2] ?? text;
    const latin = encoded
      ? rest.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      : rest;
    bytes.push(Buffer.from(latin, 'latin1'));
  }
  return decodeBytes(Buffer.concat(bytes), charset).text;
}

/** A parameter as people read it: RFC 2231 is decoded already, and encoded words are used there against the rules. */
export function parameter(of: Structured, name: string, charset: string | null = null): string | null {
  const given = of.parameters.get(name);
  if (given === undefined || given === '') return null;
  return tidy(given.startsWith('\0') ? given.slice(1) : shownValue(given, charset)).trim() || null;
}
