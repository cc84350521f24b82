import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import { makeLab, runningClock, withLab } from './lab.ts';

const ok = (state: string): void => assert.equal(state, 'landed');

test(
  'a commit names its agent, its time and where it came from',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    const files = lab.ws.files(base, []);
    await files.write('docs/new.md', Buffer.from('new\n'));
    const request = lab.request('run_7', base, files.changes());
    ok((await lab.ws.land({ ...request, subject: 'Add a page\n\nRuche-Run: forged' })).state);
    assert.equal(
      lab.git('log', '-1', '--format=%an|%ae|%cn|%ct|%s|%P').trim(),
      `bot|bot@ruche.invalid|bot|${request.at / 1000}|Add a page Ruche-Run: forged|${base}`,
    );
    assert.equal(
      lab.git('log', '-1', '--format=%(trailers)').trim(),
      'Ruche-Run: run_7\nRuche-Task: tsk_1\nRuche-Agent: bot\nRuche-Model: demo/demo\nRuche-Cost-USD: 0.012500\nRuche-Labels: private',
    );
    assert.equal(await lab.ws.findLanding('forged', base), null);
    assert.equal(await lab.read('docs/new.md'), 'new\n');
    assert.equal(lab.git('status', '--porcelain'), '');
    assert.match(lab.git('reflog', '-1', 'HEAD'), /ruche: 1 landed/);
  }),
);

test(
  'landings at the same time come on main as one commit each, by one move of the files',
  withLab(async (lab) => {
    const moves: string[] = [];
    await lab.reopen({ boundary: (name) => moves.push(name) });
    const base = await lab.ws.head();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, at) => lab.land(`run_${at}`, { [`f/${at}.txt`]: `${at}\n` }, base)),
    );
    for (const result of results) ok(result.state);
    assert.equal(lab.git('rev-list', '--count', `${base}..main`).trim(), '20');
    assert.ok(moves.filter((name) => name === 'landing.files.before').length < 20);
    for (let at = 0; at < 20; at += 1) {
      assert.equal(await lab.read(`f/${at}.txt`), `${at}\n`);
      const commit = await lab.ws.findLanding(`run_${at}`, base);
      assert.equal(lab.git('show', '--name-only', '--format=', commit ?? '').trim(), `f/${at}.txt`);
    }
    assert.equal(lab.git('status', '--porcelain'), '');
  }),
);

test(
  'different places of one file merge; the mode is merged, too',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    ok((await lab.land('run_1', { 'notes.md': 'ONE\ntwo\nthree\nfour\nfive\nsix\n' }, base)).state);
    ok((await lab.land('run_2', { 'notes.md': 'one\ntwo\nthree\nfour\nfive\nSIX\n' }, base)).state);
    assert.equal(await lab.read('notes.md'), 'ONE\ntwo\nthree\nfour\nfive\nSIX\n');
    const before = await lab.ws.head();
    const files = lab.ws.files(before, []);
    await files.write('run.sh', Buffer.from('#!/bin/sh\n'), '100755');
    ok((await lab.land('run_3', { 'run.sh': '#!/bin/sh\necho\n' }, before)).state);
    ok((await lab.ws.land(lab.request('run_4', before, files.changes()))).state);
    assert.match(lab.git('ls-tree', 'HEAD', 'run.sh'), /^100755/);
    assert.equal(await lab.read('run.sh'), '#!/bin/sh\necho\n');
    assert.ok(((await stat(join(lab.dir, 'run.sh'))).mode & 0o100) !== 0);
  }),
);

test(
  'a conflict shows both sides in words: edits, removals, additions, binary files',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    ok(
      (
        await lab.land(
          'run_1',
          {
            'notes.md': 'MAIN\n',
            'docs/guide.md': null,
            'docs/deep/er.txt': 'main edit\n',
            new: 'main new\n',
            bin: 'a\0b',
          },
          base,
        )
      ).state,
    );
    const mine = {
      'notes.md': 'MINE\n',
      'docs/guide.md': 'my guide\n',
      'docs/deep/er.txt': null,
      new: 'my new\n',
      bin: 'a\0c',
      fine: 'ok\n',
    };
    const result = await lab.land('run_2', mine, base);
    assert.ok(result.state === 'conflict');
    assert.deepEqual(result.paths.toSorted(), ['bin', 'docs/deep/er.txt', 'docs/guide.md', 'new', 'notes.md']);
    assert.match(result.text, /<<<<<<< on main\nMAIN\n=======\nMINE\n>>>>>>> by you/);
    assert.match(result.text, /docs\/guide\.md: removed on main, changed by you[^]*my guide/);
    assert.match(result.text, /docs\/deep\/er\.txt: removed by you, changed on main[^]*main edit/);
    assert.match(result.text, /bin: .*cannot be merged as text/);
    assert.deepEqual(
      result.changes.map((change) => change.path),
      ['fine'],
    );
    assert.equal(result.onto, await lab.ws.head());
  }),
);

