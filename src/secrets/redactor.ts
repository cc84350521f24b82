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
  const forms = new Set<string>();
  // Made anew when something is looked for, and not with each of many values.
  let sought: Sought | null = null;
  const now = (): Sought => (sought ??= new Sought([...forms]));
  return {
    add(value) {
      const trimmed = value.trim();
      if (trimmed.length < MIN_LENGTH || values.has(trimmed)) return;
      for (const each of [trimmed, ...linesOf(trimmed)]) {
        values.add(each);
        for (const form of formsOf(each)) forms.add(form);
      }
      sought = null;
    },
    redact: (text) => redact(text, now()),
    redactPieces: () => pieceRedactor(now),
  };
}

interface Place {
  from: number;
  to: number;
  form: string;
}

/** Spellings up to which each is looked for by itself, which is quicker for few. */
const FEW = 800;
/** Characters by which many are told apart. No spelling is shorter. */
const HEAD = 3;

/** What is looked for. Of many, such as the lines of long keys, only those are tried that begin as the text does. */
export class Sought {
  readonly #forms: readonly string[];
  readonly #byHead = new Map<number, string[]>();
  /** The first character of each, and the first two. */
  readonly #starts = new Set<string>();
  readonly #longest: number;

  constructor(forms: readonly string[]) {
    this.#forms = forms;
    this.#longest = forms.reduce((most, form) => Math.max(most, form.length), 1);
    for (const form of forms) {
      const head = headOf(form, 0);
      const others = this.#byHead.get(head);
      if (others) others.push(form);
      else this.#byHead.set(head, [form]);
      for (let length = 1; length < HEAD; length += 1) this.#starts.add(form.slice(0, length));
    }
  }

  placesIn(text: string): Place[] {
    const found: Place[] = [];
    if (this.#forms.length <= FEW) {
      for (const form of this.#forms)
        for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
          found.push({ from: at, to: at + form.length, form });
      return found;
    }
    for (let at = 0; at + HEAD <= text.length; at += 1)
      for (const form of this.#byHead.get(headOf(text, at)) ?? [])
        if (text.startsWith(form, at)) found.push({ from: at, to: at + form.length, form });
    return found;
  }

  /** Where the end of a text begins that may go on to be a secret; its length if nothing of it may. */
  startIn(text: string): number {
    for (let at = Math.max(0, text.length - this.#longest + 1); at < text.length; at += 1)
      if (this.#mayGoOn(text, at)) return at;
    return text.length;
  }

  #mayGoOn(text: string, at: number): boolean {
    const length = text.length - at;
    if (length < HEAD) return this.#starts.has(text.slice(at));
    const near = this.#byHead.get(headOf(text, at));
    if (near === undefined) return false;
    const end = text.slice(at);
    return near.some((form) => form.length > length && form.startsWith(end));
  }
}

/** A number for the next characters of a text; others may have the same. */
const headOf = (text: string, at: number): number =>
  (text.charCodeAt(at) << 14) ^ (text.charCodeAt(at + 1) << 7) ^ text.charCodeAt(at + 2);

/** What stands in the place of a spelling. */
type MarkOf = (form: string) => string;
const sameMark: MarkOf = () => MARK;

/** Takes spellings out of one text that comes in pieces, and puts marks in their place. */
export function pieceRedactor(sought: () => Sought, markOf = sameMark): PieceRedactor {
  let held = '';
  return {
    push(piece) {
      const text = held + piece;
      let cut = sought().startIn(text);
      // A secret that another one may begin in waits with it: cut in two, it would not be found.
      const places = sought()
        .placesIn(text)
        .sort((a, b) => b.from - a.from);
      for (const { from, to } of places) if (to > cut) cut = Math.min(cut, from);
      held = text.slice(cut);
      return redact(text.slice(0, cut), sought(), markOf);
    },
    end() {
      const rest = held;
      held = '';
      return redact(rest, sought(), markOf);
    },
  };
}

/** All places are found before any is replaced, so that overlapping secrets leave no end behind. */
function redact(text: string, sought: Sought, markOf = sameMark): string {
  const found = sought.placesIn(text);
  if (found.length === 0) return text;
  found.sort((a, b) => a.from - b.from || b.to - a.to);
  const pieces: string[] = [];
  let done = 0;
  for (const { from, to, form } of found) {
    if (to <= done) continue;
    // What overlaps the last place belongs to it.
    if (from >= done) pieces.push(text.slice(done, from), markOf(form));
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
  // As Go and Rails write what could be HTML, and .NET whatever could be more than text.
  const html = once.replace(/[<>&]/g, unicodeEscape);
  const careful = value.replace(/[^\x20-\x7e]|["&'+<>\\`]/g, (char) =>
    char === '\\' ? '\\\\' : unicodeEscape(char).toUpperCase().replace('U', 'u'),
  );
  return [once, ascii, slashes, html, careful, JSON.stringify(once).slice(1, -1)];
}

const unicodeEscape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** As the template languages in use write a text. */
function htmlEscaped(value: string): string[] {
  const named = (names: Readonly<Record<string, string>>): string =>
    value.replace(/[&<>"'`/=+]/g, (char) => names[char] ?? HTML[char] ?? char);
  return [
    named({}),
    named({ "'": '&apos;' }),
    named({ "'": '&#x27;' }),
    named({ '"': '&#34;' }),
    named({ '"': '&#34;', '+': '&#43;' }),
    named({ '/': '&#x2F;', '`': '&#x60;', '=': '&#x3D;' }),
    named({ "'": '&#x27;', '`': '&#x60;', '=': '&#x3D;' }),
    named({ "'": '&#x27;', '/': '&#x2F;' }),
  ];
}

/** A value of which every character is escaped, in JSON and HTML. All secrets begin alike then, so few can be looked for. */
export function everyCharacter(value: string): string[] {
  const json = Array.from({ length: value.length }, (_, at) => unicodeEscape(value[at] ?? '')).join('');
  const html = (write: (code: number) => string): string =>
    Array.from(value, (char) => `&#${write(char.codePointAt(0) ?? 0)};`).join('');
  const hex = html((code) => `x${code.toString(16)}`);
  return [json, json.toUpperCase().replaceAll('U', 'u'), html(String), hex, hex.toUpperCase().replaceAll('X', 'x')];
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
    ...htmlEscaped(value),
    // oxlint-disable-next-line typescript/no-misused-spread -- half a character is as good as a whole one here
    [...value].reverse().join(''),
  ];
  return [...new Set(all)].filter((form) => form.length >= MIN_LENGTH);
}
