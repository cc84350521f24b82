/** Named references that people and models write; the two thousand others stay as written. */
const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  bull: '•',
  middot: '·',
  times: '×',
  deg: '°',
  euro: '€',
  rarr: '→',
  larr: '←',
};

const REFERENCE = /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,6}));/gi;

/** `&amp;` and `&#38;` as the characters they stand for. */
export const decoded = (text: string): string =>
  text.replace(REFERENCE, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED[name.toLowerCase()] ?? whole;
    const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal);
    const valid = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return valid ? String.fromCodePoint(code) : whole;
  });

/** An address or the language of a code block, with backslashes and references resolved. */
export const unescaped = (text: string): string =>
  text.split(/\\([!-/:-@[-`{-~])/).map((piece, at) => (at % 2 === 1 ? piece : decoded(piece))).join('');

export const isSpace = (char: string): boolean => /^\s/u.test(char);
export const isPunctuation = (char: string): boolean => /^[\p{P}\p{S}]/u.test(char);

/** Scripts that put no space between words, with their punctuation and full-width forms. */
export const isCjk = (char: string): boolean =>
  /^[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}\p{scx=Bopo}\p{scx=Yi}\u3000-\u303f\uff00-\uffef]/u.test(char);

/** The character that ends before `at`, whole even if it takes two units. */
export function before(text: string, at: number): string {
  const low = text[at - 1] ?? ' ';
  const high = text[at - 2] ?? '';
  return /^[\udc00-\udfff]$/.test(low) && /^[\ud800-\udbff]$/.test(high) ? high + low : low;
}

export const after = (text: string, at: number): string =>
  at < text.length ? String.fromCodePoint(text.codePointAt(at) ?? 0) : ' ';
