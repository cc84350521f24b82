/** A fence longer than any within keeps a text from being read as Markdown: it can neither end the block nor load a picture. */
export function fenced(text: string): string {
  const longest = [...text.matchAll(/`+/g)].reduce((most, [ticks]) => Math.max(most, ticks.length), 2);
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
