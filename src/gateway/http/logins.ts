import { createHash } from 'node:crypto';
import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { PrivateFile } from '../../core/ports/secrets.ts';
import { isObject } from '../../core/text/json.ts';

/** What is kept of a session: enough to know it again, too little to be one. */
export interface KeptSession {
  /** SHA-256 of the token and the cookie's value, base64url. */
  hash: string;
  /** Milliseconds since the epoch. */
  until: number;
}

/** Where sessions outlive the process. */
export interface SessionKeep {
  load(): Promise<KeptSession[]>;
  save(sessions: readonly KeptSession[]): Promise<void>;
}

export interface LoginOptions {
  keep: SessionKeep;
  /** So many random bytes, fit for keys. */
  bytes(length: number): Uint8Array;
  /** As it is now. Another token is another cookie: who changes it logs everybody out. */
  token(): string;
  /** A session has ended before its time. */
  ended(): void;
  clock: Clock;
  log: Log;
}

export interface Logins {
  /** A code that makes one session, within ten minutes. */
  code(): string;
  /** The `Set-Cookie` of a new session, `secure`: for HTTPS alone; null for a code that is unknown, used or too old. */
  enter(code: string, secure: boolean): Promise<string | null>;
  /** The session's cookie in a `Cookie` header, if there is one. */
  cookieIn(header: string | undefined): string | null;
  /** Until when this cookie's session lasts; null if there is none. */
  until(cookie: string): number | null;
  /** Ends the session, and gives the `Set-Cookie` that takes the cookie away. */
  leave(cookie: string): Promise<string>;
  /** Takes the cookie away from a browser whose session has ended. */
  readonly gone: string;
}

const CODE_MS = 10 * 60_000;
const SESSION_MS = 30 * 24 * 3_600_000;
/** Codes and sessions at once; beyond it the oldest ends. */
const MAX_CODES = 20;
const MAX_SESSIONS = 100;

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Sessions of browsers: a code that works once becomes a cookie. Of both only the hash is kept. */
export async function openLogins({ keep, bytes, token, ended, clock, log }: LoginOptions): Promise<Logins> {
  const codes = new Map<string, number>();
  const sessions = new Map<string, number>();
  for (const { hash, until } of await keep.load()) sessions.set(hash, until);
  // Cookies know no ports: two homes on one machine must not take each other's place.
  const name = (): string => `ruche_${digest(`cookie ${token()}`).slice(0, 8)}`;
  const attributes = 'Path=/; HttpOnly; SameSite=Strict';
  // Bound to the token: somebody who took a cookie must not bring it back under the name that a new token gives.
  const sessionOf = (value: string): string => digest(`session ${token()} ${value}`);
  const codeOf = (code: string): string => digest(`code ${token()} ${code}`);
  const random = (length: number): string => Buffer.from(bytes(length)).toString('base64url');
  let saving = Promise.resolve();

  const save = (): Promise<void> => {
    const all = [...sessions].map(([hash, until]) => ({ hash, until }));
    saving = saving
      .then(() => keep.save(all))
      .catch((error: unknown) =>
        log.warn({ error: String(error) }, 'sessions could not be saved: a restart ends them'),
      );
    return saving;
  };
  const add = (to: Map<string, number>, hash: string, until: number, most: number): void => {
    for (const [each, end] of to) if (end <= clock.now()) to.delete(each);
    to.set(hash, until);
    for (const each of to.keys()) if (to.size > most) to.delete(each);
    ended();
  };

  const gone = (): string => `${name()}=; ${attributes}; Max-Age=0`;
  return {
    get gone() {
      return gone();
    },
    code() {
      const code = random(16);
      add(codes, codeOf(code), clock.now() + CODE_MS, MAX_CODES);
      return code;
    },
    async enter(code, secure) {
      const hash = codeOf(code);
      const until = codes.get(hash) ?? 0;
      codes.delete(hash);
      if (until <= clock.now()) return null;
      const value = random(32);
      add(sessions, sessionOf(value), clock.now() + SESSION_MS, MAX_SESSIONS);
      await save();
      return `${name()}=${value}; ${attributes}${secure ? '; Secure' : ''}; Max-Age=${SESSION_MS / 1000}`;
    },
    cookieIn(header = '') {
      if (header === '') return null;
      const own = name();
      for (const pair of header.split(';')) {
        const at = pair.indexOf('=');
        if (at > 0 && pair.slice(0, at).trim() === own) return pair.slice(at + 1).trim();
      }
      return null;
    },
    until(cookie) {
      const until = sessions.get(sessionOf(cookie)) ?? 0;
      return until > clock.now() ? until : null;
    },
    async leave(cookie) {
      if (sessions.delete(sessionOf(cookie))) {
        ended();
        await save();
      }
      return gone();
    },
  };
}

const VERSION = 1;

/** Keeps sessions in `sessions.json`. One that others may read, or that makes no sense, counts as none. */
export const sessionsFile = (file: PrivateFile, log: Log): SessionKeep => ({
  async load() {
    try {
      const text = await file.read();
      return text === null ? [] : sessionsIn(JSON.parse(text));
    } catch (error) {
      log.warn({ path: file.path, error: String(error) }, 'the sessions cannot be used: log in again');
      return [];
    }
  },
  save: (sessions) => file.write(`${JSON.stringify({ version: VERSION, sessions })}\n`),
});

function sessionsIn(value: unknown): KeptSession[] {
  if (!isObject(value) || value['version'] !== VERSION || !Array.isArray(value['sessions']))
    throw new Error('it has an unknown format');
  return value['sessions'].flatMap((each: unknown) =>
    isObject(each) && typeof each['hash'] === 'string' && typeof each['until'] === 'number'
      ? [{ hash: each['hash'], until: each['until'] }]
      : [],
  );
}
