import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TaskOutcome } from '../../src/core/api/runtime.ts';
import { AGENT, Home } from '../fakes/home.ts';

const LINES = Array.from({ length: 12 }, (_, n) => `line ${n + 1}`).join('\n');

let home: Home;
before(async () => {
  home = new Home({
    files: {
      'agents/assistant/AGENT.md': AGENT,
      'ruche.yaml': 'concurrency: 20\n',
      '.gitignore': '.env\n',
      'plan.md': 'plan\n',
      'letter.md': 'letter\n',
      'shared.md': 'start;',
      'lines.md': `${LINES}\n`,
      'same.md': 'one\n',
    },
  });
  writeFileSync(join(home.dir, 'person', '.gitconfig'), '[user]\n\tname = Ann Example\n\temail = ann@example.org\n');
  await home.start();
});
after(() => home.close());

/** Authors and subjects of the commits of a path, newest first. */
const history = (path: string): string[] => home.git('log', '--format=%an', '--', path).trim().split('\n');
const done = (outcome: TaskOutcome): TaskOutcome => {
  assert.equal(outcome.status, 'done', outcome.text);
  return outcome;
};
/** Answers the question a run waits with, and gives its end. */
async function goOn(outcome: TaskOutcome): Promise<TaskOutcome> {
  assert.equal(outcome.status, 'waiting', outcome.text);
  await home.api(`/api/questions/${outcome.waits[0]?.id}`, { text: 'yes' });
  return done(await home.settled(outcome.task));
}

test('an uncommitted edit is committed under the person’s name before an agent reads it', async () => {
  home.write('plan.md', 'plan\nchanged by Ann\n');
  assert.match(done(await home.ask('read plan.md')).text, /changed by Ann/);
  assert.deepEqual(history('plan.md'), ['Ann Example', 'Ann']);
  assert.equal(home.git('log', '-1', '--format=%ae').trim(), 'ann@example.org');
  assert.equal(home.git('status', '--porcelain').trim(), '');
});

test('an agent that changes a file a person is editing keeps the person’s words', async () => {
  home.write('letter.md', 'letter\nDear Bob,\n');
  const outcome = done(await home.ask('append letter.md: with regards'));
  assert.equal(home.read('letter.md'), 'letter\nDear Bob,\nwith regards');
  assert.deepEqual(history('letter.md').slice(0, 2), ['assistant', 'Ann Example']);
  assert.equal(home.git('rev-parse', 'main').trim(), outcome.commit);
  // One that runs a command sees all edits, staged or not.
  home.write('plan.md', 'staged\n');
  home.git('add', 'plan.md');
  home.write('letter.md', 'edited\n');
  assert.match(done(await home.ask('run: cat plan.md letter.md')).text, /staged\nedited/);
  assert.equal(history('plan.md')[0], 'Ann Example');
});

test('a person’s edit while a run works is never overwritten: the conflict comes back to the run', async () => {
  const outcome = await home.ask('write same.md: by the agent, then ask me: shall I?');
  home.write('same.md', 'by Ann\n');
  const end = await goOn(outcome);
  assert.match(end.text, /given up: someone else has changed same\.md/);
  assert.equal(home.read('same.md'), 'by Ann\n');
  assert.equal(history('same.md')[0], 'Ann Example');
  assert.equal((await home.events('landing.conflicted')).length, 1);
  // What can be said again on top of the person's words is.
  home.write('same.md', 'by Ann, twice\n');
  const again = await home.ask('append same.md: and the agent, then ask me: shall I?');
  home.write('same.md', 'by Ann, three times\n');
  await goOn(again);
  assert.equal(home.read('same.md'), 'by Ann, three times\nand the agent');
});

