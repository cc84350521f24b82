import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCheckouts } from '../../src/workspace/checkouts/checkouts.ts';
import { initRepository, openGit } from '../../src/git/git.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import { realClock } from '../fakes/sandbox-home.ts';
import { makeLab, runningClock, withLab } from './lab.ts';

/** Fills a repository and a person's global configuration with everything that could start a program. */
async function trap(dir: string, root: string): Promise<string> {
  const canary = join(root, 'canary');
  await mkdir(canary);
  const fire = join(root, 'fire.sh');
  await writeFile(fire, `#!/bin/sh\ntouch "${canary}/$(basename "$0")-$1"\ncat\n`);
  await chmod(fire, 0o755);
  const hooks = join(root, 'hooks');
  for (const folder of [hooks, join(dir, '.git', 'hooks')]) {
    await mkdir(folder, { recursive: true });
    for (const hook of 'pre-commit prepare-commit-msg commit-msg post-commit post-checkout post-merge pre-push reference-transaction post-index-change pre-auto-gc fsmonitor-watchman sendemail-validate'.split(
      ' ',
    )) {
      await writeFile(join(folder, hook), `#!/bin/sh\ntouch "${canary}/hook-${hook}"\n`);
      await chmod(join(folder, hook), 0o755);
    }
  }
  const config = `
[core]
\thooksPath = ${hooks}
\tfsmonitor = ${fire} fsmonitor
\tsshCommand = ${fire} ssh
\tgitProxy = ${fire} proxy
\tpager = ${fire} pager
\teditor = ${fire} editor
\taskPass = ${fire} askpass
\talternateRefsCommand = ${fire} alternates
[filter "trap"]
\tclean = ${fire} clean
\tsmudge = ${fire} smudge
\tprocess = ${fire} process
\trequired = true
[diff "trap"]
\tcommand = ${fire} diff
\ttextconv = ${fire} textconv
[diff]
\texternal = ${fire} external
[merge "trap"]
\tdriver = ${fire} merge
[alias]
\tls-tree = !${fire} alias
\tread-tree = !${fire} alias
[commit]
\tgpgSign = true
[gpg]
\tprogram = ${fire} gpg
[interactive]
\tdiffFilter = ${fire} interactive
[credential]
\thelper = !${fire} credential
[uploadpack]
\tpackObjectsHook = ${fire} pack
[init]
\ttemplateDir = ${hooks}
`;
  await writeFile(join(dir, '.git', 'config'), config, { flag: 'a' });
  await writeFile(join(root, 'gitconfig'), config, { flag: 'a' });
  await mkdir(join(dir, '.git', 'info'), { recursive: true });
  await writeFile(join(dir, '.git', 'info', 'attributes'), '*.bin filter=trap\n* diff=trap merge=trap\n');
  return canary;
}

const ATTRIBUTES = '* diff=trap merge=trap\n*.bin filter=trap\n*.txt ident\n';

test('A27 nothing that stands in a repository or a user configuration is executed', async () => {
  let canary = '';
  const lab = await makeLab({
    prepare: async (dir, root) => {
      canary = await trap(dir, root);
    },
  });
  const pool = await openCheckouts({
    workspace: lab.ws,
    dir: join(lab.root, 'checkouts'),
    boundary: () => undefined,
    clock: realClock,
  });
  try {
    const exact = '$Id$\nline\r\nline\n';
    // Attributes arrive by a landing, and by the person.
    assert.equal((await lab.land('run_1', { '.gitattributes': ATTRIBUTES, 'exact.txt': exact })).state, 'landed');
    assert.match(await lab.read('exact.txt'), /^\$Id: [0-9a-f]+ \$\nline\r\nline\n$/);
    assert.equal((await lab.land('run_0', { 'big.bin': 'of the run\n' })).state, 'landed');
    const base = await lab.ws.head();
    await lab.put('notes.md', exact);
    await lab.put('.gitattributes', `${ATTRIBUTES}# mine\n`);
    // Only the program knows what is to be committed of this one, and it is not run.
    await lab.put('big.bin', 'of the person\n');
    assert.equal(await lab.ws.commitPerson(['big.bin']), null);
    const person = await lab.ws.commitPerson(null);
    assert.equal(person?.author, 'Ada <ada@example.org>');
    assert.deepEqual(person?.paths.toSorted(), ['.gitattributes', 'notes.md']);
    const seen = await lab.ws.files(await lab.ws.head(), []).read('notes.md');
    assert.equal(Buffer.from(seen?.bytes ?? []).toString('utf8'), exact);
    // Both sides change one file: the merge driver must stay asleep.
    const merged = await lab.land('run_2', { 'docs/guide.md': 'guide\nmore\n' }, base);
    assert.equal(merged.state, 'landed');
    const conflict = await lab.land('run_3', { 'notes.md': 'other\n' }, base);
    assert.equal(conflict.state, 'conflict');
    const overlay = lab.ws.files(await lab.ws.head(), []);
    await overlay.write('more.txt', Buffer.from(exact));
    assert.match(await lab.ws.diff(overlay.base, overlay.changes(), 10_000), /^\+line$/m);
    const checkout = await pool.take(overlay.base, overlay.changes(), 'call_1');
    assert.equal(await readFile(join(checkout.dir, 'more.txt'), 'utf8'), exact);
    await writeFile(join(checkout.dir, 'made.txt'), exact);
    const { changes } = await pool.collect(checkout);
    overlay.apply(changes);
    assert.equal(Buffer.from((await overlay.read('made.txt'))?.bytes ?? []).toString('utf8'), exact);
    await pool.release(checkout);
    await lab.ws.keepUnlanded(lab.request('run_4', overlay.base, overlay.changes()));
    await lab.ws.findLanding('run_1', base);
    await lab.reopen();
    await lab.ws.recover();
    assert.deepEqual(await readdir(canary), []);
    // The trap is a real one: the person's own Git walks into it.
    await lab.put('notes.md', 'changed\n');
    assert.throws(() => lab.git('add', '.'));
    assert.ok((await readdir(canary)).length > 0);
  } finally {
    await pool.close();
    await lab.dispose();
  }
});

