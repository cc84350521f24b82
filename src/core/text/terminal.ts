/** Colours, links, moves of the cursor and whatever else a terminal obeys and does not show. */
const SEQUENCES =
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|\u001b[\]PX^_][^\u0007\u001b\n]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?/g;
/** The line is cleared: nothing that stands before it on the line is seen any more. */
// oxlint-disable-next-line no-control-regex -- the same
const CLEARED = /\r(?:\u001b\[|\u009b)0?K|(?:\u001b\[|\u009b)2K/g;

/**
 * What a terminal would show in the end: programs redraw a line of progress hundreds of times, and colour what they say. Of a
 * line with carriage returns the text after the last one stays.
 */
export function shownByTerminal(text: string): string {
  // Most output is plain.
  // oxlint-disable-next-line no-control-regex -- the same
  if (!/[\r\b\u0007\u001b\u009b]/.test(text)) return text;
  return text
    .replaceAll('\0', '')
    .replaceAll(CLEARED, '\r\0')
    .replaceAll(SEQUENCES, '')
    .replaceAll('\u0007', '')
    .split('\n')
    .map(lastDrawn)
    .join('\n');
}

function lastDrawn(line: string): string {
  // One at the end has moved the cursor, and nothing was drawn over what stands there.
  const text = line.replace(/\r+$/, '');
  return withoutErased(text.slice(text.lastIndexOf('\r') + 1).replaceAll('\0', ''));
}

/** A backspace takes back the character before it. */
function withoutErased(line: string): string {
  if (!line.includes('\b')) return line;
  const kept: string[] = [];
  for (const character of line)
    if (character === '\b') kept.pop();
    else kept.push(character);
  return kept.join('');
}
