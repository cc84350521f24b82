import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../fakes/until.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const RUCHE = join(ROOT, 'bin', 'ruche.js');

/** A person's account with `ruche` installed and a network that runs, in which the commands of a page are given. */
class Person {
  readonly home = mkdtempSync(join(tmpdir(), 'ruche-docs-'));
  readonly #env: Record<string, string>;

  constructor() {
    const bin = join(this.home, 'bin');
    mkdirSync(bin);
    const program = (name: string, text: string): void => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    program('ruche', `exec "${process.execPath}" "${RUCHE}" "$@"`);
    // `npm ci` needs a registry, and .ci/run does it; `npm start` is the clone that this test runs in.
    program('npm', `case $1 in ci) ;; start) shift; [ "$1" = -- ] && shift; exec ruche up "$@";; *) exit 64;; esac`);
    this.#env = {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: this.home,
      RUCHE_PORT: '0',
      OLLAMA_HOST: '127.0.0.1:1',
      GIT_AUTHOR_NAME: 'P',
      GIT_AUTHOR_EMAIL: 'p@example.invalid',
      GIT_COMMITTER_NAME: 'P',
      GIT_COMMITTER_EMAIL: 'p@example.invalid',
    };
  }

  /** Gives commands as a page writes them; all must succeed. */
  async give(commands: string): Promise<string> {
    const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-eo', 'pipefail', '-c', commands], {
      cwd: this.home,
      env: this.#env,
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 0, `${commands}\n${stdout}${stderr}`);
    const out = join(this.home, 'ruche.out');
    if (commands.includes('setsid'))
      await until(() => readFileSync(out, 'utf8').includes('listens at '), `it listens: ${readFileSync(out, 'utf8')}`);
    return stdout + stderr;
  }

  /** Whatever still runs, in whichever home of this account. */
  close(): void {
    for (const entry of [this.home, join(this.home, 'srv')].flatMap((dir) => (existsSync(dir) ? folders(dir) : []))) {
      const present = join(entry, 'gateway.json');
      if (!existsSync(present)) continue;
      const { pid } = JSON.parse(readFileSync(present, 'utf8')) as { pid: number };
      process.kill(pid, 'SIGKILL');
    }
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

const folders = (dir: string): string[] => readdirSync(dir).map((name) => join(dir, name));

/** Blocks of shell commands on a page of docs. */
function blocksOf(page: string): string[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => block);
}

async function follow(page: string, body: (person: Person, blocks: string[]) => Promise<void>): Promise<void> {
  const person = new Person();
  try {
    await person.give('setsid ruche up --template solo > ~/ruche.out 2>&1 &');
    await person.give('ruche ask "write notes.md: hello"');
    await body(person, blocksOf(page));
  } finally {
    person.close();
  }
}

const notes = (home = '.ruche'): string => `git -C ~/${home}/workspace show main:notes.md`;

test('docs/backup.md: a backup verifies, is restored, and the network moves to another folder', () =>
  follow('backup.md', async (person, [backUp = '', trial = '', restore = '', move = '', ...more]) => {
    assert.deepEqual(more, []);
    await person.give(backUp);
    assert.match(await person.give(trial), /All checks passed/);
    await person.give('ruche ask "write later.md: after the backup"');
    await person.give(restore);
    assert.match(await person.give(notes()), /hello/);
    assert.doesNotMatch(await person.give('git -C ~/.ruche/workspace ls-tree --name-only main'), /later\.md/);
    assert.match(await person.give(`${move}\n`), /All checks passed/);
    assert.match(await person.give(`ruche ask --home ~/srv/ruche "read notes.md" && ${notes('srv/ruche')}`), /hello/);
  }));

test('docs/upgrade.md: with a copy made before, the new version starts, and the old one again', () =>
  follow('upgrade.md', async (person, [upgrade = '', check = '', back = '', ...more]) => {
    assert.deepEqual(more, []);
    const commit = 'git commit -q --allow-empty -m';
    await person.give(`git init -q new && cd new && ${commit} 1 && git clone -q . ~/ruche && ${commit} 2`);
    await person.give(upgrade);
    assert.equal(
      execFileSync('git', ['-C', join(person.home, 'ruche'), 'log', '-1', '--format=%s'], { encoding: 'utf8' }),
      '2\n',
    );
    assert.match(await person.give(check), /All checks passed/);
    await person.give(back);
    assert.equal(
      execFileSync('git', ['-C', join(person.home, 'ruche'), 'log', '-1', '--format=%s'], { encoding: 'utf8' }),
      '1\n',
    );
    assert.match(await person.give(`ruche verify && ${notes()}`), /hello/);
  }));

test('docs/keys.md: a new token counts at once and the old one is refused; keys of the environment with the next start', () =>
  follow('keys.md', async (person, [token = '', environment = '', tryThem = '', leaked = '', ...more]) => {
    assert.deepEqual(more, []);
    const old = readFileSync(join(person.home, '.ruche/token'), 'utf8').trim();
    assert.match(await person.give(token), /\/login#/);
    const { url } = JSON.parse(readFileSync(join(person.home, '.ruche/gateway.json'), 'utf8')) as { url: string };
    const ask = async (bearer: string): Promise<number> =>
      (await fetch(`${url}/api/status`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    assert.equal(await ask(old), 401);
    assert.equal(await ask(readFileSync(join(person.home, '.ruche/token'), 'utf8').trim()), 200);
    await person.give(environment);
    await person.give(tryThem);
    assert.equal(await person.give(leaked), '');
    await person.give('cd ~/.ruche/workspace && echo the-old-key > bad.txt && git add bad.txt && git commit -qm Bad');
    assert.match(await person.give(leaked), /Bad/);
  }));

test('docs/secrets.md: a secret is given, shown, replaced, removed, and has a new key', () =>
  follow('secrets.md', async (person, [give = '', use = '', change = '', key = '', ...more]) => {
    assert.deepEqual(more, []);
    await person.give('echo the-token-of-github > ~/github-token');
    assert.match(await person.give(give), /github +set \d+ s ago, never used, named nowhere/);
    assert.match(await person.give(use), /github was never used\. No file names it\./);
    assert.match(await person.give(change), /github is replaced[^]*github is removed/);
    assert.match(await person.give(key), /encrypted with a new key, age1/);
  }));

test('docs/erasure.md: journal.git is made anew, and everything can be deleted', () =>
  follow('erasure.md', async (person, [anew = '', all = '', ...more]) => {
    assert.deepEqual(more, []);
    await person.give(anew);
    assert.match(readFileSync(join(person.home, 'everything.jsonl'), 'utf8'), /"run\.finished"/);
    assert.match(await person.give('ruche verify'), /All checks passed/);
    await person.give(all);
    assert.deepEqual(
      [existsSync(join(person.home, '.ruche')), existsSync(join(person.home, 'everything.jsonl'))],
      [false, false],
    );
  }));
