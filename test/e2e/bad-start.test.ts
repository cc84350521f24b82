import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDb } from '../../src/store/sqlite/db.ts';
import { AGENT, type Ended, Home } from '../fakes/home.ts';

const FILES = { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT };

async function inHome(
  options: ConstructorParameters<typeof Home>[0],
  body: (home: Home) => Promise<void>,
): Promise<void> {
  const home = new Home(options);
  try {
    await body(home);
  } finally {
    await home.close();
  }
}

/** It ends with code 1 and one sentence that says what is wrong and what to do; nothing else is printed. */
function refused(ended: Ended | null, said: RegExp): void {
  assert.ok(ended, 'it must not start');
  assert.equal(ended.code, 1, ended.err);
  assert.match(ended.err, said);
  assert.doesNotMatch(ended.err, /\n\s+at |node:internal/, 'a sentence, not a stack');
  assert.equal(ended.out, '');
}

test('a workspace that is no repository, has no commit, or another branch: what to run is printed, nothing is touched', () =>
  inHome({}, async (home) => {
    mkdirSync(home.workspace);
    writeFileSync(join(home.workspace, 'mine.txt'), 'mine');
    refused(
      await home.tryStart(),
      /not the top folder of a Git repository; run: git init -b main \S+ && git -C \S+ commit/,
    );
    home.git('init', '-q', '-b', 'master');
    refused(
      await home.tryStart(),
      /no commit on "main" yet; run: git -C \S+ branch -m master main && git -C \S+ commit/,
    );
    home.git('add', '-A');
    home.commit('start');
    const ended = await home.tryStart();
    refused(ended, /branch is "master", and it must be "main"; run: git -C \S+ branch -m master main/);
    assert.deepEqual(readdirSync(home.workspace).sort(), ['.git', 'mine.txt']);
    assert.equal(readFileSync(join(home.workspace, 'mine.txt'), 'utf8'), 'mine');
    const command = /run: (git .*)$/m.exec(ended?.err ?? '')?.[1] ?? '';
    execFileSync('sh', ['-c', command]);
    refused(await home.tryStart(), /ruche\.yaml: is missing; write one/);
    for (const [path, text] of Object.entries(FILES)) home.write(path, text);
    home.git('add', '-A');
    home.commit('settings');
    await home.start();
    assert.match((await home.ask('read mine.txt')).text, /mine/);
  }));

test('settings on main that are not valid: file, line and key, and nothing starts', () =>
  inHome({ files: { ...FILES, 'ruche.yaml': 'concurrency: 5\nmodles: {}\n' } }, async (home) => {
    refused(await home.tryStart(), /ruche\.yaml:2: modles .*models/);
    home.write('ruche.yaml', Buffer.from('concurrency: 5 # \xff\xfe\n', 'latin1'));
    home.git('add', '-A');
    home.commit('no UTF-8');
    refused(await home.tryStart(), /ruche\.yaml.*UTF-8/);
    home.write('ruche.yaml', 'concurrency: 5\n');
    await home.start();
    assert.equal((await home.ask('hello')).status, 'done', 'mended and saved, it starts');
  }));

test('a key that is missing: it starts, and says which variable is to be set', () =>
  inHome(
    {
      files: {
        ...FILES,
        'ruche.yaml':
          'models:\n  providers:\n    x: { type: openai-compatible, baseUrl: "http://127.0.0.1:9/v1", apiKey: env:NOT_SET }\n  standard: [x/y]\n',
      },
    },
    async (home) => {
      await home.start();
      assert.match(home.out, /Problems:\n.*models\.providers\.x\.apiKey.*NOT_SET is not set/);
      const outcome = await home.ask('hello');
      assert.equal(outcome.status, 'failed');
      assert.match(outcome.text, /NOT_SET is not set/);
      const doctor = await home.cli('doctor');
      assert.match(doctor.out, /NOT_SET/);
      const asked = await home.cli('ask', 'assistant', 'hello');
      assert.equal(asked.code, 1);
      assert.match(asked.out + asked.err, /NOT_SET is not set/);
    },
  ));

