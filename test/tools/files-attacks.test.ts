import assert from 'node:assert/strict';
import { link, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Tool } from '../../src/core/ports/tool.ts';
import { editTool } from '../../src/tools/edit.ts';
import { listTool } from '../../src/tools/list.ts';
import { readTool } from '../../src/tools/read.ts';
import { searchTool } from '../../src/tools/search.ts';
import { writeTool } from '../../src/tools/write.ts';
import { call, contextOf, git, openBench, type Bench, type TestContext } from './workspace.ts';

const CANARY = 'canary-7f3a';

let bench: Bench;
let outside: string;
let ctx: TestContext;
before(async () => {
  bench = await openBench({ 'plain.md': 'plain\n', 'dir/in.md': 'inside\n' });
  outside = join(bench.dir, '..', 'outside.txt');
  await writeFile(outside, CANARY);
  // As a person could have committed them: a link to a file, to a folder, and one that leads nowhere.
  await symlink(outside, join(bench.dir, 'link'));
  await symlink(join(bench.dir, '..'), join(bench.dir, 'up'));
  await symlink('nowhere/at/all', join(bench.dir, 'broken'));
  git(bench.dir, 'add', '.');
  git(bench.dir, '-c', 'user.name=p', '-c', 'user.email=p@example.org', 'commit', '-qm', 'links');
  ctx = contextOf(await bench.files());
});
after(() => bench.close());

/** Every file tool at a path, as a model that does what a mail tells it would call it. */
async function all(path: string): Promise<string[]> {
  const calls: [Tool, object][] = [
    [readTool, { path }],
    [writeTool, { path, content: 'pwned' }],
    [editTool, { path, old: CANARY.slice(0, 6), new: 'pwned' }],
    [listTool, { path }],
    [searchTool, { pattern: 'canary', path }],
  ];
  const texts: string[] = [];
  for (const [tool, args] of calls) {
    const result = await call(tool, args, ctx);
    assert.equal(
      result.ok && tool !== listTool && !result.text.startsWith('[No match'),
      false,
      `${tool.name} ${path}: ${result.text}`,
    );
    assert.equal(result.text.includes(CANARY), false, `${tool.name} ${path}`);
    texts.push(result.text);
  }
  assert.equal(await readFile(outside, 'utf8'), CANARY);
  assert.deepEqual(ctx.files.changes(), []);
  return texts;
}

test('A30 paths out of the workspace are refused by every file tool', async () => {
  const paths = [
    '../outside.txt',
    'dir/../../outside.txt',
    './../outside.txt',
    '/etc/passwd',
    outside,
    '~/x',
    '~',
    'a\0b',
    'plain.md\0.txt',
    '%2e%2e/outside.txt',
    '..%2foutside.txt',
    '..%5coutside.txt',
    '..\\outside.txt',
    'C:\\outside.txt',
    '\\\\host\\share',
    '/workspace/../outside.txt',
    '/workspace2/x',
    '.git/config',
    'dir/.git/hooks/pre-commit',
    '.GIT/config',
    '.git /config',
    'git~1/config',
    '.g\u200cit/config',
  ];
  for (const path of paths)
    for (const text of await all(path)) assert.doesNotMatch(text, /^(Created|Replaced|Changed)/);
  assert.equal(paths.length, 23);
});

test('A29 what Git keeps for itself cannot be named, in any spelling', async () => {
  const own = contextOf(await bench.files());
  for (const path of [
    '.git/config',
    '.git/hooks/post-commit',
    'dir/../.git/HEAD',
    '.Git/config',
    '.git./config',
    '.git::$DATA/x',
  ]) {
    const result = await call(writeTool, { path, content: '[core]\n\tfsmonitor = touch pwned\n' }, own);
    assert.match(result.text, /\.git belongs to the runtime/, path);
  }
  assert.deepEqual(own.files.changes(), []);
  assert.doesNotMatch(await readFile(join(bench.dir, '.git', 'config'), 'utf8'), /fsmonitor/);
});

test('A31 links are not followed: to a file, in the middle of a path, to nothing', async () => {
  for (const path of ['link', 'up/outside.txt', 'up/new.txt', 'link/below', 'broken', 'broken/below']) {
    const [read = '', written = ''] = await all(path);
    assert.match(read, /symbolic link/, path);
    assert.match(written, /symbolic link|is a file/, path);
  }
  assert.equal(await readlink(join(bench.dir, 'link')), outside);
});

test('A31 a hard link shares nothing with what an agent writes', async () => {
  const twin = join(bench.dir, '..', 'twin.txt');
  await link(join(bench.dir, 'plain.md'), twin);
  const own = contextOf(await bench.files());
  await call(readTool, { path: 'plain.md' }, own);
  const { changes } = await call(writeTool, { path: 'plain.md', content: 'by the agent\n' }, own);
  const provenance = { run: 'run_2', task: 'tsk_2', agent: 'a', model: 'demo/demo', costUsd: 0, labels: [] };
  const landed = await bench.workspace.land({ base: own.files.base, changes, subject: 's', provenance, at: 1 });
  assert.equal(landed.state, 'landed');
  assert.equal(await readFile(twin, 'utf8'), 'plain\n');
  assert.equal(await readFile(join(bench.dir, 'plain.md'), 'utf8'), 'by the agent\n');
});

test('A31 a folder swapped for a link between the read and the landing takes nothing out', async () => {
  const own = contextOf(await bench.files());
  await call(readTool, { path: 'dir/in.md' }, own);
  const { changes } = await call(editTool, { path: 'dir/in.md', old: 'inside', new: 'pwned' }, own);
  await rename(join(bench.dir, 'dir'), join(bench.dir, '..', 'moved'));
  await symlink(join(bench.dir, '..', 'moved'), join(bench.dir, 'dir'));
  const provenance = { run: 'run_3', task: 'tsk_3', agent: 'a', model: 'demo/demo', costUsd: 0, labels: [] };
  await bench.workspace.land({ base: own.files.base, changes, subject: 's', provenance, at: 1 });
  assert.equal(await readFile(join(bench.dir, '..', 'moved', 'in.md'), 'utf8'), 'inside\n');
  await rm(join(bench.dir, 'dir'), { force: true, recursive: true });
});
