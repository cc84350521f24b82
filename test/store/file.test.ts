import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { BoundaryName } from '../../src/core/ports/boundary.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import { verifyChain } from './chain-oracle.ts';
import { openDb } from '../../src/store/sqlite/db.ts';
import { FORMAT } from '../../src/store/sqlite/schema.ts';
import { claimSql, QUEUE_SQL, tasksSql } from '../../src/store/sqlite/queue.ts';
import {
  apply,
  claimAt,
  collect,
  commit,
  enqueue,
  newTask,
  note,
  openAt,
  settle,
  take,
  tempDir,
  TestClock,
} from './kit.ts';

let dir = '';
let remove = async (): Promise<void> => {};
let files = 0;
const fresh = (): string => join(dir, `${files++}.sqlite`);

before(async () => {
  ({ dir, remove } = await tempDir());
});
after(() => remove());

const raw = (path: string, sql: string): void => {
  const db = openDb(path, { timeout: 0 });
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
};

/** A closed database with a few hundred events. */
async function made(): Promise<string> {
  const path = fresh();
  const store = await openAt(path);
  await commit(
    store,
    Array.from({ length: 300 }, (_, i) => note(`s${i % 7}`, `event number ${i}`, { key: `k${i}` })),
  );
  await store.close();
  return path;
}

const refused = (path: string, message: RegExp, code: StoreUnavailable['code'] = 'io'): Promise<void> =>
  assert.rejects(openAt(path), (error: unknown) => {
    assert.ok(error instanceof StoreUnavailable, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error.message.includes(path), 'names the file');
    return true;
  });

describe('the database file', () => {
  test('what was committed is there after closing and opening, leases and fences too', async () => {
    const path = fresh();
    const first = await openAt(path);
    const ref = first.putBlob(Buffer.from('kept'), 'person:ann');
    await commit(first, [note('a', 'one'), note('a', 'two')], [{ op: 'enqueue', task: newTask('t'), causeOf: 1 }]);
    const claim = await claimAt(first, 1000, 500);
    await first.close();
    await first.close();
    assert.equal((await stat(path)).mode & 0o777, 0o600, 'it holds keys');
    const second = await openAt(path);
    assert.deepEqual(await second.getBlob(ref), Buffer.from('kept'));
    assert.deepEqual([await second.head(), (await second.task('t'))?.cause], [2, 'evt_2']);
    assert.ok(claim);
    assert.ok((await commit(second, [note('a', 'three')], [], { fence: claim.lease })).ok);
    assert.equal((await claimAt(second, 1500))?.lease.token, 2);
    assert.equal((await verifyChain(second.rows())).events, 3);
    assert.deepEqual(second.integrity(), []);
    await second.close();
  });

  test('UPDATE, DELETE and every way to replace an event are refused by the database itself', async () => {
    const path = await made();
    const columns = 'stream, version, at, actor, cause, labels, key, schema, type, data, hash';
    const forged = "'s0', 1, 1, 'x', NULL, '[]', 'k5', 1, 't', '{}', 'h'";
    for (const sql of [
      "UPDATE event SET data = '{}' WHERE seq = 5",
      "UPDATE OR REPLACE event SET key = 'k6' WHERE seq = 5",
      'DELETE FROM event WHERE seq = 300',
      'DELETE FROM event',
      `INSERT OR REPLACE INTO event (seq, ${columns}) VALUES (5, ${forged})`,
      `INSERT OR REPLACE INTO event (seq, ${columns}) VALUES (301, ${forged})`,
      `REPLACE INTO event (seq, ${columns}) VALUES (300, ${forged})`,
      `INSERT INTO event (seq, ${columns}) VALUES (302, ${forged.replace("'k5'", 'NULL')})`,
    ])
      assert.throws(() => raw(path, sql), /events are (never changed|never deleted|only appended)/, sql);
    const store = await openAt(path);
    assert.deepEqual(await verifyChain(store.rows()), {
      events: 300,
      head: (await store.event('evt_300'))?.hash,
      misfit: null,
    });
    await store.close();
  });

  test('a newer database, one of another program, and no database at all are refused and left alone', async () => {
    const newer = await made();
    raw(newer, `PRAGMA user_version = ${FORMAT + 1}`);
    const before = await readFile(newer);
    await refused(
      newer,
      new RegExp(`has format ${FORMAT + 1} and this Ruche knows up to ${FORMAT}; install the newer`),
    );
    assert.deepEqual(await readFile(newer), before);
    const foreign = fresh();
    raw(foreign, 'CREATE TABLE theirs (x)');
    await refused(foreign, /belongs to another program/);
    const text = fresh();
    await writeFile(text, 'dear diary, '.repeat(1000));
    await refused(text, /not an SQLite database/);
    assert.equal((await readFile(text, 'utf8')).length, 12_000);
    await refused(join(dir, 'no', 'such.sqlite'), /no such folder/);
    const folder = fresh();
    await mkdir(folder);
    await assert.rejects(openAt(folder));
  });

  test('a file that was cut off or overwritten is refused with what to do, never emptied', async () => {
    const whole = await made();
    const { size } = await stat(whole);
    let refusals = 0;
    for (const length of [10, 99, 600, 4096, 8192, size - 4096, size - 1]) {
      const cut = fresh();
      await copyFile(whole, cut);
      await truncate(cut, length);
      await refused(cut, /damaged|not an SQLite database/);
      assert.equal((await stat(cut)).size, length);
      refusals++;
    }
    assert.equal(refusals, 7);
    const emptied = fresh();
    await writeFile(emptied, '');
    await writeFile(`${emptied}-wal`, 'x'.repeat(100));
    await refused(emptied, /cut off/);
    const garbled = fresh();
    await copyFile(whole, garbled);
    const bytes = await readFile(garbled);
    bytes.fill(0xee, 4096);
    await writeFile(garbled, bytes);
    const outcome = await openAt(garbled).then(
      async (store) => {
        const report = await verifyChain(store.rows());
        assert.ok(store.integrity().length > 0);
        await store.close();
        return report.misfit?.why ?? 'nothing found';
      },
      (error: Error) => error.message,
    );
    assert.match(outcome, /damaged/);
  });

  test('a migration that fails leaves nothing behind', async () => {
    const path = fresh();
    raw(path, 'CREATE TABLE blob (x); PRAGMA application_id = 0x52756368');
    await assert.rejects(openAt(path), /blob already exists/);
    const db = openDb(path, { timeout: 0 });
    assert.deepEqual(db.prepare('SELECT name FROM sqlite_schema').all().length, 1);
    db.close();
  });

  test('a reader in another connection sees commits, follows them, and cannot write', async () => {
    const path = fresh();
    await assert.rejects(openAt(path, { readOnly: true }), StoreUnavailable);
    await assert.rejects(stat(path), /ENOENT/);
    const writer = await openAt(path);
    await commit(writer, [note('a', 'one')]);
    const reader = await openAt(path, { readOnly: true });
    const following = take(reader.follow(0, new AbortController().signal), 60);
    for (let i = 0; i < 59; i++) await commit(writer, [note('a', `more ${i}`)]);
    assert.deepEqual(
      (await following).map((event) => event.seq),
      Array.from({ length: 60 }, (_, i) => i + 1),
    );
    const readonly = { name: 'StoreUnavailable', code: 'readonly' };
    await assert.rejects(commit(reader, [note('a', 'x')]), readonly);
    await assert.rejects(claimAt(reader, 1), readonly);
    await assert.rejects(reader.releaseAll(), readonly);
    await assert.rejects(reader.erase('s'), readonly);
    assert.throws(() => reader.putBlob(Buffer.from('x'), 's'), readonly);
    await writer.close();
    assert.equal((await collect(reader.read({}))).length, 60);
    await reader.close();
    const alone = await openAt(path, { readOnly: true });
    assert.equal((await verifyChain(alone.rows())).events, 60);
    await alone.close();
  });
});

