// What a person does with landed commits, and what verification says of it.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLandedHistory } from '../../src/git/landed.ts';
import { makeWorkspace } from '../workspace/govern-kit.ts';
import { agent, said, scene, type Scene } from './kit.ts';

const ACCEPTING =
  'Either this home is older than its workspace, as after an old backup was put back, or another Ruche made the commit. If that is right, start once with --accept-loss';

test('a landing that main lacks, and work on main that nobody knows, are told of', async (t) => {
  const s = await scene(t);
  const before = await s.workspace.head();
  const commit = await s.run('run_a');
  await s.export();
  await s.add({ type: 'landing.finished', stream: 'run:run_b', ...agent, data: { commit: 'a'.repeat(40), paths: 1 } });
  await s.add({ type: 'landing.finished', stream: 'run:run_c', ...agent, data: { commit: null, paths: 0 } });
  await s.commit({ 'forged.md': 'x\n' }, 'Forged\n\nRuche-Run: run_x');
  const [gone = '', ...others] = said(await s.check());
  assert.ok(
    gone.startsWith(
      `evt_5 main: it landed as commit ${'a'.repeat(40)}, which the workspace does not have, so its content can no longer be compared. `,
    ),
    gone,
  );
  assert.deepEqual(others, [
    `null main: commit ${await s.workspace.head()} on main names run_x, which the journal does not know. ${ACCEPTING}`,
  ]);
  await s.git('reset', '-q', '--hard', before);
  assert.match(
    said(await s.check())[0] ?? '',
    new RegExp(`^evt_4 main: it landed as commit ${commit}, which main does not hold`),
  );
});

/** Does in the workspace what the message says after these words. */
async function advised(s: Scene, message: string, words: RegExp): Promise<void> {
  const args = words.exec(message)?.[1]?.match(/"[^"]*"|[^ "]+/g);
  assert.ok(args, message);
  await s.git(...args.map((arg) => arg.replaceAll('"', '')));
}

const PUT_BACK = /Put it back: git (cherry-pick [0-9a-f]+)/;
const ACCEPT = /is to be without it: git (commit .*)$/;

test('what is advised for a landing that was taken off main mends it: put back, or accepted', async (t) => {
  for (const words of [PUT_BACK, ACCEPT]) {
    const s = await scene(t);
    const before = await s.workspace.head();
    await s.run('run_a');
    await s.git('reset', '-q', '--hard', before);
    const [found = ''] = said(await s.check());
    await advised(s, found, words);
    const { findings, notes } = await s.check();
    assert.deepEqual(findings, []);
    assert.match(notes[0]?.message ?? '', words === PUT_BACK ? /with the same content$/ : /with other content$/);
  }
});

test('of a landing that Git has removed since a person rewrote it, nothing is said that cannot be known', async (t) => {
  const s = await scene(t);
  await s.run('run_a');
  await s.git('commit', '-q', '--amend', '-m', 'Better words\n\nRuche-Run: run_a');
  await s.run('run_b');
  await s.git('commit', '-q', '--amend', '-m', 'Without its trailer');
  await s.run('run_c');
  await s.run('run_d');
  await s.git('reset', '-q', '--soft', 'HEAD~2');
  await s.git('commit', '-q', '-m', 'Both in one');
  await s.git('reflog', 'expire', '--expire=now', '--all');
  await s.git('prune', '--expire=now');
  const before = await s.check();
  assert.match(
    before.notes[0]?.message ?? '',
    /rewritten it as [0-9a-f]{40}, and its content can no longer be compared$/,
  );
  assert.equal(before.findings.length, 3);
  for (const { message } of before.findings) {
    assert.match(
      message,
      /which the workspace does not have, so its content can no longer be compared\. .*cherry-pick/,
    );
    await advised(s, message, ACCEPT);
  }
  const { findings, notes } = await s.check();
  assert.deepEqual(findings, []);
  assert.equal(notes.length, 4);
});

