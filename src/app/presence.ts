import { readFileSync, type Stats, statSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../core/ports/log.ts';
import type { KeptSecrets } from '../core/ports/secrets.ts';
import { refuseToListen } from '../gateway/http/access.ts';
import type { Gateway, LocalAccess } from '../gateway/server.ts';
import { shellWord } from '../core/text/paths.ts';
import { privateFile } from '../platform/replace.ts';

/** How commands find the gateway of a home: `gateway.json`, mode 0600, there while it listens. */
export interface Presence {
  url: string;
  pid: number;
  /** Name of the socket in the home; none where it cannot be. */
  socket?: string;
  /** By which the gateway proves to commands that the port is its own. */
  proof?: string;
}

const FILE = 'gateway.json';
const SOCKET = 'gateway.sock';
/** Bytes of the longest path that a socket can have, on every system. */
const MAX_SOCKET = 103;

/** How commands of a home reach its gateway without giving the token to whatever listens on its port. */
export function localAccess(home: string, platform: string, bytes: (length: number) => Uint8Array): LocalAccess {
  const path = join(home, SOCKET);
  const can = platform !== 'win32' && Buffer.byteLength(path) <= MAX_SOCKET;
  return { socket: can ? path : null, proof: Buffer.from(bytes(32)).toString('base64url') };
}

/** What `gateway.json` says of it. */
export const presenceOf = ({ url, local }: Pick<Gateway, 'url' | 'local'>, { proof }: LocalAccess): Presence => ({
  url,
  pid: process.pid,
  ...(local ? { socket: SOCKET } : {}),
  proof,
});

export const writePresence = (home: string, presence: Presence): Promise<void> =>
  privateFile(join(home, FILE)).write(`${JSON.stringify(presence)}\n`);

/** Removes what this process wrote; another one's is left alone. */
export async function removePresence(home: string, pid: number): Promise<void> {
  const path = join(home, FILE);
  const text = await readFile(path, 'utf8').catch(() => ''); // gone already
  if (new RegExp(`"pid":${pid}[,}]`).test(text)) await rm(path, { force: true });
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

function readToken(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null; // of another user, or gone since it was looked at
  }
}

interface TokenNow {
  home: string;
  host: string;
  first: string;
  secrets: Pick<KeptSecrets, 'hide'>;
  log: Log;
}

/**
 * The token as its file holds it now, so that one that was changed counts at once. One that cannot be used is reported, and the
 * one before stays.
 */
export function tokenNow({ home, host, first, secrets, log }: TokenNow): () => string {
  const path = join(home, 'token');
  const look = (): Stats | undefined | string => {
    try {
      return statSync(path, { throwIfNoEntry: false });
    } catch (error) {
      // Of the disk, or of the way to the home. Thrown from here it would end the gateway, at whatever request comes next.
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  };
  const stampOf = (found = look()): string =>
    typeof found === 'object' ? `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}` : (found ?? '');
  let token = first;
  let seen = stampOf();
  const changed = (): string | null => {
    const found = look();
    if (typeof found === 'string') return `the file cannot be looked at (${found})`;
    if (found === undefined) return 'it is gone; the next start makes a new one';
    if ((found.mode & 0o077) !== 0) return `it can be read by other users; run: chmod 600 ${shellWord(path)}`;
    const next = readToken(path);
    if (next === null) return 'it cannot be read';
    const refusal = refuseToListen(host, next);
    if (refusal !== null) return refusal;
    secrets.hide(next);
    token = next;
    return null;
  };
  return () => {
    const now = stampOf();
    if (now === seen) return token;
    seen = now;
    const problem = changed();
    if (problem !== null)
      log.warn({ path, problem }, 'the changed token cannot be used, and the one before stays in force');
    return token;
  };
}
