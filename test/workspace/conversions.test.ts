import assert from 'node:assert/strict';
import { cp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { withLab } from './lab.ts';
import type { Lab } from './lab.ts';

const FILES = ['win.bat', 'who.id', 'wide.utf', 'plain.txt', 'big.bin'];
const ATTRIBUTES = '*.bat text eol=crlf\n*.id ident\n*.utf text working-tree-encoding=UTF-16LE\n*.bin filter=upper\n';

/** A clone, whose index says nothing yet about what its files hold, of a repository with every kind of conversion. */
const cloned = (config: readonly string[] = []) => ({
  async prepare(dir: string, root: string, env: Record<string, string>) {
    const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: root, env, stdio: 'pipe' });
    const global = ['filter.upper.clean', 'tr a-z A-Z'];
    git('config', '--global', ...global);
    git('config', '--global', 'filter.upper.smudge', 'tr A-Z a-z');
    const origin = join(root, 'origin');
    git('clone', '-q', dir, origin);
    await writeFile(join(origin, '.gitattributes'), ATTRIBUTES);
    await writeFile(join(origin, 'win.bat'), 'echo one\r\necho two\r\n');
    await writeFile(join(origin, 'who.id'), '$Id$\nwho\n');
    await writeFile(join(origin, 'wide.utf'), Buffer.from('wide\nÄ\n', 'utf16le'));
    await writeFile(join(origin, 'plain.txt'), 'one\ntwo\n');
    await writeFile(join(origin, 'big.bin'), 'big and large\n');
    git('-C', origin, 'add', '-A');
    git('-C', origin, 'commit', '-qm', 'origin');
    await rm(dir, { recursive: true });
    git('clone', '-q', ...config, origin, dir);
  },
});

async function unchanged(lab: Lab, how: string): Promise<void> {
  const before = await lab.ws.head();
  assert.equal(await lab.ws.commitPerson(null), null, how);
  assert.equal(await lab.ws.commitPerson(FILES), null, how);
  assert.equal(await lab.ws.head(), before, how);
  assert.equal(lab.git('status', '--porcelain'), '', how);
}

for (const config of [[], ['-c', 'core.autocrlf=true'], ['-c', 'core.autocrlf=input'], ['-c', 'core.eol=crlf']])
  test(
    `what the person's own Git calls unchanged is unchanged: ${config[1] ?? 'attributes alone'}`,
    withLab(async (lab) => {
      await unchanged(lab, 'cloned');
      for (const path of FILES) await utimes(join(lab.dir, path), 1_000_000_000, 1_000_000_000);
      await unchanged(lab, 'touched');
      await cp(lab.dir, join(lab.root, 'copy'), { recursive: true });
      await rm(lab.dir, { recursive: true });
      await cp(join(lab.root, 'copy'), lab.dir, { recursive: true });
      await lab.reopen();
      await unchanged(lab, 'copied');
    }, cloned(config)),
  );

test(
  'an edit is stored as the person would store it, and a landing writes what their Git would write',
  withLab(async (lab) => {
    const before = await lab.ws.head();
    await writeFile(join(lab.dir, 'win.bat'), 'echo one\r\necho 2\r\n');
    await writeFile(join(lab.dir, 'wide.utf'), Buffer.from('wide\nÖ\n', 'utf16le'));
    // What the program of a filter would make of it, only their own Git knows.
    await writeFile(join(lab.dir, 'big.bin'), 'other\n');
    const person = await lab.ws.commitPerson(null);
    assert.deepEqual(person?.paths.toSorted(), ['wide.utf', 'win.bat']);
    assert.equal(lab.git('show', 'main:win.bat'), 'echo one\necho 2\n');
    assert.equal(lab.git('show', 'main:wide.utf'), 'wide\nÖ\n');
    assert.equal(
      lab.git('diff', '--stat', before, 'main', '--', 'win.bat').includes('1 insertion(+), 1 deletion(-)'),
      true,
    );
    assert.equal(lab.git('status', '--porcelain'), ' M big.bin\n');
    const files = { 'win.bat': 'echo one\necho 3\n', 'wide.utf': 'wide\nÜ\n', 'who.id': '$Id$\nme\n' };
    assert.equal((await lab.land('run_1', files)).state, 'landed');
    assert.equal(await lab.read('win.bat'), 'echo one\r\necho 3\r\n');
    assert.equal((await readFile(join(lab.dir, 'wide.utf'))).toString('utf16le'), 'wide\nÜ\n');
    assert.match(await lab.read('who.id'), /^\$Id: [0-9a-f]{40} \$\nme\n$/);
    assert.equal(lab.git('status', '--porcelain'), ' M big.bin\n');
    assert.equal(await lab.ws.commitPerson(['win.bat', 'wide.utf', 'who.id']), null);
  }, cloned()),
);
