import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

let home: Home;
const inHome = (name: string): string => join(home.home, name);
const kept = (name: string): string => join(home.dir, name);
const copy = (from: string, to: string): void => cpSync(from, to, { recursive: true });

/** `early` is the database after one message, `early-home` all of that home, `late` the home after a second one, as a kill leaves it. */
before(async () => {
  home = await Home.up();
  await home.ask('write a.md: the plans', 'one');
  assert.equal(await home.end('SIGTERM'), 0);
  copy(inHome('ruche.sqlite'), kept('early'));
  copy(home.home, kept('early-home'));
  await home.start();
  for (const at of [1, 2, 3]) await home.ask(`write b${at}.md: ${at}`, 'two');
  await until(async () => {
    const { journal } = await home.status();
    return journal.exported === journal.head;
  }, 'journal.git catches up');
  await home.end('SIGKILL');
  copy(home.home, kept('late'));
  copy(home.workspace, kept('files'));
});
after(() => home.close());

beforeEach(() => {
  for (const [place, whole] of [
    [home.home, 'late'],
    [home.workspace, 'files'],
  ] as const) {
    rmSync(place, { recursive: true, force: true });
    copy(kept(whole), place);
  }
});

/** The start ends with exit 1 and these words, and doctor has them too. */
async function refused(words: RegExp): Promise<void> {
  const journal = readdirSync(home.home).filter((name) => name.startsWith('journal.git'));
  const ended = await home.tryStart();
  assert.equal(ended?.code, 1, `it came up:\n${home.out}`);
  assert.match(ended.err, words);
  assert.match(ended.err, /Nothing was changed\./);
  // Without its flags the command would act on another home.
  const advised = `up --home ${home.home} --workspace ${home.workspace} --accept-loss`;
  assert.ok(ended.err.includes(advised), ended.err);
  assert.deepEqual(
    readdirSync(home.home).filter((name) => name.startsWith('journal.git')),
    journal,
  );
  const doctor = await home.cli('doctor');
  assert.equal(doctor.code, 1, doctor.out);
  assert.match(doctor.out, words);
  assert.ok(doctor.out.includes(advised), doctor.out);
}

const dropLog = (): void => ['-wal', '-shm'].forEach((end) => rmSync(inHome(`ruche.sqlite${end}`), { force: true }));

const DAMAGES: Record<string, () => void> = {
  'one bit of the log is flipped': () => {
    const log = readFileSync(inHome('ruche.sqlite-wal'));
    assert.ok(log.length > 20_000);
    log.writeUInt8(log.readUInt8(log.length >> 1) ^ 1, log.length >> 1);
    writeFileSync(inHome('ruche.sqlite-wal'), log);
  },
  'the log is gone': dropLog,
  'an old copy was put back': () => {
    dropLog();
    copy(kept('early'), inHome('ruche.sqlite'));
  },
};

for (const [what, damage] of Object.entries(DAMAGES))
  test(`a database that has gone back is refused: ${what}`, async () => {
    damage();
    await refused(
      /Events are lost: the database .* ends at event \d+, but journal\.git beside it holds \d+, so \d+ are/,
    );
  });

test('a database that is missing or empty is refused, and none is made', async () => {
  dropLog();
  rmSync(inHome('ruche.sqlite'));
  await refused(/the database .*ruche\.sqlite is missing or empty, but journal\.git beside it holds \d+/);
  assert.ok(!existsSync(inHome('ruche.sqlite')));
  writeFileSync(inHome('ruche.sqlite'), '');
  await refused(/the database .*ruche\.sqlite is missing or empty/);
  const verified = await home.cli('verify');
  assert.equal(verified.code, 1);
  assert.match(verified.err, /Events are lost/);
});

test('what is lost is given up on one word: the old journal.git is kept, the new one fits, and the record says so', async () => {
  dropLog();
  copy(kept('early'), inHome('ruche.sqlite'));
  await home.start('--accept-loss');
  assert.equal((await home.ask('write c.md: on we go', 'three')).status, 'done');
  const { findings } = await home.verify();
  assert.deepEqual(
    findings.filter(({ where }) => where !== 'main'),
    [],
  );
  assert.ok(existsSync(inHome('journal.git.ahead-1')));
  const starts = await home.events('gateway.started');
  assert.deepEqual(Object.keys(starts.at(-1)?.data ?? {}), ['version', 'recovered', 'lost', 'newer']);
  assert.equal(await home.end('SIGTERM'), 0);
  await home.start();
  assert.equal(await home.end('SIGTERM'), 0);
});

