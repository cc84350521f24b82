import { diskIsFull } from '../../platform/disk.ts';
import { DISK_FULL, faultText } from '../../core/text/file-fault.ts';
import { accessSync, closeSync, constants, fsyncSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { StoreUnavailable } from '../../core/ports/store.ts';

export type Value = SQLInputValue;

/** A prepared statement. Rows are trusted to have the shape its text selects. */
export interface Statement<Row> {
  get(...values: Value[]): Row | undefined;
  all(...values: Value[]): Row[];
  /** Gives the number of rows changed. */
  run(...values: Value[]): number;
}

/** The one place that knows `node:sqlite`: when its classes are renamed, this file changes and no other. */
export interface Db {
  prepare<Row>(sql: string): Statement<Row>;
  /** Like `prepare`, but an integer too large for a number arrives as text: a damaged row can still be named. */
  prepareSafe<Row>(sql: string): Statement<Row>;
  exec(sql: string): void;
  readonly inTransaction: boolean;
  /** Statements so far that have changed a row. */
  readonly writes: number;
  close(): void;
}

export interface DbOptions {
  readOnly?: boolean;
  /** Milliseconds to wait for another process's lock. */
  timeout: number;
}

export const DAMAGED =
  'the database is damaged, and a part of it cannot be read; keep a copy of the home, then restore a backup';

/** Opens or creates the file (0600: it holds keys). Errors come out as StoreUnavailable. */
export function openDb(path: string, options: DbOptions): Db {
  try {
    if (!options.readOnly) create(path);
    return wrap(connect(path, options), path);
  } catch (error) {
    throw unavailable(error, path);
  }
}

function create(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })) return;
  closeSync(openSync(path, 'a', 0o600));
  syncFolder(path);
}

/** A synced file in an unsynced folder is gone after a power cut. */
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function connect(path: string, { readOnly = false, timeout }: DbOptions): DatabaseSync {
  const open = (target: string | URL): DatabaseSync => {
    const db = new DatabaseSync(target, { readOnly, timeout });
    try {
      // Opening is lazy: the first look at the file finds out whether it can be read at all.
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  };
  try {
    return open(path);
  } catch (error) {
    // On a read-only disk WAL's shared memory cannot be made. Without an open WAL the file itself is the whole database.
    const wal = statSync(`${path}-wal`, { throwIfNoEntry: false });
    if (!readOnly || primaryCode(error) !== CANTOPEN || (wal && wal.size > 0)) throw error;
    return open(new URL(`${pathToFileURL(path).href}?immutable=1`));
  }
}

function wrap(db: DatabaseSync, path: string): Db {
  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw unavailable(error, path);
    }
  };
  let writes = 0;
  const statement = <Row>(inner: StatementSync): Statement<Row> => ({
    get: (...values) => guard(() => inner.get(...values) as Row | undefined),
    all: (...values) => guard(() => inner.all(...values) as Row[]),
    run: (...values) => guard(() => Number(inner.run(...values).changes)),
  });
  /** The same, counted where it has changed something: what it hands back then are rows that it has changed. */
  const counted = <Row>({ get, all, run }: Statement<Row>): Statement<Row> => {
    const note = <T>(result: T, changed: boolean): T => {
      if (changed) writes++;
      return result;
    };
    return {
      get(...values) {
        const row = get(...values);
        return note(row, row !== undefined);
      },
      all(...values) {
        const rows = all(...values);
        return note(rows, rows.length > 0);
      },
      run(...values) {
        const changes = run(...values);
        return note(changes, changes > 0);
      },
    };
  };
  return {
    prepare<Row>(sql: string) {
      const plain = statement<Row>(guard(() => db.prepare(sql)));
      return /^\s*(?:INSERT|UPDATE|DELETE)\b/.test(sql) ? counted(plain) : plain;
    },
    prepareSafe<Row>(sql: string) {
      const inner = guard(() => db.prepare(sql));
      inner.setReadBigInts(true);
      const plain = statement<Record<string, unknown>>(inner);
      return {
        get: (...values) => narrow(plain.get(...values)) as Row | undefined,
        all: (...values) => plain.all(...values).map((row) => narrow(row) as Row),
        run: (...values) => plain.run(...values),
      };
    },
    exec: (sql) => guard(() => db.exec(sql)),
    get inTransaction() {
      return db.isTransaction;
    },
    get writes() {
      return writes;
    },
    close: () => guard(() => db.close()),
  };
}

const narrow = (row: Record<string, unknown> | undefined): Record<string, unknown> | undefined => {
  if (!row) return undefined;
  for (const [name, value] of Object.entries(row)) {
    if (typeof value !== 'bigint') continue;
    const number = Number(value);
    row[name] = Number.isSafeInteger(number) ? number : String(value);
  }
  return row;
};

/** Bytes of a path that SQLite takes, with the end of the log's name. */
const LONGEST = 500;

// Primary result codes of SQLite.
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** The primary SQLite result code of an error, or null if it is none of SQLite's. */
function primaryCode(error: unknown): number | null {
  if (error instanceof StoreUnavailable) return primaryCode(error.cause);
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode & 0xff;
}

/** True if another connection holds the lock that was asked for. */
export const isBusy = (error: unknown): boolean => {
  const code = primaryCode(error);
  return code === BUSY || code === LOCKED;
};

/** What the disk or the file did to us, in words a person can act on; any other error as it is, since it is a bug. */
function unavailable(error: unknown, path: string): unknown {
  if (error instanceof StoreUnavailable) return error;
  const make = (code: StoreUnavailable['code'], message: string): StoreUnavailable =>
    new StoreUnavailable(code, `${path}: ${message}`, { cause: error });
  const full = (): StoreUnavailable => make('full', `${faultText(DISK_FULL)}, nothing was lost`);
  const readOnly = (): StoreUnavailable =>
    make('readonly', 'the file or its folder is read-only; correct its permissions or mount the disk for writing');
  const fs = error instanceof Error && 'code' in error ? error.code : null;
  if (fs === 'ENOSPC' || fs === 'EDQUOT') return full();
  if (fs === 'EROFS' || fs === 'EACCES' || fs === 'EPERM') return readOnly();
  if (fs === 'ERR_INVALID_STATE') return make('io', 'the store is closed');
  if (fs === 'ENOENT') return make('io', 'there is no such folder or file');
  switch (primaryCode(error)) {
    case FULL:
      return full();
    case READONLY:
      return readOnly();
    case IOERR:
      // Growing the shared memory of WAL on a full disk reports a plain I/O error.
      return diskIsFull(dirname(path)) ? full() : make('io', 'the disk reports an error; see the kernel log');
    case CANTOPEN:
      if (Buffer.byteLength(path) > LONGEST)
        return make(
          'io',
          `its path has more than ${LONGEST} bytes, which SQLite does not take; choose a shorter --home`,
        );
      if (isReadOnly(path)) return readOnly();
      return diskIsFull(dirname(path))
        ? full()
        : make('io', 'it cannot be opened; see whether the folder exists and may be written');
    case CORRUPT:
      return make('io', DAMAGED);
    case NOTADB:
      return make('io', 'this is not an SQLite database, or its beginning is damaged; restore a backup');
    case BUSY:
    case LOCKED:
      return make('io', 'another process holds the database');
    default:
      return error;
  }
}

function isReadOnly(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    // A missing folder is no read-only one.
    return error instanceof Error && 'code' in error && error.code !== 'ENOENT' && error.code !== 'ENOTDIR';
  }
}
