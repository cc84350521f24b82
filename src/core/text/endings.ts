const BOM = '\ufeff';

/**
 * A text with the line endings and the byte order mark of the one it replaces, or part of which it replaces. Models write
 * `\n` whatever the file has; a file that mixes its endings has none to keep.
 */
export function likeBefore(text: string, before: string, part: 'whole' | 'part'): string {
  const crlf = before.includes('\r\n') && !/(?:^|[^\r])\n/.test(before);
  const lines = crlf ? text.replaceAll(/\r?\n/g, '\r\n') : text;
  return part === 'whole' && before.startsWith(BOM) && !lines.startsWith(BOM) ? BOM + lines : lines;
}
