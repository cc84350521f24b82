import type { Parsed, Tool } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { refuseUnseen } from './seen.ts';
import { failed, readText, refusable, shownPath, likeBefore } from './text.ts';

const ARGS = { path: 'text', old: 'text', new: 'text', all: ['flag?', 'Every occurrence'] } as const;
type EditInput = ArgsOf<typeof ARGS>;

const MAX_PLACES = 10;

function parse(args: unknown): Parsed<EditInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { old, new: text } = parsed.value;
  if (old === '') return { ok: false, error: '"old" is empty; to make a file use write' };
  if (old === text) return { ok: false, error: '"old" and "new" are equal' };
  return parsed;
}

/** Where a text occurs, without overlaps. */
function occurrences(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) places.push(at);
  return places;
}

/** Line numbers from 1, worked out in one pass. */
function linesOf(text: string, places: readonly number[]): string {
  let [line, at] = [1, 0];
  const numbers = places.slice(0, MAX_PLACES).map((place) => {
    for (; at < place; at += 1) if (text.charCodeAt(at) === 10) line += 1;
    return line;
  });
  const more = places.length > MAX_PLACES ? ` and ${places.length - MAX_PLACES} more` : '';
  return `${numbers.length === 1 ? 'line' : 'lines'} ${numbers.join(', ')}${more}`;
}

/** The usual reasons for a text that is not found, so that the model need not guess. */
function missingHint(text: string, old: string): string {
  // Where they all end so, `old` was looked for with such endings.
  if (text.includes('\r\n') && occurrences(text.replaceAll('\r\n', '\n'), old).length > 0)
    return ' The file ends some of its lines with \\r\\n.';
  const squeeze = (part: string): string => part.replaceAll(/\s+/g, ' ').trim();
  if (squeeze(text).includes(squeeze(old))) return ' It is there with other white space.';
  return text.normalize('NFC').includes(old.normalize('NFC')) ? ' It is there in another Unicode form.' : '';
}

/** Replaces an exact text in a file the run has seen as it is now. */
export const editTool: Tool<EditInput> = {
  name: 'edit',
  description: 'Replace an exact text, which must occur once, in a file you have read.',
  effect: 'write',
  // After a crash the overlay is what the receipts say: an edit without one has left no trace, and can be made again.
  idempotent: true,
  rehearses: true,
  schema: argsSchema(ARGS),
  parse,
  facts: ({ path }) => ({ paths: [path] }),
  run: ({ path: raw, old: oldText, new: newText, all }, ctx) =>
    refusable(async () => {
      const file = await readText(ctx.files, raw);
      if (!file.ok) return failed(`${file.why} Nothing was changed.`);
      const { path, entry, text } = file;
      const name = shownPath(path);
      const unseen = await refuseUnseen(ctx, path, entry, 'edit');
      if (unseen !== null) return unseen;
      const [old, replacement] = [likeBefore(oldText, text, 'part'), likeBefore(newText, text, 'part')];
      const places = occurrences(text, old);
      if (places.length === 0)
        return failed(`"old" does not occur in ${name}.${missingHint(text, old)} Nothing was changed.`);
      if (places.length > 1 && !all)
        return failed(
          `"old" occurs ${places.length} times in ${name} (${linesOf(text, places)}): give more of the text around it, or set "all". Nothing was changed.`,
        );
      const change = await ctx.files.write(path, new TextEncoder().encode(text.split(old).join(replacement)));
      return {
        ok: true,
        text: `Changed ${name}, ${linesOf(text, places)}.`,
        // What was there stays in what is there now.
        labels: ctx.labelsOf(entry),
        changes: [change],
        ...(change.oid === null ? {} : { seen: { [change.path]: change.oid } }),
      };
    }),
};
