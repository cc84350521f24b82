/** Lines on either side of which the exact difference is worked out; beyond that they are shown one after the other. */
const MAX_EXACT = 600;
/** Lines, and characters of one, that are shown where nobody has to see all. */
const SHORT = { lines: 60, width: 200 };
export const WHOLE = { lines: Number.POSITIVE_INFINITY, width: Number.POSITIVE_INFINITY };

type Line = readonly [sign: '-' | '+' | ' ', text: string];

/** What makes one text of another, as lines with `-` and `+`, each place with its line in the new text. Bounded unless `most` is `WHOLE`. */
export function lineDiff(before: string, after: string, most = SHORT): string {
  const [old, now] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const lines = differing(old.slice(start, old.length - end), now.slice(start, now.length - end));
  const shown: string[] = [];
  let [at, left, within] = [start + 1, 0, false];
  for (const [sign, text] of lines) {
    if (sign !== ' ') {
      if (shown.length >= most.lines) left += 1;
      else shown.push(...(within ? [] : [`@@ line ${at} @@`]), sign + visibleLine(text, most.width));
    }
    within = sign !== ' ';
    if (sign !== '-') at += 1;
  }
  if (left > 0) shown.push(`[${left} more lines differ]`);
  return shown.join('\n');
}

const visibleLine = (text: string, width: number): string => {
  const line = text.replaceAll('\r', '\\r');
  return line.length <= width ? line : `${line.slice(0, width).toWellFormed()} …`;
};

/** By the longest common subsequence. */
function differing(old: readonly string[], now: readonly string[]): Line[] {
  const removed = old.map((text): Line => ['-', text]);
  const added = now.map((text): Line => ['+', text]);
  if (old.length > MAX_EXACT || now.length > MAX_EXACT) return [...removed, ...added];
  const width = now.length + 1;
  // Length of what is common from these places on.
  const common = new Uint16Array((old.length + 1) * width);
  const from = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1)
      common[i * width + j] = old[i] === now[j] ? from(i + 1, j + 1) + 1 : Math.max(from(i + 1, j), from(i, j + 1));
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      lines.push([' ', now[j] ?? '']);
      [i, j] = [i + 1, j + 1];
    } else if (from(i + 1, j) >= from(i, j + 1)) lines.push(removed[i++] ?? ['-', '']);
    else lines.push(added[j++] ?? ['+', '']);
  }
  return [...lines, ...removed.slice(i), ...added.slice(j)];
}
