import { lstat, readFile, readlink, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { convert, conversionsOf, type Conversion } from '../../git/conversions.ts';
import type { Git } from '../../git/git.ts';
import { setIndex } from '../../git/changed.ts';
import type { PathChange } from '../../git/changed.ts';
import type { TreeEntry } from '../../git/trees.ts';

export interface Restore {
  paths: readonly PathChange[];
  /** The side the working tree shall show. */
  target: 'old' | 'new';
  /** The index that is brought to that side; the caller puts it in place. */
  index: string;
  /** An earlier recovery was cut off, so the beginning of the old side may be its work. */
  again: boolean;
}

/** True if every folder above the path is a real one. A link would lead writes somewhere else. */
async function underFolders(root: string, path: string): Promise<boolean> {
  const parts = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const found = await lstat(join(root, ...parts.slice(0, depth))).catch(() => null);
    if (!found) return true;
    if (!found.isDirectory()) return false;
  }
  return true;
}

/** What stands in the working tree: bytes of a file, target of a link, `missing`, or something `else`. */
async function onDisk(root: string, path: string): Promise<Buffer | 'missing' | 'else'> {
  if (!(await underFolders(root, path))) return 'else';
  const full = join(root, path);
  const found = await lstat(full).catch(() => null);
  if (!found) return 'missing';
  if (found.isSymbolicLink()) return readlink(full, 'buffer');
  return found.isFile() ? readFile(full) : 'else';
}

/** Whether the bytes are the entry's or, if `part` will do, as much of it as was written when the process died. */
async function isEntry(git: Git, bytes: Buffer, entry: TreeEntry | null, part: boolean): Promise<boolean> {
  if (!entry) return false;
  const blob = await git.object(entry.oid);
  if (!blob || (!part && blob.bytes.length !== bytes.length)) return false;
  return blob.bytes.subarray(0, bytes.length).equals(bytes);
}

/** What of a file would be in the repository: a landing writes it as the person's Git would, with their line endings. */
async function stored(git: Git, path: string, bytes: Buffer, conversion: Conversion | undefined): Promise<Buffer> {
  if (conversion !== 'built-in') return bytes;
  const oid = await convert(git, path, bytes);
  return oid === 'refused' ? bytes : ((await git.object(oid))?.bytes ?? bytes);
}

/**
 * Brings the files of a half-done landing to one side. Only what the landing itself can have left is touched: a file
 * that is neither side, nor the beginning of one, was edited by a person and stays.
 */
export async function restore(git: Git, { paths, target, index, again }: Restore): Promise<void> {
  const root = git.workTree;
  if (root === null) return;
  const write: PathChange[] = [];
  const conversions = await conversionsOf(
    git,
    paths.map(({ path }) => path),
  );
  for (const change of paths) {
    const want = change[target];
    const found = await onDisk(root, change.path);
    if (found === 'else') continue;
    if (found === 'missing') {
      if (want) write.push(change);
      continue;
    }
    const bytes = await stored(git, change.path, found, conversions.get(change.path));
    const ours = (await isEntry(git, bytes, change.new, true)) || (await isEntry(git, bytes, change.old, again));
    if (!ours) continue;
    if (want) write.push(change);
    else await removeFile(root, change.path);
  }
  await setIndex(git, index, paths, target);
  if (write.length === 0) return;
  const env = { ...git.asPerson, GIT_INDEX_FILE: index };
  const input = write.map((change) => `${change.path}\0`).join('');
  await git.run(['checkout-index', '-f', '-q', '-u', '-z', '--stdin'], { env, input });
}

async function removeFile(root: string, path: string): Promise<void> {
  await unlink(join(root, path));
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    const emptied = await rmdir(join(root, folder)).then(
      () => true,
      () => false,
    );
    if (!emptied) return;
  }
}
