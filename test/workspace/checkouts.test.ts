import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readdir,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MAX_PATHS } from '../../src/core/files.ts';
import { checkoutsContract } from '../contracts/checkouts.ts';
import { makeLab, withLab } from './lab.ts';
import { numbered, openPool, withPool } from './pool.ts';

checkoutsContract('pool', async (files) => {
  const lab = await makeLab({ files });
  let pool = await openPool(lab);
  return {
    workspace: lab.ws,
    checkouts: pool,
    async reopen() {
      await pool.close();
      pool = await openPool(lab);
      return pool;
    },
    async dispose() {
      await pool.close();
      await lab.dispose();
    },
  };
});

test(
  'the pool reuses what is alike, grows on demand, waits at its bound and shrinks again',
  withPool(
    async (lab, pool, base) => {
      const three = await Promise.all(['a', 'b', 'c'].map((key) => pool.take(base, [], key)));
      assert.equal(new Set(three.map((one) => one.dir)).size, 3);
      const fourth = pool.take(base, [], 'd');
      const early = await Promise.race([
        fourth.then(() => 'taken'),
        new Promise((resolve) => setTimeout(() => resolve('waits'), 50)),
      ]);
      assert.equal(early, 'waits');
      const [first, second, third] = three;
      assert.ok(first && second && third);
      await pool.release(first);
      const taken = await fourth;
      for (const one of [second, third, taken]) await pool.release(one);
      await pool.close();
      assert.equal((await numbered(lab)).length, 2);
      // The one that held this very overlay is chosen.
      const files = lab.ws.files(base, []);
      await files.write('x.txt', Buffer.from('x'));
      const alike = await pool.take(base, files.changes(), 'e');
      await pool.release(alike);
      await pool.close();
      assert.equal((await pool.take(base, files.changes(), 'f')).id, alike.id);
    },
    { max: 3, keep: 2 },
  ),
);

test(
  'a full disk stops new checkouts in words',
  withPool(
    async (_lab, pool, base) => {
      await assert.rejects(pool.take(base, [], 'a'), /MB are free on the disk .* free some space/);
    },
    { minFree: 2 ** 60 },
  ),
);

test(
  'what a command linked, locked or set back reaches no later command',
  withPool(
    async (_lab, pool, base) => {
      const first = await pool.take(base, [], 'call_1');
      const at = (path: string): string => join(first.dir, path);
      await link(at('notes.md'), at('twin.md'));
      await chmod(at('run.sh'), 0o000);
      await utimes(at('.gitignore'), 1, 1);
      await chmod(at('docs/deep'), 0o555);
      await chmod(at('docs'), 0o000);
      await chmod(first.dir, 0o555);
      const { changes, refused } = await pool.collect(first);
      assert.equal(refused, null);
      assert.deepEqual(
        changes.map(({ path, oid }) => [path, oid !== null]),
        [['twin.md', true]],
      );
      await pool.release(first);
      const second = await pool.take(base, changes, 'call_2');
      assert.equal(second.id, first.id);
      const modes = await Promise.all(
        ['', 'docs', 'docs/deep', 'run.sh', 'notes.md'].map(async (path) => {
          const { mode, nlink, mtimeMs } = await lstat(at(path));
          return [path, (mode & 0o777).toString(8), path === 'notes.md' ? nlink : 1, mtimeMs > 1000];
        }),
      );
      assert.deepEqual(modes, [
        ['', '755', 1, true],
        ['docs', '755', 1, true],
        ['docs/deep', '755', 1, true],
        ['run.sh', '644', 1, true],
        ['notes.md', '644', 1, true],
      ]);
      assert.equal((await lstat(at('.gitignore'))).mtimeMs > 1000, true);
      await appendFile(at('twin.md'), 'more\n');
      const after = await pool.collect(second);
      assert.deepEqual(
        after.changes.map(({ path }) => path),
        ['twin.md'],
      );
    },
    { max: 1, keep: 1 },
  ),
);

test(
  'more files than can land together are refused, from a command and at the landing',
  withPool(
    async (lab, pool, base) => {
      const checkout = await pool.take(base, [], 'call_1');
      await mkdir(join(checkout.dir, 'many'));
      for (let at = 0; at < 49; at += 1) await writeFile(join(checkout.dir, 'many', String(at)), '');
      await rm(join(checkout.dir, 'notes.md'));
      assert.equal((await pool.collect(checkout)).changes.length, 50);
      await writeFile(join(checkout.dir, 'many/50'), '');
      const { refused, changes } = await pool.collect(checkout);
      assert.match(refused ?? '', /^it changed 51 files, more than the limit of 50; .*\.gitignore/);
      assert.deepEqual(changes, []);
      const one = await lab.ws.files(base, []).write('one', Buffer.from(''));
      const many = Array.from({ length: MAX_PATHS + 1 }, (_, at) => ({ ...one, path: `many/${at}` }));
      const landed = await lab.ws.land(lab.request('run_1', base, many));
      assert.match(
        landed.state === 'refused' ? landed.why : '',
        /^it changes 20001 files, more than the limit of 20000$/,
      );
    },
    { maxChanges: 50 },
  ),
);

