import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, type Dirent, type Stats } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

/**
 * What the file system said of each folder, by path, when Git had just filled a checkout. A command can set back contents,
 * times and rights, but neither `ctime` nor the number of a file: what has the same of both was not touched.
 */
export type Seal = ReadonlyMap<string, Sealed>;

interface Sealed {
  stamp: string;
  /** Digest of the names in it, and of the stamps of its files. */
  files: string;
  folders: readonly string[];
  /** Names in it. */
  count: number;
}

/** Files after which others get their turn. */
const AT_ONCE = 500;

export const find = (path: string): Stats | null => lstatSync(path, { throwIfNoEntry: false }) ?? null;

/** A folder's links count its folders; a file's say who else has it. */
const stampOf = ({ ino, mode, nlink, ctimeMs }: Stats): string => `${ino} ${mode} ${nlink} ${ctimeMs}`;

/** Whether nothing was put into, taken from or done to the folder itself since. */
export const isSame = (stats: Stats, sealed: Sealed | undefined): boolean => stampOf(stats) === sealed?.stamp;

export const foldersOf = (entries: readonly Dirent[]): string[] =>
  entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);

async function contents(dir: string): Promise<Omit<Sealed, 'stamp'>> {
  const digest = createHash('sha256');
  const entries = readdirSync(dir, { withFileTypes: true });
  for (const [at, entry] of entries.entries()) {
    if (at % AT_ONCE === AT_ONCE - 1) await turn();
    const stats = entry.isDirectory() ? null : find(join(dir, entry.name));
    digest.update(`${entry.name}\0${stats === null ? '' : stampOf(stats)}\0`);
  }
  return { files: digest.digest('base64'), folders: foldersOf(entries), count: entries.length };
}

/** Seals what Git has filled. Git makes a file anew to write it, so a folder that is the same as in the seal `before` holds the same files. */
export async function seal(root: string, before: Seal | null): Promise<Seal> {
  const sealed = new Map<string, Sealed>();
  const visit = async (path: string): Promise<void> => {
    const dir = join(root, path);
    const old = before?.get(path);
    const stats = lstatSync(dir);
    const now = old && isSame(stats, old) ? old : { ...(await contents(dir)), stamp: stampOf(stats) };
    sealed.set(path, now);
    await turn();
    for (const name of now.folders) await visit(join(path, name));
  };
  await visit('');
  return sealed;
}

/**
 * Leaves of a checkout only what is as it was sealed. Of each folder that is not, a new one is made with its sealed folders
 * moved over, for Git to write its files anew: so what was added to it, rights, links and attributes go. `aside` names a
 * place on the same disk for what is left; it is never entered, because a command can make it as deep as it likes.
 */
export async function straighten(root: string, before: Seal, aside: () => string): Promise<void> {
  const visit = async (path: string): Promise<void> => {
    const dir = join(root, path);
    const known = before.get(path);
    const stats = find(dir);
    // Of all but the checkout itself the folder around it is renewed, because it is not the same.
    if (path === '' && stats && !stats.isDirectory()) await rename(dir, aside());
    if (!known || !stats?.isDirectory()) return;
    open(dir, stats);
    // Looked at first: making its folders anew changes it, too.
    const same = isSame(stats, known) && (await contents(dir)).files === known.files;
    for (const name of known.folders) await visit(join(path, name));
    if (!same) await renew(dir, known.folders, path === '');
    await turn();
  };
  const renew = async (dir: string, folders: readonly string[], isRoot: boolean): Promise<void> => {
    const standing = folders.filter((name) => find(join(dir, name))?.isDirectory());
    const left = aside();
    await rename(dir, left);
    if (standing.length > 0 || isRoot) await mkdir(dir);
    for (const name of standing) await rename(join(left, name), join(dir, name));
  };
  await visit('');
}

/** Gives a folder its rights back: what a command has locked could neither be looked into nor moved. */
export function open(dir: string, stats: Stats): void {
  if ((stats.mode & 0o700) !== 0o700) chmodSync(dir, 0o755);
}
