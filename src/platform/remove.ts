import { chmod, lstat, readdir, rename, rmdir, unlink } from 'node:fs/promises';

/** Files that are removed at once: the event loop stays free, and the disk busy. */
const AT_ONCE = 32;

const gone = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error;
};

/** Names may be bytes that are no text. */
const below = (folder: Buffer, name: Buffer): Buffer => Buffer.concat([folder, Buffer.from('/'), name]);

/**
 * Removes a file or folder, whatever is in it: folders without rights, names that are no text, and folders in folders until
 * their path is longer than the system takes. Folders of folders are moved up beside the first ones for that, so no path
 * ever grows. Nothing is followed. Node's own `rm` fails on such trees, and holds up everything else meanwhile.
 */
export async function removeTree(path: string): Promise<void> {
  const found = await lstat(path).catch(gone);
  if (!found) return;
  if (!found.isDirectory()) return unlink(path).catch(gone);
  const root = Buffer.from(path);
  await chmod(root, 0o700);
  const taken = new Set((await readdir(root)).map(String));
  let count = 0;
  const free = (): Buffer => {
    do count += 1;
    while (taken.has(`up-${count}`));
    return below(root, Buffer.from(`up-${count}`));
  };
  const waiting = await empty(root, (folder) => Promise.resolve(folder));
  for (let folder = waiting.pop(); folder; folder = waiting.pop()) {
    const more = await empty(folder, async (deep) => {
      const up = free();
      await rename(deep, up);
      return up;
    });
    waiting.push(...more);
    await rmdir(folder).catch(gone);
  }
  await rmdir(root).catch(gone);
}

/** Removes the files of a folder and gives its folders, each where `move` has put it. */
async function empty(folder: Buffer, move: (folder: Buffer) => Promise<Buffer>): Promise<Buffer[]> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  const files = entries.filter((entry) => !entry.isDirectory());
  for (let at = 0; at < files.length; at += AT_ONCE)
    await Promise.all(files.slice(at, at + AT_ONCE).map((entry) => unlink(below(folder, entry.name)).catch(gone)));
  const folders: Buffer[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const path = below(folder, entry.name);
    // To be moved, a folder has to be writable itself.
    await chmod(path, 0o700);
    folders.push(await move(path));
  }
  return folders;
}
