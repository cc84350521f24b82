import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type Disk, replaceFile } from '../../src/platform/replace.ts';
import { readSources, withoutComments } from '../guards/source.ts';

interface Inode {
  cached: string;
  synced: string;
}

/**
 * A disk that keeps only what was synced, if it has to: bytes by the file's sync, names by the folder's. The power goes
 * before call number `cut`. `states` are the texts that may be found under `path` then: the machine may have written more.
 */
function powerCut(path: string, cut: number) {
  const old = { cached: 'old', synced: 'old' };
  const names = new Map<string, Inode>([[path, old]]);
  const synced = new Map(names);
  let calls = 0;
  const step = async (): Promise<void> => {
    calls += 1;
    if (calls >= cut) throw new Error('the power is gone');
  };
  const disk: Disk = {
    async open(name, flags) {
      await step();
      if (flags === 'wx') names.set(name, { cached: '', synced: '' });
      const file = names.get(name);
      return {
        async writeFile(data) {
          await step();
          assert.ok(file);
          file.cached = String(data);
        },
        async sync() {
          await step();
          if (file) file.synced = file.cached;
          else {
            for (const each of synced.keys()) if (dirname(each) === name) synced.delete(each);
            for (const [each, inode] of names) if (dirname(each) === name) synced.set(each, inode);
          }
        },
        close: step,
      };
    },
    async rename(from, to) {
      await step();
      const file = names.get(from);
      assert.ok(file);
      names.delete(from);
      names.set(to, file);
    },
    async rm(name) {
      await step();
      names.delete(name);
    },
  };
  const states = (): (string | undefined)[] =>
    [names, synced].flatMap((each) => [each.get(path)?.cached, each.get(path)?.synced]);
  return { disk, states, calls: () => calls };
}

test('a power cut at any step leaves the old file or the new one, and the new one once it is said to be there', async () => {
  for (let cut = 1; ; cut += 1) {
    assert.ok(cut < 30, 'it never ends');
    const { disk, states } = powerCut('/home/keys.json', cut);
    const done = await replaceFile('/home/keys.json', 'new', { disk }).then(
      () => true,
      () => false,
    );
    for (const text of states()) assert.ok(text === 'new' || (text === 'old' && !done), `call ${cut}: ${text}`);
    if (!done) continue;
    assert.equal(cut, 9, 'open, write, sync and close of the file; rename; open, sync and close of the folder');
    return;
  }
});

test('the disk of that test does lose what is not synced', async () => {
  const { disk, states } = powerCut('/home/view.json', 99);
  await replaceFile('/home/view.json', 'new', { disk, durable: false });
  assert.deepEqual(states(), ['new', '', 'old', 'old']);
});

test('a file is replaced with its mode, never through a link, and nothing is left beside it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-replace-'));
  try {
    const path = join(dir, 'file');
    await writeFile(join(dir, 'other'), 'untouched');
    await symlink('other', path);
    await replaceFile(path, 'one', { mode: 0o600 });
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    // What a crash has left may not even be writable.
    await writeFile(join(dir, 'file.new'), 'half', { mode: 0o400 });
    await replaceFile(path, Buffer.from('two'), { temp: join(dir, 'file.new') });
    assert.equal(await readFile(path, 'utf8'), 'two');
    assert.equal(await readFile(join(dir, 'other'), 'utf8'), 'untouched');
    await assert.rejects(replaceFile(join(dir, 'none', 'file'), 'three'), { code: 'ENOENT' });
    // A folder stands where the file should go: the temporary file goes again.
    await assert.rejects(replaceFile(dir, 'four', { temp: join(dir, 'temp') }));
    assert.deepEqual((await readdir(dir)).toSorted(), ['file', 'other']);
  } finally {
    await rm(dir, { recursive: true });
  }
});

/** What else may be renamed, and why it is no file that is replaced by new bytes. */
const OTHERS: Readonly<Record<string, string>> = {
  'src/platform/replace.ts': 'the one writer',
  'src/app/commands.ts': 'puts the old log aside',
  'src/git/journal.ts': 'puts a damaged journal.git aside',
  'src/sandbox/system.ts': 'puts a device in its place',
  'src/simulate/person.ts': 'plays a person whose program replaces a file in an inbox',
  'src/platform/remove.ts': 'lifts what lies too deep to be named',
  'src/workspace/checkouts/checkouts.ts': 'puts a checkout aside that cannot be emptied',
  'src/workspace/checkouts/objects.ts': 'puts a copy of objects in its place once it is whole',
  'src/workspace/checkouts/seal.ts': 'puts folders aside that are not as they should be',
  'src/workspace/inbox-files.ts': "claims a person's file before it is read, and rejects it",
  'src/workspace/init.ts': 'a new workspace, as a folder',
  'src/workspace/landing/move.ts': 'the index that Git has written',
};

test('nothing else replaces a file by a rename of its own', () => {
  const renames = (code: string): boolean => /\brename(Sync)?\s*\(/.test(withoutComments(code));
  const found = [...readSources()].flatMap(([path, text]) => (renames(text) ? [path] : []));
  assert.deepEqual(found.toSorted(), Object.keys(OTHERS).toSorted());
  assert.ok(renames('await rename(temp, path);') && renames('renameSync(a, b)') && !renames('// rename(a, b)'));
});