test(
  'a run that goes on from an older view of a path is still merged against what it saw',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    const files = lab.ws.files(base, []);
    await files.write('notes.md', Buffer.from('from the run\n'));
    ok((await lab.land('run_1', { 'notes.md': 'from another\n' }, base)).state);
    // Were the base moved without looking, the other's work would seem to be known.
    const moved = lab.request('run_2', await lab.ws.head(), files.changes());
    assert.equal((await lab.ws.land(moved)).state, 'conflict');
  }),
);

test(
  "a person's uncommitted edit in the way is committed first, and merged or shown as the conflict it is",
  withLab(async (lab) => {
    const base = await lab.ws.head();
    await lab.put('notes.md', 'PERSON\ntwo\nthree\nfour\nfive\nsix\n');
    await lab.put('untracked.txt', 'mine\n');
    await lab.put('docs/guide.md', 'not in the way\n');
    ok((await lab.land('run_1', { 'notes.md': 'one\ntwo\nthree\nfour\nfive\nRUN\n' }, base)).state);
    assert.equal(await lab.read('notes.md'), 'PERSON\ntwo\nthree\nfour\nfive\nRUN\n');
    assert.equal(lab.git('log', '--format=%an', `${base}..main`), 'bot\nAda\n');
    assert.equal(lab.git('status', '--porcelain'), ' M docs/guide.md\n?? untracked.txt\n');
    const conflict = await lab.land('run_2', { 'untracked.txt': 'theirs\n' }, base);
    assert.equal(conflict.state, 'conflict');
    assert.equal(await lab.read('untracked.txt'), 'mine\n');
    assert.equal(lab.git('log', '-1', '--format=%an %s').trim(), 'Ada Add untracked.txt');
    const tree = await lab.land('run_3', { 'docs/guide.md': null }, base);
    assert.equal(tree.state, 'conflict');
    assert.equal(await lab.read('docs/guide.md'), 'not in the way\n');
  }),
);

test(
  "a person's staging of other paths is untouched",
  withLab(async (lab) => {
    await lab.put('docs/guide.md', 'staged\n');
    lab.git('add', 'docs/guide.md');
    await lab.put('docs/guide.md', 'staged and edited\n');
    lab.git('rm', '-q', '--cached', 'docs/deep/er.txt');
    await lab.put('brand-new.txt', 'new\n');
    lab.git('add', '-N', 'brand-new.txt');
    const before = lab.git('status', '--porcelain');
    ok((await lab.land('run_1', { 'notes.md': 'landed\n' })).state);
    assert.equal(lab.git('status', '--porcelain'), before);
    assert.equal(lab.git('show', ':docs/guide.md'), 'staged\n');
    assert.equal(await lab.read('docs/guide.md'), 'staged and edited\n');
  }),
);

test(
  'ignored paths, folders of unknown files and links in the way are not overwritten',
  withLab(async (lab) => {
    await lab.put('.env', 'SECRET\n');
    await lab.put('build/out.bin', 'built\n');
    await lab.put('stuff/file', 'mine\n');
    await mkdir(join(lab.root, 'elsewhere'));
    await symlink(join(lab.root, 'elsewhere'), join(lab.dir, 'linked'));
    for (const path of ['.env', 'x.log', 'build/out.bin', 'build', 'deep/build/x', 'stuff']) {
      const result = await lab.land('run_1', { [path]: 'agent\n', 'good.md': 'good\n' });
      assert.ok(result.state === 'refused', `${path}: ${result.state}`);
      assert.match(result.why, /ignored|not tracked/);
      assert.deepEqual(
        result.paths?.map((each) => each.path),
        [path],
      );
    }
    assert.equal((await lab.land('run_2', { 'linked/inside.txt': 'agent\n' })).state, 'refused');
    await assert.rejects(stat(join(lab.root, 'elsewhere', 'inside.txt')), /ENOENT/);
    assert.equal(await lab.read('.env'), 'SECRET\n');
    assert.equal(await lab.read('build/out.bin'), 'built\n');
    assert.equal(await lab.read('stuff/file'), 'mine\n');
    // A path that is tracked may change although a pattern names it.
    lab.git('add', '-f', '.env');
    lab.git('commit', '-qm', 'env');
    ok((await lab.land('run_3', { '.env': 'agent\n' })).state);
  }),
);

