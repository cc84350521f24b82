import { type Definitions, inlines } from './inlines.ts';
import { DEFINITION, find } from './links.ts';
import { type Align, type Block, DEPTH, type Inline } from './tree.ts';
import { unescaped } from './characters.ts';

type List = Extract<Block, { kind: 'list' }>;

/** A quote or an item of a list that further lines may belong to; the text itself is the outermost. */
interface Container {
  into: Block[];
  /** Of an item: the columns of its sign and of its words. A quote has none. */
  item: { own: number; width: number } | null;
  /** The newest list in it, which an item of the same sign goes on with if nothing else has come. */
  list?: List;
  sign?: string;
}

/** What the next line may go on with. */
type Leaf =
  | { kind: 'paragraph' | 'indented'; lines: string[] }
  | { kind: 'fence'; lines: string[]; sign: string; indent: number; language: string }
  | { kind: 'table'; align: Align[]; header: string[]; rows: string[][] };

interface Reader {
  /** From the text itself to the innermost. */
  open: Container[];
  leaf: Leaf | null;
  definitions: Definitions;
  /** Words are read last, when all definitions are known. */
  words: (() => void)[];
}

/** The most that references in a short text may repeat of their addresses. */
const REPEATED = 100_000;

const ITEM = /^(?:[-*+]|(\d{1,9})[.)])(?=[ \t]|$)/;
const QUOTE = '>';

/**
 * The Markdown that people and models write: CommonMark with GitHub's tables, tasks, strikes and addresses; HTML stays
 * text. It takes time in proportion to the length of the text and gives a tree of bounded depth, whatever the text holds.
 */
export function readMarkdown(text: string): Block[] {
  const into: Block[] = [];
  const reader: Reader = {
    open: [{ into, item: null }],
    leaf: null,
    definitions: { addresses: new Map(), left: Math.max(text.length, REPEATED) },
    words: [],
  };
  for (const line of text.split(/\r\n?|\n/)) readLine(reader, new Line(line));
  close(reader, 1);
  for (const read of reader.words) read();
  return into;
}

function readLine(reader: Reader, line: Line): void {
  const { open, leaf } = reader;
  let kept = 1;
  for (let next = open[kept]; next && goesOn(reader, next, line); next = open[kept]) kept += 1;
  const { indent, words } = line;
  if (kept === open.length && leaf?.kind === 'fence') {
    if (indent < 4 && words.startsWith(leaf.sign) && words === words.charAt(0).repeat(words.length))
      return close(reader, kept);
    line.skip(leaf.indent);
    leaf.lines.push(line.rest);
  } else if (words !== '') begin(reader, line, kept);
  else if (leaf?.kind === 'indented') addIndented(reader, line, kept);
  else close(reader, kept);
}

function addIndented(reader: Reader, line: Line, level: number): void {
  const goesOn = level === reader.open.length && reader.leaf?.kind === 'indented' ? reader.leaf : null;
  if (!goesOn) close(reader, level);
  line.skip(4);
  if (goesOn) goesOn.lines.push(line.rest);
  else if (line.words !== '') reader.leaf = { kind: 'indented', lines: [line.rest] };
}

/** True if a line belongs to what it stands in by its sign or its indentation, which it then has behind it. */
function goesOn({ leaf, open }: Reader, { item, into }: Container, line: Line): boolean {
  const { indent, words } = line;
  if (!item) {
    if (indent > 3 || !words.startsWith(QUOTE)) return false;
    line.skip(indent, QUOTE);
    line.skip(1);
    return true;
  }
  if (words === '') {
    // An item begins with one empty line at most.
    if (into.length === 0 && leaf === null && into === open.at(-1)?.into) return false;
  } else if (indent < item.width) {
    // Models indent by two, whatever the width of the sign above; but `2.` after `1.` is its neighbour.
    if (indent < item.own + 2 || Number(ITEM.exec(words)?.[1]) > 1) return false;
    item.width = indent;
  }
  line.skip(item.width);
  return true;
}

