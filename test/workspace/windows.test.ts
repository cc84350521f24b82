import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { BoundaryName } from '../../src/core/ports/boundary.ts';
import { whole } from '../fakes/effort.ts';
import { AT, type Lab, makeLab } from './lab.ts';

// A person's command runs between two steps of a landing, or of a look at what they have changed. Every line is a word of
// its own: `p1` to `p3` of the person, committed or not, `r1` of the run.

const LINES = 'one\ntwo\nthree\nfour\nfive\nsix\n';
const REBASE = ['-c', 'sequence.editor=sed -i 1s/^pick/edit/', 'rebase', '-q', '-i', 'HEAD~1'];
/** What the person runs, and how they end it. */
const COMMANDS: Record<string, { run: string[][]; end?: string[][]; throws?: readonly string[] }> = {
  'rebase, given up': {
    run: [['stash', '-q'], REBASE],
    end: [
      ['rebase', '--abort'],
      ['stash', 'pop', '-q'],
    ],
  },
  'rebase to its end': {
    run: [['stash', '-q'], REBASE],
    end: [
      ['-c', 'core.editor=true', 'rebase', '--continue'],
      ['stash', 'pop', '-q'],
    ],
  },
  'a whole rebase': { run: [['rebase', '-q', '--autostash', 'side']] },
  'pull --rebase': { run: [['pull', '-q', '--rebase', '--autostash', '.', 'side']] },
  'reset --hard': { run: [['reset', '-q', '--hard', 'HEAD~1']], throws: ['p2', 'p3'] },
  'reset --hard to where it is': { run: [['reset', '-q', '--hard']], throws: ['p3'] },
  'reset --mixed': { run: [['reset', '-q', 'HEAD~1']] },
  'reset --soft': { run: [['reset', '-q', '--soft', 'HEAD~1']] },
  'checkout of another branch': { run: [['checkout', '-q', 'side']], end: [['checkout', '-q', 'main']] },
  'a new branch': { run: [['checkout', '-q', '-b', 'fresh']], end: [['checkout', '-q', 'main']] },
  'checkout of a file': { run: [['checkout', '-q', '--', 'docs/guide.md']], throws: ['p3'] },
  'commit -a': { run: [['commit', '-qam', 'mine']] },
  'commit --amend': { run: [['commit', '-q', '--amend', '-m', 'said better']] },
  'stash and pop': { run: [['stash', '-q']], end: [['stash', 'pop', '-q']] },
  merge: { run: [['merge', '-q', '--no-edit', 'side']] },
  'merge that waits': { run: [['merge', '-q', '--no-commit', 'side']], end: [['commit', '-qm', 'merged']] },
  'merge given up': { run: [['merge', '-q', '--no-commit', 'side']], end: [['merge', '--abort']] },
  'cherry-pick': { run: [['cherry-pick', 'side']] },
  'gc --prune=now': { run: [['gc', '-q', '--prune=now']] },
};

/** Before the lock and under it; the steps between them and once main has moved, too, where everything is tried. */
const LAND: readonly BoundaryName[] = [
  'landing.commit.after',
  'landing.files.after',
  ...(whole
    ? ([
        'landing.commit.before',
        'landing.files.before',
        'landing.ref.before',
        'landing.ref.after',
        'landing.index.after',
      ] as const)
    : []),
];
const LOOK: readonly BoundaryName[] = [
  'workspace.person.look',
  ...(whole ? (['workspace.person.before', 'workspace.person.after'] as const) : []),
];

interface Scene {
  lab: Lab;
  /** Git as the person runs it; false where it fails, as it does for people. */
  git(...args: string[]): boolean;
  /** What is to happen at the next boundary of that name. */
  at(name: BoundaryName, act: () => void): void;
  passed(): boolean;
}

const FILES = { 'notes.md': LINES, 'docs/guide.md': LINES, 'side.md': LINES };
let seed: Promise<Lab> | null = null;
after(async () => (await seed)?.dispose());

/** `main` with two commits of the person over the first and an edit of theirs, and a branch beside it. Made once. */
async function makeSeed(): Promise<Lab> {
  const lab = await makeLab({ files: FILES });
  await lab.put('more.md', 'p1\n');
  lab.git('add', '.');
  lab.git('commit', '-qm', 'first');
  lab.git('checkout', '-q', '-b', 'side');
  await lab.put('side.md', `${LINES}p0\n`);
  lab.git('commit', '-qam', 'beside');
  lab.git('checkout', '-q', 'main');
  await lab.put('notes.md', `p2\n${LINES}`);
  lab.git('commit', '-qam', 'second');
  await lab.put('docs/guide.md', `${LINES}p3\n`);
  return lab;
}

