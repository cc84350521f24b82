import { isUtf8 } from 'node:buffer';
import { readdirSync, type Dirent } from 'node:fs';
import { chmod, copyFile, lstat, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Change } from '../../core/files.ts';
import type { Collected } from '../../core/ports/workspace.ts';
import { changedPaths } from '../../git/changed.ts';
import type { Git } from '../../git/git.ts';
import type { TreeEntry, Trees } from '../../git/trees.ts';
import { tamed } from '../landing/merge.ts';
import { badPath, fileMode, isFile, tooLarge } from '../overlay/path.ts';
import { on, STRICT, type CheckoutState, type Place } from './folder.ts';
import { find, foldersOf, isSame, open, type Seal } from './seal.ts';

export interface CollectOptions {
  /** Bytes of the largest file, and of all changed files of one command. */
  maxFile: number;
  maxTotal: number;
  /** Files and folders that one command may add. */
  maxPaths: number;
  /** Files that it may change. */
  maxChanges: number;
}

const refuse = (why: string): Collected => ({ changes: [], dropped: [], refused: why });

/** What Git does not speak of, or takes for something else. */
interface Survey {
  /** Folders with a `.git` of any kind. */
  nested: string[];
  /** Folders that are a repository themselves, whatever their name. */
  bare: string[];
  /** Pipes, sockets and devices. */
  special: string[];
  refused: string | null;
}

/** What makes Git take a folder for a repository, and run the programs that its configuration names. */
const isBare = (names: ReadonlySet<string>): boolean =>
  names.has('HEAD') && (names.has('commondir') || (names.has('objects') && names.has('refs')));

/** Looks into each folder that the command has touched, and gives folders their rights back: what is locked Git calls removed. */
async function survey(root: string, seal: Seal | null, maxPaths: number): Promise<Survey> {
  const found: Survey = { nested: [], bare: [], special: [], refused: null };
  let count = 0;
  const sort = (path: string, entry: Dirent): void => {
    const at = join(path, entry.name);
    if (entry.name.toLowerCase() === '.git') found.nested.push(...(path === '' ? [] : [path]));
    else if (!entry.isFile() && !entry.isDirectory() && !entry.isSymbolicLink()) found.special.push(at);
  };
  const visit = async (path: string): Promise<void> => {
    const dir = join(root, path);
    const stats = find(dir);
    if (!stats?.isDirectory() || found.refused !== null) return;
    open(dir, stats);
    const known = seal?.get(path);
    let folders = known?.folders ?? [];
    if (!isSame(stats, known)) {
      const entries = readdirSync(dir, { withFileTypes: true });
      count += Math.max(0, entries.length - (known?.count ?? 0));
      if (count > maxPaths) found.refused = `it left more than ${maxPaths} files and folders`;
      for (const entry of entries) sort(path, entry);
      if (isBare(new Set(entries.map((entry) => entry.name)))) found.bare.push(path);
      folders = foldersOf(entries);
    }
    await turn();
    for (const name of folders) if (name.toLowerCase() !== '.git') await visit(join(path, name));
  };
  await visit('').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENAMETOOLONG') throw error;
    found.refused = 'it left folders in folders, so deep that their path is longer than the system takes';
  });
  return found;
}

const names = (output: Buffer): { text: string; valid: boolean }[] => {
  const found: { text: string; valid: boolean }[] = [];
  for (let at = 0; at < output.length;) {
    const end = output.indexOf(0, at);
    const name = output.subarray(at, end);
    found.push({ text: name.toString('utf8'), valid: isUtf8(name) });
    at = end + 1;
  }
  return found;
};

async function gitlinks(git: Git, place: Place): Promise<string[]> {
  const staged = (await git.run(['ls-files', '-z', '--stage'], on(place))).stdout;
  if (!staged.includes('160000 ')) return [];
  return names(staged)
    .filter(({ text }) => text.startsWith('160000 '))
    .map(({ text }) => text.slice(text.indexOf('\t') + 1));
}

interface Found {
  /** Paths whose present content goes into the index. */
  add: string[];
  /** Paths that are no more. */
  gone: string[];
  dropped: string[];
  refused: string | null;
}

const isIn = (path: string, folders: readonly string[]): boolean =>
  folders.some((folder) => path === folder || path.startsWith(`${folder}/`));

/** Repositories that are named; a command can leave thousands. */
const MAX_NAMED = 20;

function repositoriesText(repositories: ReadonlyMap<string, string>): string {
  const all = [...repositories];
  const [[folder, marker] = ['', '']] = all;
  if (all.length === 1)
    return `${folder === '' ? 'the workspace' : folder} is a Git repository of its own; remove its ${marker} and run the command again`;
  const markers = all.slice(0, MAX_NAMED).map(([path, each]) => (path === '' ? each : `${path}/${each}`));
  const more = all.length > MAX_NAMED ? ` and ${all.length - MAX_NAMED} more of their kind` : '';
  return `${all.length} folders are Git repositories of their own; remove ${markers.join(', ')}${more}, and run the command again`;
}