/** Opens what a line opens, and adds its words. `kept`: so many containers go on in this line. */
function begin(reader: Reader, line: Line, kept: number): void {
  for (let level = kept; ; level += 1) {
    const { indent, words } = line;
    const { leaf } = reader;
    if (words === '') return;
    if (indent > 3 && leaf?.kind !== 'paragraph') return addIndented(reader, line, level);
    const within = level === reader.open.length && leaf?.kind === 'paragraph' ? leaf.lines : null;
    if (indent < 4 && (turns(reader, words, within) || startsLeaf(reader, words, indent, level))) return;
    const sign = indent > 3 || level > DEPTH ? null : words[0] === QUOTE ? QUOTE : itemSign(words, within !== null);
    if (sign === null) return addWords(reader, line.rest.trimStart(), level);
    close(reader, level);
    line.skip(indent, sign);
    if (sign !== QUOTE) {
      if (openItem(reader, line, sign, indent)) return;
    } else {
      const quote: Container = { into: [], item: null };
      add(reader, { kind: 'quote', of: quote.into });
      reader.open.push(quote);
      line.skip(1);
    }
  }
}

const add = ({ open }: Reader, block: Block): void => void open.at(-1)?.into.push(block);

/** The bullet or number of an item; null if none begins here. Within a paragraph not every number is one: "in\n1986. Then". */
function itemSign(words: string, within: boolean): string | null {
  const [sign, number] = ITEM.exec(words) ?? [];
  return sign === undefined || (within && (sign === words || Number(number ?? 1) !== 1)) ? null : sign;
}

