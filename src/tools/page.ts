import type { FormatCallback, HtmlToTextOptions } from 'html-to-text';

/** Characters in which a page's head is expected. */
const MAX_TOP = 100_000;
/** Characters of HTML that are turned into text; the work is synchronous and everyone else waits. */
const MAX_HTML = 1_000_000;

export type Kind = 'html' | 'json' | 'text' | 'unknown' | 'binary';

const TEXT_TYPES =
  /^(?:text\/.*|.*\+(?:xml|yaml)|application\/(?:xml|xml-dtd|javascript|ecmascript|x-javascript|typescript|yaml|x-yaml|toml|sql|graphql|x-sh|x-www-form-urlencoded|x-ndjson|jsonlines|rtf|x-tex|x-latex))$/;

/** What a Content-Type says about the bytes. `unknown` means that the bytes have to be looked at. */
export function kindOf(contentType: string): { kind: Kind; type: string; charset: string | null } {
  const [first = '', ...parameters] = contentType.toLowerCase().split(';');
  const type = first.trim();
  const charset =
    parameters.map((each) => /^\s*charset\s*=\s*"?([\w:.-]{1,40})"?/.exec(each)?.[1]).find(Boolean) ?? null;
  if (type === 'text/html' || type === 'application/xhtml+xml') return { kind: 'html', type, charset };
  if (/^(?:application|text)\/json$|\+json$/.test(type)) return { kind: 'json', type, charset };
  if (TEXT_TYPES.test(type)) return { kind: 'text', type, charset };
  const unknown = type === '' || type === 'application/octet-stream' || type === 'binary/octet-stream';
  return { kind: unknown ? 'unknown' : 'binary', type, charset };
}

/** Bytes in which a text may declare its encoding. The standard says 1024; browsers look further, and pages rely on that. */
const MAX_HEAD = 16 * 1024;

/** The encoding a text declares inside: by byte order mark, HTML meta or XML declaration. */
function declared(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAX_HEAD)).toString('latin1');
  return (
    /<meta[^>]{1,200}charset\s*=\s*["']?([\w:.-]{1,40})|<\?xml[^>]{1,200}encoding\s*=\s*["']([\w:.-]{1,40})/i
      .exec(head)
      ?.slice(1)
      .find(Boolean) ?? null
  );
}

/** A byte order mark beats the header, which beats what the text says of itself. Unknown encodings are read as UTF-8. */
export function decodeText(bytes: Uint8Array, charset: string | null): string {
  const inside = declared(bytes);
  const marked = inside !== null && (bytes[0] ?? 0) >= 0xef;
  const name = (marked ? inside : (charset ?? inside)) ?? 'utf-8';
  try {
    return new TextDecoder(name).decode(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new TextDecoder().decode(bytes);
  }
}

/** True for bytes that are no text in the given encoding. */
export const looksBinary = (text: string): boolean => text.slice(0, 8192).includes('\0');

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;
/** Deeper levels are not set in further: else a kilobyte of brackets would become megabytes of spaces. */
const MAX_INDENT = 20;

/**
 * JSON on one line is set on many. The text itself is set, not its value, so that numbers stay digit by digit what they
 * were. What does not parse stays as it is.
 */
export function prettyJson(text: string): string {
  if (text.length > MAX_HTML || text.trim().includes('\n')) return text;
  try {
    JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
  let depth = 0;
  let out = '';
  let last = '';
  const line = (): string => `\n${'  '.repeat(Math.min(depth, MAX_INDENT))}`;
  for (const [token] of text.matchAll(TOKEN)) {
    const closes = token === '}' || token === ']';
    if (closes) depth--;
    const empty = closes && (last === '{' || last === '[');
    const starts = last === '{' || last === '[' || last === ',';
    if (last === ':') out += ' ';
    else if ((starts && !empty) || (closes && !empty)) out += line();
    if (token === '{' || token === '[') depth++;
    out += token;
    last = token;
  }
  return out;
}

const cell: FormatCallback = (element, walk, builder) => {
  walk(element.children, builder);
  builder.addInline(' | ');
};

/** Links are shown, never followed, and only those a person could open from a message. */
function shownLink(href: string, baseUrl: string): string {
  const url = URL.parse(href, baseUrl);
  return url !== null && ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : '';
}

const options = (baseUrl: string): HtmlToTextOptions => ({
  wordwrap: false,
  limits: { maxDepth: 150, maxInputLength: MAX_HTML },
  formatters: { cell },
  selectors: [
    {
      selector: 'a',
      options: {
        hideLinkHrefIfSameAsText: true,
        noAnchorUrl: true,
        pathRewrite: (href: string) => shownLink(href, baseUrl),
      },
    },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
    ...['title', 'img', 'script', 'style', 'template', 'noscript', 'svg', 'iframe', 'object'].map((selector) => ({
      selector,
      format: 'skip',
    })),
    // Parts of forms and folded parts run together otherwise.
    ...[
      'details',
      'summary',
      'select',
      'optgroup',
      'option',
      'textarea',
      'fieldset',
      'legend',
      'dialog',
      'figcaption',
    ].map((selector) => ({ selector, format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } })),
    { selector: 'tr', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    ...['td', 'th'].map((selector) => ({ selector, format: 'cell' })),
  ],
});

/** Where relative links of a page lead: what its first `<base href>` says, or the address it came from. */
function baseOf(html: string, url: string): string {
  const found = /<base\b[^>]{0,500}?\shref\s*=\s*(?:"([^"]{1,2000})"|'([^']{1,2000})'|([^\s"'>]{1,2000}))/i.exec(
    html.slice(0, MAX_TOP),
  );
  const href = found?.slice(1).find(Boolean)?.replaceAll('&amp;', '&');
  const base = href === undefined ? null : URL.parse(href, url);
  return base !== null && ['http:', 'https:'].includes(base.protocol) ? base.href : url;
}

function between(html: string, open: string, close: string): string {
  const lower = html.slice(0, MAX_TOP).toLowerCase();
  const start = lower.indexOf(open);
  const from = start < 0 ? -1 : lower.indexOf('>', start) + 1;
  const to = from <= 0 ? -1 : lower.indexOf(close, from);
  return to < 0 ? '' : html.slice(from, to);
}

/** Need no end tag: void elements, and those that the next of their kind ends. They cannot nest by themselves. */
const UNNESTED =
  /^(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr|p|li|td|th|tr|dt|dd|option|optgroup|thead|tbody|tfoot|rp|rt)$/i;
const MAX_NESTING = 400;

/** True for pages nested so deeply that building their tree would take seconds. No page that people read is. */
function tooDeep(html: string): boolean {
  let depth = 0;
  for (const [, slash, name = ''] of html.matchAll(/<(\/?)([a-z][a-z0-9-]*)/gi)) {
    if (UNNESTED.test(name)) continue;
    depth = slash === '' ? depth + 1 : Math.max(0, depth - 1);
    if (depth > MAX_NESTING) return true;
  }
  return false;
}

/** The words of a page without its structure. */
const stripped = (html: string): string => html.replace(/<[^<>]*>/g, ' ').replace(/[ \t]+/g, ' ');

/** Title and text of a page. The library is heavy, so it is loaded when the first page comes. */
export async function htmlText(html: string, baseUrl: string): Promise<{ title: string; text: string }> {
  const { convert } = await import('html-to-text');
  const page = html.slice(0, MAX_HTML);
  const title = convert(between(page, '<title', '</title').slice(0, 1000), { wordwrap: false }).replace(/\s+/g, ' ');
  return { title, text: tooDeep(page) ? stripped(page) : convert(page, options(baseOf(page, baseUrl))) };
}
