import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** How commands find the gateway of a home: `gateway.json`, mode 0600, there while it listens. */
export interface Presence {
  url: string;
  pid: number;
}

const FILE = 'gateway.json';

/** Whole or not at all, and on disk under its name only once its bytes are. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const temp = `${path}.${randomUUID()}`;
  try {
    const file = await open(temp, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
}

export const writePresence = (home: string, presence: Presence): Promise<void> =>
  writePrivate(join(home, FILE), `${JSON.stringify(presence)}\n`);

/** Removes what this process wrote; another one's is left alone. */
export async function removePresence(home: string, pid: number): Promise<void> {
  const path = join(home, FILE);
  const text = await readFile(path, 'utf8').catch(() => ''); // gone already
  if (text.includes(`"pid":${pid}}`)) await rm(path, { force: true });
}

/**
 * The token of a home: the file `token` (mode 0600), made once from 32 random bytes. One that others may read is
 * refused, because it may have been read.
 */
export async function homeToken(home: string, bytes: (length: number) => Uint8Array): Promise<string> {
  const path = join(home, 'token');
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (file === null) {
    const token = Buffer.from(bytes(32)).toString('base64url');
    await writePrivate(path, `${token}\n`);
    return token;
  }
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0)
      throw new Error(
        `${path} can be read by other users. Delete it to get a new one, or if nobody has read it: chmod 600 ${path}`,
      );
    return (await file.readFile('utf8')).trim();
  } finally {
    await file.close();
  }
}
