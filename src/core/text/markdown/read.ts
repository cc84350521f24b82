import { unescaped } from './characters.ts';
import { type Definitions, inlines } from './inlines.ts';
import { Line } from './line.ts';
import { definition } from './links.ts';
import { cellsOf, columnsOf } from './table.ts';
import { type Align, type Block, DEPTH, type Inline } from './tree.ts';

type Item = Extract<Block, { kind: 'list' }>['items'][number];

/** A quote or an item of a list that further lines may belong to; the text itself is the outermost. */
interface Container {
  kind: 'text' | 'quote' | 'item';
  into: Block[];
  /** The newest list in it, which an item of the same sign goes on with if nothing else has come. */
  list: { sign: string; block: Extract<Block, { kind: 'list' }> } | null;
  /** Of an item: the columns of its sign and of its words, and whether it has a number. */
  own: number;
  width: number;
  ordered: boolean;
}

/** What the next line may go on with. */
type Leaf =
  | { kind: 'paragraph'; lines: string[] }
  | { kind: 'fence'; sign: string; indent: number; language: string; lines: string[] }
  | { kind: 'indented'; lines: string[] }
  | { kind: 'table'; align: Align[]; header: string[]; rows: string[][] };

interface Reader {
  /** From the text itself to the innermost. */
  open: [Container, ...Container[]];
  leaf: Leaf | null;
  definitions: Definitions;
  /** Words are read last, when all definitions are known. */
  words: (() => void)[];
}

/** The most that references in a short text may repeat of their addresses. */
const REPEATED = 100_000;

const ITEM = /^(?:[-*+]|(\d{1,9})[.)])(?=[ \t]|$)/;

/**
 * The Markdown that people and models write: CommonMark with GitHub's tables, tasks, strikes and addresses; HTML stays
 * text. It takes time in proportion to the length of the text and gives a tree of bounded depth, whatever the text holds.
 */
export function readMarkdown(text: string): Block[] {
  const root = container('text', 0, 0);
  const reader: Reader = {
    open: [root],
    leaf: null,
    definitions: { addresses: new Map(), left: Math.max(text.length, REPEATED) },
    words: [],
  };
  for (const line of text.split(/\r\n?|\n/)) readLine(reader, new Line(line));
  close(reader, 1);
  for (const read of reader.words) read();
  return root.into;
}

const container = (kind: Container['kind'], own: number, width: number, ordered = false): Container => ({
  kind,
  into: [],
  list: null,
  own,
  width,
  ordered,
});

const innermost = ({ open }: Reader): Container => open.at(-1) ?? open[0];

function readLine(reader: Reader, line: Line): void {
  let kept = 1;
  for (let next = reader.open[kept]; next && goesOn(reader, next, line); next = reader.open[kept]) kept += 1;
  const whole = kept === reader.open.length;
  if (whole && reader.leaf?.kind === 'fence') return inFence(reader, reader.leaf, line);
  const { indent, words } = line.look();
  if (words === '') {
    if (!whole || reader.leaf?.kind !== 'indented') return close(reader, kept);
    line.skip(4);
    reader.leaf.lines.push(line.rest);
  } else if (whole && reader.leaf?.kind === 'indented' && indent >= 4) {
    line.skip(4);
    reader.leaf.lines.push(line.rest);
  } else {
    begin(reader, line, kept);
  }
}

/** True if a line belongs to what it stands in by its sign or its indentation, which it then has behind it. */
function goesOn({ leaf, open }: Reader, each: Container, line: Line): boolean {
  const { indent, words } = line.look();
  if (each.kind === 'quote') {
    if (indent > 3 || !words.startsWith('>')) return false;
    afterQuote(line);
    return true;
  }
  if (words === '') {
    // An item begins with one empty line at most.
    if (each.into.length === 0 && leaf === null && each === open.at(-1)) return false;
  } else if (indent < each.width) {
    const number = ITEM.exec(words)?.[1];
    const sibling = each.ordered && number !== undefined && Number(number) !== 1;
    const nested = each.ordered ? !sibling : ITEM.test(words) && number === undefined;
    // Models indent by two, whatever the width of the sign above.
    if (indent < each.own + 2 || !nested) return false;
    each.width = indent;
  }
  line.skip(each.width);
  return true;
}

