import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import { makeLab, withLab } from './lab.ts';
import { workClock } from '../fakes/work-ms.ts';

const wallClock: Clock = { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };

test(
  'a save that happened before the call is seen, whatever its time stamps say',
  withLab(
    async (lab) => {
      let commits = 0;
      for (let round = 0; round < 12; round += 1) {
        // Equal length, and every third time the old time stamp put back.
        await lab.put('notes.md', `round ${String(round).padStart(4, '0')}\n`);
        if (round % 3 === 0) await utimes(join(lab.dir, 'notes.md'), 1_000_000, 1_000_000);
        const person = await lab.ws.commitPerson(round % 2 === 0 ? ['notes.md'] : null);
        assert.deepEqual(person?.paths, ['notes.md'], `round ${round}`);
        assert.equal(person?.author, 'Ada <ada@example.org>');
        assert.equal(await lab.ws.commitPerson(['notes.md']), null);
        commits += 1;
      }
      assert.equal(commits, 12);
      assert.equal(lab.git('log', '-1', '--format=%an <%ae> %s').trim(), 'Ada <ada@example.org> Edit notes.md');
      assert.equal(lab.git('status', '--porcelain'), '');
      lab.git('fsck', '--strict');
    },
    { clock: wallClock },
  ),
);

test(
  'only what is named, and untracked files only when they are; ignored ones never',
  withLab(async (lab) => {
    await lab.put('notes.md', 'edited\n');
    await lab.put('docs/guide.md', 'edited\n');
    await lab.put('fresh.txt', 'new\n');
    await lab.put('unnamed.txt', 'new\n');
    await lab.put('.env', 'SECRET\n');
    await lab.put('build/x', 'x\n');
    const named = await lab.ws.commitPerson([
      'notes.md',
      'fresh.txt',
      '.env',
      'build/x',
      'none.txt',
      '../x',
      '.git/config',
    ]);
    assert.deepEqual(named?.paths.toSorted(), ['fresh.txt', 'notes.md']);
    assert.equal(lab.git('status', '--porcelain'), ' M docs/guide.md\n?? unnamed.txt\n');
    assert.deepEqual((await lab.ws.commitPerson(['docs']))?.paths, ['docs/guide.md']);
    assert.equal(await lab.ws.commitPerson(null), null);
    assert.equal(lab.git('status', '--porcelain'), '?? unnamed.txt\n');
    assert.equal(lab.git('ls-files', '.env', 'build'), '');
  }),
);

test(
  'H1 secrets by custom and what an agent has un-ignored are never committed because somebody names them',
  withLab(async (lab) => {
    const secrets =
      '.env .env.local .ENV config/.env.production prod.env server.pem tls/my.key id_rsa keys/id_ed25519 a.p12 b.pfx ' +
      '.netrc .npmrc kubeconfig dev.kubeconfig .kube/config .ssh/config .aws/credentials .pypirc .pgpass secrets.yaml';
    const shared = [
      '.env.example',
      'config/.env.sample',
      '.env.template',
      'keys/id_rsa.pub',
      'id_cards.csv',
      'environment.md',
    ];
    for (const path of [...secrets.split(' '), ...shared, 'private/plan.txt', 'notes/app.log', 'open/app.log'])
      await lab.put(path, 'SECRET\n');
    lab.git('add', '-N', '-f', 'a.p12');
    await lab.put('.gitignore', '*.log\nbuild/\n.env\n/private/\n');
    assert.deepEqual((await lab.ws.commitPerson(['.gitignore']))?.paths, ['.gitignore']);
    assert.equal(
      (await lab.land('run_1', { '.gitignore': 'build/\n', 'notes/.gitignore': '!*.log\n' })).state,
      'landed',
    );
    assert.equal((await lab.land('run_2', { '.gitignore': '' })).state, 'landed');
    const named = [...secrets.split(' '), ...shared, 'private/plan.txt', 'notes/app.log'];
    assert.deepEqual((await lab.ws.commitPerson(named))?.paths.toSorted(), shared.toSorted());
    for (const path of ['private/plan.txt', 'tls/my.key']) {
      const over = await lab.land('run_3', { [path]: 'agent\n' });
      assert.ok(over.state === 'refused');
      assert.match(over.why, /a file of the owner lies there that stays out of Git/);
    }
    assert.equal(lab.git('log', '--format=%H', '--', ...secrets.split(' '), 'private', 'notes/app.log'), '');
    assert.equal(await lab.read('private/plan.txt'), 'SECRET\n');
    // What the owner has ignored and opened again is the owner's to open.
    await lab.put('open/.gitignore', '*.log\n');
    await lab.ws.commitPerson(['open/.gitignore']);
    assert.equal(await lab.ws.commitPerson(['open/app.log']), null);
    await lab.put('open/.gitignore', '# nothing\n');
    await lab.ws.commitPerson(null);
    await lab.put('open/other.txt', 'mine\n');
    assert.deepEqual((await lab.ws.commitPerson(['open/other.txt']))?.paths, ['open/other.txt']);
  }),
);

