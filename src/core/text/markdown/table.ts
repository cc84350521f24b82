import type { Align } from './tree.ts';

/** The cells of a row. A bar behind a backslash belongs to the cell; one within code does not, as on GitHub. */
export function cellsOf(line: string): string[] {
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
export function columnsOf(line: string): Align[] | null {
  const marks = cellsOf(line);
  if (!marks.every((mark) => /^:?-+:?$/.test(mark))) return null;
  return marks.map((mark) => (mark.endsWith(':') ? (mark.startsWith(':') ? 'center' : 'right') : null));
}
