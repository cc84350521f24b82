import { inlines, type Inline } from './inline.ts';

export type Block =
  | { kind: 'paragraph'; of: Inline[] }
  | { kind: 'heading'; depth: number; of: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; of: Block[] }
  /** `task`: a box that is ticked or not; null for an item without one. */
  | { kind: 'list'; start: number | null; items: { task: boolean | null; of: Block[] }[] }
  | { kind: 'table'; align: (string | null)[]; header: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' }
  /** Beyond what is read as Markdown: shown as it is. */
  | { kind: 'as-is'; text: string };

/** Quotes and lists within each other; a text's characters; cells of a row. */
const DEPTH = 10;
const MOST = 200_000;
const CELLS = 40;

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
/** A number, if there is one, and the sign: another sign begins another list. */
const ITEM = /^ {0,3}(\d{1,9}(?=[.)]))?([-*+]|(?<=\d)[.)])(?:[ \t]|$)/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const TASK = /^\[([ xX])\][ \t]+/;

/**
 * The Markdown that models write (CommonMark and GitHub's tables, tasks and strikes; no HTML, no reference links), in
 * time proportional to its length whatever it holds. What is not understood is text.
 */
export function blocks(text: string): Block[] {
  if (text.length > MOST) return [{ kind: 'as-is', text }];
  return read(text.replaceAll('\r\n', '\n').split('\n'), 0);
}

interface Reader {
  lines: readonly string[];
  at: number;
  depth: number;
  out: Block[];
}

function read(lines: readonly string[], depth: number): Block[] {
  if (depth > DEPTH) return [{ kind: 'as-is', text: lines.join('\n') }];
  const reader: Reader = { lines, at: 0, depth, out: [] };
  while (reader.at < lines.length) {
    const line = lines[reader.at] ?? '';
    if (line.trim() === '') reader.at += 1;
    else one(reader, line);
  }
  return reader.out;
}