/** Sorts out what must not reach the index, without following anything. */
async function look(git: Git, place: Place, seen: Survey, options: CollectOptions): Promise<Found> {
  const list = (args: string[]) => git.run([...STRICT, 'ls-files', '-z', ...args, '--exclude-standard'], on(place));
  const [listed, ignored, links] = await Promise.all([
    list(['-m', '-d', '-o']),
    list(['-o', '-i', '--directory', '--no-empty-directory']),
    gitlinks(git, place),
  ]);
  const dropped = names(ignored.stdout).map((name) => name.text);
  const unseen = [...dropped.filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1)), ...links];
  const found: Found = { add: [], gone: [], dropped, refused: null };
  // What makes each of them one. All are named, and before what is too large: one call can remove them.
  const repositories = new Map<string, string>();
  for (const folder of seen.nested) if (!isIn(folder, unseen)) repositories.set(folder, '.git');
  const special = seen.special.filter((path) => !isIn(path, unseen));
  dropped.push(...special.map((path) => `${path} (not a regular file)`));
  let total = 0;
  for (const [name, valid] of new Map(names(listed.stdout).map((each) => [each.text, each.valid]))) {
    const path = name.replace(/\/$/, '');
    const stats = valid ? await lstat(join(place.files, path)).catch(() => null) : null;
    if (links.includes(path)) continue;
    if (name.endsWith('/')) repositories.set(path, '.git');
    else if (!valid || badPath(path) !== null) found.dropped.push(path);
    else if (!stats || stats.isDirectory()) found.gone.push(path);
    else if (stats.isSymbolicLink() || stats.isFile()) {
      if (stats.isFile() && (stats.mode & 0o400) === 0) await chmod(join(place.files, path), stats.mode | 0o400);
      if (stats.size > options.maxFile) found.refused ??= tooLarge(path, stats.size, options.maxFile);
      total += stats.size;
      found.add.push(path);
    }
  }
  // Git does not look into a sub-module, so what a command has put there is not among what it lists.
  for (const path of links)
    if ((await readdir(join(place.files, path)).catch(() => [])).length > 0)
      found.dropped.push(`${path}/ (a sub-module)`);
  for (const folder of seen.bare)
    if (!repositories.has(folder) && found.add.some((path) => isIn(path, [folder]))) repositories.set(folder, 'HEAD');
  if (repositories.size > 0) found.refused = repositoriesText(repositories);
  if (total > options.maxTotal) found.refused ??= tooLarge('all changed files together', total, options.maxTotal);
  const count = found.add.length + found.gone.length;
  if (count > options.maxChanges)
    found.refused ??= `it changed ${count} files, more than the limit of ${options.maxChanges}; change fewer at a time, or name in .gitignore what need not be kept`;
  return found;
}

/** What a command changed against the tree that was put there. Looking twice gives the same. */
export async function collectFrom(
  git: Git,
  trees: Trees,
  { place, state, seal }: { place: Place; state: CheckoutState; seal: Seal | null },
  options: CollectOptions,
): Promise<Collected> {
  // A kill in the middle of an earlier look leaves it; nobody else uses this index.
  await rm(`${place.index}.lock`, { force: true });
  const seen = await survey(place.files, seal, options.maxPaths);
  if (seen.refused !== null) return refuse(seen.refused);
  const found = await look(git, place, seen, options);
  if (found.refused !== null) return refuse(found.refused);
  // The checkout's own index keeps the times from before the command, so that what was touched is written anew for the next.
  const index = `${place.index}.collect`;
  await rm(`${index}.lock`, { force: true });
  await copyFile(place.index, index);
  // Of a file that is as young as the index, Git compares the contents, because its times say nothing.
  const { atime, mtime } = await lstat(place.index);
  await utimes(index, atime, Math.floor(mtime.getTime() / 1000));
  const { env, cwd } = on(place);
  const aside = { env: { ...env, GIT_INDEX_FILE: index }, cwd };
  const stage = async (paths: string[], flags: string[]): Promise<void> => {
    if (paths.length === 0) return;
    const input = paths.map((path) => `${path}\0`).join('');
    await git.run([...STRICT, 'update-index', ...flags, '-z', '--stdin'], { ...aside, input });
  };
  await stage(found.gone, ['--force-remove']);
  await stage(found.add, ['--add', '--replace', '--remove']);
  const written = await git.text(['write-tree'], aside);
  return { changes: await changesTo(git, trees, state, written), dropped: found.dropped, refused: null };
}

async function changesTo(git: Git, trees: Trees, state: CheckoutState, written: string): Promise<Change[]> {
  const changes: Change[] = [];
  const baseTree = await trees.of(state.base);
  for (const { path, old, new: next } of await changedPaths(git, state.tree, written)) {
    const entry: TreeEntry | null = next && (await tamed(git, path, next));
    const mode = fileMode(entry?.mode ?? old?.mode ?? '100644');
    if (entry && entry.oid === old?.oid && mode === fileMode(old.mode)) continue;
    // Seen from the base, like every other change of the run: that is what the landing merges against.
    const base = await trees.at(baseTree, path);
    changes.push({ path, mode, oid: entry?.oid ?? null, was: isFile(base) ? base.oid : null });
  }
  return changes;
}