test(
  'links are taken as text and never followed, and files that hide their change are seen',
  withPool(async (lab, pool, base) => {
    const checkout = await pool.take(base, [], 'call_1');
    const at = (path: string): string => join(checkout.dir, path);
    const before = await lstat(at('notes.md'));
    await writeFile(at('notes.md'), (await readFile(at('notes.md'), 'utf8')).replace('one', 'ONE'));
    await utimes(at('notes.md'), before.atime, before.mtime);
    await rm(at('docs'), { recursive: true });
    await symlink('/etc', at('docs'));
    await symlink('notes.md', at('good'));
    await symlink('../../../../etc/passwd', at('bad'));
    await link(at('run.sh'), at('hard.sh'));
    await chmod(at('run.sh'), 0o755);
    execFileSync('sh', ['-c', 'mkfifo "$0"', at('pipe')]);
    const { changes, dropped, refused } = await pool.collect(checkout);
    assert.equal(refused, null);
    assert.deepEqual(
      changes.map(({ path, mode, oid }) => [path, oid === null ? 'gone' : mode]),
      [
        ['bad', '100644'],
        ['docs', '100644'],
        ['docs/deep/er.txt', 'gone'],
        ['docs/guide.md', 'gone'],
        ['good', '120000'],
        ['hard.sh', '100755'],
        ['notes.md', '100644'],
        ['run.sh', '100755'],
      ],
    );
    assert.deepEqual(dropped, ['pipe (not a regular file)']);
    const overlay = lab.ws.files(base, changes);
    assert.equal(Buffer.from((await overlay.read('docs'))?.bytes ?? []).toString(), '/etc');
    assert.equal((await lab.ws.land(lab.request('run_1', base, changes))).state, 'landed');
    assert.equal(await lab.read('bad'), '../../../../etc/passwd');
    assert.equal(lab.git('status', '--porcelain'), '');
    await pool.release(checkout);
    const again = await pool.take(await lab.ws.head(), [], 'call_2');
    assert.ok((await lstat(join(again.dir, 'docs'))).isFile());
    assert.ok((await readdir('/etc')).length > 0);
  }),
);

test(
  'files too large and names nobody can write are refused or named',
  withPool(
    async (_lab, pool, base) => {
      const checkout = await pool.take(base, [], 'call_1');
      await writeFile(Buffer.concat([Buffer.from(`${checkout.dir}/bad-`), Buffer.from([0xff])]), 'x');
      assert.equal((await pool.collect(checkout)).dropped.length, 1);
      for (let at = 0; at < 3; at += 1) await writeFile(join(checkout.dir, `part${at}`), Buffer.alloc(900));
      assert.match((await pool.collect(checkout)).refused ?? '', /all changed files together/);
      const huge = await open(join(checkout.dir, 'huge.bin'), 'w');
      await huge.truncate(1_000_000_000);
      await huge.close();
      assert.match((await pool.collect(checkout)).refused ?? '', /huge\.bin has 1000\.0 MB, more than the limit/);
      // Ignored, it does not matter.
      await writeFile(join(checkout.dir, '.gitignore'), '*.bin\npart*\n');
      const { refused, dropped } = await pool.collect(checkout);
      assert.equal(refused, null);
      assert.ok(dropped.includes('huge.bin'));
    },
    { maxFile: 1000, maxTotal: 2000 },
  ),
);

test(
  'Git works in a checkout on a throwaway repository and changes nothing outside',
  withPool(async (lab, pool, base) => {
    const files = lab.ws.files(base, []);
    await files.write('over.txt', Buffer.from('overlay\n'));
    const checkout = await pool.take(base, files.changes(), 'call_1');
    const git = (...args: string[]): string =>
      execFileSync('git', args, {
        cwd: checkout.dir,
        env: { ...lab.env, GIT_DIR: checkout.git, GIT_WORK_TREE: checkout.dir },
        stdio: 'pipe',
      }).toString();
    assert.equal(git('log', '--format=%H').trim(), lab.git('log', '--format=%H').trim());
    assert.equal(git('status', '--porcelain'), 'A  over.txt\n');
    await writeFile(join(checkout.dir, 'notes.md'), 'changed\n');
    assert.match(git('diff'), /^\+changed$/m);
    const count = lab.git('count-objects');
    git('commit', '-qam', 'inside');
    assert.equal(git('rev-list', '--count', 'HEAD').trim(), '2');
    assert.equal(lab.git('count-objects'), count);
    assert.equal(await lab.ws.head(), base);
    const { changes } = await pool.collect(checkout);
    assert.deepEqual(
      changes.map((change) => change.path),
      ['notes.md'],
    );
    // A repository's configuration inside is gone with the next use.
    await writeFile(join(checkout.git, 'config'), '[core]\n\tfsmonitor = false\n');
    await pool.release(checkout);
    await pool.close();
    const again = await pool.take(base, [], 'call_2');
    assert.match(await readFile(join(again.git, 'config'), 'utf8'), /checkStat/);
    assert.equal(git('rev-list', '--count', 'HEAD').trim(), '1');
  }),
);