function afterQuote(line: Line): void {
  line.take('>');
  line.skip(1);
}

function inFence(reader: Reader, fence: Extract<Leaf, { kind: 'fence' }>, line: Line): void {
  const { indent, words } = line.look();
  const ends = indent <= 3 && words.startsWith(fence.sign) && words === words.charAt(0).repeat(words.length);
  if (ends) return close(reader, reader.open.length);
  line.skip(Math.min(fence.indent, indent));
  fence.lines.push(line.rest);
}

/** Opens what a line opens, and adds its words. `kept`: so many containers go on in this line. */
function begin(reader: Reader, line: Line, kept: number): void {
  let level = kept;
  for (;;) {
    const { indent, words, all } = line.look();
    if (words === '') return;
    if (indent > 3) return addIndented(reader, line, level);
    const paragraph = level === reader.open.length && reader.leaf?.kind === 'paragraph' ? reader.leaf : null;
    if (paragraph && (underlines(reader, words) || startsTable(reader, paragraph, words))) return;
    if (startsLeaf(reader, words, indent, level)) return;
    const sign = words.startsWith('>') ? '>' : itemSign(words, paragraph !== null);
    if (sign === null || level > DEPTH) return addWords(reader, all, level);
    close(reader, level);
    level += 1;
    if (sign === '>') {
      const quote = container('quote', 0, 0);
      innermost(reader).into.push({ kind: 'quote', of: quote.into });
      reader.open.push(quote);
      afterQuote(line);
    } else if (openItem(reader, line, sign)) return;
  }
}

/** The bullet or number of an item; null if none begins here. Within a paragraph not every number is one: "in\n1986. Then". */
function itemSign(words: string, within: boolean): string | null {
  const [sign, number] = ITEM.exec(words) ?? [];
  if (sign === undefined) return null;
  return within && (sign === words || (number !== undefined && Number(number) !== 1)) ? null : sign;
}

/** True if the line ends with the box of a task and its words, which nothing else can begin in. */
function openItem(reader: Reader, line: Line, sign: string): boolean {
  const own = line.look().indent;
  line.take(sign);
  const { indent: space, words, all } = line.look();
  // Code stands four columns behind the one space that a sign needs.
  const gap = words === '' || space > 4 ? 1 : space;
  line.skip(gap);
  const item: Item = { task: null, of: [] };
  const number = parseInt(sign, 10);
  const kind = sign.slice(-1);
  const parent = innermost(reader);
  if (parent.list?.sign !== kind || parent.list.block !== parent.into.at(-1)) {
    const block = { kind: 'list' as const, start: Number.isNaN(number) ? null : number, items: [] };
    parent.list = { sign: kind, block };
    parent.into.push(block);
  }
  parent.list.block.items.push(item);
  reader.open.push({ ...container('item', own, own + sign.length + gap, !Number.isNaN(number)), into: item.of });
  const box = /^\[([ xX])\][ \t]+/.exec(words);
  if (!box || space > 4) return false;
  item.task = box[1] !== ' ';
  reader.leaf = { kind: 'paragraph', lines: [all.slice(box[0].length)] };
  return true;
}

function addIndented(reader: Reader, line: Line, level: number): void {
  if (reader.leaf?.kind === 'paragraph') return addWords(reader, line.look().all, level);
  close(reader, level);
  line.skip(4);
  reader.leaf = { kind: 'indented', lines: [line.rest] };
}

function addWords(reader: Reader, words: string, level: number): void {
  const { leaf } = reader;
  // A sentence may go on without the signs of the quotes and lists it stands in.
  if (leaf?.kind === 'paragraph') leaf.lines.push(words);
  else if (leaf?.kind === 'table' && level === reader.open.length && words.includes('|'))
    leaf.rows.push(cellsOf(words).slice(0, leaf.align.length));
  else {
    close(reader, level);
    reader.leaf = { kind: 'paragraph', lines: [words] };
  }
}

