import { openSync, closeSync, readSync, statSync } from 'node:fs';
import { StoreUnavailable } from '../../core/ports/store.ts';
import type { Db } from './db.ts';

/** "Ruch": how `file` and other tools tell our databases from others. */
const APPLICATION_ID = 0x52756368;

/** One migration a version: index 0 makes version 1. Never edited after a release; described in docs/formats/database.md. */
const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  stream TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, cause TEXT,
  labels TEXT NOT NULL, key TEXT, schema INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX event_stream ON event (stream);
CREATE INDEX event_type ON event (type);
CREATE UNIQUE INDEX event_key ON event (key) WHERE key IS NOT NULL;
CREATE TRIGGER event_update BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'events are never deleted'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER event_insert BEFORE INSERT ON event
  WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM event) OR EXISTS (SELECT 1 FROM event WHERE key = NEW.key)
  BEGIN SELECT raise(ABORT, 'events are only appended'); END;

CREATE TABLE task (
  ord INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, lane TEXT NOT NULL, agent TEXT NOT NULL,
  session TEXT NOT NULL, sender TEXT NOT NULL, content TEXT, priority INTEGER NOT NULL,
  not_before INTEGER, deadline INTEGER, key TEXT, attempt INTEGER NOT NULL, max_attempts INTEGER NOT NULL,
  status TEXT NOT NULL, labels TEXT NOT NULL, cause TEXT, absorbed_by TEXT, result TEXT,
  token INTEGER NOT NULL DEFAULT 0, worker TEXT, due INTEGER
);
CREATE UNIQUE INDEX task_key ON task (key) WHERE key IS NOT NULL;
CREATE INDEX task_status ON task (status, queue);
CREATE INDEX task_lane ON task (lane, ord) WHERE status IN ('queued', 'running', 'waiting');
CREATE INDEX task_claim ON task (priority DESC, ord, due, queue) WHERE due IS NOT NULL;
CREATE INDEX task_due ON task (due) WHERE due IS NOT NULL;
CREATE INDEX task_absorbed ON task (absorbed_by) WHERE absorbed_by IS NOT NULL;
-- Counting a hundred thousand rows for each message that arrives would be the slowest part of it.
CREATE TABLE task_count (status TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER task_added AFTER INSERT ON task BEGIN
  INSERT INTO task_count VALUES (NEW.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER task_moved AFTER UPDATE OF status ON task WHEN OLD.status <> NEW.status BEGIN
  UPDATE task_count SET n = n - 1 WHERE status = OLD.status;
  INSERT INTO task_count VALUES (NEW.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TABLE subject (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, erased INTEGER NOT NULL DEFAULT 0, secret BLOB NOT NULL
);
CREATE UNIQUE INDEX subject_name ON subject (name) WHERE erased = 0;
CREATE TABLE blob (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, subject INTEGER NOT NULL, body BLOB NOT NULL);
`,
  `
ALTER TABLE task ADD COLUMN origin TEXT;
ALTER TABLE task ADD COLUMN root TEXT AS (origin ->> '$.root') VIRTUAL;
ALTER TABLE task ADD COLUMN parent TEXT AS (origin ->> '$.parent') VIRTUAL;
CREATE INDEX task_root ON task (root) WHERE root IS NOT NULL;
CREATE INDEX task_parent ON task (parent) WHERE parent IS NOT NULL;
CREATE INDEX task_deadline ON task (deadline) WHERE deadline IS NOT NULL AND status IN ('queued', 'running', 'waiting');
CREATE TABLE task_wait (task TEXT NOT NULL, until TEXT NOT NULL, PRIMARY KEY (task, until)) WITHOUT ROWID;
CREATE INDEX task_wait_until ON task_wait (until);
`,
  `
ALTER TABLE blob ADD COLUMN packed INTEGER;
`,
];

export const FORMAT = MIGRATIONS.length;

/** Refuses what no migration can mend, before SQLite creates or recovers anything. */
export function inspectFile(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  const size = found?.size ?? 0;
  const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const damaged = (what: string): StoreUnavailable => new StoreUnavailable('io', `${path}: ${what}; restore a backup`);
  if (size === 0 && wal > 0) throw damaged('the database is empty but its log is not: it was cut off');
  if (found?.isDirectory() === true) throw damaged('a folder stands where the database must be: move it away');
  if (size === 0) return;
  const head = readHead(path);
  if (head.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw damaged('this is not an SQLite database, or its beginning is damaged');
  // SQLite reads a last page that is cut off as if zeros followed. With a log the file may rightly be behind.
  const pageSize = head.readUInt16BE(16);
  if (wal === 0 && size % (pageSize === 1 ? 65_536 : pageSize) !== 0)
    throw damaged('the database is damaged: its last page was cut off');
}

function readHead(path: string): Buffer {
  const head = Buffer.alloc(100);
  const file = openSync(path, 'r');
  try {
    readSync(file, head, 0, head.length, 0);
    return head;
  } finally {
    closeSync(file);
  }
}

const pragma = (db: Db, name: string): number =>
  Object.values(db.prepare<Record<string, number>>(`PRAGMA ${name}`).get() ?? {})[0] ?? 0;

/** Brings the database to this version's format in one transaction, or says why it must not be touched. */
export function migrate(db: Db, path: string, now: number, readOnly: boolean): void {
  const format = checkFormat(db, path);
  if (format === FORMAT) return;
  if (readOnly)
    throw new StoreUnavailable(
      'readonly',
      `${path}: the database has format ${format}, this Ruche writes ${FORMAT}; run \`ruche up\` once to bring it up to date`,
    );
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const sql of MIGRATIONS.slice(checkFormat(db, path))) db.exec(sql);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
    const note = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)');
    note.run('format', String(FORMAT));
    if (format === 0) note.run('created', new Date(now).toISOString());
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function checkFormat(db: Db, path: string): number {
  const application = pragma(db, 'application_id');
  const format = pragma(db, 'user_version');
  const tables = db.prepare<{ n: number }>('SELECT count(*) AS n FROM sqlite_schema').get()?.n ?? 0;
  if (application !== APPLICATION_ID && (application !== 0 || format !== 0 || tables > 0))
    throw new StoreUnavailable('io', `${path}: this database belongs to another program; give another --home`);
  if (format > FORMAT)
    throw new StoreUnavailable(
      'io',
      `${path}: the database has format ${format} and this Ruche knows up to ${FORMAT}; install the newer Ruche that wrote it. Nothing was changed`,
    );
  return format;
}
