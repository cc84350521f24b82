import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PrivateFile } from '../core/ports/secrets.ts';

/** A file that only its owner may read, replaced as a whole and safe from a power cut. */
export function privateFile(path: string): PrivateFile {
  return {
    path,
    async read() {
      const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      if (file === null) return null;
      try {
        const { mode } = await file.stat();
        if ((mode & 0o077) !== 0)
          throw new Error(`${path} can be read by other users, and so may its keys have been: run chmod 600 ${path}`);
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    },
    async write(text) {
      const temp = `${path}.${randomUUID()}`;
      try {
        await synced(temp, text);
        await rename(temp, path);
      } catch (error) {
        await rm(temp, { force: true });
        throw error;
      }
      // The name itself is safe only once its folder is.
      const folder = await open(dirname(path), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}

async function synced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