test(
  'a file where main has a folder by now is a conflict; a clash of its own making is refused',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    const mine = lab.ws.files(base, []);
    await mine.write('place/file', Buffer.from('mine'));
    ok((await lab.land('run_1', { place: 'a file\n' }, base)).state);
    const result = await lab.ws.land(lab.request('run_2', base, mine.changes()));
    assert.ok(result.state === 'conflict');
    assert.deepEqual(result.paths, ['place/file']);
    const { oid } = await mine.write('fine', Buffer.from('x'));
    const both = [
      { path: 'p', mode: '100644' as const, oid, was: null },
      { path: 'p/q', mode: '100644' as const, oid, was: null },
    ];
    assert.equal((await lab.ws.land(lab.request('run_3', base, both))).state, 'refused');
    // Going from a file to a folder and back is fine when the run does all of it.
    ok((await lab.land('run_4', { place: null, 'place/below': 'x\n' })).state);
    assert.equal(await lab.read('place/below'), 'x\n');
    ok((await lab.land('run_5', { 'place/below': null, place: 'file\n' })).state);
    assert.equal(await lab.read('place'), 'file\n');
    assert.equal(lab.git('status', '--porcelain'), '');
  }),
);

test(
  'on another branch, or none, only the ref moves',
  withLab(async (lab) => {
    for (const where of [['-c', 'aside'], ['--detach']]) {
      lab.git('switch', '-q', ...where);
      const before = await lab.ws.head();
      await lab.put('notes.md', 'edited on the side\n');
      assert.equal(await lab.ws.commitPerson(['notes.md']), null);
      assert.equal(await lab.ws.commitPerson(null), null);
      ok((await lab.land(`run_${where.length}`, { [`on-main${where.length}.txt`]: 'x\n' })).state);
      assert.notEqual(await lab.ws.head(), before);
      assert.equal(await lab.read('notes.md'), 'edited on the side\n');
      await assert.rejects(lab.read(`on-main${where.length}.txt`), /ENOENT/);
      lab.git('checkout', '-q', '--', 'notes.md');
      lab.git('switch', '-q', 'main');
      assert.equal(await lab.read(`on-main${where.length}.txt`), 'x\n');
      assert.equal(lab.git('status', '--porcelain'), '');
    }
  }),
);

test(
  'in the middle of a merge landings wait, and a person’s files are left alone',
  withLab(async (lab) => {
    lab.git('switch', '-q', '-c', 'side');
    await lab.put('notes.md', 'side\n');
    lab.git('commit', '-qam', 'side');
    lab.git('switch', '-q', 'main');
    await lab.put('notes.md', 'main\n');
    lab.git('commit', '-qam', 'main');
    assert.throws(() => lab.git('merge', '-q', 'side'));
    const blocked = await lab.land('run_1', { 'other.txt': 'x\n' });
    assert.ok(blocked.state === 'blocked');
    assert.match(blocked.why, /merge is under way/);
    assert.equal(await lab.ws.commitPerson(null), null);
    lab.git('merge', '--abort');
    ok((await lab.land('run_1', { 'other.txt': 'x\n' })).state);
  }),
);

test(
  "a person's lock is waited for and never removed",
  withLab(
    async (lab) => {
      const lock = join(lab.dir, '.git', 'index.lock');
      await writeFile(lock, '');
      const before = await lab.ws.head();
      const blocked = await lab.land('run_1', { 'other.txt': 'x\n' });
      assert.ok(blocked.state === 'blocked');
      assert.match(blocked.why, /index\.lock/);
      await lab.ws.recover();
      assert.equal(await readFile(lock, 'utf8'), '');
      assert.equal(await lab.ws.head(), before);
      const waiting = lab.land('run_1', { 'other.txt': 'x\n' });
      await unlink(lock);
      ok((await waiting).state);
    },
    { clock: runningClock(), lockWaitMs: 3000 },
  ),
);

test(
  'files that were only touched do not stop a landing',
  withLab(async (lab) => {
    const before = await lab.ws.head();
    await lab.put('notes.md', await lab.read('notes.md'));
    await lab.put('run.sh', await lab.read('run.sh'));
    ok((await lab.land('run_1', { 'notes.md': 'landed\n' })).state);
    assert.equal(lab.git('rev-list', '--count', `${before}..main`).trim(), '1');
  }),
);

