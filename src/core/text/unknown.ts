/** Where the sentence sends its reader: to the names, if they are few, or to a command that lists them. */
export interface Known {
  known?: Iterable<string>;
  list?: string;
}

/** In the middle of a line, such as a problem of a settings file: `unknown tool "x". Did you mean "y"? Known: y, z.` */
export function unknown(kind: string, name: string, { known = [], list }: Known = {}): string {
  const names = [...known];
  const all = names.length === 0 ? '' : ` Known: ${names.join(', ')}.`;
  return `unknown ${kind} "${name}".${didYouMean(name, names)}${list === undefined ? all : ` List them with: ${list}.`}`;
}

/** The one sentence for a name or an id that does not exist: `Unknown task "x". List them with: ruche tasks.` */
export function unknownText(kind: string, name: string, known: Known = {}): string {
  return `U${unknown(kind, name, known).slice(1)}`;
}

/** Number of single-character edits between two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

/** ` Did you mean "x"?`, or '' if nothing known is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  if (word.length > 64) return '';
  const near = [...known]
    .map((name) => ({ name, far: distance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, far }) => far <= Math.max(1, Math.floor(name.length / 3)))
    .sort((a, b) => a.far - b.far)[0];
  return near ? ` Did you mean "${near.name}"?` : '';
}
