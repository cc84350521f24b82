import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { chmod, link, lstat, mkdir, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withLab } from './lab.ts';
import { numbered, openPool, withPool } from './pool.ts';

/** Folders in a folder until their path is longer than the system takes: as Python does it, by descending. */
const dig = (dir: string, depth = 100): void => {
  const lines = ['import os, sys', 'os.chdir(sys.argv[1])', `for i in range(${depth}):`];
  execFileSync('python3', ['-c', [...lines, " os.mkdir('d' * 200)", " os.chdir('d' * 200)"].join('\n'), dir]);
};
const python = spawnSync('python3', ['--version']).status === 0;

test(
  'a deep tree is told, and stops no later command, no removal and no start',
  { skip: python ? false : 'there is no python3 on this machine to make one' },
  withLab(async (lab) => {
    const pool = await openPool(lab, { max: 1, keep: 1 });
    const base = await lab.ws.head();
    const first = await pool.take(base, [], 'call_1');
    dig(first.dir);
    dig(join(first.dir, 'docs'));
    dig(first.git);
    assert.match((await pool.collect(first)).refused ?? '', /so deep that their path is longer than the system takes/);
    await pool.release(first);
    const second = await pool.take(base, [], 'call_2');
    assert.equal(second.id, first.id);
    assert.deepEqual((await readdir(second.dir)).toSorted(), ['.git', '.gitignore', 'docs', 'notes.md', 'run.sh']);
    assert.deepEqual(await pool.collect(second), { changes: [], dropped: [], refused: null });
    // One that nobody owned any more when the process was killed, and one that is released by the next.
    dig(second.dir);
    await pool.close();
    const other = await openPool(lab, { max: 2, keep: 0 });
    assert.equal(await other.recover([]), 1);
    await other.close();
    assert.deepEqual(await numbered(lab), []);
    assert.deepEqual(await readdir(join(lab.root, 'home/checkouts/.left')), []);
  }),
);

test(
  'nothing passes from one command to the next: repositories of any kind, rights, links, pipes, attributes, times',
  withPool(
    async (lab, pool, base) => {
      const git = (...args: string[]): Buffer => execFileSync('git', args, { env: lab.env, stdio: 'pipe' });
      const elsewhere = join(lab.root, 'elsewhere');
      await mkdir(elsewhere);
      const plants: Record<string, (at: (path: string) => string) => unknown> = {
        'a repository beside tracked files': (at) => git('init', '-q', at('docs')),
        'one where only folders are': async (at) => {
          await mkdir(at('docs/deep/.git'));
          await writeFile(at('docs/deep/.git/HEAD'), 'x');
        },
        'a file called .git': (at) => writeFile(at('docs/.git'), 'gitdir: ../../elsewhere\n'),
        'a bare one': (at) => git('init', '-q', '--bare', at('docs/cache')),
        'one in an ignored folder': (at) => git('init', '-q', at('build/x')),
        'an empty folder': (at) => mkdir(at('docs/empty')),
        'an ignored file': (at) => writeFile(at('docs/x.log'), 'secret'),
        'rights of folders': async (at) => {
          await chmod(at('docs/deep'), 0o000);
          await chmod(at('docs'), 0o2555);
          await chmod(at(''), 0o1777);
        },
        'rights of a file': (at) => chmod(at('notes.md'), 0o666),
        'a hard link outside its folder': (at) => link(at('notes.md'), at('build')),
        'a link for a folder': async (at) => {
          await rm(at('docs'), { recursive: true });
          await symlink(elsewhere, at('docs'));
        },
        'a link for the checkout': async (at) => {
          await rm(at(''), { recursive: true });
          await symlink(elsewhere, at('../files'));
        },
        'a pipe': (at) => execFileSync('mkfifo', [at('docs/pipe')]),
        'folders in each other’s place': async (at) => {
          await rename(at('docs/deep'), at('deep'));
          await rename(at('docs'), at('deep/docs'));
          await rename(at('deep'), at('docs'));
        },
        'times of a folder': (at) => utimes(at('docs/deep'), 1, 1),
        'what was in the mount point': (at) => writeFile(at('.git/config'), '[core]\n\tfsmonitor = false\n'),
      };
      const state = async (dir: string): Promise<string[]> => {
        const rows = [dir, ...(await readdir(dir, { recursive: true })).map((name) => join(dir, name)).toSorted()];
        const look = async (path: string): Promise<string> => {
          const { mode, nlink, mtimeMs } = await lstat(path);
          return `${path} ${mode.toString(8)} ${(mode & 0o170000) === 0o100000 ? nlink : 1} ${mtimeMs > 1000}`;
        };
        return Promise.all(rows.map(look));
      };
      const fresh = await pool.take(base, [], 'fresh');
      const clean = await state(fresh.dir);
      await pool.release(fresh);
      let reused = 0;
      for (const [what, plant] of Object.entries(plants)) {
        const one = await pool.take(base, [], 'call_1');
        assert.deepEqual(await state(one.dir), clean, `before ${what}`);
        await plant((path) => join(one.dir, path));
        await pool.release(one);
        const next = await pool.take(base, [], 'call_2');
        reused += Number(next.id === one.id);
        assert.deepEqual(await state(next.dir), clean, what);
        assert.deepEqual(await pool.collect(next), { changes: [], dropped: [], refused: null }, what);
        await pool.release(next);
      }
      assert.equal(reused, Object.keys(plants).length, 'the same checkout was taken');
      assert.deepEqual(await readdir(elsewhere), []);
    },
    { max: 1, keep: 1 },
  ),
);

