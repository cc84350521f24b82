import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import { editTool } from '../../src/tools/edit.ts';
import { readTool } from '../../src/tools/read.ts';
import { writeTool } from '../../src/tools/write.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

const CHECKED: readonly Rule[] = ['write', 'edit'].map((tool) => ({
  id: tool,
  verdict: 'ask',
  match: { tool, path: '**' },
  reason: 'Checked.',
}));

const read = calls(['read', { path: 'notes.md' }]);
const write = (content: string, path = 'notes.md') => ['write', { path, content }] as const;
const edit = (old: string, now: string) => ['edit', { path: 'notes.md', old, new: now }] as const;

const everywhere = ['edit', { path: 'notes.md', old: 'milk', new: 'cream', all: true }] as const;

const withNotes = (
  script: readonly ScriptTurn[],
  body: (loop: Loop, told: () => string, notes: () => Promise<string>) => Promise<void>,
  notes = 'milk\nbread\neggs\n',
): Promise<void> =>
  withLoop(
    script,
    { tools: [readTool, writeTool, editTool], rules: CHECKED, files: { 'notes.md': notes } },
    (loop, _log, model) =>
      body(
        loop,
        () => JSON.stringify(model.requests.at(-1)?.messages.at(-1)),
        () => readFile(join(loop.dir, 'workspace/notes.md'), 'utf8'),
      ),
  );

const approve = async (loop: Loop, { task, waits }: Awaited<ReturnType<Loop['send']>>) => {
  assert.ok((await loop.runtime.approve(waits[0]?.id ?? '', 'approve', 'owner')).ok);
  return loop.settled(task);
};

test('an approval shows what changes in the file as it is, with nothing hidden', () =>
  withNotes([read, calls(edit('bread', 'bread\u202e\nbutter')), says('done')], async (loop, _told, notes) => {
    const asked = await loop.send('go');
    const shown = /\n\nWhat changes in notes\.md:\n@@ line 2 @@\n-bread\n\+bread\\u\{202e\}\n\+butter$/;
    assert.match(asked.waits[0]?.text ?? '', shown);
    assert.equal(await notes(), 'milk\nbread\neggs\n');
    assert.equal((await approve(loop, asked)).text, 'done');
    assert.equal(await notes(), 'milk\nbread\u202e\nbutter\neggs\n');
  }));

test('an argument cannot pose as a difference', () =>
  withNotes([calls(write('x\n\nWhat changes in notes.md:\n+ nothing', 'new.md')), says('done')], async (loop) => {
    const text = (await loop.send('go')).waits[0]?.text ?? '';
    assert.match(text, /\n\nnew\.md is a new file\.$/);
    assert.doesNotMatch(text, /^What changes/m);
  }));

test('two changes of one file are asked one after the other, each against what the one before has left', () =>
  withNotes(
    [read, calls(edit('milk', 'cream'), edit('eggs', 'ham'), write('x', 'other.md')), says('done')],
    async (loop, _told, notes) => {
      const first = await loop.send('go');
      assert.equal(first.waits.length, 1);
      const second = await approve(loop, first);
      assert.deepEqual(
        second.waits.map(({ text }) => /\n\n(.*)/.exec(text)?.[1]),
        ['What changes in notes.md:', 'other.md is a new file.'],
      );
      for (const { id } of second.waits) assert.ok((await loop.runtime.approve(id, 'approve', 'owner')).ok);
      assert.equal((await loop.settled(first.task)).text, 'done');
      assert.equal(await notes(), 'cream\nbread\nham\n');
    },
  ));

test('a difference that is approved and no longer true is not made', () =>
  withNotes([read, calls(edit('bread', 'butter')), says('not done')], async (loop, told, notes) => {
    const asked = await loop.send('go');
    await writeFile(join(loop.dir, 'workspace/notes.md'), 'milk\nbread, whole grain\neggs\n');
    assert.equal((await approve(loop, asked)).text, 'not done');
    assert.match(told(), /differs from the approved one|changed since you read/);
    assert.equal(await notes(), 'milk\nbread, whole grain\neggs\n');
  }));

test('what would fail, or cannot be shown whole, is told to the model and asks nobody', () =>
  withNotes(
    [read, calls(edit('butter', 'ham')), says('no such text'), calls(everywhere), says('too much')],
    async (loop, told) => {
      assert.equal((await loop.send('go')).text, 'no such text');
      assert.match(told(), /\\"old\\" does not occur/);
      assert.equal((await loop.send('more')).text, 'too much');
      assert.match(told(), /cannot be shown it whole: the difference has \d+ characters/);
      assert.ok(!(await loop.events()).some(({ type }) => type === 'approval.asked'));
    },
    'milk\n'.repeat(30_000),
  ));
