import { workspacePath } from '../core/text/paths.ts';
import type { FileEntry } from '../core/files.ts';
import { unionLabels } from '../core/labels.ts';
import type { Tool, ToolContext, ToolResult } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { absent, failed, fromFiles, refusable, shownPath, shownSize } from './text.ts';

const ARGS = { path: 'text?' } as const;
type ListInput = ArgsOf<typeof ARGS>;

const MAX_ENTRIES = 300;

const shownFile = ({ size, mode }: FileEntry, name: string): string =>
  `${shownPath(name)}  ${mode === '120000' ? 'symbolic link' : shownSize(size)}`;

/** One level: folders with the number of files below them, then files with their sizes. */
function overview(entries: readonly FileEntry[], prefix: string): string[] {
  const folders = new Map<string, number>();
  const own: string[] = [];
  for (const entry of entries) {
    const name = entry.path.slice(prefix.length);
    const slash = name.indexOf('/');
    if (slash === -1) own.push(shownFile(entry, name));
    else folders.set(name.slice(0, slash), (folders.get(name.slice(0, slash)) ?? 0) + 1);
  }
  const counted = [...folders].map(
    ([name, count]) => `${shownPath(`${name}/`)}  ${count} ${count === 1 ? 'file' : 'files'}`,
  );
  return [...counted, ...own];
}

/** Names of those that nobody can open, and characters of each. */
const MAX_UNNAMED = 5;
const MAX_NAME = 100;

function unnamedText(paths: readonly string[]): string {
  const named = paths.slice(0, MAX_UNNAMED).map((path) => shownPath(path.slice(0, MAX_NAME)));
  const more = paths.length > named.length ? ` and ${paths.length - named.length} more` : '';
  return `[Not UTF-8, so no tool can open them until they are renamed: ${named.join(', ')}${more}]`;
}

/** Names may say something, too: those that a run with text from outside has made up. */
function named(entries: readonly FileEntry[], text: string, ctx: ToolContext): ToolResult {
  const labels = unionLabels(...entries.map((entry) => ctx.nameLabels(entry)));
  return fromFiles({ ok: true, text, labels: [], changes: [] }, labels, 'names of files', ctx);
}

/** Files whose own name is shown, and those of a folder that holds nothing else: its name may be theirs. */
function entriesShown(entries: readonly FileEntry[], prefix: string, ctx: ToolContext): FileEntry[] {
  const labelled = entries.filter((entry) => ctx.nameLabels(entry).length > 0);
  if (labelled.length === 0) return [];
  const shown = ({ path }: FileEntry): string => path.slice(prefix.length).replace(/\/.*/s, '/');
  const own = new Set(labelled);
  const others = new Set(entries.filter((entry) => !own.has(entry)).map(shown));
  return labelled.filter((entry) => !others.has(shown(entry)));
}

/** Shows what is in a folder. */
export const listTool: Tool<ListInput> = {
  name: 'list',
  description: 'List a folder.',
  effect: 'read',
  readsTree: true,
  idempotent: true,
  schema: argsSchema(ARGS),
  parse: (args) => readArgs(ARGS, args),
  facts: ({ path }) => ({ paths: [path ?? '.'] }),
  run: ({ path: raw }, ctx) =>
    refusable(async () => {
      const { files, mayRead } = ctx;
      const checked = workspacePath(raw ?? '.');
      if (!checked.ok) return failed(`${shownPath(raw ?? '.')}: ${checked.reason}.`);
      const { path } = checked;
      const entries = (await files.list(path)).filter((entry) => mayRead(entry.path));
      // The folder's name as it stands, which may be written in another form of Unicode.
      const depth = path === '' ? 0 : path.split('/').length;
      const folder = entries[0]?.path.split('/').slice(0, depth).join('/') ?? path;
      const below = folder === '' ? '' : `${folder}/`;
      const unnamed = ((await files.unnamed?.(path)) ?? []).filter((name) => mayRead(`${below}${name}`));
      if (entries.length === 0 && unnamed.length === 0) {
        const file = path === '' ? null : await files.stat(path);
        if (file !== null) return named([file], shownFile(file, path), ctx);
        return path === ''
          ? { ok: true, text: '[The workspace is empty.]', labels: [], changes: [] }
          : failed(await absent(files, path));
      }
      const lines = overview(entries, below);
      const shown = lines.slice(0, MAX_ENTRIES);
      if (lines.length > shown.length)
        shown.push(`[${lines.length - shown.length} more: use search, or list a folder below]`);
      if (unnamed.length > 0) shown.push(unnamedText(unnamed));
      return named(entriesShown(entries, below, ctx), shown.join('\n'), ctx);
    }),
};
