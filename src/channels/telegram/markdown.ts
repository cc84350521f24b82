import type { MessageEntity } from 'grammy/types';
import { readMarkdown } from '../../core/text/markdown/read.ts';
import { type Block, type Inline, wordsOf } from '../../core/text/markdown/tree.ts';

/** What Telegram shows: plain text, and marks on it by UTF-16 offsets, which no character of the text can break. */
export interface Formatted {
  text: string;
  entities: MessageEntity[];
}

/** Where a text is best cut. `block`: between paragraphs, code, lists; `item`: between entries of a list or below a heading. */
export interface Seam {
  at: number;
  /** Characters of white space that a cut here leaves out. */
  skip: number;
  level: 'block' | 'item';
}

export interface Rendered extends Formatted {
  seams: Seam[];
}

type Mark = MessageEntity extends infer E ? (E extends unknown ? Omit<E, 'offset' | 'length'> : never) : never;

/** Marks that may stand around others, in pieces. */
const SOFT: ReadonlySet<string> = new Set(['bold', 'italic', 'strikethrough']);

/** Columns of a table that a phone shows without wrapping. */
const TABLE_WIDTH = 40;

/** Characters that the titles of a table, with the addresses of their links, may take when each row of the list repeats them. */
const MOST_TITLES = 100_000;

/**
 * No control characters, changes of direction or lines through letters: Telegram drops them. It would drop the ring of an
 * Å in two characters as well, and make one space of a tab.
 */
const clean = (text: string): string =>
  text
    .toWellFormed()
    .replace(/\p{L}\p{M}*\u030a\p{M}*/gu, (letter) => letter.normalize('NFC'))
    .replace(/[^\P{Cc}\n\t]|[\u2028-\u202e\u2066-\u2069]|\u030a|\u0333|\u033f/gu, '')
    .replaceAll('\t', '    ');

/** Markdown as people and models write it, as Telegram can show it. */
export function render(markdown: string): Rendered {
  const writer = new Writer();
  blocks(writer, readMarkdown(markdown), '', true);
  writer.entities.sort((a, b) => a.offset - b.offset || b.length - a.length);
  return writer;
}

class Writer implements Rendered {
  text = '';
  entities: MessageEntity[] = [];
  seams: Seam[] = [];
  /** Marks that are open: none of them is put inside itself. */
  readonly #open = new Set<string>();
  /** Where those of them begin that may come in pieces. */
  readonly #soft = new Map<Mark, number>();
  /** Where the white space begins that the text ends in. To look for it in the text would copy all of it for each mark. */
  #solid = 0;

  write(text: string): void {
    const cleaned = clean(text);
    const { length } = cleaned.trimEnd();
    if (length > 0) this.#solid = this.text.length + length;
    this.text += cleaned;
  }

  /**
   * As Telegram keeps it. Code holds no other mark, a mark around code or a link comes in pieces, and of code and a link on
   * the same words the address would be gone. What it has to put right by itself may come to more marks than it takes.
   */
  mark(mark: Mark, inner: () => void): void {
    if (this.#open.has(mark.type) || (mark.type === 'code' && this.#open.has('text_link'))) return inner();
    this.#flush();
    const isCode = mark.type === 'code' || mark.type === 'pre';
    const soft = SOFT.has(mark.type);
    const offset = this.text.length;
    this.#open.add(mark.type);
    if (soft) this.#soft.set(mark, offset);
    inner();
    this.#open.delete(mark.type);
    if (soft) {
      this.#push(mark, this.#soft.get(mark) ?? offset);
      this.#soft.delete(mark);
    } else {
      if (isCode) for (const around of this.#soft.keys()) this.#soft.set(around, this.text.length);
      else this.#flush();
      this.#push(mark, offset);
    }
  }

  /** The marks around what comes next end here, and begin anew. */
  #flush(): void {
    for (const [mark, from] of this.#soft) {
      this.#push(mark, from);
      this.#soft.set(mark, this.text.length);
    }
  }

  #push(mark: Mark, offset: number): void {
    const length = this.#solid - offset;
    if (length > 0) this.entities.push({ ...mark, offset, length });
  }
}

function blocks(writer: Writer, list: readonly Block[], indent: string, top: boolean): void {
  for (const [index, each] of list.entries()) {
    const last = list[index - 1];
    if (last) {
      // A heading goes with what it is the heading of.
      if (top)
        writer.seams.push({ at: writer.text.length, skip: 2, level: last.kind === 'heading' ? 'item' : 'block' });
      writer.write(top ? '\n\n' : `\n${indent}`);
    }
    block(writer, each, indent, top);
  }
}

function block(writer: Writer, of: Block, indent: string, top: boolean): void {
  switch (of.kind) {
    case 'heading':
      return writer.mark({ type: 'bold' }, () => inlines(writer, of.of, indent));
    case 'code':
      return code(writer, of);
    case 'quote':
      return writer.mark({ type: 'blockquote' }, () => blocks(writer, of.of, indent, false));
    case 'list':
      return list(writer, of, indent, top);
    case 'table':
      return table(writer, of, indent);
    case 'rule':
      return writer.write('———');
    case 'paragraph':
    case 'definitions':
      return inlines(writer, of.of, indent);
  }
}

