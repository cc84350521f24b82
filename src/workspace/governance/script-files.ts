import { frontMatter } from '../../config/agent.ts';
import { MAX_FILE } from '../../config/yaml-source.ts';
import type { Agent } from '../../core/agent.ts';
import type { PinnedFile } from '../../core/skill.ts';
import { foldedPath, workspacePath } from '../../core/text/paths.ts';
import type { Git } from '../../git/git.ts';
import { FOLDER, GITLINK, readTree, textOf, type TreeEntry } from '../../git/trees.ts';
import { filesBelow } from './skills.ts';

// Which files the schedules and triggers of a tree run: the scripts they name, and the programs beside these, which a
// script starts or reads as code. Documents and data beside a script are free, or nobody could write there.

/** Endings of what a script reads and does not run. */
const DATA =
  /\.(?:md|markdown|txt|rst|adoc|csv|tsv|jsonl?|ndjson|ya?ml|xml|html?|css|log|pdf|docx?|xlsx?|pptx?|od[tsp]|png|jpe?g|gif|svg|webp|ico|ics|vcf|eml|mbox|db|sqlite3?|zip|gz)$/;
/** Links that are followed from one script to the next, and words of all texts that are looked up. */
const MAX_LINKS = 5;
const MAX_WORDS = 2000;

/** What agents run: command lines of `run:`, and texts of `task:`, which may name programs. */
export interface Work {
  runs: readonly string[];
  tasks: readonly string[];
}

/** What counts, by the names that stand in the files that govern. */
export interface Extent {
  files: ReadonlySet<string>;
  /** With all programs below; of the root, '', only those that lie in it. */
  folders: ReadonlySet<string>;
}

/** A tree, or a tree with changes over it. */
export interface Look {
  at(path: string): Promise<TreeEntry | null>;
  bytes(oid: string): Promise<Uint8Array | null>;
}

export const workOf = (agents: Iterable<Agent>): Work => {
  const work = [...agents].flatMap(({ schedules, triggers = [] }) =>
    [...schedules, ...triggers].map((each) => each.work),
  );
  return {
    runs: work.flatMap((each) => (each.kind === 'run' ? [each.command] : [])),
    tasks: work.flatMap((each) => (each.kind === 'task' ? [each.text] : [])),
  };
};

/** The same of files that need not be in order: what is broken today may be mended tomorrow. */
export async function workIn(git: Git, blobs: Iterable<string>): Promise<Work> {
  const runs: string[] = [];
  const tasks: string[] = [];
  for (const oid of blobs) {
    if (((await git.info(oid))?.size ?? MAX_FILE + 1) > MAX_FILE) continue;
    const front = frontMatter((await git.object(oid))?.bytes ?? '');
    for (const entry of [front?.['schedules'], front?.['triggers']].flat()) {
      if (typeof entry !== 'object' || entry === null) continue;
      const { run, task } = entry as { run?: unknown; task?: unknown };
      if (typeof run === 'string') runs.push(run);
      if (typeof task === 'string') tasks.push(task);
    }
  }
  return { runs, tasks };
}

const isFile = (entry: TreeEntry | null): entry is TreeEntry =>
  entry !== null && entry.mode !== FOLDER && entry.mode !== GITLINK;
const isData = ({ mode }: { mode: string }, path: string): boolean => mode === '100644' && DATA.test(foldedPath(path));
const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** Words of a text that could be paths of the workspace. */
function pathsIn(text: string): string[] {
  const words = text.split(/[\s"'`()<>|&;,=]+/).map((word) => word.replace(/[.:!?]+$/, ''));
  return words.flatMap((word) => {
    const checked = /[./]/.test(word) ? workspacePath(word) : null;
    return checked?.ok === true && checked.path !== '' ? [checked.path] : [];
  });
}

/** What counts where this work is done. */
export async function extentOf(work: Work, look: Look): Promise<Extent> {
  const files = new Set<string>();
  const folders = new Set<string>();
  const add = async (path: string, links = 0): Promise<void> => {
    files.add(path);
    const entry = await look.at(path);
    // A word such as `sh` is a program of the system, unless the workspace has a file of that name.
    if (isFile(entry) || path.includes('/')) folders.add(folderOf(path));
    if (entry?.mode !== '120000' || links === MAX_LINKS) return;
    const target = new TextDecoder().decode((await look.bytes(entry.oid)) ?? new Uint8Array());
    const led = workspacePath(`${folderOf(path)}/${target}`.replace(/^\//, ''));
    if (led.ok && led.path !== '') await add(led.path, links + 1);
  };
  let left = MAX_WORDS;
  for (const run of work.runs) {
    const [script = '', ...rest] = run.split(' ');
    const named = workspacePath(script);
    if (named.ok && named.path !== '') await add(named.path);
    for (const path of pathsIn(rest.join(' ')).slice(0, left)) {
      left -= 1;
      const entry = await look.at(path);
      if (isFile(entry) && !isData(entry, path)) await add(path);
    }
  }
  for (const path of work.tasks.flatMap(pathsIn).slice(0, left))
    if ((await look.at(path))?.mode === '100755') await add(path);
  return { files, folders };
}

/** Tells whether a file is a script, a program beside one, or stands in the way of one, by names as file systems fold them. */
export function counter(extent: Extent): (path: string, modes: readonly string[]) => boolean {
  const files = new Set([...extent.files].map(foldedPath));
  const folders = new Set([...extent.folders].map(foldedPath));
  const above = new Set([...files].flatMap(foldersAbove));
  return (path, modes) => {
    if (files.size === 0) return false;
    const fold = foldedPath(path);
    if (files.has(fold) || above.has(fold)) return true;
    if (modes.every((mode) => isData({ mode }, path))) return false;
    return folders.has(folderOf(fold)) || foldersAbove(fold).some((folder) => folders.has(folder));
  };
}

/** All folders a path lies in, without the root. */
function foldersAbove(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'));
}

/** The files that count where `look` looks. */
export async function filesIn(git: Git, root: string, extent: Extent, look: Look): Promise<PinnedFile[]> {
  const found = new Map<string, PinnedFile>();
  const has = counter(extent);
  const take = (path: string, entry: TreeEntry | null): void => {
    if (!isFile(entry) || !has(path, [entry.mode])) return;
    const mode = entry.mode === '120000' || entry.mode === '100755' ? entry.mode : '100644';
    found.set(path, { path, oid: entry.oid, mode });
  };
  for (const path of [...extent.files].flatMap((file) => [file, ...foldersAbove(file)]))
    take(path, await look.at(path));
  for (const folder of extent.folders) {
    const entry = folder === '' ? null : await look.at(folder);
    if (folder === '') for (const [name, each] of await readTree(git, root)) take(textOf(name), each);
    else if (entry?.mode === FOLDER)
      for (const { path, ...file } of await filesBelow(git, entry.oid)) take(`${folder}/${path}`, file);
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Equal where the same files can only be the same: the ids of folders and files that count. */
export async function markOf(root: string, extent: Extent, look: Look): Promise<string> {
  const names = [...extent.files, ...[...extent.folders].filter((folder) => folder !== '')].sort();
  const marks = await Promise.all(names.map(async (name) => [name, await look.at(name)] as const));
  return JSON.stringify([extent.folders.has('') ? root : '', marks]);
}
