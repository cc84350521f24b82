import type { Files } from '../core/files.ts';
import { artefactOf } from '../core/task.ts';
import type { Tool } from '../core/ports/tool.ts';
import { workspacePath } from '../core/text/paths.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { MAX_TEXT, failed, fromFiles, readText, refusable } from './text.ts';

const ARGS = {
  path: 'text',
  offset: ['count?', 'First line'],
  limit: ['count?', 'Lines'],
  column: ['count?', 'First character of a long line'],
} as const;
export type ReadInput = ArgsOf<typeof ARGS>;

const DEFAULT_LINES = 2000;
const OUTPUT_LINES = 200;
/** Characters of one answer. */
const MAX_CHARS = 100_000;
/** Characters from a column on: what is looked for in a long line shall not be cut out of the answer again. */
const COLUMN_CHARS = 10_000;

interface Part {
  offset: number;
  limit: number;
  /** The first character of the first line; null shows it from its beginning. */
  column: number | null;
}

/** Some lines of a text, with how to read on if there are more. A short text comes back exactly as it is. */
function excerpt(text: string, { offset, limit, column }: Part): string {
  const lines = text.split('\n');
  // The end of the last line is not a line of its own.
  const count = text.endsWith('\n') ? lines.length - 1 : lines.length;
  if (offset === 1 && column === null && count <= limit && text.length <= MAX_CHARS) return text;
  if (offset > count) return `[There are only ${count} lines.]`;
  if (column !== null) return columns(lines[offset - 1] ?? '', offset, column);
  const shown: string[] = [];
  let chars = 0;
  for (const line of lines.slice(offset - 1, Math.min(count, offset - 1 + limit))) {
    if (chars + line.length > MAX_CHARS && shown.length > 0) break;
    const left = line.length - MAX_CHARS;
    const more = `[${left} more characters in this line; go on with offset ${offset + shown.length} and column ${MAX_CHARS + 1}]`;
    shown.push(left > 0 ? `${line.slice(0, MAX_CHARS).toWellFormed()} ${more}` : line);
    chars += line.length + 1;
  }
  const last = offset - 1 + shown.length;
  const more = last < count ? `; go on with offset ${last + 1}` : '';
  return `[Lines ${offset} to ${last} of ${count}${more}]\n${shown.join('\n')}`;
}

/** A part of one line. */
function columns(line: string, offset: number, column: number): string {
  if (column > line.length) return `[Line ${offset} has only ${line.length} characters.]`;
  const last = Math.min(line.length, column - 1 + COLUMN_CHARS);
  const more = last < line.length ? `; go on with column ${last + 1}` : '';
  const part = line.slice(column - 1, last).toWellFormed();
  return `[Line ${offset}, characters ${column} to ${last} of ${line.length}${more}]\n${part}`;
}

/** Some lines of what a call had to say at length. */
function outputLines(text: string, { offset, limit, column }: Part): string {
  const lines = text.split('\n');
  const from = offset - 1;
  if (column !== null && from < lines.length) return columns(lines[from] ?? '', offset, column);
  const to = Math.min(lines.length, from + limit);
  return `Lines ${from + 1} to ${to} of ${lines.length}:\n${lines.slice(from, to).join('\n')}`;
}

/** What a read that shows nothing has seen all the same: that there is no file, or one that is not text. */
async function lookedAt(files: Files, raw: string): Promise<Record<string, string | null>> {
  const checked = workspacePath(raw);
  if (!checked.ok || checked.path === '') return {};
  const entry = await files.stat(checked.path);
  if (entry?.mode === '120000' || (entry?.size ?? 0) > MAX_TEXT) return {};
  return { [entry?.path ?? checked.path]: entry?.oid ?? null };
}

/** Shows a text file, or some lines of it. */
export const readTool: Tool<ReadInput> = {
  name: 'read',
  usualFor: 'reading',
  description: 'Read a text file.',
  effect: 'read',
  idempotent: true,
  schema: argsSchema(ARGS),
  parse: (args) => readArgs(ARGS, args),
  // A rule about a file holds for it at any commit.
  facts: ({ path }) => ({ paths: [artefactOf(path)?.path ?? path] }),
  run: ({ path: raw, offset, limit, column }, { open, files, labelsOf, mark }) =>
    refusable(async () => {
      const opened = await open(raw);
      if (opened?.kind === 'refused') return failed(opened.why);
      if (opened?.kind === 'output')
        return {
          ok: true,
          text: outputLines(opened.text, { offset: offset ?? 1, limit: limit ?? OUTPUT_LINES, column }),
          labels: opened.labels,
          changes: [],
        };
      const file = await (opened === null ? readText(files, raw) : readText(opened.files, opened.path));
      if (!file.ok) return { ...failed(file.why), seen: opened === null ? await lookedAt(files, raw) : {} };
      const { path, entry, text } = file;
      const shown =
        text === ''
          ? '[The file is empty.]'
          : excerpt(text, { offset: offset ?? 1, limit: limit ?? DEFAULT_LINES, column });
      // What was handed over was seen as it was then: an edit of the file must read it as it is now.
      const seen = opened === null ? { [path]: entry.oid } : {};
      return fromFiles({ ok: true, text: shown, labels: [], changes: [], seen }, labelsOf(entry), path, { mark });
    }),
};