type Of<Kind extends Block['kind']> = Extract<Block, { kind: Kind }>;

function code(writer: Writer, { text, language: named }: Of<'code'>): void {
  const language = /^[\w+#.-]{1,32}/.exec(named)?.[0];
  writer.mark({ type: 'pre', ...(language && { language }) }, () => writer.write(text));
}

function list(writer: Writer, { items, start }: Of<'list'>, indent: string, top: boolean): void {
  for (const [index, { task, of }] of items.entries()) {
    if (index > 0) {
      if (top) writer.seams.push({ at: writer.text.length, skip: 1, level: 'item' });
      writer.write(`\n${indent}`);
    }
    const box = task === null ? '' : task ? '☑ ' : '☐ ';
    writer.write(start === null ? box || '• ' : `${start + index}. ${box}`);
    blocks(writer, of, `${indent}   `, false);
  }
}

/** Narrow tables keep their columns; of wide ones each row becomes a list of its cells, since phones would wrap the columns. */
function table(writer: Writer, { header, rows }: Of<'table'>, indent: string): void {
  const lines = [header, ...rows].map((row) => row.map((cell) => wordsOf(cell).replace(/\s+/g, ' ').trim()));
  const widths = header.map(() => 0);
  // By what is in the rows, and not by column: a short text may name thousands of columns, and leave them empty in as many rows.
  for (const line of lines)
    for (const [column, cell] of line.entries())
      widths[column] = Math.max(widths[column] ?? 0, Array.from(cell).length);
  if (widths.reduce((sum, width) => sum + width + 3, -3) <= TABLE_WIDTH) {
    const pad = (line: string[]): string =>
      widths
        .map((width, column) => (line[column] ?? '') + ' '.repeat(width - Array.from(line[column] ?? '').length))
        .join(' | ')
        .trimEnd();
    const rule = widths.map((width) => '-'.repeat(width)).join('-+-');
    const [first = [], ...rest] = lines;
    return writer.mark({ type: 'pre' }, () => writer.write([pad(first), rule, ...rest.map(pad)].join('\n')));
  }
  const titles = header.reduce((sum, cell) => sum + weight(cell), 0);
  const every = titles * rows.length > MOST_TITLES || rows.length === 0 ? [header, ...rows] : rows;
  for (const [index, row] of every.entries()) {
    if (index > 0) {
      writer.seams.push({ at: writer.text.length, skip: 1, level: 'item' });
      writer.write(`\n${indent}`);
    }
    for (const [column, cell] of row.entries()) {
      if (column > 0) writer.write(every === rows ? `\n${indent}   ` : ' | ');
      if (every === rows) {
        writer.mark({ type: 'bold' }, () => inlines(writer, header[column] ?? [], indent));
        writer.write(': ');
      }
      inlines(writer, cell, indent);
    }
  }
}

/** Characters that are sent for them at most. */
const weight = (list: readonly Inline[]): number =>
  list.reduce(
    (sum, each) =>
      sum +
      ('text' in each ? each.text.length : 1) +
      ('href' in each ? each.href.length : 0) +
      ('of' in each && each.kind !== 'link' ? weight(each.of) : 0),
    0,
  );

function inlines(writer: Writer, list: readonly Inline[], indent: string): void {
  for (const each of list) inline(writer, each, indent);
}

function inline(writer: Writer, of: Inline, indent: string): void {
  switch (of.kind) {
    case 'text':
      return writer.write(of.text);
    case 'code':
      return writer.mark({ type: 'code' }, () => writer.write(of.text));
    case 'break':
      return writer.write(`\n${indent}`);
    case 'strong':
      return writer.mark({ type: 'bold' }, () => inlines(writer, of.of, indent));
    case 'em':
      return writer.mark({ type: 'italic' }, () => inlines(writer, of.of, indent));
    case 'del':
      return writer.mark({ type: 'strikethrough' }, () => inlines(writer, of.of, indent));
    case 'link':
      return link(writer, of.href, of.text, () => inlines(writer, of.of, indent));
    case 'image': {
      // Never loaded by us: a link that the person may follow.
      const label = `🖼 ${of.text || 'image'}`;
      return link(writer, of.href, label, () => writer.write(label));
    }
  }
}

/** Telegram refuses a whole message for a link it does not like, so what is not plainly a web address stands in the text. */
function link(writer: Writer, href: string, text: string, label: () => void): void {
  const url = URL.parse(href);
  const web = url !== null && /^https?:$/.test(url.protocol) && /[^.]\.[^.]/.test(url.hostname) && href.length <= 2000;
  if (web && url.username === '') return writer.mark({ type: 'text_link', url: url.href }, label);
  label();
  // Not what the writer has: to look into a text that still grows copies all of it, once for each link.
  const shown = clean(text);
  if (shown !== href && href !== `mailto:${shown}` && href !== '') writer.write(` (${href})`);
}
