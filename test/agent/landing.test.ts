import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Loop } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import type { Tool } from '../../src/core/ports/tool.ts';
import { writeTool } from '../../src/tools/write.ts';
import { withLoop } from './with-loop.ts';

const git = (loop: Loop, ...args: string[]): string =>
  execFileSync('git', ['-C', join(loop.dir, 'workspace'), ...args], { encoding: 'utf8' });

test('what became ignored while a run worked is left out with a note, and its other files land', async () => {
  let loop!: Loop;
  const script = [
    calls(['write', { path: 'dist/x.js', content: 'x' }], ['write', { path: 'good.txt', content: 'good' }]),
    async () => {
      await appendFile(join(loop.dir, 'workspace', '.gitignore'), 'dist/\n');
      return says('Done.');
    },
    says('Done, but for dist/x.js.'),
  ];
  await withLoop(script, { files: { '.gitignore': '*.log\n' } }, async (opened, _log, model) => {
    loop = opened;
    const outcome = await loop.send('go');
    assert.deepEqual([outcome.status, outcome.text], ['done', 'Done, but for dist/x.js.']);
    const told = JSON.stringify(model.requests[2]?.messages.at(-1));
    assert.match(told, /dist\/x\.js cannot be committed: it is ignored by \.gitignore, line 2 \(dist\/\)\./);
    assert.match(told, /left out; your other changes land/);
    assert.equal(git(loop, 'log', '-1', '--format=%s', 'main').trim(), 'assistant: add good.txt');
    assert.equal(git(loop, 'show', 'main:good.txt'), 'good');
    assert.equal(git(loop, 'for-each-ref', 'refs/ruche/unlanded'), '');
  });
});

test('an ignored path is refused when it is written, and nothing keeps the rest from landing', async () => {
  const script = [
    calls(['write', { path: 'a.log', content: 'x' }], ['write', { path: 'good.txt', content: 'good' }]),
    says('Done.'),
  ];
  const files = { '.gitignore': '*.log\n' };
  await withLoop(script, { files, tools: [writeTool] }, async (loop, _log, model) => {
    assert.equal((await loop.send('go')).status, 'done');
    assert.match(JSON.stringify(model.requests[1]?.messages), /a\.log could not be kept: it is ignored by \.gitignore/);
    assert.equal((await loop.events()).filter(({ type }) => type === 'landing.conflicted').length, 0);
    assert.equal(git(loop, 'show', 'main:good.txt'), 'good');
  });
});

test('a file that was made and removed again is no part of what the commit says', async () => {
  const script = [
    calls(['write', { path: 'draft.md', content: 'x' }], ['write', { path: 'good.txt', content: 'good' }]),
    calls(['remove', { path: 'draft.md' }]),
    says('Done.'),
  ];
  const remove: Tool<{ path: string }> = {
    name: 'remove',
    description: 'Remove a file.',
    effect: 'write',
    idempotent: true,
    schema: { type: 'object' },
    parse: (value) => ({ ok: true, value: value as { path: string } }),
    facts: ({ path }) => ({ paths: [path] }),
    run: async ({ path }, { files }) => {
      const change = await files.remove(path);
      return { ok: true, text: 'removed', labels: [], changes: change === null ? [] : [change] };
    },
  };
  await withLoop(script, { tools: [writeTool, remove] }, async (loop) => {
    assert.equal((await loop.send('go')).status, 'done');
    assert.equal(git(loop, 'log', '-1', '--format=%s', 'main').trim(), 'assistant: add good.txt');
  });
});