async function scene(use: (scene: Scene) => Promise<void>): Promise<void> {
  let act: { name: BoundaryName; run: () => void } | null = null;
  seed ??= makeSeed();
  const { dir: from } = await seed;
  const lab = await makeLab({
    prepare: async (dir) => {
      await rm(dir, { recursive: true });
      await cp(from, dir, { recursive: true, preserveTimestamps: true });
    },
    boundary: (name) => {
      if (act?.name !== name) return;
      const { run } = act;
      act = null;
      run();
    },
  });
  const git = (...args: string[]): boolean => {
    try {
      execFileSync('git', args, { cwd: lab.dir, env: lab.env, stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  try {
    await use({ lab, git, at: (name, run) => (act = { name, run }), passed: () => act === null });
  } finally {
    await lab.dispose();
  }
}

/** The run's line after the fourth: whatever main has become, it lands there. */
async function land({ lab }: Scene): Promise<string> {
  const text = lab.git('show', 'main:notes.md');
  return (await lab.land('run_1', { 'notes.md': text.replace('four\n', 'four\nr1\n') })).state;
}

/** What Ruche has committed in the person's name, wherever that is now: its clock is not theirs. */
function inTheirName({ lab }: Scene): string[] {
  const commits = lab.git('log', '--all', '--reflog', '--author=Ada', '--format=%H %ct').trim().split('\n');
  const hours = 3600;
  return commits.flatMap((line) => {
    const [commit = '', time = ''] = line.split(' ');
    const since = Number(time) - AT / 1000;
    if (since < 0 || since > hours || lab.git('rev-list', '--parents', '-n1', commit).trim() === commit) return [];
    return lab.git('show', '--format=', '-U0', commit).match(/^[-+](?![-+]{2}).*$/gm) ?? [];
  });
}

/** What was never said by the person: lines that are gone, and those that others wrote. */
function check(one: Scene, { throws = [], soft }: { throws?: readonly string[] | undefined; soft: boolean }): void {
  const { lab } = one;
  const history = lab.git('log', '--all', '--reflog', '-m', '-p', '--format=');
  const disk = lab.git('grep', '--untracked', '-h', '-e', '[pr][0-9]$', '--', '.');
  for (const token of ['p1', 'p2', 'p3'])
    if (!throws.includes(token)) assert.ok(disk.includes(token) || history.includes(`+${token}`), `${token} has gone`);
  const theirs = ['+p1', '+p2', '+p3', ...(soft ? ['+r1'] : [])];
  assert.deepEqual(
    inTheirName(one).filter((line) => !theirs.includes(line)),
    [],
    'committed in their name',
  );
  assert.equal(lab.git('show', 'main:notes.md').match(/^r1$/gm)?.length, 1, 'the line of the run on main');
  assert.equal(disk.match(/^r1$/gm)?.length, 1, 'the line of the run in the files');
  lab.git('fsck', '--strict');
}

/** Everything gets in at last, and one more look finds nothing to do. */
async function settle(one: Scene, landed: boolean): Promise<void> {
  const { lab } = one;
  await lab.ws.commitPerson(null);
  // What has landed is not landed again: it stays where it is.
  for (let at = 0; at < 3 && !landed; at += 1) landed = (await land(one)) === 'landed';
  await lab.ws.commitPerson(null);
  assert.equal(lab.git('symbolic-ref', '--short', 'HEAD').trim(), 'main');
  assert.equal(lab.git('status', '--porcelain', '-uno'), '');
}

/** One of each kind, where not all are tried. */
const EVERYDAY = [
  'rebase, given up',
  'reset --hard',
  'checkout of another branch',
  'commit -a',
  'stash and pop',
  'gc --prune=now',
];
const tried = Object.entries(COMMANDS).filter(([name]) => whole || EVERYDAY.includes(name));

for (const [name, { run, end = [], throws }] of tried)
  test(`a person's ${name} between any two steps of a landing or a look loses nothing and is nobody else's word`, async () => {
    for (const boundary of [...LAND, ...LOOK])
      await scene(async (one) => {
        let done = 0;
        one.at(boundary, () => run.forEach((args) => (done += one.git(...args) ? 1 : 0)));
        const landed = LAND.includes(boundary) ? (await land(one)) === 'landed' : false;
        if (!LAND.includes(boundary)) await one.lab.ws.commitPerson(null);
        assert.ok(one.passed(), 'the boundary was reached');
        for (const args of end) one.git(...args);
        const soft = name === 'reset --soft' && ['landing.ref.after', 'landing.index.after'].includes(boundary);
        try {
          await settle(one, landed);
          check(one, { throws, soft });
        } catch (error) {
          const said = `${one.lab.git('status')}\n${one.lab.git('log', '-p', '--reflog', '--format=%h %an %s', '-8')}`;
          throw new Error(`at ${boundary}, ${done} of ${run.length} done: ${String(error)}\n${said}`, { cause: error });
        }
      });
  });

/** Runs the person's command, which stops where Git is about to move a ref; Ruche acts; and it goes on. */
async function paused({ lab }: Scene, args: readonly string[], ref: string, act: () => Promise<void>): Promise<void> {
  const [stopped, go] = [join(lab.root, 'stopped'), join(lab.root, 'go')];
  execFileSync('mkfifo', [stopped, go]);
  const hook = join(lab.dir, '.git/hooks/reference-transaction');
  await mkdir(dirname(hook), { recursive: true });
  const script = `#!/bin/sh\n[ "$1" = prepared ] && [ -p '${go}' ] && grep -q ' ${ref}$' || exit 0\necho > '${stopped}'\nread -r _ < '${go}'\nrm '${go}'\n`;
  await writeFile(hook, script, { mode: 0o755 });
  const command = spawn('git', args, { cwd: lab.dir, env: lab.env, stdio: 'ignore' });
  const over = once(command, 'exit');
  await readFile(stopped);
  try {
    await act();
  } finally {
    await writeFile(go, '\n');
    await over;
  }
}

for (const [name, args, throws] of [
  ['reset --hard', ['reset', '-q', '--hard', 'HEAD~1'], ['p2', 'p3']],
  ['commit', ['commit', '-qam', 'mine'], []],
  ['merge', ['merge', '-q', '--no-edit', 'side'], []],
  ['commit --amend', ['commit', '-q', '--amend', '-m', 'said better'], []],
] as const)
  test(`a ${name} that has its files and is about to move main is waited for`, () =>
    scene(async (one) => {
      let state = '';
      await paused(one, args, 'refs/heads/main', async () => {
        state = await land(one);
        await one.lab.ws.commitPerson(null);
      });
      assert.equal(state, 'blocked');
      await settle(one, false);
      check(one, { throws, soft: false });
    }));

test('a rebase that is about to move main is waited for', () =>
  scene(async (one) => {
    let state = '';
    await paused(one, ['rebase', '-q', '--autostash', 'side'], 'refs/heads/main', async () => {
      state = await land(one);
      await one.lab.ws.commitPerson(null);
    });
    assert.equal(state, 'blocked');
    await settle(one, false);
    check(one, { soft: false });
  }));

for (const boundary of ['landing.commit.after', 'landing.ref.before', 'landing.ref.after'] as const)
  test(`a checkout of main at ${boundary} of a landing that found another branch shows the landing in the end`, () =>
    scene(async (one) => {
      one.git('checkout', '-q', 'side');
      one.at(boundary, () => void one.git('checkout', '-q', 'main'));
      const landed = (await land(one)) === 'landed';
      assert.ok(one.passed());
      one.git('checkout', '-q', 'main');
      await settle(one, landed);
      check(one, { soft: false });
    }));

for (const when of ['before', 'after'] as const)
  test(`a checkout of main that wrote its files ${when} main moved, and said so at its end, is brought to main`, () =>
    scene(async (one) => {
      const { lab, git } = one;
      git('checkout', '-q', 'side');
      const main = lab.git('rev-parse', 'main').trim();
      // What checkout does, step by step: it has looked main up, writes files and index, and HEAD last.
      const files = (): boolean => git('read-tree', '-m', '-u', 'side', main);
      if (when === 'before') assert.ok(files());
      assert.equal(await land(one), 'landed');
      if (when === 'after') assert.ok(files());
      assert.ok(git('symbolic-ref', '-m', 'checkout: moving from side to main', 'HEAD', 'refs/heads/main'));
      assert.equal(lab.git('diff', '--cached', '--name-only'), 'notes.md\n');
      await settle(one, true);
      check(one, { soft: false });
    }));

test('what a person stages to take a landing back, once they are on main again, stays theirs', () =>
  scene(async (one) => {
    const { lab, git } = one;
    git('stash', '-q');
    git('checkout', '-q', 'side');
    assert.equal(await land(one), 'landed');
    git('checkout', '-q', 'main');
    git('checkout', 'main~1', '--', 'notes.md');
    assert.equal((await lab.ws.commitPerson(null))?.paths.join(), 'notes.md');
    assert.doesNotMatch(await lab.read('notes.md'), /r1/);
  }));

test('a branch begun while a landing writes its files has none of them', () =>
  scene(async (one) => {
    const { lab, git } = one;
    // As some tools go to a new branch: without the lock.
    const fresh = [
      ['branch', 'fresh'],
      ['symbolic-ref', 'HEAD', 'refs/heads/fresh'],
    ];
    one.at('landing.files.after', () => assert.ok(fresh.every((args) => git(...args))));
    const state = await land(one);
    assert.equal(state, 'landed');
    assert.equal(lab.git('symbolic-ref', '--short', 'HEAD'), 'fresh\n');
    assert.equal(lab.git('status', '--porcelain', '-uno'), ' M docs/guide.md\n');
    git('checkout', '-q', 'main');
    await settle(one, true);
    check(one, { soft: false });
  }));
