/** The names of characters that people and models write; the two thousand others stay as written. */
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

/** `&amp;` and `&#38;` as the characters they stand for. */
export const decoded = (text: string): string =>
  text.replace(/&(?:#(?:x([\da-f]{1,6})|(\d{1,7}))|([a-z]{2,4}));/gi, (whole, hex, decimal, name) => {
    if (name) return NAMED[String(name).toLowerCase()] ?? whole;
    const code = hex ? parseInt(String(hex), 16) : Number(decimal);
    return String.fromCodePoint(code > 0 && code <= 0x10ffff ? code : 0xfffd).toWellFormed();
  });

/** The same without the backslashes in front of signs. */
export const unescaped = (text: string): string =>
  text
    .split(/\\([!-/:-@[-`{-~])/)
    .map((piece, at) => (at % 2 ? piece : decoded(piece)))
    .join('');
