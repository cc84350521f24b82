import { lstatSync, readdirSync, type StatsFs, statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

export interface Space {
  bytes: number;
  /** Files and folders that can still be made; null where the file system has no bound of its own. */
  files: number | null;
}

/** What is free for this user on the disk of a folder. */
export async function freeSpace(path: string): Promise<Space> {
  return spaceOf(await statfs(path));
}

/** A part of most disks is kept for root. */
const spaceOf = ({ bavail, bfree, bsize, files, ffree }: StatsFs): Space => ({
  bytes: (process.getuid?.() === 0 ? bfree : bavail) * bsize,
  files: files > 0 ? ffree : null,
});

/** Bytes below which next to nothing can be written. */
const FULL = 65_536;

export const isFull = ({ bytes }: Pick<Space, 'bytes'>): boolean => bytes < FULL;

/** For an error that does not say so itself; false where the folder cannot even be looked at. */
export function diskIsFull(folder: string): boolean {
  try {
    return isFull(spaceOf(statfsSync(folder)));
  } catch {
    return false;
  }
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`;

interface Measure {
  bytes: number;
  paths: number;
}

/** Files after which others get their turn. */
const AT_ONCE = 500;

/**
 * What a path, and the files and folders below it, take on the disk, as far as `bounds`: what is more is not counted. `since`: only
 * those that were made or changed later, in milliseconds since the epoch. What cannot be looked into counts as nothing.
 */
export async function measure(path: string, bounds: Measure, since = 0): Promise<Measure> {
  const found: Measure = { bytes: 0, paths: 0 };
  const waiting = [path];
  let looked = 0;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    looked += 1;
    if (looked % AT_ONCE === 0) await turn();
    const stats = statOf(at);
    if (stats === null) continue;
    if (stats.isDirectory()) for (const name of namesIn(at)) waiting.push(join(at, name));
    if (stats.ctimeMs <= since) continue;
    found.paths += 1;
    // A file with several names is there once.
    found.bytes += (stats.blocks * 512) / (stats.isDirectory() ? 1 : stats.nlink);
    if (found.bytes > bounds.bytes || found.paths > bounds.paths) break;
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Gone, locked, or too deep to be named.
    return [];
  }
}

const statOf = (path: string) => {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
};