test('a landing that Git has removed since is known again by what the record says of its content', async (t) => {
  const s = await scene(t);
  const [first, second, third] = [await s.run('run_a', true), await s.run('run_b', true), await s.run('run_c', true)];
  await s.git('reset', '-q', '--soft', 'HEAD~2');
  await s.git('commit', '-q', '-m', 'Both in one');
  const lost = await s.run('run_d', true);
  await s.git('reset', '-q', '--hard', 'HEAD~1');
  await s.git('rebase', '-q', '--root', '--exec', 'git commit -q --amend -m Mine');
  await s.git('reflog', 'expire', '--expire=now', '--all');
  await s.git('prune', '--expire=now');
  const { findings, notes } = await s.check();
  const rewritten = await s.git('rev-list', 'main');
  assert.deepEqual(
    notes.map(({ message }) =>
      /as commit (\w+); a person has rewritten it as (\w+), with the same content$/.exec(message)?.slice(1, 2),
    ),
    [[first], [second], [third]],
    JSON.stringify(notes),
  );
  for (const { message } of notes)
    assert.ok(rewritten.includes(/as (\w+), with/.exec(message)?.[1] ?? 'none'), message);
  assert.deepEqual(
    findings.map(({ message }) => message.split('. ', 1)[0]),
    [
      `it landed as commit ${lost}, which the workspace does not have, and no commit on main has all of what the record says it changed`,
    ],
    'what is on main nowhere is still missing',
  );
});

test('a landing cut off before its receipt, and work from before this journal, are no misfit', async (t) => {
  const s = await scene(t);
  const data = { base: await s.workspace.head(), paths: 1, message: s.store.putBlob(Buffer.from('"x"'), 'conv:a/b') };
  await s.add({ type: 'landing.started', stream: 'run:run_open', ...agent, data });
  await s.commit({ 'a.md': 'x\n' }, 'Work\n\nRuche-Run: run_open');
  assert.deepEqual(said(await s.check()), []);
  const old = await makeWorkspace();
  t.after(() => old.remove());
  await old.commit({ 'a.md': 'x\n' }, 'Work of another home\n\nRuche-Run: run_old');
  const history = openLandedHistory(old.workspace.git);
  const found: string[] = [];
  for await (const { runs } of history.commits(await old.workspace.head())) found.push(...runs);
  assert.equal(found.length, 0);
  for await (const { runs } of history.commits(null)) found.push(...runs);
  assert.deepEqual(found, ['run_old']);
});

/** Does something to the file of a loose object. */
test('a landing that a person has rewritten is told as that, by its trailer or its content, and is no fault', async (t) => {
  const s = await scene(t);
  const first = await s.run('run_a');
  await s.git('commit', '-q', '--amend', '-m', 'Better words\n\nRuche-Run: run_a');
  const amended = await s.workspace.head();
  const second = await s.run('run_b');
  await s.git('commit', '-q', '--amend', '-m', 'Without its trailer');
  const bare = await s.workspace.head();
  const third = await s.run('run_c');
  await writeFile(join(s.dir, 'run_c.md'), 'by hand\n');
  await s.git('commit', '-q', '-a', '--amend', '-m', 'Mine\n\nRuche-Run: run_c');
  const { findings, notes } = await s.check();
  assert.deepEqual(findings, []);
  assert.deepEqual(
    notes.map(({ event, message }) => `${event} ${message}`),
    [
      `evt_4 it landed as commit ${first}; a person has rewritten it as ${amended}, with the same content`,
      `evt_7 it landed as commit ${second}; a person has rewritten it as ${bare}, with the same content`,
      `evt_10 it landed as commit ${third}; a person has rewritten it as ${await s.workspace.head()}, with other content`,
    ],
  );
});

test('a commit that changes more than its run did is told, with the files that are gone by it', async (t) => {
  const s = await scene(t);
  await s.commit({ 'mine.md': 'mine\n' });
  await s.commit({ 'mine.md': null, 'x.md': 'x\n' }, 'Work\n\nRuche-Run: run_x');
  const commit = await s.workspace.head();
  await s.add({ type: 'landing.finished', stream: 'run:run_x', ...agent, data: { commit, paths: 1 } });
  const found = said(await s.check());
  assert.deepEqual(found, [`evt_2 main: commit ${commit} changes 2 files, but the event says 1; it removes mine.md`]);
});