test(
  'removals, renames, modes and links of a person are committed as they are',
  withLab(async (lab) => {
    await unlink(join(lab.dir, 'docs/guide.md'));
    await rename(join(lab.dir, 'notes.md'), join(lab.dir, 'renamed.md'));
    await chmod(join(lab.dir, 'run.sh'), 0o755);
    await rm(join(lab.dir, 'docs/deep'), { recursive: true });
    await symlink('/etc', join(lab.dir, 'docs/deep'));
    const person = await lab.ws.commitPerson([
      'notes.md',
      'renamed.md',
      'run.sh',
      'docs/deep',
      'docs/guide.md',
      'docs/deep/er.txt',
    ]);
    assert.deepEqual(person?.paths.toSorted(), [
      'docs/deep',
      'docs/deep/er.txt',
      'docs/guide.md',
      'notes.md',
      'renamed.md',
      'run.sh',
    ]);
    assert.equal(lab.git('status', '--porcelain'), '');
    assert.match(lab.git('ls-tree', '-r', 'HEAD'), /^100755 .*run\.sh$/m);
    assert.match(lab.git('ls-tree', '-r', 'HEAD'), /^120000 .*docs\/deep$/m);
    // Nothing is read through the link.
    assert.equal(await lab.ws.commitPerson(['docs/deep/hostname']), null);
  }),
);

test(
  'a file that was moved by hand is committed as a move; a copy, and what was only deleted, are none',
  withLab(async (lab) => {
    await lab.put('two.md', 'the same\n');
    await lab.put('twin.md', 'the same\n');
    await lab.ws.commitPerson(['two.md', 'twin.md']);
    await rename(join(lab.dir, 'notes.md'), join(lab.dir, 'moved.md'));
    await lab.put('copy.md', 'the same\n');
    await rm(join(lab.dir, 'docs/guide.md'));
    const person = await lab.ws.commitPerson(['moved.md', 'copy.md']);
    assert.deepEqual(person?.paths.toSorted(), ['copy.md', 'moved.md', 'notes.md']);
    assert.equal(lab.git('status', '--porcelain'), ' D docs/guide.md\n');
  }),
);

test(
  'a folder in the place of a file, and a file in the place of a folder, are committed with what they replace',
  withLab(async (lab) => {
    await rm(join(lab.dir, 'notes.md'));
    await lab.put('notes.md/one.md', 'one\n');
    await rm(join(lab.dir, 'docs'), { recursive: true });
    await lab.put('docs', 'a file now\n');
    assert.deepEqual((await lab.ws.commitPerson(['notes.md/one.md']))?.paths.toSorted(), [
      'notes.md',
      'notes.md/one.md',
    ]);
    assert.deepEqual((await lab.ws.commitPerson(['docs']))?.paths.toSorted(), [
      'docs',
      'docs/deep/er.txt',
      'docs/guide.md',
    ]);
    assert.equal(lab.git('status', '--porcelain'), '');
    // What is half staged stays theirs, and so does all that would take its place.
    await lab.put('run.sh', 'staged\n');
    lab.git('add', 'run.sh');
    await rm(join(lab.dir, 'run.sh'));
    await lab.put('run.sh/two.md', 'two\n');
    const head = lab.git('rev-parse', 'HEAD');
    assert.equal(await lab.ws.commitPerson(['run.sh/two.md']), null);
    assert.equal(lab.git('rev-parse', 'HEAD'), head);
  }),
);

test(
  "what lies in a sub-module or in another repository is not the workspace's, whoever names it",
  withLab(async (lab) => {
    const { dir, env } = lab;
    const git = (...args: string[]) => execFileSync('git', args, { cwd: dir, env, stdio: 'pipe' });
    git('init', '-q', 'mod');
    await lab.put('mod/s.txt', 'theirs\n');
    git('-C', 'mod', 'add', '.');
    git('-C', 'mod', 'commit', '-qm', 'theirs');
    const linked = lab.git('-C', 'mod', 'rev-parse', 'HEAD').trim();
    lab.git('update-index', '--add', '--cacheinfo', `160000,${linked},mod`);
    lab.git('commit', '-qm', 'sub-module');
    git('init', '-q', 'nested');
    await lab.put('nested/deep/f.md', 'theirs\n');
    lab.git('worktree', 'add', '-q', 'tree', '-b', 'side');
    await lab.put('tree/f.md', 'on another branch\n');
    const head = lab.git('rev-parse', 'HEAD');
    const paths = ['mod/s.txt', 'mod/new.txt', 'nested/deep/f.md', 'tree/f.md', 'tree/notes.md'];
    assert.equal(await lab.ws.commitPerson(paths), null);
    assert.equal(lab.git('rev-parse', 'HEAD'), head);
    await lab.put('mine.md', 'mine\n');
    assert.deepEqual((await lab.ws.commitPerson([...paths, 'mine.md']))?.paths, ['mine.md']);
  }),
);

