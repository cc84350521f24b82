// What a style hides: read from inline styles and simple rules, as far as mails use them.

const NAMED: Readonly<Record<string, string>> = {
  white: '#ffffff',
  black: '#000000',
  transparent: 'transparent',
  whitesmoke: '#f5f5f5',
  snow: '#fffafa',
  ivory: '#fffff0',
  ghostwhite: '#f8f8ff',
  red: '#ff0000',
  blue: '#0000ff',
  green: '#008000',
  yellow: '#ffff00',
  gray: '#808080',
  grey: '#808080',
  silver: '#c0c0c0',
  navy: '#000080',
};

export type Rgb = readonly [number, number, number];

/** A colour as numbers; 'clear' if nothing of it is seen; null for what is not understood. */
export function colour(given: string): Rgb | 'clear' | null {
  const text = given.trim().toLowerCase();
  const value = NAMED[text] ?? text;
  if (value === 'transparent') return 'clear';
  const digits = /^#?([0-9a-f]{3,8})$/.exec(value)?.[1];
  if (digits !== undefined) {
    const full = digits.length < 6 ? digits.replace(/./g, '$&$&') : digits;
    if (full.length === 8 && full.endsWith('00')) return 'clear';
    const at = (from: number): number => Number.parseInt(full.slice(from, from + 2), 16) || 0;
    return [at(0), at(2), at(4)];
  }
  const parts = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)(?:[\s,/]+([\d.]+)%?)?\s*\)$/.exec(value);
  if (parts === null) return null;
  if (parts[4] !== undefined && Number(parts[4]) < 0.05) return 'clear';
  return [Number(parts[1]), Number(parts[2]), Number(parts[3])];
}

/** Writing that nobody can tell from the paper it is on. What is not known hides nothing. */
export const sameColour = (one: Rgb | null, other: Rgb | null): boolean =>
  one !== null && other !== null && one.every((part, at) => Math.abs(part - (other[at] ?? 0)) <= 10);

export type Style = ReadonlyMap<string, string>;

export function declarations(css: string): Style {
  const found = new Map<string, string>();
  for (const each of withoutComments(css.slice(0, 5000)).split(';')) {
    const colon = each.indexOf(':');
    if (colon > 0)
      found.set(
        each.slice(0, colon).trim().toLowerCase(),
        each
          .slice(colon + 1)
          .replace(/!important/i, '')
          .trim()
          .toLowerCase(),
      );
  }
  return found;
}

/** A length in pixels or so; null if it is none. */
function size(value: string | undefined): number | null {
  const found = /^(-?[\d.]+)(px|pt|em|rem|%|vw|vh|in|cm|mm)?$/.exec(value ?? '');
  return found === null ? null : Number(found[1]);
}

/** A size of letters that nobody can read; null if the style sets none. What is within may set another. */
export function shrinks(style: Style): boolean | null {
  const given =
    style.get('font-size') ?? /(?:^|\s)(-?[\d.]+(?:px|pt|em|rem|%)?)(?:\/\S+)?\s+\S/.exec(style.get('font') ?? '')?.[1];
  if (given === undefined) return null;
  const font = size(given);
  return font !== null && font <= (given.includes('em') ? 0.1 : 1);
}

