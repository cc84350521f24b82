/**
 * Characters that hide, or that change how what stands around them reads: control, bidirectional, zero-width, tag
 * characters and fillers. Newline and tab stay; so do the joiners that emoji and several scripts are written with.
 */
const HIDDEN = /[^\P{C}\n\t\u200c\u200d]|[\u2028\u2029\u3164\u115f\u1160\uffa0]/gu;

export interface Piece {
  text: string;
  /** True if `text` names a character that could not be seen: `U+202E`. */
  hidden: boolean;
}

/** The text in pieces, hidden characters by their names. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index), hidden: false });
    const code = match[0].codePointAt(0) ?? 0;
    found.push({ text: `U+${code.toString(16).toUpperCase().padStart(4, '0')}`, hidden: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from), hidden: false });
  return found;
}

/** For places that hold no elements, such as the title of the page. */
export const named = (text: string): string =>
  pieces(text)
    .map((piece) => (piece.hidden ? `[${piece.text}]` : piece.text))
    .join('');
