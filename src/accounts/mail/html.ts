// A mail's HTML as the text a person would see: what is hidden is left out, links show where they lead, nothing is loaded.
import type { FormatCallback, HtmlToTextOptions } from 'html-to-text';
import {
  colour,
  declarations,
  hides,
  sameColour,
  sheetOf,
  shrinks,
  type Rgb,
  type Sheet,
  type Style,
} from './style.ts';

export interface Seen {
  text: string;
  /** Characters that a person would not have seen. */
  hidden: number;
  /** Links whose text names another place than they lead to: text → address. */
  elsewhere: { text: string; host: string }[];
  cut: boolean;
}

/** Characters of HTML that are read; the work is synchronous and everyone else waits. */
const MAX_HTML = 500_000;
const MAX_NESTING = 200;
const MAX_TRACKED = 400;
const MAX_HREF = 300;

const VOID = /^(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)$/;
/** What they hold is no text of the mail. */
const SILENT =
  /^(?:head|title|style|script|template|noscript|svg|math|iframe|object|audio|video|canvas|select|datalist)$/;
/** Their content is no markup: it ends at its own end tag. */
const RAW = /^(?:style|script|title|noscript|iframe|textarea|xmp|noembed|noframes)$/;

interface Open {
  name: string;
  /** Whatever is within cannot be seen. */
  hidden: boolean;
  /** Text cannot be seen unless an element within sets another size. */
  tiny: boolean;
  /** Colours of writing and of what is under it; null where they are not known. */
  ink: Rgb | 'clear' | null;
  paper: Rgb | null;
}

interface Anchor {
  href: string;
  text: string;
}

const ATTRIBUTE = /([^\s"'<>/=]{1,100})(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;

function attributes(tag: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', double, single, bare] of tag.slice(0, 20_000).matchAll(ATTRIBUTE))
    if (!found.has(name.toLowerCase())) found.set(name.toLowerCase(), entities(double ?? single ?? bare ?? ''));
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  zwnj: '\u200c',
  zwj: '\u200d',
  shy: '\u00ad',
};

export const entities = (text: string): string =>
  text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,6}));?/gi,
    (all, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? all;
      const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
    },
  );

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Where a tag ends that begins at `from`; -1 if it never does. A quote counts only as the start of a value, as browsers see it. */
function tagEnd(html: string, from: number): number {
  let at = from;
  while (at < html.length) {
    const char = html[at];
    if (char === '>') return at;
    if (char === '=') {
      while (at + 1 < html.length && /\s/.test(html[at + 1] ?? '')) at++;
      const quote = html[at + 1];
      if (quote === '"' || quote === "'") {
        at = html.indexOf(quote, at + 2);
        if (at === -1) return -1;
      }
    }
    at++;
  }
  return -1;
}

/** What nobody would miss: mails fill their hidden first lines with it. */
const BLANK = /[\s\p{Cf}\p{Default_Ignorable_Code_Point}]+/gu;

const isUnseen = ({ hidden, tiny, ink, paper }: Open): boolean =>
  hidden || tiny || ink === 'clear' || sameColour(paper, ink);

/** Goes through the HTML once and keeps what is seen, with links and pictures already in words. */
class Sieve {
  hidden = 0;
  readonly elsewhere: Seen['elsewhere'] = [];
  readonly #out: string[] = [];
  readonly #open: Open[] = [{ name: '', hidden: false, tiny: false, ink: [0, 0, 0], paper: [255, 255, 255] }];
  readonly #html: string;
  readonly #sheet: Sheet;
  #anchor: Anchor | null = null;

  constructor(html: string) {
    this.#html = html;
    this.#sheet = sheetOf(html);
  }

  read(): string {
    const html = this.#html;
    let at = 0;
    while (at < html.length) {
      const bracket = html.indexOf('<', at);
      this.#text(html.slice(at, bracket === -1 ? html.length : bracket));
      if (bracket === -1) break;
      at = this.#markup(bracket);
    }
    this.#endAnchor();
    return this.#out.join('');
  }

