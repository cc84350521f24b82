// The tree of a mail's parts as ranges of its bytes. One pass, bounded in depth and number; nothing is copied or decoded.
import { fieldsOf, structured, type Field, type Structured } from './header.ts';

export const LIMITS = {
  bytes: 50 * 1024 * 1024,
  parts: 1000,
  depth: 50,
  /** Bytes of one part's header. */
  header: 256 * 1024,
} as const;

export interface Part {
  fields: readonly Field[];
  type: Structured;
  disposition: Structured;
  encoding: string;
  /** Its body, as a range of the mail's bytes. */
  start: number;
  end: number;
  children: Part[];
}

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;
const DASHES = Buffer.from('\n--');

export const fieldOf = (fields: readonly Field[], name: string): string | null =>
  fields.find((field) => field.name === name)?.raw ?? null;

export const isMultipart = (part: Part): boolean => part.type.value.startsWith('multipart/');

/** Only CR ends lines in what some old systems store. */
function withLineEnds(bytes: Buffer): Buffer {
  const head = bytes.subarray(0, 64 * 1024);
  if (head.includes(LF) || !head.includes(CR)) return bytes;
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(CR); at !== -1; at = copy.indexOf(CR, at + 1)) if (copy[at + 1] !== LF) copy[at] = LF;
  return copy;
}

interface Open {
  part: Part;
  boundary: string;
}

export class Tree {
  readonly bytes: Buffer;
  readonly root: Part;
  readonly untold: string[] = [];
  #count = 0;
  readonly #open: Open[] = [];
  #at = 0;

  constructor(given: Uint8Array) {
    const all = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
    if (all.length > LIMITS.bytes)
      this.untold.push(`Only the first 50 MB were read; the mail has ${all.length} bytes.`);
    this.bytes = withLineEnds(all.subarray(0, LIMITS.bytes));
    this.#skipEnvelope();
    this.root = this.#part(null);
    this.#read();
    if (isMultipart(this.root) && this.root.children.length === 0) this.#again();
  }

  /** A line of `mbox` before the mail, and empty lines, are no part of it. */
  #skipEnvelope(): void {
    while (this.bytes[this.#at] === LF || this.bytes[this.#at] === CR) this.#at++;
    if (this.bytes.toString('latin1', this.#at, this.#at + 5) === 'From ') this.#at = this.#lineEnd(this.#at);
  }

  /** Where the line ends that begins at `from`: after its line feed. */
  #lineEnd(from: number): number {
    const found = this.bytes.indexOf(LF, from);
    return found === -1 ? this.bytes.length : found + 1;
  }

  /** Reads the header at the position; the body starts there afterwards. A delimiter ends a header, too. */
  #part(parent: Part | null): Part {
    const from = this.#at;
    let to = from;
    while (this.#at < this.bytes.length) {
      const end = this.#lineEnd(this.#at);
      const length = end - this.#at;
      if (this.#delimiter(this.#at) !== null) break;
      // The empty line was forgotten: the body begins here, unless fields go on after one broken line.
      if (length > 2 && !this.#isField(this.#at) && !this.#isField(end)) break;
      this.#at = end;
      const empty = length === 1 || (length === 2 && this.bytes[end - 2] === CR);
      if (empty) break;
      to = end;
      if (end - from <= LIMITS.header) continue;
      this.#tell('A header was too long; the end of it was left out.');
      this.#at = this.#emptyLine(end);
      break;
    }
    const fields = fieldsOf(this.bytes.toString('latin1', from, to));
    const normal = parent?.type.value === 'multipart/digest' ? 'message/rfc822' : 'text/plain';
    const type = structured(fieldOf(fields, 'content-type') ?? normal);
    const part: Part = {
      fields,
      type: type.value.includes('/') ? type : { value: normal, parameters: type.parameters },
      disposition: structured(fieldOf(fields, 'content-disposition') ?? ''),
      encoding: structured(fieldOf(fields, 'content-transfer-encoding') ?? '').value,
      start: this.#at,
      end: this.bytes.length,
      children: [],
    };
    // As its bytes stand in the mail, whatever they mean.
    const boundary = part.type.parameters.get('boundary')?.replace('\0', '').trimEnd() ?? '';
    if (isMultipart(part) && boundary !== '') {
      if (this.#open.length < LIMITS.depth) this.#open.push({ part, boundary });
      else this.#tell(`Parts are nested more than ${LIMITS.depth} deep; what lies deeper is shown as text.`);
    }
    return part;
  }

  /** Where the next empty line ends. */
  #emptyLine(from: number): number {
    const ends = [this.bytes.indexOf('\n\n', from, 'latin1') + 2, this.bytes.indexOf('\n\r\n', from, 'latin1') + 3];
    return Math.min(this.bytes.length, ...ends.filter((end) => end > 3));
  }

  /** True for a line that begins a field or goes on with one. */
  #isField(from: number): boolean {
    return /^(?:[ \t]+\S|[!-9;-~]+[ \t]*:|>?From )/.test(this.bytes.toString('latin1', from, from + 200));
  }

  #tell(sentence: string): void {
    if (!this.untold.includes(sentence)) this.untold.push(sentence);
  }

  /** Which open multipart the line at `from` delimits, the innermost first, and where it ends; null if it is no delimiter. */
  #delimiter(from: number): { level: number; closes: boolean; after: number } | null {
    if (this.bytes[from] !== DASH || this.bytes[from + 1] !== DASH) return null;
    for (let level = this.#open.length - 1; level >= 0; level--) {
      const boundary = this.#open[level]?.boundary ?? '';
      let at = 0;
      while (at < boundary.length && this.bytes[from + 2 + at] === boundary.charCodeAt(at)) at++;
      if (at < boundary.length) continue;
      const end = from + 2 + at;
      const closes = this.bytes[end] === DASH && this.bytes[end + 1] === DASH;
      const after = this.#restIsEmpty(closes ? end + 2 : end);
      if (after !== null) return { level, closes, after };
    }
    return null;
  }