/** Makes a table of the last line of a paragraph, if this line says of what kind its columns are. */
function startsTable(reader: Reader, { lines }: Extract<Leaf, { kind: 'paragraph' }>, words: string): boolean {
  const last = lines.at(-1) ?? '';
  const align = /\|/.test(last + words) ? columnsOf(words) : null;
  const header = align ? cellsOf(last) : [];
  if (align === null || header.length !== align.length) return false;
  lines.pop();
  close(reader, reader.open.length);
  reader.leaf = { kind: 'table', align, header, rows: [] };
  return true;
}

/** Makes a heading of a paragraph, if this line underlines it. */
function underlines(reader: Reader, words: string): boolean {
  if (!/^(?:=+|-+)$/.test(words)) return false;
  const text = withoutDefinitions(reader);
  if (text === '') return false;
  reader.leaf = null;
  heading(reader, words.startsWith('=') ? 1 : 2, text);
  return true;
}

function startsLeaf(reader: Reader, words: string, indent: number, level: number): boolean {
  const hashes = /^#{1,6}(?=[ \t]|$)/.exec(words)?.[0];
  const fence = /^(?:`{3,}|~{3,})/.exec(words)?.[0];
  if (hashes !== undefined) {
    close(reader, level);
    heading(reader, hashes.length, withoutHashes(words.slice(hashes.length)));
  } else if (fence !== undefined && !(fence.startsWith('`') && words.includes('`', fence.length))) {
    close(reader, level);
    const language = unescaped(words.slice(fence.length).trim()).split(/\s/, 1)[0] ?? '';
    reader.leaf = { kind: 'fence', sign: fence, indent, language, lines: [] };
  } else if (/^[-*_]/.test(words) && /^(?:-{3,}|\*{3,}|_{3,})$/.test(words.replaceAll(/[ \t]/g, ''))) {
    close(reader, level);
    innermost(reader).into.push({ kind: 'rule' });
  } else return false;
  return true;
}

/** A heading may end with hashes as it begins. */
function withoutHashes(words: string): string {
  let end = words.length;
  while (words[end - 1] === '#') end -= 1;
  return (/[ \t]/.test(words[end - 1] ?? '') ? words.slice(0, end) : words).trim();
}

function heading(reader: Reader, depth: number, text: string): void {
  innermost(reader).into.push({ kind: 'heading', depth, of: later(reader, text) });
}

/** What the words of a text are made of, once they can be read. */
function later({ words, definitions }: Reader, text: string, known: Definitions = definitions): Inline[] {
  const of: Inline[] = [];
  words.push(() => {
    for (const each of inlines(text, known)) of.push(each);
  });
  return of;
}

/** Ends the leaf, and all containers but the first ones. */
function close(reader: Reader, kept: number): void {
  const { leaf, open } = reader;
  const { into } = innermost(reader);
  if (leaf?.kind === 'paragraph') {
    const text = withoutDefinitions(reader);
    if (text !== '') into.push({ kind: 'paragraph', of: later(reader, text) });
  } else if (leaf?.kind === 'table') {
    const row = (cells: readonly string[]): Inline[][] => cells.map((cell) => later(reader, cell));
    into.push({ kind: 'table', align: leaf.align, header: row(leaf.header), rows: leaf.rows.map(row) });
  } else if (leaf) {
    const { lines } = leaf;
    if (leaf.kind === 'indented') while (lines.at(-1)?.trim() === '') lines.pop();
    into.push({ kind: 'code', language: leaf.kind === 'fence' ? leaf.language : '', text: lines.join('\n') });
  }
  reader.leaf = null;
  open.length = Math.max(1, kept);
}

/** The paragraph without the definitions that it begins with. */
function withoutDefinitions(reader: Reader): string {
  const text = reader.leaf?.kind === 'paragraph' ? reader.leaf.lines.join('\n').trimEnd() : '';
  let end = 0;
  for (let next = definition(text, 0); next; next = definition(text, end)) {
    const { addresses } = reader.definitions;
    if (!addresses.has(next.label)) addresses.set(next.label, next.href);
    end = next.end;
  }
  if (end === 0) return text;
  const of = later(reader, text.slice(0, end).trimEnd(), { addresses: new Map(), left: 0 });
  innermost(reader).into.push({ kind: 'definitions', of });
  if (reader.leaf?.kind === 'paragraph') reader.leaf.lines = [text.slice(end)].filter((rest) => rest !== '');
  return text.slice(end);
}