  /** Reads what begins with `<` and returns where it ends. What never ends takes the rest along, as in a browser. */
  #markup(from: number): number {
    const html = this.#html;
    const after = (end: number, length: number): number => (end === -1 ? html.length : end + length);
    if (html.startsWith('<!--', from)) return after(html.indexOf('-->', from + 2), 3);
    const next = html[from + 1] ?? '';
    if (next === '!' || next === '?') return after(html.indexOf('>', from), 1);
    const closes = next === '/';
    if (!/[a-z]/i.test(html[from + (closes ? 2 : 1)] ?? '')) {
      this.#text('<');
      return from + 1;
    }
    const end = tagEnd(html, from);
    if (end === -1) return html.length;
    const [, name = ''] = /^<\/?([a-z][^\s/>]{0,60})/i.exec(html.slice(from, Math.min(end, from + 70))) ?? [];
    const tag = name.toLowerCase();
    if (closes) this.#end(tag);
    else this.#start(tag, html.slice(from + 1 + name.length, end));
    return !closes && RAW.test(tag) ? this.#raw(end + 1, tag) : end + 1;
  }

  /** Passes over content that is no markup, and returns where its end tag begins. */
  #raw(from: number, name: string): number {
    const end = new RegExp(`</${name}`, 'gi');
    end.lastIndex = from;
    const at = end.exec(this.#html)?.index ?? this.#html.length;
    if (name === 'textarea' || name === 'xmp') this.#text(this.#html.slice(from, at));
    return at;
  }

  get #top(): Open {
    return this.#open.at(-1) as Open;
  }

  #text(text: string): void {
    if (isUnseen(this.#top)) {
      this.hidden += entities(text).replace(BLANK, '').length;
      return;
    }
    // Else a lone bracket would begin a tag for the next reader.
    const safe = text.replaceAll('<', '&lt;');
    this.#out.push(safe);
    if (this.#anchor !== null && this.#anchor.text.length < 2000) this.#anchor.text += entities(text);
  }

  #start(name: string, rest: string): void {
    const given = attributes(rest);
    const style = declarations(given.get('style') ?? '');
    const here = this.#inside(name, given, style);
    if (name === 'a' && !here.hidden) {
      this.#endAnchor();
      this.#anchor = { href: given.get('href') ?? '', text: '' };
    }
    if (name === 'img') return this.#picture(given, here.hidden || isUnseen(this.#top));
    const empty = VOID.test(name);
    if (!here.hidden && (empty || this.#open.length < MAX_NESTING) && name !== 'a') this.#out.push(layout(name));
    if (!empty && this.#open.length < MAX_TRACKED) this.#open.push(here);
  }

  /** How the content of an element looks. */
  #inside(name: string, given: ReadonlyMap<string, string>, style: Style): Open {
    const { hidden, tiny, ink, paper } = this.#top;
    const classes = (given.get('class') ?? '').toLowerCase().split(/\s+/).slice(0, 20);
    const names = [name, ...classes.map((each) => `.${each}`), `#${(given.get('id') ?? '').toLowerCase()}`];
    const has = (rules: ReadonlySet<string>): boolean => names.some((each) => rules.has(each));
    const written = style.get('color') ?? given.get('color') ?? (name === 'body' ? given.get('text') : undefined);
    // Links bring a colour of their own.
    const inherited = name === 'a' && ink !== 'clear' ? ([0, 0, 238] as const) : ink;
    return {
      name,
      hidden: hidden || SILENT.test(name) || given.has('hidden') || hides(style) || has(this.#sheet.hides),
      tiny: shrinks(style) ?? (has(this.#sheet.shrinks) || tiny),
      ink: written === undefined ? inherited : colour(written),
      paper: has(this.#sheet.paints) ? null : paperOf(given, style, paper),
    };
  }

  #picture(given: ReadonlyMap<string, string>, hidden: boolean): void {
    const alt = (given.get('alt') ?? '').replace(/\s+/g, ' ').trim().slice(0, 300);
    const pixel = [given.get('width'), given.get('height')].some(
      (side) => side !== undefined && /^[01](?:px)?$/.test(side.trim()),
    );
    if (alt === '' || hidden || pixel) return;
    this.#out.push(escaped(`[image: ${alt}]`));
    if (this.#anchor !== null) this.#anchor.text += alt;
  }

  #end(name: string): void {
    if (name === 'a') return this.#endAnchor(name);
    let at = this.#open.length - 1;
    while (at > 0 && this.#open[at]?.name !== name) at--;
    // The end of something that never began.
    if (at <= 0) return;
    const ended = this.#open.splice(at);
    for (const each of ended.reverse())
      if (!each.hidden && this.#open.length < MAX_NESTING) this.#out.push(layout(each.name, '/'));
  }

  #endAnchor(name?: string): void {
    const anchor = this.#anchor;
    this.#anchor = null;
    if (name !== undefined) {
      const at = this.#open.findLastIndex((each) => each.name === 'a');
      if (at > 0) this.#open.splice(at, 1);
    }
    if (anchor === null) return;
    const target = shownTarget(anchor.href);
    if (target === null) return;
    const text = anchor.text.replace(/\s+/g, ' ').trim();
    const promised = hostOf(text);
    if (promised !== null && target.host !== null && !related(promised, target.host)) {
      if (this.elsewhere.length < 50) this.elsewhere.push({ text: text.slice(0, 200), host: target.host });
      this.#out.push(escaped(` [leads to ${target.shown}]`));
    } else if (bare(text) !== bare(target.shown)) this.#out.push(escaped(` [${target.shown}]`));
  }
}

/** What an element's content is written on; null for pictures and colours that are not understood. */
function paperOf(given: ReadonlyMap<string, string>, style: Style, inherited: Rgb | null): Rgb | null {
  const picture =
    given.has('background') ||
    /url\(|gradient|var\(/.test(`${style.get('background')} ${style.get('background-image')}`);
  if (picture) return null;
  const named = style.get('background-color') ?? style.get('background') ?? given.get('bgcolor');
  if (named === undefined || /^(?:none|inherit|initial|unset)$/.test(named)) return inherited;
  const whole = colour(named) ?? colour(/^\S+/.exec(named)?.[0] ?? '');
  return whole === 'clear' ? inherited : whole;
}

const bare = (address: string): string => address.toLowerCase().replace(/^(?:https?:\/\/|mailto:)(?:www\.)?|\/$/g, '');

/** Where a link leads, as far as a person could go there. */
function shownTarget(href: string): { shown: string; host: string | null } | null {
  const url = URL.parse(href.trim());
  if (url === null || !['http:', 'https:', 'mailto:', 'tel:'].includes(url.protocol)) return null;
  const shown = url.protocol === 'mailto:' ? href.trim().slice(7).split('?')[0] : url.href;
  const short = (shown ?? '').length > MAX_HREF ? `${(shown ?? '').slice(0, MAX_HREF)}…` : (shown ?? '');
  return { shown: short, host: url.protocol.startsWith('http') ? url.hostname : null };
}

/** Names of files look like hosts. */
const FILE =
  /^[^/]*\.(?:pdf|docx?|xlsx?|pptx?|od[tsp]|zip|html?|txt|png|jpe?g|gif|ics|csv|js|ts|md|py|sh|eml|xml|json)$/i;

/** The host that a link's text names, if it names one. */
function hostOf(text: string): string | null {
  if (FILE.test(text)) return null;
  const found = /^(?:https?:\/\/)?((?:[\p{L}\p{N}_-]{1,63}\.){1,8}\p{L}{2,24})(?:[:/?#]\S*)?$/iu.exec(
    text.slice(0, 500),
  );
  return found?.[1] === undefined ? null : (URL.parse(`https://${found[1]}`)?.hostname ?? null);
}

const related = (one: string, other: string): boolean =>
  one === other ||
  one.endsWith(`.${other}`) ||
  other.endsWith(`.${one}`) ||
  one.replace(/^www\./, '') === other.replace(/^www\./, '');

const KEPT =
  /^(?:p|div|br|hr|table|thead|tbody|tfoot|tr|td|th|ul|ol|li|dl|dt|dd|blockquote|pre|h[1-6]|section|article|header|footer|main|nav|aside|address|form|fieldset|legend|center|details|summary|figure|figcaption|caption|wbr)$/;

/** Only what gives the text its lines goes on; attributes do not. */
const layout = (name: string, slash = ''): string => (KEPT.test(name) ? `<${slash}${name}>` : '');

const cell: FormatCallback = (element, walk, builder) => {
  walk(element.children, builder);
  builder.addInline(' | ');
};

const OPTIONS: HtmlToTextOptions = {
  wordwrap: false,
  // Without the zero-width space, which would become one that is seen.
  whitespaceCharacters: ' \t\r\n\f',
  limits: { maxDepth: MAX_NESTING, maxInputLength: 5 * MAX_HTML },
  formatters: { cell },
  selectors: [
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
    { selector: 'tr', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    ...['center', 'details', 'summary', 'fieldset', 'legend', 'figure', 'figcaption', 'caption', 'dt', 'dd'].map(
      (selector) => ({
        selector,
        format: 'block',
        options: { leadingLineBreaks: 1, trailingLineBreaks: 1 },
      }),
    ),
    ...['td', 'th'].map((selector) => ({ selector, format: 'cell' })),
  ],
};

/** Tables that only lay out a page leave empty cells. */
function withoutEmptyCells(line: string): string {
  if (!line.includes('|')) return line.trimEnd();
  if (/^[|\s]*$/.test(line)) return '';
  const end = line.trimEnd();
  return end.endsWith(' |') ? end.slice(0, -2).trimEnd() : end;
}

/** What a person would see of a mail's HTML. The library is heavy, so it is loaded when the first such mail comes. */
export async function seenHtml(html: string): Promise<Seen> {
  const { convert } = await import('html-to-text');
  const sieve = new Sieve(html.slice(0, MAX_HTML));
  const kept = sieve.read();
  const lines = convert(kept, OPTIONS).split('\n').map(withoutEmptyCells);
  const text = lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
  return { text, hidden: sieve.hidden, elsewhere: sieve.elsewhere, cut: html.length > MAX_HTML };
}
