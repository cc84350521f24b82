import type { PieceRedactor } from '../core/ports/secrets.ts';

/** What hides secrets, wherever they are kept. */
export interface Redactor {
  /** From now on this value is hidden, in every spelling. */
  add(value: string): void;
  redact(text: string): string;
  /** The same for one text that comes in pieces. */
  redactPieces(): PieceRedactor;
}

const MARK = '[redacted]';

const linesOf = (value: string): string[] =>
  value.includes('\n')
    ? value.split(/\r?\n/).filter((line) => line.trim().length >= 16 && !line.startsWith('-----'))
    : [];

export function openRedactor(): Redactor {
  const values = new Set<string>();
  let forms: string[] = [];
  return {
    add(value) {
      const trimmed = value.trim();
      if (trimmed.length < MIN_LENGTH || values.has(trimmed)) return;
      for (const each of [trimmed, ...linesOf(trimmed)]) {
        values.add(each);
        forms.push(...formsOf(each));
      }
      forms = [...new Set(forms)];
    },
    redact: (text) => redact(text, forms),
    redactPieces: () => pieceRedactor(() => forms),
  };
}

interface Place {
  from: number;
  to: number;
}

function placesOf(text: string, forms: readonly string[]): Place[] {
  const found: Place[] = [];
  for (const form of forms)
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
      found.push({ from: at, to: at + form.length });
  return found;
}

/** Takes spellings out of one text that comes in pieces, and puts the mark in their place. */
export function pieceRedactor(forms: () => readonly string[], mark = MARK): PieceRedactor {
  let held = '';
  return {
    push(piece) {
      const text = held + piece;
      let cut = startOfSecret(text, forms());
      // A secret that another one may begin in waits with it: cut in two, it would not be found.
      const places = placesOf(text, forms()).sort((a, b) => b.from - a.from);
      for (const { from, to } of places) if (to > cut) cut = Math.min(cut, from);
      held = text.slice(cut);
      return redact(text.slice(0, cut), forms(), mark);
    },
    end() {
      const rest = held;
      held = '';
      return redact(rest, forms(), mark);
    },
  };
}

/** Where the end of a text begins that may go on to be a secret; its length if nothing of it may. */
function startOfSecret(text: string, forms: readonly string[]): number {
  const longest = forms.reduce((most, form) => Math.max(most, form.length), 1);
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at += 1) {
    const end = text.slice(at);
    if (forms.some((form) => form.length > end.length && form.startsWith(end))) return at;
  }
  return text.length;
}

/** All places are found before any is replaced, so that overlapping secrets leave no end behind. */
function redact(text: string, forms: readonly string[], mark = MARK): string {
  const found = placesOf(text, forms);
  if (found.length === 0) return text;
  found.sort((a, b) => a.from - b.from || b.to - a.to);
  const pieces: string[] = [];
  let done = 0;
  for (const { from, to } of found) {
    if (to <= done) continue;
    // What overlaps the last place belongs to it.
    if (from >= done) pieces.push(text.slice(done, from), mark);
    done = to;
  }
  pieces.push(text.slice(done));
  return pieces.join('');
}

/** Values shorter than this are not looked for: they would blacken ordinary words. */
const MIN_LENGTH = 8;

const bytesOf = (value: string): Buffer => Buffer.from(value, 'utf8');

/**
 * Base64 of a longer text that holds the value somewhere: where it begins decides between three spellings. Characters
 * that its neighbours have a part in are left out.
 */
function base64Within(value: string): string[] {
  const bytes = bytesOf(value);
  return [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
  });
}

const urlSafe = (base64: string): string => base64.replaceAll('+', '-').replaceAll('/', '_');
const lowerPercents = (text: string): string => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
const everyByte = (value: string): string => [...bytesOf(value)].map((byte) => `%${hexByte(byte)}`).join('');
const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0').toUpperCase();

/** encodeURIComponent throws on half of a surrogate pair; such a value has no URL form. */
function urlEncoded(value: string): string[] {
  if (!value.isWellFormed()) return [];
  const component = encodeURIComponent(value);
  const strict = component.replace(/[!'()*]/g, (char) => `%${hexByte(char.charCodeAt(0))}`);
  const form = new URLSearchParams({ v: value }).toString().slice(2);
  const all = [component, strict, form, encodeURI(value), everyByte(value)];
  return [...all, ...all.map(lowerPercents)];
}

function jsonEscaped(value: string): string[] {
  const once = JSON.stringify(value).slice(1, -1);
  const ascii = once.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const slashes = once.replaceAll('/', '\\/');
  return [once, ascii, slashes, JSON.stringify(once).slice(1, -1)];
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Every spelling of a secret that is looked for, without repeats. */
export function formsOf(value: string): string[] {
  const base64 = base64Within(value);
  const hex = bytesOf(value).toString('hex');
  const all = [
    value,
    ...base64,
    ...base64.map(urlSafe),
    hex,
    hex.toUpperCase(),
    ...urlEncoded(value),
    ...jsonEscaped(value),
    value.replace(/[&<>"']/g, (char) => HTML[char] ?? char),
    // oxlint-disable-next-line typescript/no-misused-spread -- half a character is as good as a whole one here
    [...value].reverse().join(''),
  ];
  return [...new Set(all)].filter((form) => form.length >= MIN_LENGTH);
}
