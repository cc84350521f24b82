import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { privateFile } from '../platform/replace.ts';

/** How commands find the gateway of a home: `gateway.json`, mode 0600, there while it listens. */
export interface Presence {
  url: string;
  pid: number;
}

const FILE = 'gateway.json';

export const writePresence = (home: string, presence: Presence): Promise<void> =>
  privateFile(join(home, FILE)).write(`${JSON.stringify(presence)}\n`);

/** Removes what this process wrote; another one's is left alone. */
export async function removePresence(home: string, pid: number): Promise<void> {
  const path = join(home, FILE);
  const text = await readFile(path, 'utf8').catch(() => ''); // gone already
  if (text.includes(`"pid":${pid}}`)) await rm(path, { force: true });
}

/** The token of a home: the file `token`, made once from 32 random bytes. */
export async function homeToken(home: string, bytes: (length: number) => Uint8Array): Promise<string> {
  const file = privateFile(join(home, 'token'));
  const standing = await file.read();
  if (standing !== null) return standing.trim();
  const token = Buffer.from(bytes(32)).toString('base64url');
  await file.write(`${token}\n`);
  return token;
}
