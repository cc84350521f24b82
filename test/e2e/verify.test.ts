import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Db, openDb } from '../../src/store/sqlite/db.ts';
import { Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

let home: Home;
let database: string;
before(async () => {
  home = await Home.up();
  database = join(home.home, 'ruche.sqlite');
  await home.ask('write a.md: the plans, then run: wc -c a.md', 'one');
  await home.ask('append a.md: and more', 'one');
  await home.ask('write contracts/c.md: signed', 'two');
  const [wait] = await home.pending();
  assert.ok(wait);
  await home.answer(wait.id, 'approve');
  await home.settled(wait.task ?? '');
  await home.end('SIGKILL');
  await home.start();
  await home.ask('read a.md', 'one');
  assert.equal(await home.end('SIGTERM'), 0);
  copyFileSync(database, `${database}.whole`);
  cpSync(join(home.home, 'journal.git'), join(home.dir, 'journal.whole'), { recursive: true });
});
after(() => home.close());

/** Does something to the database behind Ruche's back. */
function tamper<T>(change: (db: Db) => T): T {
  const db = openDb(database, { timeout: 0 });
  try {
    const triggers = db.prepare<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'trigger'`).all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    return change(db);
  } finally {
    db.close();
  }
}

function restore(): void {
  for (const end of ['-wal', '-shm']) rmSync(database + end, { force: true });
  copyFileSync(`${database}.whole`, database);
  rmSync(join(home.home, 'journal.git'), { recursive: true });
  cpSync(join(home.dir, 'journal.whole'), join(home.home, 'journal.git'), { recursive: true });
}

/** Exit code 1, and the first finding in words: `evt_… where: …`. */
async function firstFinding(): Promise<string> {
  const { code, out, err } = await home.cli('verify');
  assert.equal(code, 1, out + err);
  return /\n {2}(.*)/.exec(out)?.[1] ?? assert.fail(`${out}${err}`);
}

const flipped = (text: string): string => text.slice(0, -1) + (text.endsWith('x') ? 'y' : 'x');

test('verify is clean after turns, an approval, a SIGKILL and a stop', async () => {
  const { code, out } = await home.cli('verify');
  assert.equal(code, 0, out);
  assert.match(
    out,
    /^All checks passed: \d{2,} events, \d{2,} blobs \(0 erased\), \d{2,} lines of journal\.git, 3 landed commits\.$/m,
  );
});

test('one byte of any column of an event row: the event is named', async () => {
  for (const column of ['stream', 'actor', 'type', 'data', 'hash', 'labels'] as const) {
    const seq = tamper((db) => {
      const row = db
        .prepare<Record<string, string> & { seq: number }>(`SELECT * FROM event WHERE type = 'tool.returned' LIMIT 1`)
        .get();
      assert.ok(row);
      const text = row[column] ?? '';
      const changed = column === 'data' ? text.replace('"ok":true', '"ok":trux') : flipped(text);
      assert.notEqual(changed, text);
      db.prepare(`UPDATE event SET ${column} = ? WHERE seq = ?`).run(changed, row.seq);
      return row.seq;
    });
    assert.match(await firstFinding(), new RegExp(`^evt_${seq} {2}chain: `), column);
    restore();
  }
});

test('one byte of an event in the file itself: the event is named', async () => {
  const { seq, hash } =
    tamper((db) =>
      db
        .prepare<{ seq: number; hash: string }>(`SELECT seq, hash FROM event WHERE type = 'decision.made' LIMIT 1`)
        .get(),
    ) ?? assert.fail('no such event');
  restore();
  const file = readFileSync(database);
  const at = file.indexOf(hash) - 5;
  file[at] = (file[at] ?? 0) ^ 1;
  writeFileSync(database, file);
  assert.match(await firstFinding(), new RegExp(`^evt_${seq} {2}chain: `));
  restore();
});

test('one byte of a blob: the event that has it is named', async () => {
  const seq = tamper((db) => {
    const row = db
      .prepare<{ seq: number; data: string }>(`SELECT seq, data FROM event WHERE type = 'model.answered'`)
      .get();
    const { answer } = JSON.parse(row?.data ?? '{}') as { answer: { hash: string } };
    const body = db.prepare<{ body: Uint8Array }>('SELECT body FROM blob WHERE hash = ?').get(answer.hash)?.body;
    assert.ok(row && body);
    const changed = Buffer.from(body);
    changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1;
    db.prepare('UPDATE blob SET body = ? WHERE hash = ?').run(changed, answer.hash);
    return row.seq;
  });
  assert.match(await firstFinding(), new RegExp(`^evt_${seq} {2}blob: `));
  restore();
});

test('an event that was taken out, or put at the end by hand, is named', async () => {
  tamper((db) => db.exec('DELETE FROM event WHERE seq = 7'));
  assert.match(await firstFinding(), /^evt_7 {2}chain: it is missing/);
  restore();
  const last = tamper((db) => {
    const max = db.prepare<{ n: number }>('SELECT max(seq) AS n FROM event').get()?.n ?? 0;
    db.exec(
      `INSERT INTO event SELECT seq + 1, stream, 1000, at, actor, cause, labels, NULL, schema, type, data, hash FROM event WHERE seq = ${max}`,
    );
    return max + 1;
  });
  assert.match(await firstFinding(), new RegExp(`^evt_${last} {2}chain: `));
  restore();
});

test('a rewritten line of journal.git and a commit that is gone from main are named', async () => {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', join(home.home, 'journal.git'), ...args], { encoding: 'utf8' }).trim();
  const clone = join(home.dir, 'clone');
  git('clone', '-q', '.', clone);
  const path = git('grep', '-l', 'tool.started', 'HEAD').split('\n')[0]?.replace('HEAD:', '') ?? '';
  const text = readFileSync(join(clone, path), 'utf8');
  writeFileSync(join(clone, path), text.replace('tool.started', 'tool.startet'));
  const inClone = (...args: string[]): void =>
    void execFileSync('git', ['-C', clone, '-c', 'user.name=x', '-c', 'user.email=x@x', ...args], { stdio: 'ignore' });
  inClone('commit', '-q', '-a', '-m', 'rewritten');
  inClone('push', '-q', '-f', 'origin', 'HEAD');
  assert.match(await firstFinding(), /^evt_\d+ {2}journal\.git: /);
  restore();
  const gone = home.git('rev-parse', 'main').trim();
  home.git('update-ref', 'refs/heads/main', 'main~1');
  assert.match(await firstFinding(), new RegExp(`^evt_\\d+ {2}main: it landed as commit ${gone}`));
  home.git('update-ref', 'refs/heads/main', gone);
  assert.equal((await home.cli('verify')).code, 0);
});

test('a damaged pack of journal.git is told in words, and the next start makes it anew', async () => {
  const packs = join(home.home, 'journal.git', 'objects', 'pack');
  for (const name of readdirSync(packs).filter((each) => each.endsWith('.pack'))) {
    const bytes = readFileSync(join(packs, name));
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    chmodSync(join(packs, name), 0o644);
    writeFileSync(join(packs, name), bytes);
  }
  assert.match(await firstFinding(), /journal\.git is damaged here; the next start puts it aside and makes it anew/);
  await home.start();
  await until(() => readdirSync(home.home).some((name) => /^journal\.git\.damaged-\d$/.test(name)), 'it is put aside');
  assert.deepEqual((await home.verify()).findings, []);
  await home.end('SIGTERM');
});
