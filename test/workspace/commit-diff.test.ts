import assert from 'node:assert/strict';
import { rm, symlink } from 'node:fs/promises';
import { test } from 'node:test';
import { makeLab } from './lab.ts';

const withLab = async (body: (lab: Awaited<ReturnType<typeof makeLab>>) => Promise<void>): Promise<void> => {
  const lab = await makeLab({});
  try {
    await body(lab);
  } finally {
    await lab.dispose();
  }
};

const LIMIT = 1_000_000;

test('a commit tells each path it changed, with its patch', async () => {
  await withLab(async ({ ws, land }) => {
    const odd = 'docs/näme with "quotes" and spaces.txt';
    const landed = await land('run_a', {
      'notes.md': 'one\ntwo\nTHREE\ndiff --git a/x b/x\nfour\nfive\nsix\n',
      'run.sh': null,
      [odd]: 'new\n',
      'data.bin': '\0\x01\x02 Binary files differ',
    });
    assert.ok(landed.state === 'landed');
    const diff = await ws.commitDiff(landed.commit, LIMIT);
    assert.ok(diff);
    assert.deepEqual(
      diff.files.map(({ path, change, binary }) => [path, change, binary]),
      [
        ['data.bin', 'added', true],
        [odd, 'added', false],
        ['notes.md', 'changed', false],
        ['run.sh', 'removed', false],
      ],
    );
    const [, , notes, removed] = diff.files;
    assert.match(notes?.patch ?? '', /^diff --git a\/notes\.md b\/notes\.md\n/);
    assert.match(notes?.patch ?? '', /^-three\n\+THREE\n\+diff --git a\/x b\/x$/m);
    assert.match(removed?.patch ?? '', /^-#!\/bin\/sh$/m);
    assert.equal(diff.cut, false);
  });
});

test('what is too long is left out, and said to be', async () => {
  await withLab(async ({ ws, land }) => {
    const big = 'a long line\n'.repeat(2_000);
    const landed = await land('run_a', { 'a.txt': 'small\n', 'b.txt': big, 'c.txt': 'small\n' });
    assert.ok(landed.state === 'landed');
    const diff = await ws.commitDiff(landed.commit, 1_000);
    assert.deepEqual(
      diff?.files.map(({ path, patch }) => [path, patch !== '']),
      [
        ['a.txt', true],
        ['b.txt', false],
        ['c.txt', false],
      ],
    );
    assert.equal(diff?.cut, true);
  });
});

test('the first commit is told against nothing, a link in place of a file as one change; what is no commit is null', async () => {
  await withLab(async ({ ws, git, dir }) => {
    const first = git('rev-list', '--max-parents=0', 'HEAD').trim();
    const root = await ws.commitDiff(first, LIMIT);
    assert.ok(root && root.files.length >= 5 && root.files.every(({ change }) => change === 'added'));
    assert.ok(root.files.every(({ patch }) => patch.startsWith('diff --git ')));
    await rm(`${dir}/run.sh`);
    await symlink('notes.md', `${dir}/run.sh`);
    git('add', '-A');
    git('commit', '-qm', 'link');
    const link = await ws.commitDiff(git('rev-parse', 'HEAD').trim(), LIMIT);
    assert.deepEqual(
      link?.files.map(({ path, change }) => [path, change]),
      [['run.sh', 'changed']],
    );
    assert.match(link?.files[0]?.patch ?? '', /deleted file mode[^]*new file mode 120000/);
    const tree = git('rev-parse', 'HEAD^{tree}').trim();
    for (const name of ['0'.repeat(40), tree, 'HEAD', 'main', '--help', `${first}^`, ''])
      assert.equal(await ws.commitDiff(name, LIMIT), null, name);
  });
});