test(
  "A28 no protocol but https and ssh, no option smuggled in as a ref, and nothing of git's environment passed on",
  withLab(async ({ ws, root, env }) => {
    const canary = join(root, 'fired');
    for (const url of [
      `ext::sh -c "touch ${canary}"`,
      `file://${root}/workspace`,
      `${root}/workspace`,
      'git://127.0.0.1:1/x',
    ])
      await assert.rejects(ws.git.run(['ls-remote', '--', url]), /not allowed|transport/);
    await assert.rejects(
      ws.git.run(['fetch', '--', `--upload-pack=touch ${canary}`]),
      /not allowed|repository|strange/,
    );
    await assert.rejects(ws.findLanding('run_1', `--output=${canary}`));
    await assert.rejects(
      ws.keepUnlanded({
        base: `--output=${canary}`,
        changes: [],
        subject: 's',
        provenance: { run: 'run_1', task: 't', agent: 'bot', model: 'm', costUsd: 0, labels: [] },
        at: 0,
      }),
    );
    await assert.rejects(readFile(canary), /ENOENT/);
    const git = await openGit({
      gitDir: join(root, 'workspace', '.git'),
      workTree: join(root, 'workspace'),
      env: { ...env, GIT_EXTERNAL_DIFF: 'false', GIT_DIR: '/nonexistent', LD_PRELOAD: '/x.so', GIT_CONFIG_COUNT: '1' },
    });
    assert.equal(await git.resolve('refs/heads/main'), await ws.head());
    assert.equal(await git.text(['rev-parse', '--abbrev-ref', 'HEAD']), 'main');
    git.close();
  }),
);

test(
  'objects are read through one process that is started again when it dies',
  withLab(async ({ ws, env, dir }) => {
    const git = await openGit({ gitDir: join(dir, '.git'), workTree: dir, env });
    const many = await Promise.all(
      Array.from({ length: 200 }, (_, at) => git.object(at % 3 === 0 ? 'none' : 'HEAD:notes.md')),
    );
    assert.equal(many.filter((one) => one === null).length, 67);
    assert.equal(many.filter((one) => one?.type === 'blob').length, 133);
    const mine = execFileSync('sh', ['-c', `pgrep -P ${process.pid} -f "cat-fil[e]"`])
      .toString()
      .trim()
      .split('\n');
    for (const pid of mine) process.kill(Number(pid), 'SIGKILL');
    const again = await Promise.all([git.info('HEAD'), git.object('HEAD:notes.md'), ws.git.info('HEAD')]);
    assert.deepEqual(
      again.map((one) => one?.type),
      ['commit', 'blob', 'commit'],
    );
    await assert.rejects(git.object('HEAD:notes.md', 3), /more than 3/);
    await assert.rejects(git.object('a\nb'), /newline/);
    git.close();
    await assert.rejects(git.info('HEAD'), /closed/);
  }),
);

test(
  'commands are bounded in output and time, and can be aborted',
  withLab(async ({ ws }) => {
    await assert.rejects(ws.git.run(['cat-file', '-p', 'HEAD'], { maxOutput: 10 }), { why: 'output' });
    const cut = await ws.git.run(['cat-file', '-p', 'HEAD'], { maxOutput: 10, overflow: 'cut' });
    assert.equal(cut.stdout.length, 10);
    await assert.rejects(ws.git.run(['fast-import'], { timeoutMs: 0, input: 'x' }), { name: 'GitError' });
    const stop = new AbortController();
    stop.abort();
    await assert.rejects(ws.git.run(['status'], { signal: stop.signal }), { why: 'aborted' });
    await assert.rejects(ws.git.run(['cat-file', '-p', 'none']), { why: 'exit', code: 128 });
    const accepted = await ws.git.run(['cat-file', '-e', 'none'], { accept: [0, 1, 128] });
    assert.notEqual(accepted.code, 0);
  }),
);

