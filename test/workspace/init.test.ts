import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { type Disk, realDisk } from '../../src/platform/replace.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import { personEnv, runningClock } from './lab.ts';

/** What a file or folder holds: its bytes, or the names in it. */
const holds = async (path: string): Promise<string> =>
  (await stat(path)).isDirectory() ? (await readdir(path)).toSorted().join('\n') : readFile(path, 'latin1');

/** A disk that knows what a power cut would leave: of each place, what it held when it was last synced. */
function watchedDisk() {
  const kept = new Map<string, string>();
  const renames: { from: string; to: string; before: Map<string, string> }[] = [];
  const disk: Disk = {
    ...realDisk,
    async open(path, flags, mode) {
      const file = await realDisk.open(path, flags, mode);
      return {
        writeFile: (data) => file.writeFile(data),
        close: () => file.close(),
        async sync() {
          kept.set(path, await holds(path));
          await file.sync();
        },
      };
    },
    async rename(from, to) {
      renames.push({ from, to, before: new Map(kept) });
      await realDisk.rename(from, to);
    },
  };
  return { disk, kept, renames };
}

test('a power cut right after a workspace is made finds all of it: files, Git and the folders above', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'ruche-init-'));
  t.after(() => rm(root, { recursive: true }));
  const dir = join(root, 'new', 'deep', 'workspace');
  const { disk, kept, renames } = watchedDisk();
  const files = new Map([
    ['ruche.yaml', Buffer.from('rules: {}\n')],
    ['agents/assistant/AGENT.md', Buffer.from('Be brief.\n')],
  ]);
  await initWorkspace({ dir, files, env: personEnv(root), clock: runningClock(), disk });

  const [moved] = renames;
  assert.ok(moved && renames.length === 1 && moved.to === dir, 'the workspace takes its place once');
  const places = ['', ...(await readdir(dir, { recursive: true }))];
  for (const name of ['ruche.yaml', 'agents', '.git/HEAD', '.git/config', '.git/refs/heads/main', '.git/index'])
    assert.ok(places.includes(name), name);
  for (const place of places)
    assert.equal(
      moved.before.get(join(moved.from, place)),
      await holds(join(dir, place)),
      `${place} before the rename`,
    );
  for (let folder = dirname(dir); relative(root, folder) !== '..'; folder = dirname(folder))
    assert.equal(kept.get(folder), await holds(folder), `the names in ${folder}`);
});

test('an empty HEAD, as a power cut can leave it, is told with the command that mends it', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'ruche-init-'));
  t.after(() => rm(root, { recursive: true }));
  const dir = join(root, 'workspace');
  const [env, clock] = [personEnv(root), runningClock()];
  await initWorkspace({ dir, files: new Map([['a.md', Buffer.from('a\n')]]), env, clock });
  await writeFile(join(dir, '.git', 'HEAD'), '');
  const open = openWorkspace({ dir, env, clock, boundary: () => undefined });
  await assert.rejects(open, /\.git\/HEAD is empty or damaged, as a power cut.*run: echo 'ref: refs\/heads\/main' > /);
});