test('a workspace that the journal knows is not made anew in silence', async () => {
  for (const gone of [
    () => renameSync(home.workspace, kept('moved')),
    () => rmSync(home.workspace, { recursive: true }),
  ]) {
    gone();
    await refused(
      /The workspace .* is gone: its folder is missing or empty\. The journal knows it: commit [0-9a-f]{10}/,
    );
    assert.ok(!existsSync(home.workspace));
    if (existsSync(kept('moved'))) renameSync(kept('moved'), home.workspace);
  }
  await home.start('--accept-loss');
  assert.equal((await home.ask('write c.md: on we go', 'three')).status, 'done');
  assert.equal(await home.end('SIGTERM'), 0);
});

const OLDER = /This home is older than its workspace: main has 3 commits of runs that the home does not know/g;
const told = (text: string): number => text.match(OLDER)?.length ?? 0;

test('a whole home that is older than its workspace comes up and says so, until a person accepts it', async () => {
  rmSync(home.home, { recursive: true });
  copy(kept('early-home'), home.home);
  const before = await home.cli('doctor');
  assert.deepEqual([before.code, told(before.out)], [0, 1], before.out);

  await home.start();
  assert.equal(told(home.out), 1, home.out);
  const advised = `up --home ${home.home} --workspace ${home.workspace} --accept-loss`;
  assert.ok(home.out.includes(advised), home.out);
  assert.equal((await home.ask('write c.md: on we go', 'three')).status, 'done');
  for (const command of ['status', 'doctor']) {
    const said = await home.cli(command);
    assert.deepEqual([said.code, told(said.out)], [0, 1], said.out);
  }
  assert.equal(await home.end('SIGTERM'), 0);
  const { findings } = await home.verify();
  assert.deepEqual(
    findings.map(({ where, message }) => [where, /names run_[\w-]+, which the journal does not know\./.test(message)]),
    Array.from({ length: 3 }, () => ['main', true]),
    JSON.stringify(findings),
  );

  // Its last landing is known by now, and it is told all the same.
  await home.start();
  assert.equal(told(home.out), 1, home.out);
  assert.equal(await home.end('SIGTERM'), 0);
  await home.start('--accept-loss');
  assert.equal(told(home.out), 0, home.out);
  assert.equal(await home.end('SIGTERM'), 0);
  assert.equal(told((await home.cli('doctor')).out), 0);
  await home.start();
  assert.equal(told(home.out), 0, home.out);
  assert.equal(await home.end('SIGTERM'), 0);
  assert.deepEqual((await home.verify()).findings, []);
});

const MISSING = /This workspace is older than its home: its repository lacks 3 commits of runs that landed/;

test('a workspace that is older than its home comes up and says so', async () => {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: home.workspace, encoding: 'utf8' });
  git('reset', '-q', '--hard', 'HEAD~3');
  for (const ref of git('for-each-ref', '--format=%(refname)', 'refs/ruche').split('\n').filter(Boolean))
    git('update-ref', '-d', ref);
  git('reflog', 'expire', '--expire=now', '--all');
  git('gc', '-q', '--prune=now');
  const before = await home.cli('doctor');
  assert.equal(before.code, 0, before.out);
  assert.match(before.out, MISSING);
  await home.start();
  assert.match(home.out, MISSING);
  assert.match((await home.cli('status')).out, MISSING);
  assert.equal((await home.ask('write c.md: on we go', 'three')).status, 'done');
  assert.equal(await home.end('SIGTERM'), 0);
  const { findings } = await home.verify();
  assert.deepEqual(
    findings.map(({ message }) => /which the workspace does not have/.test(message)),
    [true, true, true],
  );
  // What a person accepts is not told.
  await home.start('--accept-loss');
  assert.doesNotMatch(home.out, MISSING);
  assert.equal(await home.end('SIGTERM'), 0);
});

test('what a pull brings of another Ruche does not make a home look old', async () => {
  await home.start();
  assert.equal(await home.end('SIGTERM'), 0);
  const git = (dir: string, ...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=Pat', '-c', 'user.email=pat@example.org', ...args], {
      cwd: dir,
      encoding: 'utf8',
    });
  const theirs = kept('theirs');
  git(home.dir, 'clone', '-q', home.workspace, theirs);
  git(theirs, 'commit', '-q', '--allow-empty', '-m', 'By another', '--trailer', 'Ruche-Run: run_of-another');
  git(home.workspace, 'pull', '-q', theirs, 'main');
  await home.start();
  assert.doesNotMatch(home.out, /older than its workspace/);
  assert.equal(await home.end('SIGTERM'), 0);
});
