import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';

/** Characters of front matter, and brackets within brackets. */
const MAX_FRONT = 64 * 1024;
const MAX_DEPTH = 32;

export interface Said {
  /** From 1; null if the whole file is meant. */
  line: number | null;
  key: string;
  message: string;
}

export type Front =
  | {
      ok: true;
      values: ReadonlyMap<string, unknown>;
      lineOf(key: string): number | null;
      /** What had to be guessed. */
      odd: Said[];
      body: string;
      /** Line of the file the body begins at. */
      bodyLine: number;
    }
  | { ok: false; said: Said };

const FENCE = /^---[ \t]*$/;
const refuse = (line: number | null, message: string, key = ''): Front => ({ ok: false, said: { line, key, message } });

/** Text of a file people wrote: UTF-8 without byte order mark, lines ended by `\n`; or why it is none. */
export function decodeText(bytes: Uint8Array): { ok: true; text: string } | { ok: false; message: string } {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    return { ok: false, message: 'is UTF-16; save it as UTF-8' };
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\0')) return { ok: false, message: 'holds a NUL character, so it is not text' };
    return { ok: true, text: text.replace(/\r\n?/g, '\n') };
  } catch (error) {
    if (error instanceof TypeError) return { ok: false, message: 'is not valid UTF-8; save it as UTF-8' };
    throw error;
  }
}

/** Parts a SKILL.md. People write front matter by hand and badly: what can only mean one thing is taken so, and told of. */
export function readFront(text: string): Front {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.trim() !== '');
  if (first < 0 || !FENCE.test(lines[first] ?? ''))
    return refuse(1, 'must begin with a line `---`, then name and description, then another line `---`');
  const end = lines.findIndex((line, at) => at > first && FENCE.test(line));
  if (end < 0) return refuse(first + 1, 'the front matter that begins here has no closing line `---`');
  const front = lines.slice(first + 1, end);
  const size = front.join('\n').length;
  if (size > MAX_FRONT) return refuse(first + 1, `the front matter has ${size} characters; ${MAX_FRONT} are allowed`);
  const firstLine = first + 2;
  const deep = tooDeep(front);
  if (deep !== null) return refuse(firstLine + deep, `nested more than ${MAX_DEPTH} deep`);
  const read = readYaml(front, firstLine);
  if (!read.ok) {
    const { mended, odd } = mend(front, firstLine);
    const again = odd.length > 0 ? readYaml(mended, firstLine) : read;
    if (!again.ok)
      return readEach(front, firstLine, read.said, { body: lines.slice(end + 1).join('\n'), bodyLine: end + 2 });
    return { ...again, odd, body: lines.slice(end + 1).join('\n'), bodyLine: end + 2 };
  }
  return { ...read, odd: cutByComment(front, firstLine), body: lines.slice(end + 1).join('\n'), bodyLine: end + 2 };
}

/** Keys whose meaning matters here: what cannot be read of another maker's keys is left out. */
const OWN = ['name', 'description'];

/**
 * Reads each key by itself, where the whole cannot be read: a mistake in a key that nobody here uses must not cost the
 * skill. `whole` is what was wrong at first, and is said where no key can be made out.
 */
