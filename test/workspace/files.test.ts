import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Change } from '../../src/core/files.ts';
import { staysInside } from '../../src/workspace/landing/merge.ts';
import { makeLab, withLab } from './lab.ts';

const NFC = 'caf\u00e9.txt';
const NFD = 'cafe\u0301.txt';
const ODD = [
  'with space.txt',
  'tab\there',
  'new\nline.md',
  '"quoted"',
  "it's",
  '-dash',
  ':(top)x',
  '*glob?[a]',
  '日本/語.txt',
  NFC,
  NFD,
  'back\\slash',
];

test(
  'odd names pass through overlay, landing, listing and a person’s commit',
  withLab(async (lab) => {
    // What an agent writes in another form is the file that stands there; a person's Git makes a second one.
    const own = ODD.filter((path) => path !== NFD);
    const landed = await lab.land('run_1', Object.fromEntries(own.map((path) => [path, `of ${path}`])));
    assert.equal(landed.state, 'landed');
    await lab.put(NFD, `of ${NFD}`);
    assert.deepEqual((await lab.ws.commitPerson([NFD]))?.paths, [NFD]);
    const listed = (await lab.ws.files(await lab.ws.head(), []).list('')).map((entry) => entry.path);
    for (const path of ODD) {
      assert.ok(listed.includes(path), path);
      assert.equal(await lab.read(path), `of ${path}`);
      await lab.put(path, `mine ${path}`);
    }
    const person = await lab.ws.commitPerson(ODD.slice(0, 6));
    assert.deepEqual(person?.paths.toSorted(), ODD.slice(0, 6).toSorted());
    assert.deepEqual((await lab.ws.commitPerson(null))?.paths.toSorted(), ODD.slice(6).toSorted());
    assert.equal(lab.git('status', '--porcelain'), '');
    const removed = await lab.land('run_2', Object.fromEntries(ODD.map((path) => [path, null])));
    assert.equal(removed.state, 'landed');
    assert.deepEqual((await readdir(lab.dir)).toSorted(), ['.git', '.gitignore', 'docs', 'notes.md', 'run.sh']);
  }),
);

test(
  'a file of a person that is named in another form of Unicode is committed, new or changed',
  withLab(async (lab) => {
    const nfd = 'Re\u0301sume\u0301/u\u0308ber.md';
    for (const text of ['new', 'changed']) {
      await lab.put(nfd, text);
      assert.deepEqual((await lab.ws.commitPerson([nfd.normalize('NFC')]))?.paths, [nfd]);
      assert.equal(await lab.read(nfd), text);
    }
    assert.equal(await lab.ws.commitPerson(['caf\u00e9/nothing.md']), null);
  }),
);

test('names that are not UTF-8 are told of, cannot be opened and are not lost', async () => {
  const raw = Buffer.concat([Buffer.from('bad-'), Buffer.from([0xff, 0xfe])]);
  const lab = await makeLab({
    prepare: async (dir, _root, env) => {
      await writeFile(Buffer.concat([Buffer.from(`${dir}/docs/`), raw]), 'kept');
      execFileSync('git', ['-C', dir, 'add', '.'], { env });
      execFileSync('git', ['-C', dir, 'commit', '-qm', 'odd'], { env });
    },
  });
  try {
    const files = lab.ws.files(await lab.ws.head(), []);
    assert.deepEqual(
      (await files.list('docs')).map((entry) => entry.path),
      ['docs/deep/er.txt', 'docs/guide.md'],
    );
    assert.deepEqual(await files.unnamed?.('docs'), ['bad-\uFFFD\uFFFD']);
    assert.deepEqual(await files.unnamed?.('docs/deep'), []);
    assert.equal((await lab.land('run_1', { 'docs/guide.md': 'new' })).state, 'landed');
    assert.match(lab.git('ls-tree', '-r', '--name-only', 'HEAD'), /bad-\\377\\376/);
    assert.equal(lab.git('status', '--porcelain'), '');
    // The last file of its kind in a folder: the folder stays for the one nobody can name.
    assert.equal((await lab.land('run_2', { 'docs/guide.md': null, 'docs/deep/er.txt': null })).state, 'landed');
    assert.match(lab.git('ls-tree', '-r', '--name-only', 'HEAD'), /bad-\\377\\376/);
  } finally {
    await lab.dispose();
  }
});

