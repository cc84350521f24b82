/** What a text is made of, as data: the page, Telegram and every other channel show it in their own way. */
export type Block =
  | { kind: 'paragraph'; of: Inline[] }
  | { kind: 'heading'; depth: number; of: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; of: Block[] }
  /** `start`: the first number; null for a list with bullets. `task`: a box that is ticked or not; null without one. */
  | { kind: 'list'; start: number | null; items: { task: boolean | null; of: Block[] }[] }
  /** A row may have fewer cells than the header, never more. */
  | { kind: 'table'; align: Align[]; header: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' }
  /** `[1]: https://example.org`, as written: models list their sources so. Links to them are links in the other blocks. */
  | { kind: 'definitions'; of: Inline[] };

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'break' }
  | { kind: 'strong' | 'em' | 'del'; of: Inline[] }
  /** `text`: what it reads. An image is never loaded, so it is a link that says what the picture shows. */
  | { kind: 'link'; href: string; text: string; of: Inline[] }
  | { kind: 'image'; href: string; text: string };

/** Where the cells of a column stand; null where nothing was said. */
export type Align = 'center' | 'right' | null;

/** Quotes and lists within each other: the signs of what would be deeper are text. */
export const DEPTH = 10;

/** Brackets and marks that may be open at once in a paragraph. Of more the first are text: no closing one looks far back. */
export const OPEN = 32;

/** The words alone, without what marks them. */
export const wordsOf = (list: readonly Inline[]): string =>
  list.map((each) => ('text' in each ? each.text : each.kind === 'break' ? '\n' : wordsOf(each.of))).join('');