test(
  'a repository is noticed wherever it is and whatever its name',
  withPool(async (lab, pool, base) => {
    const init = (...args: string[]): Buffer => execFileSync('git', ['init', '-q', ...args], { env: lab.env });
    const cases: [why: RegExp | null, plant: (at: (path: string) => string) => unknown][] = [
      [/^docs is a Git repository of its own; remove its \.git and run/, (at) => init(at('docs'))],
      [/^docs\/deep is a Git/, (at) => writeFile(at('docs/deep/.git'), 'gitdir: /elsewhere\n')],
      [/^new\/a\/b is a Git/, (at) => mkdir(at('new/a/b/.git'), { recursive: true })],
      [/^docs\/cache is a Git repository of its own; remove its HEAD/, (at) => init('--bare', at('docs/cache'))],
      [
        /^docs is a Git/,
        async (at) => {
          await writeFile(at('docs/HEAD'), 'ref: refs/heads/main\n');
          await writeFile(at('docs/commondir'), '../elsewhere\n');
        },
      ],
      [
        /^3 folders are Git repositories of their own; remove docs\/\.git, new\/a\/\.git, docs\/cache\/HEAD, and run the command again$/,
        (at) => {
          init(at('docs'));
          init('--bare', at('docs/cache'));
          init(at('new/a'));
        },
      ],
      [
        /^30 folders are .*; remove (?:many\/\d+\/\.git(?:, )?){20} and 10 more of their kind, and run/,
        (at) => {
          for (let n = 0; n < 30; n += 1) mkdirSync(at(`many/${n}/.git`), { recursive: true });
        },
      ],
      // What Git ignores is not kept, so it may hold what it likes.
      [null, (at) => init(at('build/dependency'))],
    ];
    for (const [why, plant] of cases) {
      const checkout = await pool.take(base, [], 'call_1');
      await plant((path) => join(checkout.dir, path));
      await writeFile(join(checkout.dir, 'made.txt'), 'x');
      const { refused, changes } = await pool.collect(checkout);
      if (why === null) assert.deepEqual([refused, changes.map(({ path }) => path)], [null, ['made.txt']]);
      else {
        assert.match(refused ?? '', why);
        assert.deepEqual(changes, []);
      }
      await pool.release(checkout);
    }
  }),
);

test(
  'a command that leaves more files than anybody can look through is told so',
  withPool(
    async (_lab, pool, base) => {
      const checkout = await pool.take(base, [], 'call_1');
      await mkdir(join(checkout.dir, 'build'));
      for (let at = 0; at < 40; at += 1) await writeFile(join(checkout.dir, 'build', String(at)), '');
      assert.match((await pool.collect(checkout)).refused ?? '', /^it left more than 40 files and folders$/);
    },
    { maxPaths: 40 },
  ),
);

test(
  'a start on what a kill has left never fails on it',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    const dir = join(lab.root, 'home/checkouts');
    const pool = await openPool(lab);
    for (const key of ['live', 'dead']) await pool.take(base, [], key);
    const free = await pool.take(base, [], 'free');
    await pool.release(free);
    await pool.close();
    // Cut off at each step of being made, in both forms the state has had.
    const cut = { key: 'cut', ready: false, base, tree: base, blind: false };
    for (let at = 10; at < 40; at += 1) {
      await mkdir(join(dir, `c${at}`, 'files/sub/.git'), { recursive: true });
      if (at % 3 === 0) await writeFile(join(dir, `c${at}/state.json`), JSON.stringify(cut));
      if (at % 3 === 1) await writeFile(join(dir, `c${at}/state.json.new`), '{"key":"c');
    }
    await mkdir(join(dir, '.left/7/sub'), { recursive: true });
    for (let round = 0; round < 5; round += 1) {
      const next = await openPool(lab);
      assert.deepEqual((await next.held()).toSorted(), round === 0 ? ['dead', 'live'] : ['live']);
      assert.equal(await next.recover(['live']), round === 0 ? 1 : 0);
      assert.notEqual(await next.adopt('live'), null);
      await next.close();
    }
    const last = await openPool(lab);
    const again = await last.take(base, [], 'call_1');
    assert.deepEqual(await last.collect(again), { changes: [], dropped: [], refused: null });
    await last.recover([]);
    await last.close();
    assert.deepEqual(await readdir(join(dir, '.left')), []);
  }),
);