test('A29 links that lead outside become plain text, and .git is out of reach', async () => {
  const lab = await makeLab();
  try {
    const base = await lab.ws.head();
    const files = lab.ws.files(base, []);
    await files.write('outside', Buffer.from('/etc/passwd'), '120000');
    await files.write('docs/up', Buffer.from('../../../etc/passwd'), '120000');
    await files.write('to-git', Buffer.from('.git/config'), '120000');
    await files.write('inside', Buffer.from('docs/guide.md'), '120000');
    assert.equal((await lab.ws.land(lab.request('run_1', base, files.changes()))).state, 'landed');
    const modes = lab.git('ls-tree', '-r', 'HEAD', 'outside', 'docs/up', 'to-git', 'inside');
    assert.deepEqual(
      modes
        .trim()
        .split('\n')
        .map((line) => [line.split('\t')[1], line.slice(0, 6)]),
      [
        ['docs/up', '100644'],
        ['inside', '120000'],
        ['outside', '100644'],
        ['to-git', '100644'],
      ],
    );
    assert.equal(await lab.read('outside'), '/etc/passwd');
    assert.equal(lab.git('status', '--porcelain'), '');
    // A link a person has committed is text for agents; it is never followed.
    await symlink('/etc/hostname', join(lab.dir, 'link'));
    await lab.ws.commitPerson(['link']);
    const after = lab.ws.files(await lab.ws.head(), []);
    const read = await after.read('link');
    assert.equal(read?.entry.mode, '120000');
    assert.equal(Buffer.from(read?.bytes ?? []).toString('utf8'), '/etc/hostname');
    assert.equal((await after.write('link', Buffer.from('text'))).mode, '100644');

    const config = await readFile(join(lab.dir, '.git', 'config'), 'utf8');
    for (const path of [
      '.git/config',
      '.GIT/hooks/pre-commit',
      'a/.git/config',
      '.git ',
      '.gi\u200ct/config',
      'git~1/config',
      '../x',
      '/etc/x',
      'a//b',
      './a',
      '',
      'é'.repeat(200),
      'long/'.repeat(500),
    ]) {
      await assert.rejects(after.write(path, Buffer.from('x')), { name: 'FileRefused', code: 'path' }, path);
      const change: Change = { path, mode: '100644', oid: read?.entry.oid ?? '', was: null };
      assert.equal((await lab.ws.land(lab.request('run_2', after.base, [change]))).state, 'refused', path);
    }
    assert.equal(await readFile(join(lab.dir, '.git', 'config'), 'utf8'), config);
  } finally {
    await lab.dispose();
  }
});

test('a link stays inside only if no chain of such links leads out', () => {
  const targets = fc.array(fc.constantFrom('..', '.', 'a', 'b', '.git', ''), { minLength: 1, maxLength: 5 });
  let inside = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }), targets, (path, target) => {
      if (!staysInside(path.join('/'), target.join('/'))) return;
      inside += 1;
      const at = path.slice(0, -1);
      let climbing = true;
      for (const part of target) {
        if (part === '..') {
          assert.ok(climbing && at.pop() !== undefined);
        } else {
          climbing = false;
          assert.ok(part === 'a' || part === 'b');
        }
      }
      assert.ok(!climbing || at.length > 0);
    }),
    { numRuns: 2000, seed: 7 },
  );
  assert.ok(inside > 50, String(inside));
  assert.equal(staysInside('a/b', '../c'), true);
  assert.equal(staysInside('a/b', 'c/../d'), false);
});

test(
  'files and folders cannot have one name',
  withLab(async ({ ws }) => {
    const files = ws.files(await ws.head(), []);
    await assert.rejects(files.write('notes.md/below', Buffer.from('x')), { code: 'clash' });
    await assert.rejects(files.write('docs', Buffer.from('x')), { code: 'clash' });
    await files.write('fresh/file', Buffer.from('x'));
    await assert.rejects(files.write('fresh', Buffer.from('x')), { code: 'clash' });
    await files.remove('fresh/file');
    await files.write('fresh', Buffer.from('x'));
    await files.remove('docs/guide.md');
    await files.remove('docs/deep/er.txt');
    assert.equal((await files.write('docs', Buffer.from('a file now'))).was, null);
  }),
);

test(
  'a file above the limit is refused at the door, also one of a gigabyte',
  withLab(
    async (lab) => {
      const files = lab.ws.files(await lab.ws.head(), []);
      await assert.rejects(files.write('big', Buffer.alloc(1001)), (error: Error) => {
        assert.match(error.message, /big has .* MB, more than the limit/);
        return true;
      });
      await files.write('fits', Buffer.alloc(1000));
      // A person's file of a gigabyte (sparse here) is left alone: neither read into memory nor committed.
      const { open } = await import('node:fs/promises');
      const huge = await open(join(lab.dir, 'notes.md'), 'w');
      await huge.truncate(1_000_000_000);
      await huge.close();
      const before = process.memoryUsage().arrayBuffers;
      assert.equal(await lab.ws.commitPerson(['notes.md']), null);
      assert.equal(await lab.ws.commitPerson(null), null);
      assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000);
      assert.equal((await stat(join(lab.dir, 'notes.md'))).size, 1_000_000_000);
    },
    { maxFile: 1000 },
  ),
);

