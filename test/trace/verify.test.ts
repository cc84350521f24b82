import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { NewEvent } from '../../src/core/event.ts';
import type { JournalRepository } from '../../src/core/ports/journal.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { startExport } from '../../src/journal/export.ts';
import { verify, type Verification } from '../../src/trace/verify.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { openJournalRepository } from '../../src/git/journal.ts';
import { openLandedHistory } from '../../src/git/commit.ts';
import { makeWorkspace, quiet, type TestWorkspace } from '../workspace/govern-kit.ts';

interface Scene extends TestWorkspace {
  store: Store;
  /** The store anew, after its file was tampered with. */
  reopen(): Promise<Store>;
  database: string;
  journal: JournalRepository;
  /** A whole run: it lands a file and the journal says so. */
  run(run: string): Promise<string>;
  add(...events: NewEvent[]): Promise<void>;
  export(): Promise<void>;
  check(with_?: Partial<{ store: Store; journal: JournalRepository }>): Promise<Verification>;
}

const agent = { actor: 'agent:assistant', cause: null, labels: [] };

async function scene(t: { after(done: () => Promise<void>): void }): Promise<Scene> {
  const kit = await makeWorkspace();
  const { clock, workspace } = kit;
  const database = join(kit.root, 'ruche.sqlite');
  const open = () => openSqliteStore({ path: database, clock, random: (n) => randomBytes(n), boundary: () => {} });
  let store: Store = await open();
  const env = { PATH: process.env['PATH'] };
  const journal = await openJournalRepository({
    dir: join(kit.root, 'journal.git'),
    env,
    boundary: () => {},
    log: quiet,
  });
  const scene: Scene = {
    ...kit,
    store,
    database,
    journal,
    async reopen() {
      store = await open();
      scene.store = store;
      return store;
    },
    async add(...events) {
      const result = await store.commit({ events, sync: true });
      assert.ok(result.ok);
    },
    async run(run) {
      const stream = `run:${run}`;
      const base = await workspace.head();
      const put = (text: string) => store.putBlob(Buffer.from(JSON.stringify({ text })), 'conv:assistant/main');
      const { oid, stored } = workspace.objects.put('blob', Buffer.from(run));
      await stored;
      await scene.add(
        { type: 'note.added', stream, ...agent, data: { note: put(`about ${run}`) } },
        { type: 'landing.started', stream, ...agent, data: { base, paths: 1, message: put(`add ${run}`) } },
      );
      const provenance = { run, task: 'tsk_1', agent: 'assistant', model: 'demo/demo', costUsd: 0, labels: [] };
      const changes = [{ path: `${run}.md`, mode: '100644' as const, oid, was: null }];
      const landed = await workspace.land({ base, changes, subject: `add ${run}`, provenance, at: clock.now() });
      assert.ok(landed.state === 'landed');
      await scene.add({ type: 'landing.finished', stream, ...agent, data: { commit: landed.commit, paths: 1 } });
      return landed.commit;
    },
    async export() {
      const exporter = await startExport({ store, repository: journal, clock, log: quiet });
      await exporter.close();
    },
    check: (over = {}) => verify({ store, journal, history: openLandedHistory(workspace.git), ...over }),
  };
  await scene.add({
    type: 'config.applied',
    stream: 'workspace',
    actor: 'runtime',
    cause: null,
    labels: [],
    data: { commit: await workspace.head() },
  });
  t.after(async () => {
    await store.close();
    journal.close();
    await kit.remove();
  });
  return scene;
}

const said = ({ findings }: Verification): string[] =>
  findings.map(({ event, where, message }) => `${event} ${where}: ${message}`);

test('a whole record verifies, and the counts say what was looked at', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.run('run_b');
  await s.export();
  await s.run('run_c');
  const progress: number[] = [];
  const result = await verify({
    store: s.store,
    journal: s.journal,
    history: openLandedHistory(s.workspace.git),
    onProgress: ({ events }) => void progress.push(events),
  });
  assert.deepEqual(said(result), []);
  assert.deepEqual(result.counts, { events: 10, blobs: 6, erased: 0, lines: 7, commits: 3 });
  assert.equal(progress.at(-1), 10);
});

/** Changes the database behind the store's back, with its triggers out of the way. */
async function tamper(s: Scene, change: (db: DatabaseSync) => void): Promise<void> {
  await s.store.close();
  const db = new DatabaseSync(s.database);
  for (const { name } of db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all())
    db.exec(`DROP TRIGGER "${String(name)}"`);
  change(db);
  db.close();
  await s.reopen();
}

test('one changed byte of an event, or a missing event, is named by its id', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.run('run_b');
  await s.export();
  await tamper(s, (db) => db.exec(`UPDATE event SET data = replace(data, '"paths":1', '"paths":2') WHERE seq = 4`));
  const changed = await s.check();
  assert.equal(changed.findings[0]?.event, 'evt_4');
  assert.equal(changed.findings[0]?.where, 'chain');
  assert.ok(said(changed).some((line) => line.startsWith('evt_4 journal.git: its line in journal/')));
  assert.equal(changed.findings.filter((found) => found.where === 'chain').length, 1, 'one change is one finding');
  await tamper(s, (db) => db.exec('DELETE FROM event WHERE seq = 3'));
  assert.match(said(await s.check())[0] ?? '', /^evt_3 chain: it is missing/);
});

test('one changed byte of a blob is named by the event that refers to it', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.export();
  await tamper(s, (db) => {
    const row = db.prepare('SELECT id, body FROM blob LIMIT 1').get();
    const bytes = Buffer.from(row?.['body'] as Uint8Array);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    db.prepare('UPDATE blob SET body = ? WHERE id = ?').run(bytes, Number(row?.['id']));
  });
  const result = await s.check();
  assert.match(said(result)[0] ?? 'nothing', /^evt_[23] blob: /);
  assert.equal(result.findings.length, 1);
});