  /** Where the line ends, if only spaces are left of it. */
  #restIsEmpty(from: number): number | null {
    let at = from;
    while (at < from + 200 && (this.bytes[at] === 0x20 || this.bytes[at] === 0x09 || this.bytes[at] === CR)) at++;
    if (at >= this.bytes.length) return this.bytes.length;
    return this.bytes[at] === LF ? at + 1 : null;
  }

  #read(): void {
    for (let next = this.#nextDelimiter(); next !== null; next = this.#nextDelimiter()) {
      const { level, closes, after } = next;
      this.#at = after;
      if (level < this.#open.length - 1) this.#tell('Some parts do not end as they say; their ends were guessed.');
      const inner = this.#open.splice(closes ? level : level + 1);
      for (const { part } of inner) part.end = Math.min(part.end, next.before);
      if (closes) continue;
      if (this.#count === LIMITS.parts) {
        this.#tell(`Only the first ${LIMITS.parts} parts were read.`);
        return;
      }
      this.#count++;
      const parent = this.#open[level]?.part;
      if (parent === undefined) return;
      parent.children.push(this.#part(parent));
    }
    if (this.#open.length > 0) this.#tell('The mail breaks off: its last part has no end.');
  }

  /** The next delimiter, and the end that it gives to the part before it. */
  #nextDelimiter(): { level: number; closes: boolean; before: number; after: number } | null {
    // The position is the start of a line, so the line feed before it counts.
    let feed = this.#at - 1;
    while (this.#open.length > 0) {
      const line = feed + 1;
      const found = this.#delimiter(line);
      if (found !== null) {
        const before = Math.max(0, this.bytes[line - 2] === CR ? line - 2 : line - 1);
        this.#close(found.level, before);
        return { ...found, before };
      }
      feed = this.bytes.indexOf(DASHES, line);
      if (feed === -1) return null;
    }
    return null;
  }

  /** The part that was being read ends here. */
  #close(level: number, before: number): void {
    const innermost = this.#open.at(-1)?.part;
    const last = innermost?.children.at(-1);
    if (last !== undefined) last.end = Math.max(last.start, Math.min(last.end, before));
    const own = this.#open[level]?.part.children.at(-1);
    if (own !== undefined && own !== last) own.end = Math.max(own.start, Math.min(own.end, before));
  }

  /** A mail whose parts are delimited by something else than it says: the first line that looks so is taken. */
  #again(): void {
    const { root } = this;
    const text = this.bytes.toString('latin1', root.start, Math.min(root.end, root.start + LIMITS.header));
    const found = /(?:^|\n)--([^\r\n]{1,200})\r?\nContent-[A-Za-z-]{1,40}:/.exec(text)?.[1];
    this.untold.length = 0;
    this.#tell('The parts of this mail are not separated as it says; they were guessed.');
    if (found === undefined) return;
    this.#at = root.start;
    root.end = this.bytes.length;
    this.#open.splice(0, Infinity, { part: root, boundary: found.trimEnd() });
    this.#read();
  }
}

