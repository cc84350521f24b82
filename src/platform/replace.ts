import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PrivateFile } from '../core/ports/secrets.ts';

/** The calls that make a file durable, in the order in which they are made: a test cuts the power between them. */
export interface Disk {
  open(path: string, flags: string, mode?: number): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: true }): Promise<void>;
}
interface OpenFile {
  writeFile(data: string | Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}
const realDisk: Disk = { open, rename, rm };

export interface ReplaceOptions {
  mode?: number;
  /** Where the new bytes wait, on the same disk; what a crash has left there is removed. By default beside the file. */
  temp?: string;
  /** False for what is made anew after a crash: whole for every reader, but not worth waiting for the disk. */
  durable?: boolean;
  disk?: Disk;
}

/**
 * Replaces a file: readers see the old bytes or the new ones, never a part. When this resolves the new ones survive a
 * power cut; when it rejects, nothing has changed unless only the last step failed.
 */
export async function replaceFile(
  path: string,
  data: string | Uint8Array,
  options: ReplaceOptions = {},
): Promise<void> {
  const { mode = 0o644, durable = true, disk = realDisk } = options;
  const temp = options.temp ?? `${path}.${randomUUID()}`;
  try {
    const create = () => disk.open(temp, 'wx', mode);
    const file = await create().catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      await disk.rm(temp, { force: true });
      return create();
    });
    try {
      await file.writeFile(data);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temp, path);
  } catch (error) {
    await disk.rm(temp, { force: true }).catch(() => undefined);
    throw error;
  }
  if (durable) await syncFolder(dirname(path), disk);
}

/** Makes the names in a folder durable: a file's own sync does not keep its name. */
export async function syncFolder(path: string, disk: Disk = realDisk): Promise<void> {
  const folder = await disk.open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A file that only its owner may read. */
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
          throw new Error(
            `${path} can be read by other users. If one of them may have read it, delete it and set it up again; otherwise run: chmod 600 ${path}`,
          );
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    },
    write: (text) => replaceFile(path, text, { mode: 0o600 }),
  };
}
