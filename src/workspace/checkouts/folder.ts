import { isUtf8 } from 'node:buffer';
import { chmodSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Change } from '../../core/files.ts';
import type { Checkout, Collected } from '../../core/ports/workspace.ts';
import { changedPaths } from '../../git/changed.ts';
import { badPath, fileMode, isFile, tooLarge } from '../overlay/path.ts';
import type { Git } from '../../git/git.ts';
import { tamed } from '../landing/merge.ts';
import { replaceFile } from '../../platform/replace.ts';
import type { TreeEntry, Trees } from '../../git/trees.ts';

/** What is kept of a checkout beside its files, so that a crash does not lose whose it is. */
export interface CheckoutState {
  /** The call it belongs to; null while it is free. */
  key: string | null;
  /** Its files are the tree's: a command may have been started. */
  ready: boolean;
  base: string;
  tree: string;
  /** Some paths are hidden from the command. */
  blind: boolean;
}

/** The places of one checkout: `files`, and outside of what a command can reach its index, state and throwaway repository. */
export interface Place {
  id: string;
  root: string;
  files: string;
  index: string;
  git: string;
  state: string;
}

export const placeOf = (root: string, id: string): Place => {
  const own = join(root, id);
  return {
    id,
    root: own,
    files: join(own, 'files'),
    index: join(own, 'index'),
    git: join(own, 'git'),
    state: join(own, 'state.json'),
  };
};

/** `blind`: the command gets no objects, because among them are files that are hidden from it. */
export const checkoutOf = (git: Git, place: Place, blind: boolean): Checkout => ({
  id: place.id,
  dir: place.files,
  git: place.git,
  objects: blind ? join(place.git, 'none') : git.neutral.objects,
});

export const writeState = (place: Place, state: CheckoutState): Promise<void> =>
  replaceFile(place.state, JSON.stringify(state), { temp: `${place.state}.new` });

export async function readState(place: Place): Promise<CheckoutState | null> {
  const text = await readFile(place.state, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return JSON.parse(text) as CheckoutState;
  } catch {
    // Cut off by a power failure: whose it was is not known, so it is nobody's.
    return null;
  }
}

/** Git on this checkout's files and index. ctime is what a command cannot set back, so changes cannot hide. */
const on = (place: Place) => ({
  env: { GIT_WORK_TREE: place.files, GIT_INDEX_FILE: place.index },
  cwd: place.files,
});
const STRICT = ['-c', 'core.trustctime=true', '-c', 'core.checkStat=default', '-c', 'core.filemode=true'];

const absent = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error;
};

/** Gives folders their rights back. What a command has locked Git calls removed, and the next command could not read. */
async function unlock(folder: string, each: (path: string) => void = () => undefined): Promise<void> {
  if ((lstatSync(folder).mode & 0o7700) !== 0o700) chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (!entry.isDirectory()) each(join(folder, entry.name));
    else await unlock(join(folder, entry.name), each);
  await turn();
}

/**
 * Removes the files that are one with others, or lack rights, so that Git writes them anew. It would not see that by itself:
 * it compares times by the second, and contents are the same.
 */
const straighten = (folder: string): Promise<void> =>
  unlock(folder, (path) => {
    const { mode, nlink } = lstatSync(path);
    if (nlink > 1 || (mode & 0o7600) !== 0o600) rmSync(path);
  });

export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(async () => {
    await unlock(path);
    await rm(path, { recursive: true, force: true });
  });
}

/** Removes what Git does not know of: ignored files and nested repositories, too. */
export async function clean(git: Git, place: Place): Promise<void> {
  await git.run([...STRICT, 'clean', '-ffdxq'], on(place));
  await removeTree(join(place.files, '.git'));
  // Git leaves a sub-module's folder alone; what one command put there must not reach the next.
  for (const path of await gitlinks(git, place)) await removeTree(join(place.files, path));
}

async function gitlinks(git: Git, place: Place): Promise<string[]> {
  const staged = (await git.run(['ls-files', '-z', '--stage'], on(place))).stdout;
  if (!staged.includes('160000 ')) return [];
  return names(staged)
    .filter(({ text }) => text.startsWith('160000 '))
    .map(({ text }) => text.slice(text.indexOf('\t') + 1));
}

/** Makes the files those of the tree, whatever a command has left there. */
export async function fill(git: Git, place: Place, tree: string): Promise<void> {
  await mkdir(place.files, { recursive: true });
  await rm(`${place.index}.lock`, { force: true });
  const reset = async (): Promise<void> => {
    await straighten(place.files);
    await git.run([...STRICT, 'read-tree', '--reset', '-u', tree], on(place));
    await clean(git, place);
    // As in a clone: where the folder is missing, Git calls the sub-module removed.
    for (const path of await gitlinks(git, place)) await mkdir(join(place.files, path), { recursive: true });
  };
  await reset().catch(async () => {
    // What cannot be put in order is thrown away: an unreadable index, folders without rights.
    await removeTree(place.files);
    await rm(place.index, { force: true });
    await mkdir(place.files, { recursive: true });
    await reset();
  });
}

/**
 * The repository a command sees: HEAD at the base, the workspace's objects behind an alternate, its own configuration,
 * and an index copied from ours, so that `status` need not read every file. Made anew each time. A blind one is empty.
 */