/** True if the line ends with the box of a task and its words, which nothing else can begin in. */
function openItem(reader: Reader, line: Line, sign: string, own: number): boolean {
  const { indent, words } = line;
  // Code stands four columns behind the one space that a sign needs.
  const gap = words === '' || indent > 4 ? 1 : indent;
  line.skip(gap);
  const ordered = sign.length > 1;
  const kind = sign.slice(-1);
  const parent = reader.open.at(-1);
  let list = parent?.sign === kind && parent.list === parent.into.at(-1) ? parent.list : undefined;
  if (!list) {
    list = { kind: 'list', start: ordered ? parseInt(sign, 10) : null, items: [] };
    add(reader, list);
    if (parent) [parent.list, parent.sign] = [list, kind];
  }
  const box = indent > 4 ? null : /^\[([ xX])\][ \t]+/.exec(words);
  const item = { task: box && box[1] !== ' ', of: [] };
  list.items.push(item);
  reader.open.push({ into: item.of, item: { own, width: own + sign.length + gap } });
  if (box) reader.leaf = { kind: 'paragraph', lines: [words.slice(box[0].length)] };
  return box !== null;
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

/** Makes a heading of a paragraph that this line underlines, or a table of its last line if this one is of the kind. */
function turns(reader: Reader, words: string, lines: string[] | null): boolean {
  if (lines === null) return false;
  if (/^(?:=+|-+)$/.test(words)) {
    const text = withoutDefinitions(reader, lines);
    reader.leaf = text === '' ? null : reader.leaf;
    if (text === '') return false;
    reader.leaf = null;
    add(reader, { kind: 'heading', depth: words[0] === '=' ? 1 : 2, of: later(reader, text) });
    return true;
  }
  const last = lines.at(-1) ?? '';
  const align = (last + words).includes('|') ? columnsOf(words) : null;
  const header = align ? cellsOf(last.trimEnd()) : [];
  if (align?.length !== header.length) return false;
  lines.pop();
  close(reader, reader.open.length);
  reader.leaf = { kind: 'table', align, header, rows: [] };
  return true;
}

function startsLeaf(reader: Reader, words: string, indent: number, level: number): boolean {
  const hashes = /^#{1,6}(?=[ \t]|$)/.exec(words)?.[0].length;
  const fence = /^(?:`{3,}|~{3,})/.exec(words)?.[0] ?? '';
  const sign = fence[0] === '`' && words.includes('`', fence.length) ? '' : fence;
  const rule = /^[-*_]/.test(words) && /^(?:-{3,}|\*{3,}|_{3,})$/.test(words.replaceAll(/[ \t]/g, ''));
  if (!hashes && !sign && !rule) return false;
  close(reader, level);
  if (hashes) add(reader, { kind: 'heading', depth: hashes, of: later(reader, withoutHashes(words.slice(hashes))) });
  else if (sign) {
    const language = unescaped(words.slice(sign.length).trim()).split(/\s/, 1)[0] ?? '';
    reader.leaf = { kind: 'fence', sign, indent, language, lines: [] };
  } else add(reader, { kind: 'rule' });
  return true;
}

/** A heading may end with hashes as it begins. */
function withoutHashes(words: string): string {
  let end = words.length;
  while (words[end - 1] === '#') end -= 1;
  return (/[ \t]/.test(words[end - 1] ?? '') ? words.slice(0, end) : words).trim();
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
  const { leaf } = reader;
  reader.leaf = null;
  if (leaf?.kind === 'paragraph') {
    const text = withoutDefinitions(reader, leaf.lines);
    if (text !== '') add(reader, { kind: 'paragraph', of: later(reader, text) });
  } else if (leaf?.kind === 'table') {
    const row = (cells: readonly string[]): Inline[][] => cells.map((cell) => later(reader, cell));
    add(reader, { kind: 'table', align: leaf.align, header: row(leaf.header), rows: leaf.rows.map(row) });
  } else if (leaf) {
    const { lines } = leaf;
    if (leaf.kind === 'indented') while (lines.at(-1)?.trim() === '') lines.pop();
    add(reader, { kind: 'code', language: leaf.kind === 'fence' ? leaf.language : '', text: lines.join('\n') });
  }
  reader.open.length = kept;
}

/** A paragraph without the definitions that it begins with. */
function withoutDefinitions(reader: Reader, lines: readonly string[]): string {
  const text = lines.join('\n').trimEnd();
  const { addresses } = reader.definitions;
  let end = 0;
  for (let next = find(DEFINITION, text, end); next; next = find(DEFINITION, text, end)) {
    if (!addresses.has(next.label)) addresses.set(next.label, next.href);
    end = next.end;
  }
  const of = later(reader, text.slice(0, end).trimEnd(), { addresses: new Map(), left: 0 });
  if (end > 0) add(reader, { kind: 'definitions', of });
  return text.slice(end);
}

/** A line, taken apart from the left by the quotes and lists that its words stand in. */
class Line {
  /** All that is left of it. */
  rest: string;
  /** Where that begins: a tab reaches to the next fourth column. */
  #column = 0;

  constructor(text: string) {
    this.rest = text;
  }

  /** White space before the words, in columns. */
  get indent(): number {
    let columns = 0;
    for (const char of /^[ \t]*/.exec(this.rest)?.[0] ?? '')
      columns += char === ' ' ? 1 : 4 - ((this.#column + columns) % 4);
    return columns;
  }

  /** What is left without white space around it. */
  get words(): string {
    return this.rest.trim();
  }

  /** Goes over columns of white space, at most as many as there are, and then over a sign. */
  skip(columns: number, sign = ''): void {
    const spaces = Math.min(columns, this.indent);
    for (let left = spaces; left > 0; left -= 1) {
      if (this.rest[0] === '\t') this.rest = ' '.repeat(4 - (this.#column % 4)) + this.rest.slice(1);
      this.rest = this.rest.slice(1);
      this.#column += 1;
    }
    this.rest = this.rest.slice(sign.length);
    this.#column += sign.length;
  }
}

/** The cells of a row. A bar behind a backslash belongs to the cell; one within code does not, as on GitHub. */
function cellsOf(line: string): string[] {
  const cells = [''];
  for (const piece of line.replace(/^\|/, '').split(/(\\[^]|\|)/)) {
    if (piece === '|') cells.push('');
    else cells[cells.length - 1] += piece === '\\|' ? '|' : piece;
  }
  // The bar at the end of a row begins no further cell.
  if (cells.length > 1 && cells.at(-1)?.trim() === '') cells.pop();
  return cells.map((cell) => cell.trim());
}

/** What `|:--|:-:|--:|` says of its columns; null if the line is not of this kind. */
function columnsOf(line: string): Align[] | null {
  const marks = cellsOf(line);
  if (!marks.every((mark) => /^:?-+:?$/.test(mark))) return null;
  return marks.map((mark) => (mark.endsWith(':') ? (mark.startsWith(':') ? 'center' : 'right') : null));
}