describe('group commit', () => {
  const counting = async (): Promise<{ store: Awaited<ReturnType<typeof openAt>>; seen: BoundaryName[] }> => {
    const seen: BoundaryName[] = [];
    return { store: await openAt(fresh(), { boundary: (name) => seen.push(name) }), seen };
  };

  test('commits of one turn share a transaction and a sync; later ones do not wait for them', async () => {
    const { store, seen } = await counting();
    await Promise.all(Array.from({ length: 50 }, (_, i) => commit(store, [note('a', 'x')], [], { sync: i === 30 })));
    assert.deepEqual(seen, ['store.commit.before', 'store.sync.before', 'store.sync.after', 'store.commit.after']);
    seen.length = 0;
    await commit(store, [note('a', 'y')]);
    assert.deepEqual(seen, ['store.commit.before', 'store.commit.after']);
    await Promise.all(Array.from({ length: 1300 }, () => commit(store, [note('a', 'z')])));
    assert.equal(seen.filter((name) => name === 'store.commit.after').length, 1 + 3, 'groups are bounded');
    assert.equal((await verifyChain(store.rows())).events, 1351);
    await store.close();
  });

  test('what writes nothing costs no transaction; a sync of nothing new syncs only what is owed', async () => {
    const { store, seen } = await counting();
    await commit(store, [note('a', 'x')], [], { sync: true });
    seen.length = 0;
    assert.equal(await claimAt(store, 1), null);
    await commit(store, [note('a', 'x')], [], { expect: { a: 9 }, sync: true });
    await commit(store, [], [], { sync: true });
    assert.deepEqual(seen, []);
    await commit(store, [note('a', 'y', { key: 'k' })]);
    seen.length = 0;
    const again = await commit(store, [note('a', 'y', { key: 'k' })], [], { sync: true });
    assert.equal(again.ok, false);
    // The one it is a double of was not synced yet, and a caller that asks now may tell the platform "received".
    assert.deepEqual(seen, ['store.commit.before', 'store.sync.before', 'store.sync.after', 'store.commit.after']);
    await store.close();
  });

  test('staged blobs are bounded: too many are written without waiting for a commit', async () => {
    const path = fresh();
    const store = await openAt(path);
    const refs = Array.from({ length: 5 }, (_, i) => store.putBlob(Buffer.alloc(10_000_000, i), 'person:ann'));
    const reader = await openAt(path, { readOnly: true });
    assert.equal((await collect(reader.checkBlobs())).length, 3);
    await commit(store, [note('a', 'x')]);
    assert.equal((await collect(reader.checkBlobs())).filter((blob) => blob.problem === null).length, 5);
    assert.equal((await store.getBlob(refs[4] ?? assert.fail()))?.[0], 4);
    await reader.close();
    await store.close();
    await rm(path);
  });
});

