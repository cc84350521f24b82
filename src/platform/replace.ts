import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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
export const realDisk: Disk = { open, rename, rm };

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
export const syncFolder = (path: string, disk: Disk = realDisk): Promise<void> => sync(path, disk);

async function sync(path: string, disk: Disk): Promise<void> {
  const opened = await disk.open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** Makes a folder, and those above it, with names that survive a power cut; one that is there already is left as it is. */
export async function makeFolder(path: string, options: { mode?: number; disk?: Disk } = {}): Promise<void> {
  const { mode = 0o777, disk = realDisk } = options;
  const first = await mkdir(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = path; made !== dirname(first); made = dirname(made)) await syncFolder(dirname(made), disk);
}

/** Makes everything below a folder durable that others have written there: bytes first, then the names. */
export async function syncTree(path: string, disk: Disk = realDisk): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true });
  await Promise.all(
    entries.map(async (entry) => {
      const full = join(path, entry.name);
      if (entry.isDirectory()) await syncTree(full, disk);
      else if (entry.isFile()) await sync(full, disk);
    }),
  );
  await syncFolder(path, disk);
}

/** Other users may read what only the owner should. */
export class OpenToOthers extends Error {
  constructor(path: string) {
    super(
      `${path} can be read by other users. If one of them may have read it, delete it and set it up again; otherwise run: chmod 600 ${path}`,
    );
    this.name = 'OpenToOthers';
  }
}

/**
 * The file that a path means. Where its owner keeps it elsewhere and has put a link there, a new file in the place of the
 * link would leave the old one as it was, and could put a key on the very disk that it was kept away from.
 */
async function meant(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await refuseDangling(path);
    return path;
  }
}

/** A disk that is not there at the moment is no reason to begin anew. */
async function refuseDangling(path: string): Promise<void> {
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  );
  if (isThere) throw new Error('it is a link to a file that is not there');
}

/** A file that only its owner may read. The owner may put a link in its place. */
export function privateFile(path: string): PrivateFile {
  return {
    path,
    async read() {
      // A pipe in its place would be waited for without end.
      const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      if (file === null) {
        await refuseDangling(path);
        return null;
      }
      try {
        const found = await file.stat();
        if (found.isFIFO()) throw Object.assign(new Error(`${path} is a pipe`), { code: 'it is a pipe' });
        if ((found.mode & 0o077) !== 0) throw new OpenToOthers(path);
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    },
    write: async (text) => replaceFile(await meant(path), text, { mode: 0o600 }),
  };
}