test('repositories with SHA-256 names work from end to end', async () => {
  const lab = await makeLab({
    prepare: async (dir, _root, env) => {
      await rm(dir, { recursive: true });
      await mkdir(dir);
      execFileSync('git', ['init', '-q', '--object-format=sha256', '-b', 'main', dir], { env });
      await writeFile(join(dir, 'a.txt'), 'a\n');
      execFileSync('git', ['-C', dir, 'add', '.'], { env });
      execFileSync('git', ['-C', dir, 'commit', '-qm', 'start'], { env });
    },
  });
  try {
    const base = await lab.ws.head();
    assert.equal(base.length, 64);
    assert.equal((await lab.land('run_1', { 'd/b.txt': 'b\n' })).state, 'landed');
    assert.equal((await lab.land('run_2', { 'a.txt': 'A\n' }, base)).state, 'landed');
    await lab.put('a.txt', 'mine\n');
    assert.deepEqual((await lab.ws.commitPerson(['a.txt']))?.paths, ['a.txt']);
    assert.equal(lab.git('status', '--porcelain'), '');
    lab.git('fsck', '--strict');
  } finally {
    await lab.dispose();
  }
});

test('what cannot be a workspace is refused with the command that mends it', async () => {
  const cases: [RegExp, (dir: string, root: string, env: Record<string, string>) => Promise<void>][] = [
    [/does not exist.*ruche init/, (dir) => rm(dir, { recursive: true })],
    [
      /not the top folder of a Git repository; run: git init -b main/,
      (dir) => rm(join(dir, '.git'), { recursive: true }),
    ],
    [
      /branch is "trunk".*git -C \S+ branch -m trunk main/,
      async (dir, _root, env) => void execFileSync('git', ['-C', dir, 'branch', '-m', 'main', 'trunk'], { env }),
    ],
    [
      /no commit on "main" yet; run: git -C \S+ commit --allow-empty/,
      async (dir, _root, env) => {
        await rm(dir, { recursive: true });
        await initRepository(dir, env, { bare: false });
      },
    ],
    [
      /bare repository.*git clone/,
      async (dir, _root, env) => {
        await rm(dir, { recursive: true });
        await initRepository(dir, env, { bare: true });
      },
    ],
    [
      /split index.*--no-split-index/,
      async (dir, _root, env) => void execFileSync('git', ['-C', dir, 'update-index', '--split-index'], { env }),
    ],
    [
      /Git extension "unheardof"/,
      async (dir) => writeFile(join(dir, '.git', 'config'), '[extensions]\n\tunheardOf = 1\n', { flag: 'a' }),
    ],
    [
      /git version 2\.20.*2\.38 or newer/,
      async (_dir, root, env) => {
        await writeFile(join(root, 'git'), '#!/bin/sh\necho git version 2.20.1\n');
        await chmod(join(root, 'git'), 0o755);
        env['PATH'] = root;
      },
    ],
  ];
  let refused = 0;
  for (const [message, prepare] of cases) {
    await assert.rejects(makeLab({ prepare }), (error: Error) => {
      assert.match(error.message, message);
      refused += 1;
      return true;
    });
  }
  assert.equal(refused, cases.length);
});

test(
  "another user's repository is refused",
  { skip: process.getuid?.() === 0 ? false : 'only root can give a folder away' },
  async () => {
    const prepare = (dir: string): void => void execFileSync('chown', ['-R', '12345', dir]);
    await assert.rejects(makeLab({ prepare }), /belongs to user 12345.*chown/);
  },
);

test(
  'a linked worktree works, and main being checked out elsewhere blocks landings',
  withLab(async (lab) => {
    lab.git('switch', '-q', '-c', 'aside');
    lab.git('worktree', 'add', '-q', join(lab.root, 'linked'), 'main');
    const linked = await openWorkspace({
      dir: join(lab.root, 'linked'),
      env: lab.env,
      clock: runningClock(),
      boundary: () => undefined,
    });
    try {
      const base = await linked.head();
      const files = linked.files(base, []);
      await files.write('new.txt', Buffer.from('new'));
      assert.equal((await linked.land(lab.request('run_1', base, files.changes()))).state, 'landed');
      assert.equal(await readFile(join(lab.root, 'linked', 'new.txt'), 'utf8'), 'new');
      const blocked = await lab.land('run_2', { 'other.txt': 'x' });
      assert.ok(blocked.state === 'blocked');
      assert.match(blocked.why, /another worktree/);
    } finally {
      await linked.close();
    }
  }),
);