test(
  'the index stays theirs: what is half staged, staged as new or taken out of it is left alone',
  withLab(async (lab) => {
    for (const path of ['docs/guide.md', 'notes.md', 'added.txt', 'half.txt']) await lab.put(path, 'staged\n');
    lab.git('add', 'docs/guide.md', 'notes.md', 'added.txt', 'half.txt');
    await lab.put('notes.md', 'in the file\n');
    await lab.put('half.txt', 'in the file\n');
    await lab.put('wip.txt', 'in the file\n');
    lab.git('add', '-N', 'wip.txt');
    lab.git('rm', '-q', '--cached', 'run.sh');
    const all = await lab.ws.commitPerson(null);
    assert.deepEqual(all?.paths, ['docs/guide.md']);
    const left = 'A  added.txt\nAM half.txt\nMM notes.md\nD  run.sh\n A wip.txt\n?? run.sh\n';
    assert.equal(lab.git('status', '--porcelain'), left);
    assert.equal(await lab.ws.commitPerson(['notes.md', 'half.txt', 'run.sh']), null);
    assert.equal(lab.git('show', ':notes.md'), 'staged\n');
    assert.deepEqual((await lab.ws.commitPerson(['added.txt', 'wip.txt']))?.paths.toSorted(), ['added.txt', 'wip.txt']);
    // A landing at such a path waits for them.
    const blocked = await lab.land('run_1', { 'notes.md': 'by the run\n' });
    assert.ok(blocked.state === 'blocked');
    assert.match(blocked.why, /files of yours are in the way/);
    lab.git('commit', '-qam', 'mine');
    assert.equal((await lab.land('run_1', { 'notes.md': 'by the run\n' })).state, 'landed');
    assert.equal(lab.git('status', '--porcelain'), '?? run.sh\n');
  }),
);

test(
  'many callers at once share the look at the whole tree, and each sees what it saved before',
  withLab(async (lab) => {
    const first = lab.ws.commitPerson(null);
    await lab.put('notes.md', 'saved\n');
    const results = await Promise.all([first, ...Array.from({ length: 20 }, () => lab.ws.commitPerson(null))]);
    assert.equal(results.length, 21);
    assert.equal(lab.git('show', 'HEAD:notes.md'), 'saved\n');
    assert.equal(new Set(results.map((one) => one?.commit).filter(Boolean)).size, 1);
  }),
);

test('without an identity the person is called owner', async () => {
  const lab = await makeLab({
    prepare: (_dir, root) => writeFile(join(root, 'gitconfig'), '[user]\n\tname = Only A Name\n'),
  });
  try {
    await lab.put('notes.md', 'edited\n');
    assert.equal((await lab.ws.commitPerson(null))?.author, 'owner <owner@ruche.invalid>');
    // The name is read anew for each commit.
    lab.git('config', 'user.name', 'Grace <Hopper>\n');
    lab.git('config', 'user.email', 'grace@example.org');
    await lab.put('notes.md', 'again\n');
    assert.match((await lab.ws.commitPerson(null))?.author ?? '', /^Grace/);
    assert.equal(lab.git('log', '-1', '--format=%an|%ae').trim(), 'Grace Hopper|grace@example.org');
    lab.git('fsck', '--strict');
  } finally {
    await lab.dispose();
  }
});

test("a person's own ignore file counts", async () => {
  const lab = await makeLab({
    prepare: async (_dir, root) => {
      await mkdir(join(root, '.config/git'), { recursive: true });
      await writeFile(join(root, '.config/git/ignore'), '*.swp\n');
    },
  });
  try {
    await lab.put('notes.swp', 'x');
    assert.equal(await lab.ws.commitPerson(['notes.swp']), null);
    const refused = await lab.land('run_1', { 'other.swp': 'x' });
    assert.ok(refused.state === 'refused');
    assert.match(
      refused.why,
      /ignored by the owner's own list of ignored files \(core\.excludesFile\), line 1 \(\*\.swp\)/,
    );
  } finally {
    await lab.dispose();
  }
});

test(
  'looking at a clean file costs a fraction of a millisecond',
  withLab(
    async (lab) => {
      await new Promise((resolve) => setTimeout(resolve, 120));
      await lab.ws.commitPerson(['notes.md']);
      const times: number[] = [];
      for (let round = 0; round < 50; round += 1) {
        const worked = workClock();
        assert.equal(await lab.ws.commitPerson(['notes.md', 'none/at/all.txt']), null);
        times.push(worked());
      }
      const median = times.sort((a, b) => a - b)[25] ?? 99;
      assert.ok(median < 5, `${median} ms`);
    },
    { clock: wallClock },
  ),
);
