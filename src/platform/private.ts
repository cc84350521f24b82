import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from './replace.ts';

const OTHERS = 0o077;

/**
 * A folder that nobody else can enter, whatever the umask is and whichever user made it. Where it belongs to somebody else, or the disk
 * knows no rights, it stays as it is, and doctor names it.
 */
export async function makePrivateFolder(path: string): Promise<void> {
  await makeFolder(path, { mode: 0o700 });
  await closed(path, (await stat(path)).mode);
}

/** The same for all that is below it. */
export async function closeTree(path: string): Promise<void> {
  await closed(path, (await stat(path)).mode);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const full = join(path, entry.name);
    if (entry.isDirectory()) await closeTree(full);
    else if (entry.isFile()) await closed(full, (await stat(full)).mode);
  }
}

async function closed(path: string, mode: number): Promise<void> {
  if ((mode & OTHERS) === 0) return;
  await chmod(path, mode & 0o7700).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPERM' && error.code !== 'ENOTSUP' && error.code !== 'EROFS') throw error;
  });
}