function one(reader: Reader, line: string): void {
  const fence = FENCE.exec(line);
  if (fence) return code(reader, fence);
  const heading = HEADING.exec(line);
  if (heading) {
    reader.at += 1;
    const words = (heading[2] ?? '').trimEnd();
    const of = inlines(/(?:^|[ \t])#+$/.test(words.slice(-20)) ? words.replace(/#+$/, '').trim() : words.trim());
    reader.out.push({ kind: 'heading', depth: heading[1]?.length ?? 1, of });
    return;
  }
  if (RULE.test(line)) {
    reader.at += 1;
    reader.out.push({ kind: 'rule' });
  } else if (QUOTE.test(line)) quote(reader);
  else if (ITEM.test(line)) list(reader, line);
  else if (/^(?: {4}|\t)/.test(line)) indented(reader);
  else if (!table(reader, line)) paragraph(reader);
}

function code(reader: Reader, [, indent = '', fence = '', language = '']: RegExpExecArray): void {
  const { lines } = reader;
  const end = new RegExp(`^ {0,3}${fence[0] ?? ''}{${fence.length},}[ \\t]*$`);
  const text: string[] = [];
  reader.at += 1;
  for (; reader.at < lines.length && !end.test(lines[reader.at] ?? ''); reader.at += 1) {
    const line = lines[reader.at] ?? '';
    text.push(line.startsWith(indent) ? line.slice(indent.length) : line.trimStart());
  }
  reader.at += 1;
  reader.out.push({ kind: 'code', language: language.trim().split(/\s/, 1)[0] ?? '', text: text.join('\n') });
}

function indented(reader: Reader): void {
  const { lines } = reader;
  const text: string[] = [];
  for (; reader.at < lines.length; reader.at += 1) {
    const line = lines[reader.at] ?? '';
    if (line.trim() !== '' && !/^(?: {4}|\t)/.test(line)) break;
    text.push(line.replace(/^(?: {4}|\t)/, ''));
  }
  reader.out.push({ kind: 'code', language: '', text: text.join('\n').trimEnd() });
}

function quote(reader: Reader): void {
  const { lines } = reader;
  const inside: string[] = [];
  for (; reader.at < lines.length; reader.at += 1) {
    const line = lines[reader.at] ?? '';
    if (QUOTE.test(line)) inside.push(line.replace(QUOTE, ''));
    // A sentence may go on without the sign.
    else if (line.trim() === '' || begins(line) || inside.at(-1)?.trim() === '') break;
    else inside.push(line);
  }
  reader.out.push({ kind: 'quote', of: read(inside, reader.depth + 1) });
}

/** True if a line ends a paragraph before it. */
const begins = (line: string): boolean =>
  FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

const indentOf = (line: string): number => line.replaceAll('\t', '    ').search(/\S|$/);

function list(reader: Reader, first: string): void {
  const { lines } = reader;
  const [, number, sign] = ITEM.exec(first) ?? [];
  const items: string[][] = [];
  let width = 2;
  let own = 0;
  for (; reader.at < lines.length; reader.at += 1) {
    const line = lines[reader.at] ?? '';
    const item = RULE.test(line) ? null : ITEM.exec(line);
    const last = items.at(-1);
    if (item && (last === undefined || indentOf(line) < own + 2)) {
      if (item[2] !== sign) break;
      own = indentOf(line);
      width = /^\s*\S+[ \t]?/.exec(line)?.[0].length ?? 2;
      items.push([line.slice(width)]);
    } else if (last === undefined) break;
    else if (line.trim() === '') last.push('');
    // Models indent by two, whatever the width of the number above.
    else if (indentOf(line) >= Math.min(width, own + 2))
      last.push(line.replace(/^\t/, '    ').slice(Math.min(width, indentOf(line))));
    else if (last.at(-1) === '' || begins(line)) break;
    else last.push(line);
  }
  const { depth } = reader;
  reader.out.push({
    kind: 'list',
    start: number === undefined ? null : Number(number),
    items: items.map((item) => entry(item, depth)),
  });
}

function entry(lines: readonly string[], depth: number): { task: boolean | null; of: Block[] } {
  const [first = '', ...rest] = lines;
  const task = TASK.exec(first);
  const words = task ? first.slice(task[0].length) : first.replace(/^ {1,3}(?=\S)/, '');
  return { task: task ? task[1] !== ' ' : null, of: read([words, ...rest], depth + 1) };
}

/** False if no table begins here. */
function table(reader: Reader, line: string): boolean {
  const { lines } = reader;
  const under = lines[reader.at + 1] ?? '';
  if (!line.includes('|') || !under.includes('-')) return false;
  const header = cells(line);
  const marks = cells(under);
  if (marks.length !== header.length || !marks.every((mark) => /^:?-+:?$/.test(mark))) return false;
  const align = marks.map((mark) => (mark.endsWith(':') ? (mark.startsWith(':') ? 'center' : 'right') : null));
  const rows: Inline[][][] = [];
  reader.at += 2;
  for (; reader.at < lines.length; reader.at += 1) {
    const row = lines[reader.at] ?? '';
    if (row.trim() === '' || !row.includes('|') || begins(row)) break;
    const found = cells(row);
    rows.push(header.map((_, index) => inlines(found[index] ?? '')));
  }
  reader.out.push({ kind: 'table', align, header: header.map(inlines), rows });
  return true;
}

/** A bar behind a backslash belongs to the cell; one within code does not, as on GitHub. */
function cells(line: string): string[] {
  const found = [''];
  for (const piece of line
    .trim()
    .replace(/^\|/, '')
    .match(/\\.|[^\\]|\\$/gsu) ?? []) {
    if (piece === '|') found.push('');
    else found[found.length - 1] += piece === '\\|' ? '|' : piece;
    if (found.length > CELLS) break;
  }
  // The bar at the end of a row begins no further cell.
  if (found.at(-1)?.trim() === '' && found.length > 1) found.pop();
  return found.map((cell) => cell.trim());
}

function paragraph(reader: Reader): void {
  const { lines } = reader;
  const text: string[] = [];
  for (; reader.at < lines.length; reader.at += 1) {
    const line = lines[reader.at] ?? '';
    const under = text.length > 0 ? UNDERLINE.exec(line) : null;
    if (under) {
      reader.at += 1;
      reader.out.push({ kind: 'heading', depth: under[1]?.startsWith('=') ? 1 : 2, of: inlines(text.join('\n')) });
      return;
    }
    if (line.trim() === '' || (text.length > 0 && begins(line))) break;
    text.push(line.trim());
  }
  reader.out.push({ kind: 'paragraph', of: inlines(text.join('\n')) });
}
