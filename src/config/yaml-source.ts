import { Lexer, LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, ParsedNode, YAMLMap } from 'yaml';
import type { Problem } from '../core/agent.ts';

/** Bytes of any one file that governs the network. */
export const MAX_FILE = 1024 * 1024;
const MAX_DEPTH = 64;
const SHOWN = 10;

export type Path = readonly (string | number)[];
type Decoded = { ok: true; text: string } | { ok: false; problem: Problem };

export const problem = (
  file: string,
  line: number | null,
  key: string,
  message: string,
  severity: Problem['severity'] = 'error',
): Problem => ({ file, line, key, message, severity });

/** Text of a file a person wrote: UTF-8, at most 1 MB, without byte order mark, lines ended by `\n`. */
export function decodeText(input: string | Uint8Array, file: string): Decoded {
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
  const refuse = (line: number | null, message: string): Decoded => ({
    ok: false,
    problem: problem(file, line, '', message),
  });
  if (bytes.length > MAX_FILE) return refuse(null, `the file has ${bytes.length} bytes; ${MAX_FILE} are allowed`);
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (utf16) return refuse(1, 'the file is UTF-16; save it as UTF-8');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse(firstBadLine(bytes), 'the file is not valid UTF-8; save it as UTF-8');
  }
  const nul = text.indexOf('\0');
  if (nul >= 0) return refuse(lineAt(text, nul), 'the file holds a NUL character, so it is not text');
  return { ok: true, text: text.replace(/\r\n?/g, '\n') };
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

/** A lenient decoder puts U+FFFD where bytes are wrong; the line of the first one that was not there before. */
function firstBadLine(bytes: Uint8Array): number {
  let line = 1;
  let start = 0;
  for (let at = 0; at <= bytes.length; at += 1) {
    if (at < bytes.length && bytes[at] !== 10) continue;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, at));
    } catch {
      return line;
    }
    line += 1;
    start = at + 1;
  }
  return line;
}

/** A parsed YAML text that still knows where each key stands. */
export interface YamlSource {
  value: unknown;
  problems: Problem[];
  /** Line of the key or item at a path, or of the nearest one above it. */
  lineOf(path: Path): number | null;
}

const EXPLAINED: Record<string, string> = {
  TAB_AS_INDENT: 'a tab is used as indentation; use spaces',
  MULTIPLE_DOCS: 'a second document begins here (`---`); one is allowed',
  RESOURCE_EXHAUSTION: 'nested too deeply',
};

/**
 * Reads YAML 1.2 without anchors, aliases, tags and directives: a file of settings needs none, and all of them are ways
 * to say something other than what a reader sees. `firstLine` is the line of the file the text begins at.
 */
export function parseYaml(text: string, file: string, firstLine = 1): YamlSource {
  const deep = tooDeep(text);
  if (deep !== null) {
    const found = problem(file, deep + firstLine - 1, '', `nested more than ${MAX_DEPTH} deep`);
    return { value: null, problems: [found], lineOf: () => null };
  }
  const lines = new LineCounter();
  // The library's own check for repeated keys is quadratic: a megabyte of keys would hold the process for a minute.
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, version: '1.2' });
  const line = (offset: number): number => lines.linePos(offset).line + firstLine - 1;
  const lineOf = (path: Path): number | null => {
    const offset = locate(doc, path);
    return offset === null ? null : line(offset);
  };
  const problems = doc.errors
    .slice(0, SHOWN)
    .map((error) => problem(file, line(error.pos[0]), '', EXPLAINED[error.code] ?? `not YAML: ${error.message}`));
  if (problems.length === 0) problems.push(...refused(doc, file, line));
  const value: unknown = problems.length > 0 ? null : doc.toJS({ maxAliasCount: 0 });
  return { value, problems: inWords(problems, text.split('\n'), firstLine), lineOf };
}