/** True for styles that show nothing of an element, nor of what is within. */
export function hides(style: Style): boolean {
  const has = (name: string, wanted: RegExp): boolean => wanted.test(style.get(name) ?? '');
  if (has('display', /^none/) || has('visibility', /^(?:hidden|collapse)/) || has('mso-hide', /^all/)) return true;
  const opacity = size(style.get('opacity'));
  if (opacity !== null && opacity < 0.05) return true;
  const clips = has('overflow', /hidden|clip/) || has('overflow-y', /hidden|clip/);
  if (clips && ['max-height', 'height', 'width', 'max-width'].some((side) => isNothing(style.get(side)))) return true;
  if ((size(style.get('text-indent')) ?? 0) < -500) return true;
  if (has('position', /^(?:absolute|fixed)/))
    if (['left', 'top', 'right', 'bottom'].some((side) => (size(style.get(side)) ?? 0) <= -500)) return true;
  return (
    has('transform', /scale[xy]?\(\s*0?\.?0*\s*[,)]/) ||
    has('clip', /rect\((?:\s*[01](?:px)?[\s,]*){4}\)/) ||
    has('clip-path', /inset\((?:50|100)%/)
  );
}

const isNothing = (value: string | undefined): boolean => {
  const length = size(value);
  return length !== null && length <= 1;
};

/** Without comments; one that never ends takes the rest along. */
function withoutComments(css: string): string {
  let out = '';
  let at = 0;
  for (let open = css.indexOf('/*'); open !== -1; open = css.indexOf('/*', at)) {
    out += css.slice(at, open);
    const close = css.indexOf('*/', open + 2);
    if (close === -1) return out;
    at = close + 2;
  }
  return out + css.slice(at);
}

const asciiLower = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** The style sheets within a page, one after the other. */
function sheetsOf(html: string): string {
  const lower = asciiLower(html);
  const found: string[] = [];
  let at = 0;
  for (let open = lower.indexOf('<style'); open !== -1; open = lower.indexOf('<style', at)) {
    const start = lower.indexOf('>', open) + 1;
    const close = start === 0 ? -1 : lower.indexOf('</style', start);
    if (close === -1) break;
    found.push(html.slice(start, close));
    at = close;
  }
  return found.join('\n').slice(0, 200_000);
}

/** Rules of `@media` and others are for some readers only. */
function withoutAtRules(css: string): string {
  let out = '';
  let depth = 0;
  let outside: number | null = null;
  for (const [token] of css.matchAll(/[{};]|@[\w-]+|[^{};@]+|@/g)) {
    if (outside === null && token.startsWith('@')) outside = depth;
    if (token === '{') depth++;
    if (outside === null) out += token;
    if (token === '}') depth = Math.max(0, depth - 1);
    if (outside !== null && depth <= outside && (token === '}' || token === ';')) outside = null;
  }
  return out;
}

export interface Sheet {
  /** `.class` and `#id` that show nothing. */
  hides: ReadonlySet<string>;
  /** Those whose letters are too small to read. */
  shrinks: ReadonlySet<string>;
  /** Classes, ids and elements that get a background: what is written on them cannot be judged by inline styles. */
  paints: ReadonlySet<string>;
}

/** What the simple rules of a page's style sheets hide and paint. */
export function sheetOf(html: string): Sheet {
  const hidden = new Set<string>();
  const small = new Set<string>();
  const paints = new Set<string>();
  const css = withoutAtRules(withoutComments(sheetsOf(html).replaceAll('<!--', ' ').replaceAll('-->', ' ')));
  for (const rule of css.split('}').slice(0, 5000)) {
    const brace = rule.indexOf('{');
    if (brace === -1) continue;
    const style = declarations(rule.slice(brace + 1));
    const painted = [...style.keys()].some((name) => name.startsWith('background'));
    const nothing = hides(style);
    const tiny = shrinks(style) === true;
    if (!painted && !nothing && !tiny) continue;
    for (const selector of rule.slice(0, brace).split(',').slice(0, 100)) {
      const plain = selector.trim().toLowerCase().slice(0, 200);
      const simple = /^[a-z0-9]*[.#][\w-]+$/.test(plain) ? plain.replace(/^[a-z0-9]+/, '') : null;
      if (nothing && simple !== null) hidden.add(simple);
      if (tiny && simple !== null) small.add(simple);
      if (painted) for (const [each] of plain.matchAll(/[.#]?[\w-]+/g)) paints.add(each);
    }
  }
  return { hides: hidden, shrinks: small, paints };
}