test(
  'an edit that cannot be committed blocks its own landing and no other',
  withLab(
    async (lab) => {
      const base = await lab.ws.head();
      await lab.put('notes.md', 'x'.repeat(5000));
      const [stuck, free] = await Promise.all([
        lab.land('run_1', { 'notes.md': 'short\n' }, base),
        lab.land('run_2', { 'other.txt': 'x\n' }, base),
      ]);
      assert.equal(stuck?.state, 'blocked');
      assert.equal(free?.state, 'landed');
      assert.equal((await lab.read('notes.md')).length, 5000);
    },
    { maxFile: 1000 },
  ),
);

test(
  'a new file where a file too large for Git lies is refused with the reason',
  withLab(
    async (lab) => {
      const base = await lab.ws.head();
      await lab.put('dump.bin', 'x'.repeat(5000));
      const [stuck, free] = await Promise.all([
        lab.land('run_1', { 'dump.bin': 'short\n' }, base),
        lab.land('run_2', { 'other.txt': 'x\n' }, base),
      ]);
      assert.match(stuck?.state === 'refused' ? stuck.why : '', /dump\.bin.*does not know.*more than the limit/);
      assert.equal(free?.state, 'landed');
      assert.equal((await lab.read('dump.bin')).length, 5000);
    },
    { maxFile: 1000 },
  ),
);

test(
  'main moved by somebody else between reading and moving is merged with',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    let pushed = false;
    await lab.reopen({
      boundary: (name) => {
        if (name !== 'landing.ref.before' || pushed) return;
        pushed = true;
        const commit = lab.git('commit-tree', '-p', base, '-m', 'pushed', `${base}^{tree}`).trim();
        lab.git('update-ref', 'refs/heads/main', commit);
      },
    });
    ok((await lab.land('run_1', { 'other.txt': 'x\n' }, base)).state);
    assert.equal(lab.git('log', '--format=%s', `${base}..main`), 'Work of run_1\npushed\n');
    assert.equal(lab.git('status', '--porcelain'), '');
  }),
);

test(
  'work that did not land is kept under its own ref',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    const files = lab.ws.files(base, []);
    await files.write('notes.md', Buffer.from('unlanded\n'));
    await lab.ws.keepUnlanded(lab.request('run_9', base, files.changes()));
    assert.equal(lab.git('show', 'refs/ruche/unlanded/run_9:notes.md'), 'unlanded\n');
    await assert.rejects(lab.ws.keepUnlanded(lab.request('../x', base, [])), /cannot be part of a ref/);
  }),
);

test('a failure after files were written is undone', async () => {
  // A Git that does its work and then says that it could not, while the file `fail` is there.
  const fake = `#!/bin/sh
/usr/bin/env -S PATH=${process.env['PATH']} git "$@" || exit
case "$*" in *"read-tree -m -u"*) [ ! -e "$FAIL" ] || { echo disk on fire >&2; exit 1; } ;; esac
`;
  const lab = await makeLab({
    prepare: async (_dir, root, env) => {
      await mkdir(join(root, 'bin'));
      await writeFile(join(root, 'bin', 'git'), fake.replace('$FAIL', join(root, 'fail')));
      await chmod(join(root, 'bin', 'git'), 0o755);
      env['PATH'] = `${join(root, 'bin')}:${env['PATH']}`;
    },
  });
  try {
    const before = await lab.ws.head();
    const files = { 'notes.md': 'landed\n', 'docs/guide.md': null, 'fresh/file.txt': 'new\n' };
    await writeFile(join(lab.root, 'fail'), '');
    const failed = await lab.land('run_1', files);
    assert.ok(failed.state === 'blocked');
    assert.match(failed.why, /Git could not work on it \(disk on fire\); see what is wrong with: git -C/);
    assert.equal(await lab.ws.head(), before);
    assert.equal(await lab.read('notes.md'), 'one\ntwo\nthree\nfour\nfive\nsix\n');
    assert.equal(await lab.read('docs/guide.md'), 'guide\n');
    await assert.rejects(stat(join(lab.dir, 'fresh')), /ENOENT/);
    await assert.rejects(stat(join(lab.dir, '.git', 'index.lock')), /ENOENT/);
    assert.equal(lab.git('status', '--porcelain'), '');
    await unlink(join(lab.root, 'fail'));
    ok((await lab.land('run_1', files)).state);
  } finally {
    await lab.dispose();
  }
});