/** Quoted-printable, leniently: what is no escape stays, and spaces at the end of a line are no content. */
function quotedPrintable(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let to = 0;
  let content = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x3d) {
      const high = hex(bytes[at + 1]);
      const low = hex(bytes[at + 2]);
      if (high >= 0 && low >= 0) {
        out[to++] = high * 16 + low;
        content = to;
        at += 2;
        continue;
      }
      const soft = softBreak(bytes, at + 1);
      if (soft > 0) {
        content = to;
        at = soft - 1;
        continue;
      }
    }
    if (byte === LF) {
      const cr = bytes[at - 1] === CR && to > content;
      to = content;
      if (cr) out[to++] = CR;
    }
    out[to++] = byte;
    if (byte !== 0x20 && byte !== 0x09 && byte !== CR) content = to;
  }
  return out.subarray(0, to);
}

/** Where the line after `=` begins, if only spaces follow; 0 if something else does. */
function softBreak(bytes: Buffer, from: number): number {
  let at = from;
  while (at < from + 80 && (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === CR)) at++;
  if (at >= bytes.length) return bytes.length;
  return bytes[at] === LF ? at + 1 : 0;
}

function hex(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const LETTERS = new Int8Array(256).fill(-1);
for (const [at, letter] of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/').entries())
  LETTERS[letter] = at;

/** Base64; some mailers pad every line, so padding ends a unit and not the text. What is no letter is passed over. */
function base64(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(Math.ceil((bytes.length * 3) / 4) + 3);
  let to = 0;
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    const letter = LETTERS[byte] ?? -1;
    if (letter === -1) {
      if (byte === 0x3d) held = 0;
      continue;
    }
    bits = ((bits << 6) | letter) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out[to++] = (bits >> held) & 0xff;
  }
  return out.subarray(0, to);
}

/** Lines of `uuencode`, from `begin 644 name` to `end`. */
function uuencoded(bytes: Buffer): Buffer {
  const out: Buffer[] = [];
  for (const line of bytes.toString('latin1').split(/\r?\n/)) {
    if (line === '' || line.startsWith('begin ') || line === 'end') continue;
    const length = (line.charCodeAt(0) - 32) & 63;
    const row = Buffer.alloc(Math.ceil((line.length - 1) / 4) * 3);
    for (let at = 1, to = 0; at < line.length; at += 4, to += 3) {
      const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((n) => (line.charCodeAt(at + n) - 32) & 63);
      row[to] = (a << 2) | (b >> 4);
      row[to + 1] = ((b & 15) << 4) | (c >> 2);
      row[to + 2] = ((c & 3) << 6) | d;
    }
    out.push(row.subarray(0, length));
  }
  return Buffer.concat(out);
}

export function decoded(bytes: Buffer, encoding: string): Buffer {
  if (encoding.includes('base64')) return base64(bytes);
  if (encoding.includes('quoted-printable')) return quotedPrintable(bytes);
  if (/^(?:x-)?uu(?:encode|e)?$/.test(encoding)) return uuencoded(bytes);
  return bytes;
}

/** How many bytes a body has once it is decoded, without decoding what is large. */
export function decodedSize(bytes: Buffer, encoding: string): number {
  if (!encoding.includes('base64')) return decoded(bytes, encoding).length;
  let size = 0;
  let held = 0;
  for (const byte of bytes) {
    if (byte === 0x3d) held = 0;
    else if (LETTERS[byte] !== -1) held += 6;
    if (held < 8) continue;
    held -= 8;
    size++;
  }
  return size;
}
