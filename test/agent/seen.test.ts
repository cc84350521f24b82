import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ModelRequest } from '../../src/core/model.ts';
import { askTool } from '../../src/tools/ask.ts';
import { editTool } from '../../src/tools/edit.ts';
import { readTool } from '../../src/tools/read.ts';
import { writeTool } from '../../src/tools/write.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, fails, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const notes = (loop: Loop): string => join(loop.dir, 'workspace', 'notes.md');
const read = calls(['read', { path: 'notes.md' }]);
const write = calls(['write', { path: 'notes.md', content: 'milk, bread\n' }]);

/** What the last call brought the model. */
function lastResult(request: ModelRequest | undefined): string {
  const part = request?.messages.at(-1)?.parts.at(-1);
  return part?.type === 'result' ? part.text : '';
}

const withNotes = (
  script: readonly ScriptTurn[],
  body: (loop: Loop, result: () => string) => Promise<void>,
): Promise<void> =>
  withLoop(
    script,
    { tools: [readTool, writeTool, editTool, askTool], files: { 'notes.md': 'milk\n' } },
    (loop, _log, model) => body(loop, () => lastResult(model.requests.at(-1))),
  );

test('what a person has changed since an earlier turn read it is not written over', () =>
  withNotes([read, says('milk'), write, says('no'), read, write, says('done')], async (loop, result) => {
    await loop.send('read it');
    await writeFile(notes(loop), 'milk\neggs\n');
    await loop.send('write it');
    assert.match(result(), /notes\.md has changed since you read it[^]*\n@@ line 2 @@\n\+eggs$/);
    assert.equal(await readFile(notes(loop), 'utf8'), 'milk\neggs\n');
    await loop.send('read and write it');
    assert.match(result(), /Replaced notes\.md/);
    assert.equal(await readFile(notes(loop), 'utf8'), 'milk, bread\n');
  }));

test('what an earlier turn has read and nobody has changed is written, also after a restart', () =>
  withNotes([read, says('milk'), says('hello'), write, says('done'), write, says('again')], async (loop, result) => {
    await loop.send('read it');
    await loop.send('hello');
    await loop.restart();
    await loop.send('write it');
    assert.match(result(), /Replaced notes\.md/);
    // Its own text, as it has landed, is known too.
    await loop.send('and once more');
    assert.match(result(), /Replaced notes\.md/);
  }));

test('a conversation knows only what it has itself looked at', () =>
  withNotes([read, says('milk'), write, says('no')], async (loop, result) => {
    await loop.send('read it', 'one');
    await loop.send('write it', 'two');
    assert.match(result(), /have not read notes\.md/);
    assert.equal(await readFile(notes(loop), 'utf8'), 'milk\n');
  }));

test('what was seen before a turn that failed, or waited, or was cancelled, stays seen', () =>
  withNotes(
    [
      read,
      fails('auth'),
      calls(['ask', { question: 'Shall I?' }]),
      write,
      says('done'),
      calls(['ask', { question: 'More?' }]),
      write,
      says('done'),
    ],
    async (loop, result) => {
      assert.equal((await loop.send('read it')).status, 'failed');
      assert.equal((await loop.send('write it')).status, 'waiting');
      await loop.restart();
      await loop.send('yes');
      assert.match(result(), /Replaced notes\.md/);
      const { task } = await loop.send('more');
      await loop.runtime.cancel(task, 'person:owner');
      await loop.send('write it again');
      assert.match(result(), /Replaced notes\.md/);
    },
  ));

test('a write in the answer that reads the file is refused, unless it was known as it is', () => {
  const both = calls(['read', { path: 'notes.md' }], ['write', { path: 'notes.md', content: 'blind\n' }]);
  return withNotes([both, write, says('done'), both, says('done')], async (loop, result) => {
    await loop.send('go');
    assert.equal(await readFile(notes(loop), 'utf8'), 'milk, bread\n');
    await loop.send('again');
    assert.match(result(), /Replaced notes\.md/);
    assert.equal(await readFile(notes(loop), 'utf8'), 'blind\n');
  });
});

test('a file that a person has removed is written anew only when that is known', () =>
  withNotes([read, says('milk'), write, read, write, says('done')], async (loop, result) => {
    await loop.send('read it');
    await rm(notes(loop));
    await loop.send('write it');
    assert.match(result(), /Created notes\.md/);
  }));