function readEach(
  front: readonly string[],
  firstLine: number,
  whole: Said,
  rest: { body: string; bodyLine: number },
): Front {
  const starts = front.flatMap((line, at) => (/^["']?[A-Za-z][\w-]*["']?[ \t]*:/.test(line) ? [at] : []));
  if (starts.length === 0) return { ok: false, said: whole };
  const values = new Map<string, unknown>();
  const places = new Map<string, number>();
  const odd: Said[] = [];
  for (const [index, at] of starts.entries()) {
    const block = front.slice(at, starts[index + 1] ?? front.length);
    const line = firstLine + at;
    const key = /[A-Za-z][\w-]*/.exec(block[0] ?? '')?.[0] ?? '';
    const twice = `the key "${key}" stands here a second time; remove one`;
    if (values.has(key) && OWN.includes(key)) return { ok: false, said: { line, key, message: twice } };
    if (values.has(key)) odd.push({ line, key, message: twice });
    else {
      const read = readBlock(block, line, key);
      if (read.odd !== null) odd.push(read.odd);
      values.set(key, read.value);
      places.set(key, line);
    }
  }
  return { ok: true, values, lineOf: (key) => places.get(key) ?? null, odd, ...rest };
}

/** The value of one key, written over one line or more. Text that is not YAML is taken as it stands where a text is meant. */
function readBlock(block: readonly string[], line: number, key: string): { value: unknown; odd: Said | null } {
  const mended = mend(block, line);
  for (const [lines, odd] of [[block, null] as const, [mended.mended, mended.odd[0] ?? null] as const]) {
    const read = readYaml(lines, line);
    if (read.ok) return { value: read.values.get(key) ?? null, odd };
  }
  const raw = block
    .join(' ')
    .replace(/^[^:]*:/, '')
    .trim();
  return OWN.includes(key)
    ? {
        value: raw.replace(/^(["'])(.*)\1$/, '$2'),
        odd: { line, key, message: 'is not valid YAML; put the text in double quotes' },
      }
    : { value: null, odd: { line, key, message: 'is not valid YAML; it is ignored' } };
}

/** Whether it is one list in brackets, and not `[a] [b]`, which is how people write the arguments of a command. */
function isOneList(value: string): boolean {
  let depth = 0;
  for (const [at, sign] of Array.from(value).entries()) {
    if (sign === '[') depth += 1;
    if (sign === ']') depth -= 1;
    if (depth === 0) return at > 0 && at === Array.from(value).length - 1;
  }
  return false;
}

/** Text behind ` #` is a comment to YAML, which is seldom what was meant in a description. */
const cutByComment = (front: readonly string[], firstLine: number): Said[] =>
  front.flatMap((line, at) => {
    const [, key = ''] = /^(name|description):[ \t]+[^"'|>\s#][^#]*[ \t]#/.exec(line) ?? [];
    const message = 'ends before " #", where YAML begins a comment; put the text in double quotes to keep all of it';
    return key === '' ? [] : [{ line: firstLine + at, key, message }];
  });

type Read = { ok: true; values: Map<string, unknown>; lineOf(key: string): number | null } | { ok: false; said: Said };

function readYaml(front: readonly string[], firstLine: number): Read {
  const counter = new LineCounter();
  const options = { lineCounter: counter, prettyErrors: false, uniqueKeys: false, version: '1.2' } as const;
  const document = parseDocument(front.join('\n'), options);
  const line = (offset: number): number => counter.linePos(offset).line + firstLine - 1;
  const [error] = document.errors;
  const said = (at: number | null, message: string, key = ''): Read => ({
    ok: false,
    said: { line: at, key, message },
  });
  if (error) return said(line(error.pos[0]), `not YAML: ${error.message}`);
  const root = document.contents;
  if (!isMap(root)) return said(firstLine, 'the front matter must be lines of `key: value`');
  const values = new Map<string, unknown>();
  const places = new Map<string, number>();
  for (const pair of root.items) {
    const node = pair.key;
    const at = line(node.range?.[0] ?? 0);
    if (!isScalar(node)) return said(at, 'a key must be a plain name');
    const key = String(node.value);
    if (values.has(key)) return said(at, `the key "${key}" stands here a second time; remove one`, key);
    values.set(key, plainValue(pair.value));
    places.set(key, at);
  }
  return { ok: true, values, lineOf: (key) => places.get(key) ?? null };
}

/** The value as JSON would have it. Aliases mean nothing here: a few bytes of them could stand for gigabytes. */
function plainValue(node: unknown): unknown {
  if (isAlias(node)) return null;
  if (isSeq(node)) return node.items.map(plainValue);
  if (isMap(node))
    return new Map(
      node.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : '', plainValue(pair.value)]),
    );
  return isScalar(node) ? node.value : null;
}

/** The index of the line where brackets nest too deeply: the parser recurses. */
function tooDeep(lines: readonly string[]): number | null {
  let depth = 0;
  for (const [index, line] of lines.entries()) {
    for (const char of line) {
      if (char === '[' || char === '{') depth += 1;
      if (char === ']' || char === '}') depth = Math.max(0, depth - 1);
      if (depth > MAX_DEPTH) return index;
    }
    if ((/^[\s-]*/.exec(line)?.[0].match(/-/g)?.length ?? 0) > MAX_DEPTH) return index;
  }
  return null;
}

/** `key: text` whose text YAML takes for something else (`: `, ` #`, a leading `@` or `[`) is put in quotes. */
function mend(front: readonly string[], firstLine: number): { mended: string[]; odd: Said[] } {
  const odd: Said[] = [];
  const mended: string[] = [];
  for (let at = 0; at < front.length; at += 1) {
    const line = front[at] ?? '';
    const match = /^([A-Za-z][\w-]*):[ \t]+(\S.*?)[ \t]*$/.exec(line);
    const [, key = '', value = ''] = match ?? [];
    // A text block, a quoted text and a map in braces say themselves where they end.
    const own = match === null || /^["'|>{&*!]/.test(value) || isOneList(value);
    if (own) {
      mended.push(line.replaceAll('\t', '  '));
      continue;
    }
    const parts = [value];
    while (/^[ \t]+\S/.test(front[at + 1] ?? '')) {
      at += 1;
      parts.push((front[at] ?? '').trim());
    }
    const plain = parts.length === 1 && !/: | #|:$|^[@`%[\]{},?-]/.test(value);
    if (plain) {
      mended.push(line);
      continue;
    }
    odd.push({
      line: firstLine + mended.length,
      key,
      message: 'has a colon or another mark without quotes around the text; put it in double quotes',
    });
    mended.push(`${key}: ${JSON.stringify(parts.join(' '))}`);
    // Line numbers stay right.
    for (let more = 1; more < parts.length; more += 1) mended.push('');
  }
  return { mended, odd };
}