test('a second process on the same home, and a port that is taken', () =>
  inHome({ files: FILES }, async (home) => {
    await home.start();
    const first = home.url;
    const second = new Home();
    const other = createServer();
    try {
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const { port } = other.address() as AddressInfo;
      const again = await home.cli('up', '--port', '0');
      refused({ ...again, out: '' }, /another ruche is running on .*ruche status/);
      refused(await second.tryStart('--port', String(port)), new RegExp(`(port )?${port}.*(taken|in use)`, 'i'));
      assert.equal(home.url, first);
      assert.equal((await home.ask('hello')).status, 'done', 'the first goes on');
      assert.equal((await home.cli('status')).code, 0, 'and is still found');
      await second.start();
      assert.equal((await second.ask('hello')).status, 'done', 'the other starts on a free port');
    } finally {
      other.close();
      await second.close();
    }
  }));

test('a home inside the workspace, a token others can read, a newer database, and a home that is a file', () =>
  inHome({ files: FILES }, async (home) => {
    refused(await home.tryStart('--home', home.path('home')), /is inside the workspace/);
    await home.start();
    await home.end('SIGTERM');
    chmodSync(join(home.home, 'token'), 0o644);
    refused(await home.tryStart(), /token can be read by other users.*chmod 600/);
    chmodSync(join(home.home, 'token'), 0o600);
    const db = openDb(join(home.home, 'ruche.sqlite'), { timeout: 0 });
    db.exec('PRAGMA user_version = 999');
    db.close();
    refused(await home.tryStart(), /format 999 .*install the newer Ruche.*Nothing was changed/);
    assert.equal((await home.cli('verify')).code, 1);
    writeFileSync(join(home.dir, 'file'), '');
    refused(await home.tryStart('--home', join(home.dir, 'file')), /file/);
    const long = join(home.dir, ...['x', 'y', 'z'].map((letter) => letter.repeat(200)));
    refused(await home.tryStart('--home', long), /has more than 500 bytes.*choose a shorter --home/);
    const other = join(home.dir, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'logs'), '');
    refused(await home.tryStart('--home', other), /logs \(EEXIST\): a file is where a folder must be\. Move it away/);
  }));

test('a database that is damaged, cut short, foreign or a folder: every command says so and what to do, without a stack', () =>
  inHome({ files: FILES }, async (home) => {
    await home.start();
    await home.ask('write a.md: the plans');
    assert.equal(await home.end('SIGTERM'), 0);
    const database = join(home.home, 'ruche.sqlite');
    const whole = readFileSync(database);
    const page = 4096;
    // Where events and contents are, and not the first page, by which SQLite knows the file.
    const holes = Buffer.from(whole);
    holes.fill(0xa5, 4 * page, 20 * page);
    for (const [what, bytes, said] of [
      ['bad pages', holes, /the database is damaged, and a part of it cannot be read; keep a copy .*restore a backup/],
      ['cut short', whole.subarray(0, 2 * page + 100), /its last page was cut off; restore a backup/],
      ['foreign', Buffer.from('A letter of mine.\n'.repeat(1000)), /is not an SQLite database.*restore a backup/],
      ['a folder', null, /a folder stands where the database must be: move it away; restore a backup/],
    ] as const) {
      rmSync(database, { recursive: true, force: true });
      if (bytes === null) mkdirSync(database);
      else writeFileSync(database, bytes);
      const doctor = await home.cli('doctor');
      assert.match(doctor.out, said, `doctor: ${what}`);
      assert.match(doctor.out, /✗ Database: .*ruche\.sqlite: /);
      for (const [command, ended] of [
        ['doctor', doctor],
        ['verify', await home.cli('verify')],
        ['log', await home.cli('log')],
        ['up', await home.tryStart()],
      ] as const) {
        assert.ok(ended, `${command} must not start: ${what}`);
        assert.equal(ended.code, 1, `${command}: ${what}`);
        assert.match(ended.out + ended.err, /damaged|is not an SQLite|a folder stands/, `${command}: ${what}`);
        assert.doesNotMatch(ended.out + ended.err, /\n\s+at |node:internal|EISDIR|SQLITE_/, `${command}: ${what}`);
      }
      const status = await home.cli('status');
      assert.deepEqual([status.code, status.err.startsWith('ruche: No gateway is running for ')], [2, true], what);
    }
  }));
