import assert from 'node:assert/strict';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { NewEvent } from '../../src/core/event.ts';
import type { Task } from '../../src/core/task.ts';
import { verify } from '../../src/trace/verify.ts';
import { openLandedHistory } from '../../src/git/landed.ts';
import { OUTBOX } from '../../src/core/records/reply.ts';
import { newTask, settle } from '../store/kit.ts';
import { agent, said, scene, type Scene } from './kit.ts';

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
  // Somebody who forges a line can make the tip say that the journal ends before it.
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
  const busy: Parameters<typeof verify>[0]['store'] = {
    getBlob: (ref) => s.store.getBlob(ref),
    task: (id) => s.store.task(id),
    tasks: (filter) => s.store.tasks(filter),
    read: (from) => s.store.read(from),
    byKey: (key) => s.store.byKey(key),
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

async function damage(s: Scene, oid: string, how: 'flip' | 'remove'): Promise<void> {
  const path = join(s.dir, '.git', 'objects', oid.slice(0, 2), oid.slice(2));
  if (how === 'remove') return rm(path);
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  await chmod(path, 0o644);
  await writeFile(path, bytes);
}

test('a landed blob, tree or commit that is damaged or missing is told by the event that landed it', async (t) => {
  const objects = {
    'its blob': (commit: string) => `${commit}:run_b.md`,
    'its tree': (commit: string) => `${commit}^{tree}`,
    'the commit': (commit: string) => commit,
  };
  for (const [what, name] of Object.entries(objects))
    for (const how of ['flip', 'remove'] as const) {
      const s = await scene(t);
      await s.run('run_a');
      const commit = await s.run('run_b');
      await s.run('run_c');
      const oid = (await s.git('rev-parse', name(commit))).trim();
      await damage(s, oid, how);
      const found = said(await s.check());
      const state = how === 'flip' ? 'is damaged' : 'is missing';
      assert.equal(found.length, 1, `${what}, ${how}: ${found.join('\n')}`);
      assert.match(found[0] ?? '', new RegExp(`^evt_7 main: .*${state}.*get it from a clone`), `${what}, ${how}`);
      assert.match(found[0] ?? '', new RegExp(oid));
      assert.doesNotMatch(found[0] ?? '', /fatal|inflate|exit \d/);
    }
});

test("the tip's tree and a person's own file are looked at, and what only looks odd to Git is no fault", async (t) => {
  const s = await scene(t);
  await s.commit({ 'mine.md': 'mine\n' });
  await s.run('run_a');
  assert.deepEqual(said(await s.check()), []);
  await damage(s, (await s.git('rev-parse', 'HEAD:mine.md')).trim(), 'flip');
  assert.match(said(await s.check())[0] ?? '', /^null main: mine\.md as of commit [0-9a-f]{40} is damaged/);

  const odd = await scene(t);
  const tree = (await odd.git('rev-parse', 'HEAD^{tree}')).trim();
  const bad = `tree ${tree}\nparent ${await odd.workspace.head()}\nauthor A <a> 1 +99999\ncommitter A <a> 1 +0000\n\nx\n`;
  await writeFile(join(odd.root, 'odd'), bad);
  const oid = (await odd.git('hash-object', '-t', 'commit', '-w', '--literally', join(odd.root, 'odd'))).trim();
  await odd.git('update-ref', 'refs/heads/main', oid);
  assert.deepEqual(said(await odd.check()), []);
});

test('a send that was given up in doubt is an end, and one of which nothing was heard is not', async (t) => {
  const s = await scene(t);
  const common = { stream: 'conversation:assistant/main', ...agent };
  const content = s.store.putBlob(Buffer.from('{"text":"hi"}'), 'conversation:assistant/main');
  const about = { agent: 'assistant', session: 'main', task: null, run: null, channel: 'chat', to: 'x', content };
  const queued: NewEvent = { ...common, type: 'message.queued', data: about };
  const causes: string[] = [];
  for (const id of ['tsk_1', 'tsk_2', 'tsk_3']) {
    const result = await s.store.commit({
      events: [queued],
      queue: [{ op: 'enqueue', task: newTask(id, { queue: OUTBOX, lane: id }), causeOf: 0 }],
      sync: true,
    });
    assert.ok(result.ok && result.events[0]);
    causes.push(result.events[0].id);
  }
  const [message = '', again = ''] = causes;
  const unsure = (of: string): NewEvent => {
    const data = { message: of, channel: 'chat', error: 'hung up' };
    return { ...common, type: 'message.unsure', data };
  };
  await s.add(unsure(message), unsure(again));
  const next = { message: again, channel: 'chat', attempt: 2, part: 0, parts: 1 };
  await s.add({ ...common, type: 'message.sending', data: next });
  assert.deepEqual(said(await s.check()), [], 'all are still to be sent');
  const queue = ['tsk_1', 'tsk_2', 'tsk_3'].map((id) => settle(id, 'dead'));
  assert.ok((await s.store.commit({ events: [], queue, sync: true })).ok);
  assert.deepEqual(said(await s.check()), [
    'evt_3 queue: the row of tsk_2 says dead, but no event says that it has ended',
    'evt_4 queue: the row of tsk_3 says dead, but no event says that it has ended',
  ]);
});

test('rows of the queue that are not what the events say are told by the event that queued the task', async (t) => {
  const s = await scene(t);
  const stream = (id: string): string => `task:${id}`;
  const queued = (task: Task): NewEvent => ({ type: 'task.queued', stream: stream(task.id), ...agent, data: { task } });
  for (const id of ['tsk_1', 'tsk_2', 'tsk_3', 'tsk_4', 'tsk_5']) {
    const task = newTask(id);
    const result = await s.store.commit({
      events: [queued(task)],
      queue: [{ op: 'enqueue', task, causeOf: 0 }],
      sync: true,
    });
    assert.ok(result.ok);
  }
  const data = { task: 'tsk_2', run: null, status: 'cancelled', result: null } as const;
  const end: NewEvent = { type: 'task.finished', stream: stream('tsk_2'), ...agent, data };
  assert.ok((await s.store.commit({ events: [end], queue: [settle('tsk_2', 'cancelled')], sync: true })).ok);
  assert.deepEqual(said(await s.check()), []);
  await tamper(s, (db) => {
    db.exec(`UPDATE task SET status = 'done' WHERE id = 'tsk_1'`);
    db.exec(`UPDATE task SET status = 'queued', due = 0 WHERE id = 'tsk_2'`);
    db.exec(`UPDATE task SET agent = 'billing' WHERE id = 'tsk_3'`);
    db.exec(`DELETE FROM task WHERE id = 'tsk_4'`);
    db.exec(`UPDATE task SET id = 'tsk_6' WHERE id = 'tsk_5'`);
  });
  assert.deepEqual(said(await s.check()), [
    'evt_2 queue: the row of tsk_1 says done, but no event says that it has ended',
    'evt_3 queue: the row of tsk_2 says queued, but it ended as cancelled',
    'evt_4 queue: the row of tsk_3 is not the task that was queued',
    'evt_5 queue: it queued tsk_4, which has no row: the task is lost',
    'evt_6 queue: the row of tsk_6 belongs to no task that was queued',
    'evt_6 queue: it queued tsk_5, which has no row: the task is lost',
  ]);
});