export async function throwaway(git: Git, place: Place, base: string, blind: boolean): Promise<void> {
  const { neutral } = git;
  await removeTree(place.git);
  await mkdir(join(place.git, 'refs', 'heads'), { recursive: true });
  await mkdir(join(place.git, 'objects', 'info'), { recursive: true });
  await mkdir(join(place.git, 'info'));
  const sha256 = neutral.objectFormat === 'sha256';
  const config = [
    `[core]\n\trepositoryformatversion = ${sha256 ? 1 : 0}\n\tbare = false\n\tautocrlf = false\n\tcheckStat = minimal`,
    '\ttrustctime = false\n\tlogAllRefUpdates = true\n[gc]\n\tauto = 0',
    ...(sha256 ? ['[extensions]\n\tobjectFormat = sha256'] : []),
    '[user]\n\tname = agent\n\temail = agent@ruche.invalid\n[init]\n\tdefaultBranch = main\n',
  ].join('\n');
  const own = join(neutral.commonDir, 'info', 'exclude');
  await Promise.all([
    writeFile(join(place.git, 'HEAD'), 'ref: refs/heads/main\n'),
    writeFile(join(place.git, 'config'), config),
    writeFile(join(place.git, 'objects', 'info', 'alternates'), `${neutral.objects}\n`),
    writeFile(join(place.git, 'info', 'attributes'), '* -text !eol -ident !filter !working-tree-encoding\n'),
    writeFile(join(place.git, 'info', 'exclude'), await readFile(own).catch(() => '')),
    // Of a shallow clone: where history ends.
    copyFile(join(neutral.commonDir, 'shallow'), join(place.git, 'shallow')).catch(absent),
  ]);
  if (blind) await mkdir(join(place.git, 'none'));
  else {
    await writeFile(join(place.git, 'refs', 'heads', 'main'), `${base}\n`);
    await copyFile(place.index, join(place.git, 'index'));
  }
  // The mount point of the throwaway repository.
  await mkdir(join(place.files, '.git'), { recursive: true });
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

const refuse = (why: string): Collected => ({ changes: [], dropped: [], refused: why });

interface Found {
  /** Paths whose present content goes into the index. */
  add: string[];
  /** Paths that are no more. */
  gone: string[];
  dropped: string[];
  refused: string | null;
}

/** Looks at every path Git names, without following anything, and sorts out what must not reach the index. */
async function look(git: Git, place: Place, options: CollectOptions): Promise<Found> {
  const list = (args: string[]) => git.run([...STRICT, 'ls-files', '-z', ...args, '--exclude-standard'], on(place));
  const [listed, ignored, links] = await Promise.all([
    list(['-t', '-c', '-m', '-d', '-o']),
    list(['-o', '-i', '--directory', '--no-empty-directory']),
    gitlinks(git, place),
  ]);
  const found: Found = { add: [], gone: [], dropped: names(ignored.stdout).map((name) => name.text), refused: null };
  const nested = (folder: string): void => {
    found.refused ??= `${folder} is a Git repository of its own; remove its .git folder and run the command again`;
  };
  const folders = new Set<string>();
  const changed = new Map<string, boolean>();
  for (const { text, valid } of names(listed.stdout)) {
    const path = text.slice(2);
    // H: tracked, listed whether changed or not. Its folder may hide a repository from Git.
    if (!text.startsWith('H ')) changed.set(path, valid);
    else if (path.includes('/')) folders.add(path.slice(0, path.lastIndexOf('/')));
  }
  for (const folder of folders) if (await lstat(join(place.files, folder, '.git')).catch(() => null)) nested(folder);
  let total = 0;
  for (const [name, valid] of changed) {
    const path = name.replace(/\/$/, '');
    const stats = valid ? await lstat(join(place.files, path)).catch(() => null) : null;
    if (links.includes(path)) continue;
    if (name.endsWith('/')) nested(path);
    else if (!valid || badPath(path) !== null) found.dropped.push(path);
    else if (!stats || stats.isDirectory()) found.gone.push(path);
    else if (stats.isSymbolicLink() || stats.isFile()) {
      if (stats.isFile() && (stats.mode & 0o400) === 0) await chmod(join(place.files, path), stats.mode | 0o400);
      if (stats.size > options.maxFile) found.refused ??= tooLarge(path, stats.size, options.maxFile);
      total += stats.size;
      found.add.push(path);
    } else found.dropped.push(`${path} (not a regular file)`);
  }
  // Git does not look into a sub-module, so what a command has put there is not among what it lists.
  for (const path of links)
    if ((await readdir(join(place.files, path)).catch(() => [])).length > 0)
      found.dropped.push(`${path}/ (a sub-module)`);
  if (total > options.maxTotal) found.refused ??= tooLarge('all changed files together', total, options.maxTotal);
  return found;
}

export interface CollectOptions {
  maxFile: number;
  maxTotal: number;
}

/** What a command changed against the tree that was put there. Looking twice gives the same. */
export async function collectFrom(
  git: Git,
  trees: Trees,
  place: Place,
  state: CheckoutState,
  options: CollectOptions,
): Promise<Collected> {
  // A kill in the middle of an earlier look leaves it; nobody else uses this index.
  await rm(`${place.index}.lock`, { force: true });
  await unlock(place.files);
  const found = await look(git, place, options);
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
  const baseTree = await trees.of(state.base);
  const changes: Change[] = [];
  for (const { path, old, new: next } of await changedPaths(git, state.tree, written)) {
    const entry: TreeEntry | null = next && (await tamed(git, path, next));
    const mode = fileMode(entry?.mode ?? old?.mode ?? '100644');
    if (entry && entry.oid === old?.oid && mode === fileMode(old.mode)) continue;
    // Seen from the base, like every other change of the run: that is what the landing merges against.
    const base = await trees.at(baseTree, path);
    changes.push({ path, mode, oid: entry?.oid ?? null, was: isFile(base) ? base.oid : null });
  }
  return { changes, dropped: found.dropped, refused: null };
}
