import type { BlobRef } from '../../core/blob.ts';
import type { BlobCheck } from '../../core/ports/store.ts';
import { BlobDamaged, MAX_BLOB, nameBlob, seal, SECRET_BYTES, subjectKey, unseal } from '../cipher.ts';
import type { SubjectKey } from '../cipher.ts';
import type { Db, Statement } from './db.ts';

interface StoredKey extends SubjectKey {
  /** Null until its row is written. */
  id: number | null;
}

interface Staged {
  key: StoredKey;
  body: Buffer;
}

interface BlobRow {
  id: number;
  hash: string;
  body: Uint8Array;
  subject: number;
  name: string | null;
  erased: number | null;
  secret: Uint8Array | null;
}

export interface BlobsOptions {
  db: Db;
  random: (n: number) => Uint8Array;
  /** Writes what is staged at once, or throws. */
  overflow: () => void;
}

/** Keys kept at hand; a forgotten one is read from its table again. */
const KEYS = 1024;
/** Bytes staged before they are written without waiting for a commit. */
const STAGE = 32 * 1024 * 1024;

const SELECT = `SELECT blob.id, hash, body, subject, name, erased, secret FROM blob LEFT JOIN subject ON subject.id = blob.subject`;

/** Blobs and the keys they are under. `put` only stages: `write` is called in the next transaction. */
export class Blobs {
  readonly #options: BlobsOptions;
  readonly #keys = new Map<string, StoredKey>();
  /** Keys whose rows are not written yet: these must not be forgotten. */
  readonly #fresh = new Map<string, StoredKey>();
  readonly #staged = new Map<string, Staged>();
  #stagedBytes = 0;
  readonly #sql: {
    key: Statement<{ id: number; secret: Uint8Array }>;
    addKey: Statement<{ id: number }>;
    eraseKey: Statement<never>;
    exists: Statement<object>;
    add: Statement<never>;
    get: Statement<BlobRow>;
    after: Statement<BlobRow>;
  };

  constructor(options: BlobsOptions) {
    this.#options = options;
    const { db } = options;
    this.#sql = {
      key: db.prepare('SELECT id, secret FROM subject WHERE name = ? AND erased = 0'),
      addKey: db.prepare('INSERT INTO subject (name, secret) VALUES (?, ?) RETURNING id'),
      // Overwritten by as many bytes, and the row kept: it tells an erased blob from one whose key was lost.
      eraseKey: db.prepare(
        `UPDATE subject SET secret = zeroblob(${SECRET_BYTES}), erased = 1 WHERE name = ? AND erased = 0`,
      ),
      exists: db.prepare('SELECT 1 FROM blob WHERE hash = ?'),
      add: db.prepare('INSERT OR IGNORE INTO blob (hash, subject, body) VALUES (?, ?, ?)'),
      get: db.prepare(`${SELECT} WHERE hash = ?`),
      after: db.prepare(`${SELECT} WHERE blob.id > ? ORDER BY blob.id LIMIT 1`),
    };
  }

  put(bytes: Uint8Array, subject: string): BlobRef {
    if (bytes.length > MAX_BLOB) throw new RangeError(`a blob of ${bytes.length} bytes: at most ${MAX_BLOB} are kept`);
    const key = this.#keyOf(subject.toWellFormed());
    const hash = nameBlob(key, bytes);
    const ref = { hash, size: bytes.length, subject };
    if (this.#staged.has(hash) || this.#sql.exists.get(hash)) return ref;
    if (this.#stagedBytes + bytes.length > STAGE) this.#options.overflow();
    const body = seal(key, hash, bytes, this.#options.random);
    this.#staged.set(hash, { key, body });
    this.#stagedBytes += body.length;
    return ref;
  }

  get(hash: string): Uint8Array | null {
    const staged = this.#staged.get(hash);
    if (staged) return unseal(staged.key, hash, staged.body);
    const row = this.#sql.get.get(hash);
    if (!row) throw new BlobDamaged(hash, 'is not in the database');
    return this.#open(row);
  }

  /** Inserts what is staged. True if that was anything. */
  write(): boolean {
    for (const key of this.#fresh.values()) key.id = this.#sql.addKey.get(key.subject, key.secret)?.id ?? null;
    for (const [hash, { key, body }] of this.#staged) this.#sql.add.run(hash, key.id, body);
    return this.#fresh.size > 0 || this.#staged.size > 0;
  }

  /** The transaction of the last `write` stands. */
  kept(): void {
    for (const key of this.#fresh.values()) this.#remember(key);
    this.#fresh.clear();
    this.#staged.clear();
    this.#stagedBytes = 0;
  }

  /** The transaction of the last `write` was rolled back: everything stays staged for the next one. */
  lost(): void {
    for (const key of this.#fresh.values()) key.id = null;
  }

  /** Overwrites the key's row. What is staged must be written before. */
  erase(subject: string): boolean {
    return this.#sql.eraseKey.run(subject.toWellFormed()) > 0;
  }

  /** Drops the key from memory. */
  forget(subject: string): void {
    const name = subject.toWellFormed();
    this.#keys.get(name)?.secret.fill(0);
    this.#keys.get(name)?.naming.fill(0);
    this.#keys.delete(name);
  }

  *check(): Generator<BlobCheck> {
    let last = 0;
    for (let row = this.#sql.after.get(last); row; row = this.#sql.after.get(last)) {
      last = row.id;
      let problem: string | null = null;
      try {
        this.#open(row);
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
      }
      yield { hash: row.hash, erased: row.erased === 1, problem };
    }
  }

  #open(row: BlobRow): Uint8Array | null {
    if (row.name === null || row.secret === null) throw new BlobDamaged(row.hash, 'has lost the row of its key');
    if (row.erased === 1) return null;
    const known = this.#keys.get(row.name);
    return unseal(known?.id === row.subject ? known : subjectKey(row.name, row.secret), row.hash, row.body);
  }

  #keyOf(subject: string): StoredKey {
    const known = this.#keys.get(subject) ?? this.#fresh.get(subject);
    if (known) return known;
    const row = this.#sql.key.get(subject);
    if (row) return this.#remember({ ...subjectKey(subject, row.secret), id: row.id });
    const made: StoredKey = { ...subjectKey(subject, this.#options.random(SECRET_BYTES)), id: null };
    this.#fresh.set(subject, made);
    return made;
  }

  #remember(key: StoredKey): StoredKey {
    this.#keys.set(key.subject, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > KEYS && oldest !== undefined) this.#keys.delete(oldest);
    return key;
  }
}
