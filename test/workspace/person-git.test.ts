import assert from 'node:assert/strict';
import { lstat, readlink, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withLab } from './lab.ts';

const ok = (state: string): void => assert.equal(state, 'landed');

test(
  'a removal or a move that a person made without Git comes first, and the run learns of it',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    await unlink(join(lab.dir, 'notes.md'));
    const removed = await lab.land('run_1', { 'notes.md': 'by the run\n' }, base);
    assert.ok(removed.state === 'conflict');
    assert.match(removed.text, /notes\.md: removed on main, changed by you/);
    await rename(join(lab.dir, 'docs/guide.md'), join(lab.dir, 'docs/moved.md'));
    assert.equal((await lab.land('run_2', { 'docs/guide.md': 'by the run\n' }, base)).state, 'conflict');
    assert.equal(lab.git('log', '--format=%an %s', `${base}..main`), 'Ada Remove docs/guide.md\nAda Remove notes.md\n');
    assert.equal(lab.git('status', '--porcelain'), '?? docs/moved.md\n');
    assert.equal(await lab.read('docs/moved.md'), 'guide\n');
  }),
);

test(
  'a file that is missing because a sparse checkout leaves it out is landed, and still left out',
  withLab(async (lab) => {
    lab.git('sparse-checkout', 'set', '--no-cone', '/*', '!/docs/');
    await assert.rejects(lab.read('docs/guide.md'), /ENOENT/);
    ok((await lab.land('run_1', { 'docs/guide.md': 'by the run\n' })).state);
    assert.equal(lab.git('show', 'main:docs/guide.md'), 'by the run\n');
  }),
);

test(
  "a run's text never becomes the target of a link that another run has put in the file's place",
  withLab(async (lab) => {
    ok((await lab.land('run_0', { p: 'sub/x' })).state);
    const base = await lab.ws.head();
    const main = lab.ws.files(base, []);
    await main.write('p', Buffer.from('sub/x'));
    const link = [{ ...(await main.write('p', Buffer.from('sub/x'))), mode: '120000' as const }];
    ok((await lab.ws.land(lab.request('run_1', base, link))).state);
    const conflict = await lab.land('run_2', { p: '../../../../../../../etc/passwd' }, base);
    assert.ok(conflict.state === 'conflict');
    assert.equal(await readlink(join(lab.dir, 'p')), 'sub/x');
    // The other way round: the link of a run over a file that has changed.
    ok((await lab.land('run_3', { p: 'a file again\n' })).state);
    assert.equal((await lstat(join(lab.dir, 'p'))).isFile(), true);
  }),
);

for (const [name, command] of [
  ['a rebase', ['rebase', '-q', '-i', 'HEAD~2']],
  ['a rebase by patches', ['rebase', '-q', '--apply', 'other']],
] as const)
  test(
    `${name} of main makes landings wait, and ends well by --abort and by --continue`,
    withLab(async (lab) => {
      const commit = async (path: string, text: string): Promise<void> => {
        await lab.put(path, text);
        lab.git('add', '-A');
        lab.git('commit', '-qm', `${path}: ${text.trim()}`);
      };
      lab.git('branch', 'other');
      lab.git('checkout', '-q', 'other');
      await commit('notes.md', 'of the other branch\n');
      lab.git('checkout', '-q', 'main');
      await commit('notes.md', 'of main\n');
      await commit('more.md', 'more\n');
      lab.git('config', 'sequence.editor', "sed -i '1s/^pick/edit/'");
      lab.git('config', 'core.editor', 'true');
      for (const end of ['--abort', '--continue'] as const) {
        const before = lab.git('rev-parse', 'main');
        try {
          lab.git(...command);
        } catch {
          // It stops at a conflict.
        }
        const blocked = await lab.land(`run_${end}`, { 'landed.md': `${end}\n` });
        assert.ok(blocked.state === 'blocked', blocked.state);
        assert.match(blocked.why, /main is being rebased in the workspace; finish the rebase .* or abort it/);
        assert.equal(lab.git('rev-parse', 'main'), before);
        if (end === '--continue') {
          await lab.put('notes.md', 'both\n');
          lab.git('add', '-A');
        }
        lab.git('rebase', end);
        ok((await lab.land(`run_${end}`, { 'landed.md': `${end}\n` })).state);
        assert.equal(await lab.read('landed.md'), `${end}\n`);
      }
      assert.equal(lab.git('status', '--porcelain'), '');
    }),
  );

test(
  'a rebase of main in a linked worktree makes landings wait, too',
  withLab(async (lab) => {
    const linked = join(lab.root, 'linked');
    lab.git('checkout', '-q', '-b', 'side');
    lab.git('worktree', 'add', '-q', linked, 'main');
    for (const text of ['one', 'two']) {
      await writeFile(join(linked, 'x.md'), text);
      lab.git('-C', linked, 'add', '-A');
      lab.git('-C', linked, 'commit', '-qm', text);
    }
    lab.git('config', 'sequence.editor', "sed -i '1s/^pick/edit/'");
    lab.git('-C', linked, 'rebase', '-q', '-i', 'HEAD~1');
    const blocked = await lab.land('run_1', { 'landed.md': 'x\n' });
    assert.ok(blocked.state === 'blocked', blocked.state);
    assert.match(blocked.why, /main is being rebased in .*linked/);
  }),
);