describe('a large queue', () => {
  test('claiming uses the indexes, and is as fast behind 100,000 ended tasks as without', async () => {
    const path = fresh();
    const store = await openAt(path);
    const clock = new TestClock();
    await enqueue(store, newTask('first', { queue: 'paused' }));
    await store.close();
    raw(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 110000)
       INSERT INTO task (id, queue, lane, agent, session, sender, priority, attempt, max_attempts, status, labels, due)
       SELECT 'n' || i, 'assistant', 'l' || (i % 5000), 'assistant', 'main', 'x', i % 3, 1, 3,
         CASE WHEN i <= 100000 THEN 'done' ELSE 'queued' END, '[]', CASE WHEN i > 100000 AND i <= 105000 THEN 0 END FROM n`,
    );
    const db = openDb(path, { timeout: 0 });
    const plan = (sql: string): string =>
      db
        .prepare<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...Array.from({ length: sql.split('?').length - 1 }, () => null))
        .map((row) => row.detail)
        .join('; ');
    for (const sql of [claimSql(0, null), claimSql(2, null), claimSql(1, 1)]) {
      assert.match(plan(sql), /^SEARCH task USING INTEGER PRIMARY KEY .*; SCAN task USING COVERING INDEX task_claim/);
      assert.doesNotMatch(plan(sql), /TEMP B-TREE/);
    }
    assert.match(plan(QUEUE_SQL.nextDue), /^SEARCH task USING COVERING INDEX task_due \(due>\?\)$/);
    assert.match(plan(QUEUE_SQL.lane), /^SEARCH task USING INDEX task_lane \(lane=\?\)$/);
    assert.match(plan(QUEUE_SQL.openIn), /^SEARCH task USING INDEX task_lane \(lane=\?\)$/);
    assert.match(plan(QUEUE_SQL.absorbed), /^SEARCH task USING INDEX task_absorbed \(absorbed_by=\?\)$/);
    assert.match(plan(QUEUE_SQL.counts), /^SCAN task_count$/);
    for (const [filter, index] of [
      [{ lane: 'l7', statuses: ['queued'], limit: 5 }, 'task_lane (lane=?)'],
      [{ lane: 'l7', statuses: ['running', 'waiting'] }, 'task_lane (lane=?)'],
      [{ absorbedBy: 't' }, 'task_absorbed (absorbed_by=?)'],
      [{ statuses: ['queued', 'running', 'waiting'], queue: 'q' }, 'task_status (status=? AND queue=?)'],
      [{ lane: 'l7', statuses: ['done'] }, 'task_status (status=?)'],
    ] as const)
      assert.ok(plan(tasksSql(filter).sql).startsWith(`SEARCH task USING INDEX ${index}`), plan(tasksSql(filter).sql));
    db.close();
    const large = await openAt(path);
    assert.deepEqual(await large.counts(), {
      queued: 10_001,
      running: 0,
      waiting: 0,
      done: 100_000,
      failed: 0,
      dead: 0,
      cancelled: 0,
    });
    const started = process.hrtime.bigint();
    const taken: string[] = [];
    for (let i = 0; i < 200; i++) {
      const claim = await large.claim({ worker: 'w', now: clock.time, leaseMs: 10, except: ['paused'] });
      assert.ok(claim);
      taken.push(claim.task.id);
      await apply(large, settle(claim.task.id));
    }
    const ms = Number(process.hrtime.bigint() - started) / 1e6 / 200;
    assert.equal(new Set(taken).size, 200);
    assert.ok(ms < 10, `${ms} ms for a claim and a settle`);
    await large.close();
  });
});
