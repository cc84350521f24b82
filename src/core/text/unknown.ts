import { didYouMean } from './near.ts';

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
