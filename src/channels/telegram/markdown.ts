import type { MessageEntity } from 'grammy/types';
import { Marked, type Token, type Tokens } from 'marked';

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

/** Columns of a table that a phone shows without wrapping. */
const TABLE_WIDTH = 40;

/** Line ends of one kind, no control characters or changes of direction (Telegram drops them, which would move the marks). */
const clean = (text: string): string =>
  text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]|[\u2028-\u202e\u2066-\u2069]/gu, '');

/** An instance of our own: options of the shared one can be changed by anybody. */
const commonMark = new Marked({ gfm: true });

/** Markdown as models write it, as Telegram can show it. What cannot be read as Markdown is shown as it is. */
export function render(markdown: string): Rendered {
  const text = clean(markdown);
  if (isCostly(text)) return { text, entities: [], seams: [] };
  try {
    const writer = new Writer();
    blocks(writer, commonMark.lexer(text), '', true);
    writer.entities.sort((a, b) => a.offset - b.offset || b.length - a.length);
    return writer;
  } catch (error) {
    // Quotes in quotes, thousands deep, are more than the parser's stack takes.
    if (error instanceof RangeError) return { text, entities: [], seams: [] };
    throw error;
  }
}

/** Thousands of delimiters in one paragraph take the parser seconds, in which nobody else is served. */
const isCostly = (text: string): boolean =>
  text.split(/\n[ \t]*\n/).some((paragraph) => paragraph.length > 4000 && paragraph.split(/[*_~[]/).length > 3000);

class Writer implements Rendered {
  text = '';
  entities: MessageEntity[] = [];
  seams: Seam[] = [];
  /** Marks that are open: none of them is put inside itself. */
  readonly #open = new Set<string>();
  /** Where the white space begins that the text ends in. To look for it in the text would copy all of it for each mark. */
  #solid = 0;

  write(text: string): void {
    const { length } = text.trimEnd();
    if (length > 0) this.#solid = this.text.length + length;
    this.text += text;
  }

  mark(mark: Mark, inner: () => void): void {
    if (this.#open.has(mark.type)) return inner();
    const offset = this.text.length;
    this.#open.add(mark.type);
    inner();
    this.#open.delete(mark.type);
    const length = this.#solid - offset;
    if (length > 0) this.entities.push({ ...mark, offset, length });
  }
}

function blocks(writer: Writer, tokens: readonly Token[], indent: string, top: boolean): void {
  let last: string | null = null;
  for (const token of tokens) {
    if (token.type === 'space' || token.type === 'checkbox') continue;
    if (last !== null) {
      // A heading goes with what it is the heading of.
      const level = last === 'heading' ? 'item' : 'block';
      if (top) writer.seams.push({ at: writer.text.length, skip: 2, level });
      writer.write(top ? '\n\n' : `\n${indent}`);
    }
    block(writer, token, indent, top);
    last = token.type;
  }
}

function block(writer: Writer, token: Token, indent: string, top: boolean): void {
  switch (token.type) {
    case 'heading':
      return writer.mark({ type: 'bold' }, () => inline(writer, token.tokens ?? [], indent));
    case 'code':
      return code(writer, token as Tokens.Code);
    case 'blockquote':
      return writer.mark({ type: 'blockquote' }, () => blocks(writer, token.tokens ?? [], indent, false));
    case 'list':
      return list(writer, token as Tokens.List, indent, top);
    case 'table':
      return table(writer, token as Tokens.Table, indent);
    case 'hr':
      return writer.write('———');
    case 'paragraph':
    case 'text':
      return inline(writer, token.tokens ?? [token], indent);
    default:
      // HTML is shown as it was written; so are definitions of links, which models use as lists of sources.
      return writer.write(token.raw.trim());
  }
}

function code(writer: Writer, { text, lang }: Tokens.Code): void {
  const language = /^[\w+#.-]{1,32}/.exec(lang ?? '')?.[0];
  writer.mark({ type: 'pre', ...(language && { language }) }, () => writer.write(text));
}

function list(writer: Writer, { items, ordered, start }: Tokens.List, indent: string, top: boolean): void {
  for (const [index, item] of items.entries()) {
    if (index > 0) {
      if (top) writer.seams.push({ at: writer.text.length, skip: 1, level: 'item' });
      writer.write(`\n${indent}`);
    }
    const task = item.task ? (item.checked ? '☑ ' : '☐ ') : '';
    writer.write(ordered ? `${(start || 1) + index}. ${task}` : task || '• ');
    blocks(writer, item.tokens, `${indent}   `, false);
  }
}

/** Narrow tables keep their columns; of wide ones each row becomes a list of its cells, since phones would wrap the columns. */
function table(writer: Writer, { header, rows }: Tokens.Table, indent: string): void {
  const plain = (cell: Tokens.TableCell): string => {
    const cellWriter = new Writer();
    inline(cellWriter, cell.tokens, '');
    return cellWriter.text.replace(/\s+/g, ' ').trim();
  };
  const lines = [header, ...rows].map((row) => row.map(plain));
  const widths = header.map((_, column) => Math.max(...lines.map((line) => Array.from(line[column] ?? '').length)));
  if (widths.reduce((sum, width) => sum + width + 3, -3) <= TABLE_WIDTH) {
    const pad = (line: string[]): string =>
      line
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - Array.from(cell).length))
        .join(' | ')
        .trimEnd();
    const rule = widths.map((width) => '-'.repeat(width)).join('-+-');
    const [first = [], ...rest] = lines;
    return writer.mark({ type: 'pre' }, () => writer.write([pad(first), rule, ...rest.map(pad)].join('\n')));
  }
  for (const [index, row] of [...rows.keys(), ...(rows.length === 0 ? [-1] : [])].entries()) {
    if (index > 0) writer.seams.push({ at: writer.text.length, skip: 1, level: 'item' });
    if (index > 0) writer.write(`\n${indent}`);
    for (const [column, title] of header.entries()) {
      if (column > 0) writer.write(`\n${indent}   `);
      writer.mark({ type: 'bold' }, () => inline(writer, title.tokens, indent));
      writer.write(': ');
      inline(writer, rows[row]?.[column]?.tokens ?? [], indent);
    }
  }
}

function inline(writer: Writer, tokens: readonly Token[], indent: string): void {
  const write = (text: string): void => writer.write(text.replaceAll('\n', `\n${indent}`));
  for (const token of tokens) {
    const inner = (): void =>
      (token as Tokens.Generic).tokens?.length
        ? inline(writer, (token as Tokens.Generic).tokens as Token[], indent)
        : write(decode((token as Tokens.Generic & { text?: string }).text ?? token.raw));
    switch (token.type) {
      case 'strong':
        writer.mark({ type: 'bold' }, inner);
        break;
      case 'em':
        writer.mark({ type: 'italic' }, inner);
        break;
      case 'del':
        writer.mark({ type: 'strikethrough' }, inner);
        break;
      case 'codespan':
        writer.mark({ type: 'code' }, () => write((token as Tokens.Codespan).text));
        break;
      case 'br':
        write('\n');
        break;
      case 'html':
        write(/^<br\s*\/?>$/i.test(token.raw) ? '\n' : token.raw);
        break;
      case 'link':
        link(writer, (token as Tokens.Link).href, inner);
        break;
      case 'image':
        // Never loaded by us: a link that the person may follow.
        link(writer, (token as Tokens.Image).href, () => write(`🖼 ${decode((token as Tokens.Image).text) || 'image'}`));
        break;
      default:
        inner();
    }
  }
}

/** Telegram refuses a whole message for a link it does not like, so what is not plainly a web address stands in the text. */
function link(writer: Writer, href: string, label: () => void): void {
  const url = URL.parse(href);
  const web = url !== null && /^https?:$/.test(url.protocol) && /[^.]\.[^.]/.test(url.hostname) && href.length <= 2000;
  if (web && url.username === '') return writer.mark({ type: 'text_link', url: url.href }, label);
  const offset = writer.text.length;
  label();
  const shown = writer.text.slice(offset);
  if (shown !== href && href !== `mailto:${shown}` && href !== '') writer.write(` (${href})`);
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

/** The character references that models use. */
function decode(text: string): string {
  return text.replace(
    /&(?:(amp|lt|gt|quot|apos|nbsp)|#(\d{1,7})|#x([0-9a-f]{1,6}));/gi,
    (whole, name, decimal, hex) => {
      if (name !== undefined) return NAMED[String(name).toLowerCase()] ?? whole;
      const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? clean(String.fromCodePoint(code)) : whole;
    },
  );
}