test('a full disk blocks a landing in words, loses nothing, and lets it through once there is room', async (t) => {
  const lab = await makeLab();
  const disk = join(lab.root, 'disk');
  await mkdir(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk], { stdio: 'ignore' });
  } catch {
    await lab.dispose();
    t.skip('a small file system cannot be mounted here');
    return;
  }
  const dir = join(disk, 'workspace');
  lab.git('clone', '-q', lab.dir, dir);
  const ws = await openWorkspace({ dir, env: lab.env, clock: runningClock(), boundary: () => undefined });
  try {
    await ws.recover();
    const base = await ws.head();
    const files = ws.files(base, []);
    const change = await files.write('notes.md', Buffer.alloc(100_000, 'x'));
    await files.write('docs/guide.md', Buffer.from('changed\n'));
    await writeFile(join(disk, 'filler'), Buffer.alloc(4_000_000)).catch(() => undefined);
    const result = await ws.land(lab.request('run_1', base, files.changes()));
    assert.ok(result.state === 'blocked', JSON.stringify(result));
    assert.match(result.why, /full/);
    assert.match((await ws.troubles())[0]?.what ?? '', /^the disk of \S+ is full; free some space$/);
    await assert.rejects(files.write('more.md', Buffer.alloc(50_000, 'y')), { name: 'FileRefused', code: 'full' });
    assert.equal(await ws.head(), base);
    await unlink(join(disk, 'filler'));
    ok((await ws.land(lab.request('run_1', base, files.changes()))).state);
    assert.equal((await readFile(join(dir, 'notes.md'))).length, 100_000);
    assert.equal(execFileSync('git', ['-C', dir, 'status', '--porcelain'], { env: lab.env }).toString(), '');
    assert.deepEqual(await ws.troubles(), []);
    // Read-only: what runs wait for, and people see, are words.
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const [trouble] = await ws.troubles();
    assert.match(trouble?.what ?? '', /cannot be used \(EROFS\): the disk is read-only; mount it for writing$/);
    const next = ws.files(await ws.head(), []);
    await assert.rejects(next.write('new.md', Buffer.from('n')), {
      name: 'WorkspaceUnavailable',
      message: trouble?.what ?? '',
    });
    const waits = await ws.land(lab.request('run_2', await ws.head(), [{ ...change, path: 'other.md', was: null }]));
    assert.deepEqual(waits, { state: 'blocked', why: trouble?.what });
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    ok((await ws.land(lab.request('run_2', await ws.head(), [{ ...change, path: 'other.md', was: null }]))).state);
  } finally {
    await ws.close();
    execFileSync('umount', ['-l', disk]);
    await lab.dispose();
  }
});

test(
  'many loose objects are packed, and what a run holds stays',
  withLab(async (lab) => {
    const files = lab.ws.files(await lab.ws.head(), []);
    const held = await files.write('held.txt', Buffer.from('held by a run\n'));
    const folder = join(lab.dir, '.git/objects/17');
    await mkdir(folder, { recursive: true });
    let blobs = 0;
    for (let at = 0; blobs < 20; at += 1) {
      const bytes = Buffer.from(`filler ${at}`);
      if (!lab.ws.objects.oid('blob', bytes).startsWith('17')) continue;
      await lab.ws.objects.put('blob', bytes).stored;
      blobs += 1;
    }
    await lab.ws.maintain();
    assert.match(lab.git('count-objects', '-v'), /^packs: 1$/m);
    assert.equal(Buffer.from((await files.read('held.txt'))?.bytes ?? []).toString(), 'held by a run\n');
    ok((await lab.ws.land(lab.request('run_1', files.base, [held]))).state);
    lab.git('fsck', '--strict');
  }),
);

test(
  'a landing of thousands of files lets others have their turn all along',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    const one = await lab.ws.files(base, []).write('one', Buffer.from('x'));
    const many = Array.from({ length: 5000 }, (_, at) => ({ ...one, path: `many/${at % 50}/${at}` }));
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns += 1;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    const edited = await lab.ws.trees.edit(
      await lab.ws.trees.of(base),
      new Map(many.map(({ path, mode }) => [path, one.oid === null ? null : { mode, oid: one.oid }])),
    );
    over = true;
    assert.equal(edited.ok, true);
    assert.ok(turns >= 8, `only ${turns}`);
    ok((await lab.ws.land(lab.request('run_1', base, many))).state);
    assert.equal(lab.git('ls-files', 'many').trim().split('\n').length, 5000);
  }),
);