test(
  'whatever state a command leaves, the next take puts it in order',
  withPool(async (lab, pool, base) => {
    const wrecks: ((dir: string, root: string) => Promise<void>)[] = [
      (dir) => rm(dir, { recursive: true }),
      async (dir) => {
        await mkdir(join(dir, 'locked/in'), { recursive: true });
        await writeFile(join(dir, 'locked/in/file'), 'x');
        await chmod(join(dir, 'locked'), 0o000);
      },
      (_dir, root) => writeFile(join(root, 'index'), 'no index at all'),
      (_dir, root) => writeFile(join(root, 'index.lock'), ''),
      async (dir) => {
        await unlink(join(dir, 'notes.md'));
        await mkdir(join(dir, 'notes.md/sub'), { recursive: true });
        await writeFile(join(dir, 'notes.md/sub/x'), 'x');
      },
      async (dir) => {
        await rm(join(dir, '.git'), { recursive: true });
        execFileSync('git', ['init', '-q', dir], { env: lab.env });
      },
      (_dir, root) => writeFile(join(root, 'state.json'), '{"key":'),
    ];
    let checked = 0;
    for (const [at, wreck] of wrecks.entries()) {
      const checkout = await pool.take(base, [], `call_${at}`);
      await wreck(checkout.dir, join(checkout.dir, '..'));
      await pool.release(checkout);
      await pool.close();
      const again = await pool.take(base, [], `again_${at}`);
      assert.deepEqual(
        (await readdir(again.dir)).toSorted(),
        ['.git', '.gitignore', 'docs', 'notes.md', 'run.sh'],
        `wreck ${at}`,
      );
      assert.deepEqual(await readdir(join(again.dir, '.git')), []);
      assert.deepEqual(await pool.collect(again), { changes: [], dropped: [], refused: null });
      await pool.release(again);
      checked += 1;
    }
    assert.equal(checked, 7);
  }),
);

test(
  'checkouts of no live call are released when the runtime comes back',
  withPool(async (lab, pool, base) => {
    for (const key of ['dead', 'live', 'gone']) await pool.take(base, [], key);
    const next = await openPool(lab);
    assert.deepEqual((await next.held()).toSorted(), ['dead', 'gone', 'live']);
    assert.equal(await next.recover(['live']), 2);
    assert.deepEqual(await next.held(), ['live']);
    assert.notEqual(await next.adopt('live'), null);
    await assert.rejects(next.take(base, [], '../x'), /cannot name a checkout/);
    await next.close();
  }),
);

test(
  'sub-modules stay as they are, and their folders are not a way to the next command',
  withLab(async (lab) => {
    const commit = lab.git('rev-parse', 'HEAD').trim();
    lab.git('update-index', '--add', '--cacheinfo', `160000,${commit},lib/sub`);
    lab.git('commit', '-qm', 'sub-module');
    const pool = await openPool(lab);
    const base = await lab.ws.head();
    const checkout = await pool.take(base, [], 'call_1');
    // As a clone has it: without the folder, Git would call the sub-module removed.
    assert.deepEqual(await readdir(join(checkout.dir, 'lib/sub')), []);
    await writeFile(join(checkout.dir, 'lib/sub/left.txt'), 'left');
    execFileSync('git', ['init', '-q', join(checkout.dir, 'lib/sub')], { env: lab.env });
    await writeFile(join(checkout.dir, 'other.txt'), 'x');
    const { changes, dropped, refused } = await pool.collect(checkout);
    assert.equal(refused, null);
    assert.deepEqual(
      changes.map((change) => change.path),
      ['other.txt'],
    );
    assert.deepEqual(dropped, ['lib/sub/ (a sub-module)']);
    await pool.release(checkout);
    await pool.close();
    const again = await pool.take(base, [], 'call_2');
    assert.deepEqual(await readdir(join(again.dir, 'lib/sub')), []);
    await pool.close();
  }),
);