/** Texts that YAML takes for something else, with what to do. */
const SLIPS: readonly (readonly [form: RegExp, said: (key: string) => string])[] = [
  [/\bcron:\s*\*/, () => 'put the pattern in quotes: cron: "* * * * *"'],
  [/([\w-]+):\s*\{\{/, (key) => `a text with {{…}} needs quotes: ${key}: "{{…}} …"`],
  [
    /^\s*(?:- )?(?:\{.*?)?([\w-]+):\s+[^\s"'[{|>#][^"']*:(?:\s|$)/,
    (key) => `a text with a colon needs quotes: ${key}: "…: …"`,
  ],
];

/** A slip that people make often is told once for its line, in the place of what a parser makes of it. */
function inWords(problems: readonly Problem[], lines: readonly string[], firstLine: number): Problem[] {
  const told = new Set<number>();
  return problems.flatMap((found) => {
    if (found.line === null) return [found];
    const text = lines[found.line - firstLine] ?? '';
    const slip = SLIPS.find(([form]) => form.test(text));
    if (slip === undefined || !/^not YAML|plain name/.test(found.message)) return [found];
    if (told.has(found.line)) return [];
    told.add(found.line);
    const [form, said] = slip;
    return [{ ...found, message: said(form.exec(text)?.[1] ?? '') }];
  });
}

/** The line where brackets, or `- - -` in a row, nest too deeply: the parser recurses, and takes seconds to give up. */
function tooDeep(text: string): number | null {
  let line = 1;
  let flow = 0;
  let row = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') flow += 1;
    else if (token === ']' || token === '}') flow -= 1;
    else if (token === '-' || token === '?') row += 1;
    if (flow + row > MAX_DEPTH) return line;
    for (let at = token.indexOf('\n'); at >= 0; at = token.indexOf('\n', at + 1)) {
      line += 1;
      row = 0;
    }
  }
  return null;
}

function refused(doc: Document.Parsed, file: string, line: (offset: number) => number): Problem[] {
  const found: Problem[] = [];
  const add = (offset: number | undefined, key: string, message: string): void => {
    found.push(problem(file, line(offset ?? 0), key, message));
  };
  if (doc.directives.docStart === true && doc.directives.yaml.explicit === true)
    add(0, '', 'a %YAML line is not supported; remove it');
  visit(doc, {
    Node(_key, node, path) {
      const offset = (node as ParsedNode).range?.[0];
      if (isAlias(node)) add(offset, '', `the alias *${node.source} is not supported; write the value out`);
      else if (node.anchor !== undefined) add(offset, '', `the anchor &${node.anchor} is not supported; remove it`);
      else if (node.tag !== undefined && !STANDARD_TAGS.has(node.tag))
        add(offset, '', `the tag ${node.tag} is not supported; remove it`);
      if (path.length > MAX_DEPTH * 2) add(offset, '', `nested more than ${MAX_DEPTH} deep`);
      if (isMap(node)) for (const twice of repeatedKeys(node)) add(twice.offset, twice.key, twice.message);
      return found.length >= SHOWN ? visit.BREAK : undefined;
    },
  });
  return found;
}

const STANDARD_TAGS = new Set(
  ['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((t) => `tag:yaml.org,2002:${t}`),
);

function repeatedKeys(map: YAMLMap): { offset: number | undefined; key: string; message: string }[] {
  const seen = new Set<string>();
  const found: { offset: number | undefined; key: string; message: string }[] = [];
  for (const pair of map.items) {
    const offset = (pair.key as ParsedNode | null)?.range?.[0];
    if (!isScalar<string | number | boolean | null>(pair.key) || pair.key.value === null) {
      found.push({ offset, key: '', message: 'a key must be a plain name' });
      if (found.length >= SHOWN) break;
      continue;
    }
    const key = String(pair.key.value);
    if (key === '__proto__') found.push({ offset, key, message: 'the key "__proto__" is not allowed' });
    if (seen.has(key)) found.push({ offset, key, message: `the key "${key}" stands here a second time` });
    seen.add(key);
    if (found.length >= SHOWN) break;
  }
  return found;
}

/** Offset of the deepest key or item on the path that exists. */
function locate(doc: Document.Parsed, path: Path): number | null {
  let node: unknown = doc.contents;
  let offset = doc.contents?.range[0] ?? null;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      if (!pair) break;
      offset = (pair.key as ParsedNode).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)] as ParsedNode | undefined;
      if (!item) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}
