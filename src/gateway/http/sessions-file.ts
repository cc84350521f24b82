import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../core/ports/log.ts';
import { isObject } from './body.ts';
import type { KeptSession, SessionKeep } from './logins.ts';
import { writePrivate } from './presence.ts';

const VERSION = 1;

/** `<home>/sessions.json`, mode 0600. One that others may write, or that cannot be read, counts as none. */
export function sessionsFile(home: string, log: Log): SessionKeep {
  const path = join(home, 'sessions.json');
  return {
    async load() {
      const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      if (file === null) return [];
      try {
        if (((await file.stat()).mode & 0o077) !== 0) throw new Error('other users can read it');
        return sessionsIn(JSON.parse(await file.readFile('utf8')));
      } catch (error) {
        log.warn({ path, error: String(error) }, 'the sessions cannot be used: log in again');
        return [];
      } finally {
        await file.close();
      }
    },
    save: (sessions) => writePrivate(path, `${JSON.stringify({ version: VERSION, sessions })}\n`),
  };
}

function sessionsIn(value: unknown): KeptSession[] {
  if (!isObject(value) || value['version'] !== VERSION || !Array.isArray(value['sessions']))
    throw new Error('it has an unknown format');
  return value['sessions'].flatMap((each: unknown) =>
    isObject(each) && typeof each['hash'] === 'string' && typeof each['until'] === 'number'
      ? [{ hash: each['hash'], until: each['until'] }]
      : [],
  );
}