test('untracked files are taken in only when a call names them, ignored ones never', async () => {
  home.write('draft.md', 'a draft\n');
  home.write('other.md', 'another\n');
  home.write('.env', 'KEY=not-for-agents\n');
  assert.match(done(await home.ask('read draft.md')).text, /a draft/);
  assert.deepEqual(history('draft.md'), ['Ann Example']);
  const looked = done(await home.ask('run: cat .env other.md; ls -A, then read .env'));
  assert.ok(!looked.text.includes('not-for-agents'), looked.text);
  const written = done(await home.ask('write .env: KEY=mine, then write good.txt: good'));
  assert.match(written.text, /\.env could not be kept: it is ignored by \.gitignore, line 1 \(\.env\)/);
  assert.equal(home.git('show', 'main:good.txt'), 'good');
  assert.equal(home.read('.env'), 'KEY=not-for-agents\n');
  assert.equal(home.git('status', '--porcelain').trim(), '?? other.md');
  assert.equal(home.git('log', 'main', '--format=%H', '--', '.env'), '');
});

test('H1 an agent that may change .gitignore with a person’s consent still reads no secret', async () => {
  const asked = await home.ask('write .gitignore: # nothing, then write config/.gitignore: !.env');
  assert.equal(asked.status, 'waiting', asked.text);
  assert.match(asked.waits[0]?.text ?? '', /^-\.env$/m);
  await home.answer(asked.waits[0]?.id ?? '', 'approve');
  done(await home.settled(asked.task));
  home.write('config/my.key', 'KEY=not-for-agents\n');
  for (const path of ['.env', 'config/my.key']) {
    const read = done(await home.ask(`read ${path}`));
    assert.ok(!read.text.includes('not-for-agents'), read.text);
  }
  assert.equal(home.git('log', 'main', '--format=%H', '--', '.env', 'config/my.key'), '');
});

test('two sessions change one file: what fits together is merged, what does not comes back', async () => {
  const first = await home.ask('edit lines.md: line 2 => line two, then ask me: go on?', 'first');
  done(await home.ask('edit lines.md: line 11 => line eleven', 'second'));
  const merged = await goOn(first);
  assert.match(home.read('lines.md'), /line two\n[^]*line eleven\n/);
  assert.equal(home.git('rev-parse', 'main').trim(), merged.commit);
  const early = await home.ask('edit lines.md: line 5 => line five, then ask me: go on?', 'first');
  done(await home.ask('edit lines.md: line 5 => line V', 'second'));
  const end = await goOn(early);
  assert.match(end.text, /does not occur|was not done/);
  assert.match(home.read('lines.md'), /line V\n/);
});

test('twelve sessions change one file at once, and four the same line of it: each word is there once', async () => {
  const words = Array.from({ length: 12 }, (_, n) => n + 1);
  home.write('many.md', words.map((n) => `place-${n}-\n\n\n\n`).join(''));
  home.git('add', 'many.md');
  const apart = await Promise.all(words.map((n) => home.ask(`edit many.md: place-${n}- => word-${n}-`)));
  apart.forEach(done);
  assert.equal(
    new Set(apart.map(({ commit }) => commit)).size,
    12,
    JSON.stringify(apart.map(({ text, commit }) => [text, commit])),
  );
  assert.equal(home.read('many.md'), words.map((n) => `word-${n}-\n\n\n\n`).join(''));
  const close = await Promise.all(['a;', 'b;', 'c;', 'd;'].map((word) => home.ask(`append shared.md: ${word}`)));
  close.forEach(done);
  assert.deepEqual(
    home
      .read('shared.md')
      .split(/(?<=;)/)
      .sort(),
    ['a;', 'b;', 'c;', 'd;', 'start;'],
  );
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);
});

test('on another branch only main moves; the person’s files stay as they are', async () => {
  home.git('switch', '-q', '-c', 'feature');
  home.write('plan.md', 'on my branch\n');
  const outcome = done(await home.ask('write landed.md: on main'));
  assert.equal(home.git('rev-parse', 'main').trim(), outcome.commit);
  assert.ok(!home.exists('landed.md'));
  assert.equal(home.read('plan.md'), 'on my branch\n');
  assert.equal(home.git('show', 'main:landed.md'), 'on main');
});
