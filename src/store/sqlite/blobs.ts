import type { BlobRef } from '../../core/blob.ts';
import type { BlobCheck } from '../../core/ports/store.ts';
import {
  BlobDamaged,
  MAX_BLOB,
  nameBlob,
  pack,
  seal,
  SECRET_BYTES,
  subjectKey,
  unseal,
  type SubjectKey,
} from '../cipher.ts';
import type { Db, Statement, Value } from './db.ts';
import { Known } from './known.ts';
import { errorText } from '../../core/text/sentence.ts';

interface StoredKey extends SubjectKey {
  /** Null until its row is written. */
  id: number | null;
}

interface Staged {
  key: StoredKey;
  body: Buffer;
  packed: boolean;
}

interface BlobRow {
  id: number;
  hash: string;
  body: Uint8Array;
  packed: number | null;
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
/** Names of blobs that are known to be there. */
const NAMES = 4096;
/** What was put lately is read back soon: bytes of it that are kept, and of one at most. */
const RECENT = 2 * 1024 * 1024;
const RECENT_MOST = 64 * 1024;
/** What one takes in memory beside its bytes: a million of one byte each would be some hundred megabytes. */
const RECENT_EACH = 512;
/** Bytes above which it is looked up whether a blob is there already, before it is encrypted and written once more for nothing. */
const SMALL = 16 * 1024;
/** Rows of one INSERT: as many as fit of the largest first. */
const TOGETHER = [8, 1] as const;
/** Bytes staged before they are written without waiting for a commit. */
const STAGE = 32 * 1024 * 1024;

const SELECT = `SELECT blob.id, hash, body, packed, subject, name, erased, secret FROM blob LEFT JOIN subject ON subject.id = blob.subject`;

/** Blobs and the keys they are under. `put` only stages: `write` is called in the next transaction. */
export class Blobs {
  readonly #options: BlobsOptions;
  readonly #keys = new Map<string, StoredKey>();
  /** Keys whose rows are not written yet: these must not be forgotten. */
  readonly #fresh = new Map<string, StoredKey>();
  readonly #staged = new Map<string, Staged>();
  readonly #names = new Known<string, true>(NAMES);
  /** Subjects whose keys the transaction under way takes. */
  readonly #erased = new Set<string>();
  readonly #recent = new Map<string, { bytes: Buffer; subject: string }>();
  readonly #adds = new Map<number, Statement<never>>();
  #stagedBytes = 0;
  #recentBytes = 0;
  readonly #sql: {
    key: Statement<{ id: number; secret: Uint8Array }>;
    addKey: Statement<{ id: number }>;
    eraseKey: Statement<never>;
    exists: Statement<object>;
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
      get: db.prepare(`${SELECT} WHERE hash = ?`),
      after: db.prepare(`${SELECT} WHERE blob.id > ? ORDER BY blob.id LIMIT 1`),
    };
  }

  put(bytes: Uint8Array, subject: string): BlobRef {
    if (bytes.length > MAX_BLOB) throw new RangeError(`a blob of ${bytes.length} bytes: at most ${MAX_BLOB} are kept`);
    const key = this.#keyOf(subject.toWellFormed());
    const hash = nameBlob(key, bytes);
    const ref = { hash, size: bytes.length, subject };
    if (this.#staged.has(hash) || this.#names.get(hash)) return ref;
    if (bytes.length > SMALL && this.#sql.exists.get(hash)) return ref;
    if (this.#stagedBytes + bytes.length > STAGE) this.#options.overflow();
    const packed = pack(bytes);
    const body = seal(key, hash, packed ?? bytes, this.#options.random);
    this.#staged.set(hash, { key, body, packed: packed !== null });
    this.#stagedBytes += body.length;
    this.#note(hash, bytes, key.subject);
    return ref;
  }

  get(hash: string): Uint8Array | null {
    const recent = this.#recent.get(hash);
    if (recent) return recent.bytes;
    const staged = this.#staged.get(hash);
    if (staged) return unseal(staged.key, hash, staged.body, staged.packed);
    const row = this.#sql.get.get(hash);
    if (!row) throw new BlobDamaged(hash, 'is not in the database');
    return this.#open(row);
  }

  /** Inserts what is staged. True if that was anything. */
  write(): boolean {
    for (const key of this.#fresh.values()) key.id = this.#sql.addKey.get(key.subject, key.secret)?.id ?? null;
    const rows = [...this.#staged];
    let done = 0;
    for (const size of TOGETHER)
      for (; rows.length - done >= size; done += size)
        this.#add(size).run(
          ...rows
            .slice(done, done + size)
            .flatMap(([hash, { key, body, packed }]): Value[] => [hash, key.id, body, packed ? 1 : null]),
        );
    return this.#fresh.size > 0 || done > 0;
  }

  /** The transaction of the last `write` stands. */
  kept(): void {
    for (const key of this.#fresh.values()) this.#remember(key);
    for (const hash of this.#staged.keys()) this.#names.set(hash, true);
    // Now, and not once the caller goes on: what is put in between would be under a key that is gone.
    for (const name of this.#erased) this.#forget(name);
    this.#erased.clear();
    this.#fresh.clear();
    this.#staged.clear();
    this.#stagedBytes = 0;
  }

  /** The transaction of the last `write` was rolled back: everything stays staged for the next one. */
  lost(): void {
    for (const key of this.#fresh.values()) key.id = null;
    this.#erased.clear();
  }

  /** Overwrites the key's row, and drops the key with the transaction. What is staged must be written before. */
  erase(subject: string): boolean {
    const name = subject.toWellFormed();
    this.#erased.add(name);
    for (const [hash, recent] of this.#recent) if (recent.subject === name) this.#drop(hash);
    return this.#sql.eraseKey.run(name) > 0;
  }

  #forget(name: string): void {
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
        problem = errorText(error);
      }
      yield { hash: row.hash, erased: row.erased === 1, problem };
    }
  }

  #open(row: BlobRow): Uint8Array | null {
    if (row.name === null || row.secret === null) throw new BlobDamaged(row.hash, 'has lost the row of its key');
    if (row.erased === 1) return null;
    const known = this.#keys.get(row.name);
    const key = known?.id === row.subject ? known : subjectKey(row.name, row.secret);
    return unseal(key, row.hash, row.body, row.packed === 1);
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

  /** A copy, and not of Node's pool, which would keep more alive than is meant. */
  #note(hash: string, bytes: Uint8Array, subject: string): void {
    if (bytes.length > RECENT_MOST) return;
    this.#drop(hash);
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    copy.set(bytes);
    this.#recent.set(hash, { bytes: copy, subject });
    this.#recentBytes += bytes.length + RECENT_EACH;
    for (const oldest of this.#recent.keys()) {
      if (this.#recentBytes <= RECENT) return;
      this.#drop(oldest);
    }
  }

  #drop(hash: string): void {
    const known = this.#recent.get(hash);
    if (known) this.#recentBytes -= known.bytes.length + RECENT_EACH;
    this.#recent.delete(hash);
  }

  #add(rows: number): Statement<never> {
    const known = this.#adds.get(rows);
    if (known) return known;
    const marks = Array.from({ length: rows }, () => '(?, ?, ?, ?)').join(', ');
    const made = this.#options.db.prepare<never>(
      `INSERT OR IGNORE INTO blob (hash, subject, body, packed) VALUES ${marks}`,
    );
    this.#adds.set(rows, made);
    return made;
  }

  #remember(key: StoredKey): StoredKey {
    this.#keys.set(key.subject, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > KEYS && oldest !== undefined) this.#keys.delete(oldest);
    return key;
  }
}
