/** A text as one word of a shell's line. Only what no shell reads otherwise stays bare; `~` does so except in front. */
export const shellWord = (text: string): string =>
  /^[\w./-][\w./~-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
