// Bytes of iCalendar ↔ a tree of content lines (RFC 5545 §3.1). Lines stay as they were written unless an edit sets them
// anew, so that nothing unknown is lost. Strangers write them: all is bounded, and nothing throws.

export interface Line {
  /** In capitals. */
  name: string;
  /** Names in capitals, values without quotes. */
  params: ReadonlyMap<string, string>;
  value: string;
  /** Unfolded, as it was written. */
  raw: string;
}

export interface Component {
  /** In capitals. */
  name: string;
  lines: readonly Line[];
  parts: readonly Component[];
}

const MAX_BYTES = 20 * 1024 * 1024;
const MAX_LINES = 500_000;
const MAX_DEPTH = 8;
const FOLD = 75;
const NAME = /^[A-Za-z0-9-]{1,100}$/;

/** The first VCALENDAR; further ones add their parts to it. Null if there is none. */
export function readContent(bytes: Uint8Array): { root: Component | null; untold: string[] } {
  const untold: string[] = [];
  if (bytes.length > MAX_BYTES)
    untold.push(`The calendar is larger than ${MAX_BYTES / 1024 / 1024} MB; the rest was not read.`);
  const lines = unfold(decode(bytes.subarray(0, MAX_BYTES)));
  if (lines.length > MAX_LINES) untold.push(`The calendar has more than ${MAX_LINES} lines; the rest was not read.`);
  const builder = new Builder(untold);
  for (const line of lines.slice(0, MAX_LINES)) builder.add(line);
  return { root: builder.end(), untold };
}

function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // The standard says UTF-8; what is not comes from old Windows programs.
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

const unfold = (text: string): string[] => text.replace(/\r?\n[ \t]|\r[ \t]/g, '').split(/\r\n|\n|\r/);

interface Open {
  name: string;
  lines: Line[];
  parts: Component[];
}

class Builder {
  readonly #untold: string[];
  readonly #open: Open[] = [];
  #root: Open | null = null;
  #bad = 0;

  constructor(untold: string[]) {
    this.#untold = untold;
  }

  add(raw: string): void {
    if (raw.trim() === '') return;
    const line = readLine(raw);
    if (line === null) {
      this.#bad += 1;
      if (this.#bad <= 5) this.#untold.push(`This line is none of a calendar: ${raw.slice(0, 60)}`);
    } else if (line.name === 'BEGIN') this.#begin(line.value.trim().toUpperCase());
    else if (line.name === 'END') this.#close(line.value.trim().toUpperCase());
    else this.#open.at(-1)?.lines.push(line);
  }

  #begin(name: string): void {
    const parent = this.#open.at(-1);
    if (parent === undefined && name !== 'VCALENDAR') return;
    // A second calendar in one file goes on with the first.
    const again = parent === undefined && this.#root !== null;
    const open = again && this.#root !== null ? { ...this.#root, lines: [] } : { name, lines: [], parts: [] };
    if (parent === undefined) this.#root ??= open;
    else if (this.#open.length < MAX_DEPTH) parent.parts.push(open);
    this.#open.push(open);
  }

  #close(name: string): void {
    const at = this.#open.findLastIndex((open) => open.name === name);
    if (at === -1) return;
    if (at < this.#open.length - 1) this.#untold.push(`${this.#open.at(-1)?.name ?? ''} has no end.`);
    this.#open.length = at;
  }

  end(): Component | null {
    if (this.#open.length > 0) this.#untold.push('The calendar breaks off before its end.');
    if (this.#bad > 5) this.#untold.push(`${this.#bad - 5} more lines are none of a calendar.`);
    return this.#root;
  }
}

/** `NAME;PARAM=value;PARAM="quoted:value":value`; null if it is nothing like that. */
export function readLine(raw: string): Line | null {
  let at = raw.search(/[;:]/);
  if (at === -1) return null;
  const name = raw.slice(0, at).replace(/^\ufeff/, '');
  if (!NAME.test(name)) return null;
  const params = new Map<string, string>();
  while (raw[at] === ';') {
    const equals = raw.indexOf('=', at);
    if (equals === -1) return null;
    const end = endOfParam(raw, equals + 1);
    if (end === -1) return null;
    const value = raw.slice(equals + 1, end).replaceAll('"', '');
    params.set(
      raw.slice(at + 1, equals).toUpperCase(),
      value.replace(/\^[n'^]/g, (code) => CARETS[code] ?? code),
    );
    at = end;
  }
  return { name: name.toUpperCase(), params, value: raw.slice(at + 1), raw };
}

/** RFC 6868. */
const CARETS: Readonly<Record<string, string>> = { '^n': '\n', "^'": '"', '^^': '^' };

function endOfParam(raw: string, from: number): number {
  let quoted = false;
  for (let at = from; at < raw.length; at++) {
    const char = raw[at];
    if (char === '"') quoted = !quoted;
    else if (!quoted && (char === ';' || char === ':')) return at;
  }
  return -1;
}

export function makeLine(name: string, value: string, params: Readonly<Record<string, string>> = {}): Line {
  const written = Object.entries(params).map(([key, given]) => {
    const text = given.replace(/[\^\n"]/g, (char) => ({ '^': '^^', '\n': '^n', '"': "^'" })[char] ?? char);
    return `;${key}=${/[;:,]/.test(text) ? `"${text}"` : text}`;
  });
  // A value cannot end the line that it stands in.
  const plain = value.replace(/[\r\n]+/g, ' ');
  return { name, params: new Map(Object.entries(params)), value: plain, raw: `${name}${written.join('')}:${plain}` };
}

export function writeContent(root: Component): string {
  const out: string[] = [];
  const put = (component: Component): void => {
    out.push(`BEGIN:${component.name}`);
    for (const line of component.lines) out.push(...fold(line.raw));
    for (const part of component.parts) put(part);
    out.push(`END:${component.name}`);
  };
  put(root);
  return `${out.join('\r\n')}\r\n`;
}

/** At 75 bytes, never within a character. */
function fold(raw: string): string[] {
  if (Buffer.byteLength(raw) <= FOLD) return [raw];
  const out: string[] = [];
  let line = '';
  let size = 0;
  for (const char of raw) {
    const bytes = Buffer.byteLength(char);
    if (size + bytes > FOLD) {
      out.push(line);
      line = ' ';
      size = 1;
    }
    line += char;
    size += bytes;
  }
  return [...out, line];
}

export const escapeText = (text: string): string =>
  text.replace(/[\\;,]/g, (char) => `\\${char}`).replace(/\r\n|\r|\n/g, '\\n');

export const unescapeText = (value: string): string =>
  value.replace(/\\([\\;,Nn:"])/g, (_, char: string) => (char === 'n' || char === 'N' ? '\n' : char));

/** Splits a list of texts at its commas. */
export const textList = (value: string): string[] =>
  (value.match(/(?:\\.|[^,\\])+/g) ?? []).map((each) => unescapeText(each).trim()).filter((each) => each !== '');

export const lineOf = (component: Component, name: string): Line | undefined =>
  component.lines.find((line) => line.name === name);