test(
  'what was written is on disk as Git would have written it, and survives reopening',
  withLab(async (lab) => {
    const reached: string[] = [];
    await lab.reopen({ boundary: (name) => reached.push(name) });
    const files = lab.ws.files(await lab.ws.head(), []);
    const bytes = Buffer.from(Array.from({ length: 40_000 }, (_, at) => at % 256));
    const change = await files.write('bin', bytes);
    const twice = await Promise.all([files.write('one', Buffer.from('same')), files.write('two', Buffer.from('same'))]);
    assert.equal(twice[0]?.oid, twice[1]?.oid);
    assert.deepEqual(reached.slice(0, 2), ['workspace.object.before', 'workspace.object.after']);
    assert.equal(execFileSync('git', ['hash-object', '--stdin'], { input: bytes }).toString().trim(), change.oid);
    await lab.reopen();
    const again = lab.ws.files(files.base, files.changes());
    assert.deepEqual(Buffer.from((await again.read('bin'))?.bytes ?? []), bytes);
    lab.git('fsck', '--strict');
    const folder = join(lab.dir, '.git', 'objects', change.oid?.slice(0, 2) ?? '');
    assert.ok((await readdir(folder)).every((name) => !name.startsWith('tmp_')));
  }),
);

test(
  'sub-modules are invisible and unharmed',
  withLab(async (lab) => {
    const commit = lab.git('rev-parse', 'HEAD').trim();
    lab.git('update-index', '--add', '--cacheinfo', `160000,${commit},lib/sub`);
    lab.git('commit', '-qm', 'sub-module');
    const files = lab.ws.files(await lab.ws.head(), []);
    assert.equal(await files.stat('lib/sub'), null);
    assert.deepEqual(await files.list('lib'), []);
    assert.equal(await files.remove('lib/sub'), null);
    await assert.rejects(files.write('lib/sub', Buffer.from('x')), { code: 'clash' });
    assert.equal((await lab.land('run_1', { 'lib/other': 'x' })).state, 'landed');
    assert.match(lab.git('ls-tree', '-r', 'HEAD', 'lib'), /^160000 commit/m);
    const change: Change = { path: 'lib/sub', mode: '100644', oid: files.base, was: null };
    assert.equal((await lab.ws.land(lab.request('run_2', await lab.ws.head(), [change]))).state, 'refused');
  }),
);

test(
  'what could not come to main is refused when it is written, with what keeps it out and where that is said',
  withLab(async (lab) => {
    await mkdir(join(lab.root, 'elsewhere'));
    await symlink(join(lab.root, 'elsewhere'), join(lab.dir, 'linked'));
    await symlink('notes.md', join(lab.dir, 'tracked-link'));
    lab.git('add', 'tracked-link');
    lab.git('update-index', '--add', '--cacheinfo', `160000,${lab.git('rev-parse', 'HEAD').trim()},mod`);
    lab.git('commit', '-qm', 'a link and a sub-module');
    await lab.put('docs/.gitignore', '!kept.log\nprivate\n');
    await lab.put('.git/info/exclude', '*.secret\n');
    await lab.put('stuff/file', 'mine\n');
    await lab.put('top', 'mine\n');
    execFileSync('git', ['init', '-q', join(lab.dir, 'nested')], { env: lab.env });
    const files = lab.ws.files(await lab.ws.head(), []);
    const refusals: [path: string, code: string, message: RegExp][] = [
      [
        'build/x.js',
        'obstacle',
        /^build\/x\.js could not be kept: it is ignored by \.gitignore, line 2 \(build\/\)\. Write it/,
      ],
      ['docs/private', 'obstacle', /ignored by docs\/\.gitignore, line 2 \(private\)/],
      ['a.secret', 'obstacle', /ignored by \.git\/info\/exclude, line 1 \(\*\.secret\)/],
      ['linked/f', 'obstacle', /linked is a symbolic link of the owner that Git does not track/],
      ['top/in.txt', 'obstacle', /top is a file of the owner that Git does not track/],
      ['stuff', 'obstacle', /a folder of that name holds files that are not tracked/],
      ['nested/f', 'obstacle', /nested is a Git repository of its own/],
      ['tracked-link/f', 'clash', /tracked-link is a symbolic link, so/],
      ['mod/x.txt', 'clash', /mod is a sub-module, so mod\/x\.txt cannot be put below it/],
      ['notes.md/f', 'clash', /notes\.md is a file, so/],
    ];
    for (const [path, code, message] of refusals)
      await assert.rejects(files.write(path, Buffer.from('x')), { name: 'FileRefused', code, message }, path);
    assert.deepEqual(files.changes(), []);
    assert.equal(await files.about('mod'), 'sub-module');
    // Beside the owner's own files, and where a pattern makes an exception, there is room.
    for (const path of ['stuff/new.md', 'docs/kept.log']) await files.write(path, Buffer.from('x'));
    assert.equal((await lab.ws.land(lab.request('run_1', files.base, files.changes()))).state, 'landed');
    // While the folder shows another branch, its patterns say nothing of main.
    lab.git('checkout', '-qb', 'other');
    await lab.ws.files(files.base, []).write('build/x.js', Buffer.from('x'));
  }),
);