test('erased content is no misfit, unless it still stands in the repository', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.export();
  await s.store.erase('conv:assistant/main');
  const result = await s.check();
  assert.match(said(result)[0] ?? '', /^evt_2 journal.git: .*still holds what was erased: make journal.git anew/);
  assert.deepEqual(said(await verify({ store: s.store, journal: null, history: null })), []);
  assert.equal(result.counts.erased, 2);
});

test('lines that are missing, doubled, changed or too many are told of', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.export();
  const real: { seq: number; json: string; path: string }[] = [];
  for await (const line of s.journal.lines()) real.push(line);
  const withLines = async (lines: typeof real, tip = s.journal.tip()): Promise<string[]> =>
    said(
      await s.check({
        journal: {
          tip: () => tip,
          append: () => Promise.resolve(),
          maintain: () => Promise.resolve(),
          check: () => Promise.resolve(true),
          anew: () => Promise.resolve(''),
          async *lines() {
            yield* lines;
          },
        },
      }),
    );
  assert.equal(real.length, 4);
  assert.deepEqual(await withLines(real), []);
  assert.deepEqual(await withLines(real.filter((line) => line.seq !== 2)), ['evt_2 journal.git: its line is missing']);
  assert.deepEqual(await withLines(real.slice(0, 3)), ['evt_4 journal.git: its line is missing']);
  assert.match(
    (await withLines(real.flatMap((line) => (line.seq === 3 ? [line, line] : [line]))))[0] ?? '',
    /^evt_3 journal.git: it stands twice/,
  );
  const forged = real.map((line) => (line.seq === 2 ? { ...line, json: line.json.replace('about', 'ABOUT') } : line));
  assert.match((await withLines(forged))[0] ?? '', /^evt_2 journal.git: its line in .* is not what was written/);
  // Whoever forges a line can make the tip say that the journal ends before it.
  assert.match(
    (await withLines(forged, Promise.resolve(1)))[0] ?? '',
    /^evt_2 journal.git: its line in .* is not what was written/,
  );
  assert.deepEqual(await withLines(real, Promise.resolve(1)), []);
  assert.match(
    (await withLines([...real, { seq: 9, json: '{"seq":9}', path: 'journal/x' }]))[0] ?? '',
    /^evt_9 journal.git: a line stands in journal\/x/,
  );
  const broken = {
    tip: () => s.journal.tip(),
    lines: () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('a commit of journal.git is a merge')) }),
    }),
  };
  assert.deepEqual(said(await verify({ store: s.store, journal: broken, history: null })), [
    'evt_1 journal.git: a commit of journal.git is a merge',
  ]);
});

test('a gateway at work meanwhile is no misfit, and a journal.git that cannot be read is one finding', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.export();
  let runs = 0;
  const busy: Pick<Store, 'rows' | 'getBlob'> = {
    getBlob: (ref) => s.store.getBlob(ref),
    async *rows() {
      for await (const row of s.store.rows()) {
        if ((runs += 1) <= 2) await s.run(`run_meanwhile${runs}`);
        yield row;
      }
      await s.run('run_after');
      await s.export();
    },
  };
  assert.deepEqual(
    said(await verify({ store: busy, journal: s.journal, history: openLandedHistory(s.workspace.git) })),
    [],
  );
  const broken = { tip: () => Promise.reject(new Error('no tip')), lines: () => s.journal.lines() };
  const result = await verify({ store: s.store, journal: broken, history: null });
  assert.deepEqual(said(result), ['null journal.git: no tip']);
});

test('a landing that main lacks, and work on main that nobody knows, are told of', async (t) => {
  const s = await scene(t);
  const before = await s.workspace.head();
  const commit = await s.run('run_a');
  await s.export();
  await s.add({ type: 'landing.finished', stream: 'run:run_b', ...agent, data: { commit: 'a'.repeat(40), paths: 1 } });
  await s.add({ type: 'landing.finished', stream: 'run:run_c', ...agent, data: { commit: null, paths: 0 } });
  await s.commit({ 'forged.md': 'x\n' }, 'Forged\n\nRuche-Run: run_x');
  assert.deepEqual(said(await s.check()), [
    `evt_5 main: it landed as commit ${'a'.repeat(40)}, which the workspace does not have`,
    `null main: commit ${await s.workspace.head()} on main names run_x, which the journal does not know`,
  ]);
  await s.git('reset', '-q', '--hard', before);
  assert.match(
    said(await s.check())[0] ?? '',
    new RegExp(`^evt_4 main: it landed as commit ${commit}, which main does not hold`),
  );
});

test('a landing cut off before its receipt, and work from before this journal, are no misfit', async (t) => {
  const s = await scene(t);
  const data = { base: await s.workspace.head(), paths: 1, message: s.store.putBlob(Buffer.from('"x"'), 'conv:a/b') };
  await s.add({ type: 'landing.started', stream: 'run:run_open', ...agent, data });
  await s.commit({ 'a.md': 'x\n' }, 'Work\n\nRuche-Run: run_open');
  assert.deepEqual(said(await s.check()), []);
  const old = await makeWorkspace();
  t.after(() => old.remove());
  await old.commit({ 'a.md': 'x\n' }, 'Work of another home\n\nRuche-Run: run_old');
  const history = openLandedHistory(old.workspace.git);
  const found: string[] = [];
  for await (const { run } of history.landed(await old.workspace.head())) found.push(run);
  assert.equal(found.length, 0);
  for await (const { run } of history.landed(null)) found.push(run);
  assert.deepEqual(found, ['run_old']);
});
