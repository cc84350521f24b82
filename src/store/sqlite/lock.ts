import { join } from 'node:path';
import { isBusy, openDb } from './db.ts';
import type { Db } from './db.ts';

/** Another process works on this home. */
export class HomeLocked extends Error {
  readonly home: string;
  constructor(home: string) {
    super(
      `another ruche is running on ${home}; talk to it with \`ruche ask\` or \`ruche status\`, stop it, or give another --home`,
    );
    this.name = 'HomeLocked';
    this.home = home;
  }
}

export interface HomeLock {
  release(): void;
}

/**
 * Makes this process the only one on a home folder, which must exist. An exclusive lock on an SQLite file of its own,
 * because the kernel gives it up when the process dies, however it dies: there is no stale lock to clean up.
 * Throws HomeLocked, or StoreUnavailable where the folder cannot be written.
 */
export function lockHome(home: string): HomeLock {
  let db: Db | null = null;
  try {
    db = openDb(join(home, 'lock'), { timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    throw isBusy(error) ? new HomeLocked(home) : error;
  }
  const held = db;
  return { release: () => held.close() };
}
