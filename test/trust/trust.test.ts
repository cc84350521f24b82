import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Change } from '../../src/core/files.ts';
import { NoGovernance, startTrust } from '../../src/trust/trust.ts';
import type { Trust } from '../../src/trust/trust.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { openWatch, whyNotTaken } from '../../src/workspace/edits/watch.ts';
import { AGENT, quiet, write } from '../workspace/govern-kit.ts';
import { scene, steps, type Scene } from './scene.ts';

test('at first what stands on main governs, and the journal says so', async (t) => {
  const s = await scene(t);
  const applied = await s.last('config.applied');
  assert.equal(applied.data.commit, await s.workspace.head());
  assert.equal(s.trust.current().commit, applied.data.commit);
  await s.look();
  assert.deepEqual([await s.told(), s.changes], [[], []]);
});

test('a valid saved file is committed under the person’s name and applies within a second', async (t) => {
  const s = await scene(t);
  const before = s.clock.now();
  await write(s.dir, 'ruche.yaml', 'concurrency: 7\n');
  while (steps(s) !== 7 && s.clock.now() - before < 2000) await s.look(1);
  assert.ok(s.clock.now() - before < 1000, `${s.clock.now() - before} ms`);
  assert.deepEqual(await s.told(), ['person.committed', 'config.applied']);
  assert.equal(await s.git('log', '-1', '--format=%an <%ae>: %s'), 'Ada <ada@example.org>: Edit ruche.yaml');
  assert.equal((await s.last('person.committed')).actor, 'person:owner');
  assert.equal(s.trust.current().commit, await s.workspace.head());
  assert.equal(await s.git('status', '--porcelain'), '');
});

test('a new agent, its extra files and its removal apply too', async (t) => {
  const s = await scene(t);
  await write(s.dir, 'agents/mail/AGENT.md', '---\nmodel: light\n---\nYou sort mail.\n');
  await write(s.dir, 'agents/mail/notes.txt', 'not watched\n');
  await s.look();
  assert.deepEqual([...s.trust.current().agents.keys()], ['assistant', 'mail']);
  await write(s.dir, 'agents/mail/SOUL.md', 'Calm.\n');
  await s.look();
  assert.equal(s.trust.current().agents.get('mail')?.instructions, 'You sort mail.\n\nCalm.');
  assert.equal(await s.git('status', '--porcelain'), '?? agents/mail/notes.txt');
  await rm(join(s.dir, 'agents/mail'), { recursive: true });
  await s.look();
  assert.deepEqual([...s.trust.current().agents.keys()], ['assistant']);
});

test('an invalid save keeps the old, is told once, and is not committed', async (t) => {
  const s = await scene(t);
  const head = await s.workspace.head();
  for (let times = 0; times < 2; times += 1) {
    await write(s.dir, 'ruche.yaml', 'concurrency: 3\nconcurency: 4\n');
    await s.look(8);
  }
  assert.deepEqual(await s.told(), ['config.refused']);
  const refused = await s.last('config.refused');
  assert.deepEqual([refused.data.commit, refused.data.problems], [null, 1]);
  assert.match(await s.text(refused.data.detail.hash), /^ruche.yaml:2: concurency is not a known key. Did you mean/);
  assert.equal(await s.workspace.head(), head);
  assert.equal(steps(s), 50);
  await s.trust.close();
  await s.start();
  await s.look();
  assert.deepEqual(await s.told(), ['config.refused'], 'nor again after a restart');
  await write(s.dir, 'ruche.yaml', 'concurrency: 3\n');
  await s.look();
  assert.equal(steps(s), 3);
  await write(s.dir, 'ruche.yaml', 'concurrency: 3\nconcurency: 4\n');
  await s.look();
  assert.equal((await s.told()).filter((type) => type === 'config.refused').length, 2, 'it is news again');
});

test('an agent that names what is not there yet is taken once it is', async (t) => {
  const s = await scene(t);
  await write(s.dir, 'agents/mail/AGENT.md', '---\nmodel: local/x\n---\nMail.\n');
  await s.look();
  assert.equal(s.trust.current().agents.has('mail'), false);
  const local = '{ type: openai-compatible, baseUrl: "http://127.0.0.1:1/v1" }';
  await write(s.dir, 'ruche.yaml', `models:\n  providers:\n    local: ${local}\n`);
  await s.look();
  assert.equal(s.trust.current().agents.get('mail')?.model, 'local/x');
  assert.deepEqual(await s.git('status', '--porcelain'), '');
});

test('edits made while nothing ran apply at the start', async (t) => {
  const s = await scene(t);
  await s.trust.close();
  await write(s.dir, 'ruche.yaml', 'concurrency: 4\n');
  await s.commit({ 'agents/mail/AGENT.md': AGENT });
  await s.start();
  await s.look();
  assert.equal(steps(s), 4);
  assert.equal(s.trust.current().agents.has('mail'), true);
  assert.deepEqual(await s.told(), ['config.applied', 'person.committed', 'config.applied']);
});

test('a commit made here by hand applies; a broken one is refused, by its commit', async (t) => {
  const s = await scene(t);
  await s.commit({ 'ruche.yaml': 'concurrency: 6\n' });
  await s.look();
  assert.equal(steps(s), 6);
  const broken = await s.commit({ 'ruche.yaml': 'concurrency: six\n' });
  await s.look();
  assert.equal(steps(s), 6);
  assert.equal((await s.last('config.refused')).data.commit, broken);
  await s.commit({ 'ruche.yaml': 'concurrency: 8\n' });
  await s.look();
  assert.equal(steps(s), 8);
});

/** Somebody else's repository, whose commits the person fetches. */
async function land(s: Scene, files: Record<string, string>): Promise<string> {
  const base = await s.workspace.head();
  const changes: Change[] = [];
  for (const [path, text] of Object.entries(files)) {
    const { oid, stored } = s.workspace.objects.put('blob', Buffer.from(text));
    await stored;
    changes.push({ path, mode: '100644', oid, was: await s.workspace.git.resolve(`${base}:${path}`) });
  }
  const provenance = { run: 'run_1', task: 'tsk_1', agent: 'assistant', model: 'demo/demo', costUsd: 0, labels: [] };
  const landed = await s.workspace.land({ base, changes, subject: 'Work', provenance, at: s.clock.now() });
  assert.ok(landed.state === 'landed', JSON.stringify(landed));
  return landed.commit;
}

test('a landing applies at once when it was approved, and otherwise is held like a stranger’s', async (t) => {
  const s = await scene(t);
  const approved = await land(s, { 'ruche.yaml': 'concurrency: 11\n' });
  await s.look();
  assert.deepEqual(await s.told(), [], 'it may still tell of itself');
  await s.trust.applyLanded(approved);
  assert.equal(steps(s), 11);
  assert.deepEqual(await s.told(), ['config.applied']);

  await land(s, {
    'notes.md': 'x\n',
    'agents/assistant/AGENT.md': AGENT.replace('model', 'description: Helps.\nmodel'),
  });
  await s.look();
  assert.equal(s.trust.current().agents.get('assistant')?.description, 'Helps.', 'a description is free');

  await land(s, { 'ruche.yaml': 'concurrency: 12\n' });
  await s.look(16);
  assert.equal(steps(s), 11);
  assert.equal((await s.told()).at(-1), 'config.held');
});

test('on another branch nothing that is saved counts, and back on main it does', async (t) => {
  const s = await scene(t);
  await s.git('checkout', '-q', '-b', 'side');
  await write(s.dir, 'ruche.yaml', 'concurrency: 9\n');
  await s.look(6);
  assert.deepEqual(await s.told(), []);
  await s.git('checkout', '-q', 'main');
  await s.look();
  assert.equal(steps(s), 9);
});

test('while Git is at work a save waits; what is staged waits a little longer', async (t) => {
  const s = await scene(t);
  await write(s.dir, '.git/index.lock', '');
  await write(s.dir, 'ruche.yaml', 'concurrency: 9\n');
  await s.look(6);
  assert.equal(steps(s), 50);
  await rm(join(s.dir, '.git/index.lock'));
  await s.look();
  assert.equal(steps(s), 9);
  await write(s.dir, 'ruche.yaml', 'concurrency: 10\n');
  await s.git('add', 'ruche.yaml');
  await s.look(8);
  assert.equal(steps(s), 10);
});

test('what was saved while nothing ran governs before the start is over', async (t) => {
  const s = await scene(t, { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT, 'agents/gone/AGENT.md': AGENT });
  await s.trust.close();
  await write(s.dir, 'ruche.yaml', 'concurrency: 7\n');
  await write(s.dir, 'agents/new/AGENT.md', AGENT);
  await rm(join(s.dir, 'agents/gone'), { recursive: true });
  await s.start();
  assert.equal(steps(s), 7);
  assert.deepEqual([...s.trust.current().agents.keys()].toSorted(), ['assistant', 'new']);
  assert.deepEqual(await s.told(), ['person.committed', 'config.applied', 'person.committed', 'config.applied']);
  const head = await s.workspace.head();
  await s.look();
  assert.equal(await s.workspace.head(), head, 'and is not taken a second time');
});

test('a file that is being written at the start is waited for until it holds still', async (t) => {
  const s = await scene(t);
  await s.trust.close();
  // A clock that stands shows no age: the file counts as one of this moment.
  await write(s.dir, 'ruche.yaml', 'concurrency: 8\n');
  await s.git('add', 'ruche.yaml');
  const before = s.clock.now();
  await s.start();
  assert.equal(steps(s), 8, 'also one that Git holds in its index');
  assert.ok(s.clock.now() - before >= 1_000, 'which a pull may have put there');
});

test('on another branch, and in the middle of a merge, what was saved waits', async (t) => {
  const s = await scene(t);
  await s.trust.close();
  await s.git('checkout', '-q', '-b', 'other');
  await write(s.dir, 'ruche.yaml', 'concurrency: 9\n');
  const before = steps(s);
  await s.start();
  assert.equal(steps(s), before);
  await s.git('stash', '-q');
  await s.git('checkout', '-q', 'main');
  await s.git('stash', 'pop', '-q');
  for (let looks = 0; looks < 3 && steps(s) !== 9; looks += 1) await s.look();
  assert.equal(steps(s), 9, 'until main is there again');
});

test('why saved files wait is told with the way to go on', async (t) => {
  const s = await scene(t);
  const { git } = s.workspace;
  const { gitDir } = git.neutral;
  const now = Date.now();
  assert.equal(whyNotTaken(git, now), null);
  for (const [file, said] of [
    ['MERGE_HEAD', /in the middle of "git merge"\. Finish it with "git merge --continue"/],
    ['rebase-apply/applying', /in the middle of "git am"\. .*"git am --abort"/],
    ['REVERT_HEAD', /git revert --abort/],
  ] as const) {
    await write(gitDir, file, '');
    assert.match(whyNotTaken(git, now) ?? '', said);
    await rm(join(gitDir, file.split('/')[0] ?? ''), { recursive: true });
  }
  await write(gitDir, 'index.lock', '');
  assert.equal(whyNotTaken(git, now), null, 'a lock of this moment is about to go');
  assert.match(whyNotTaken(git, now + 60_000) ?? '', /another Git command holds \S+index\.lock\. .*remove that file/);
  await rm(join(gitDir, 'index.lock'));
  await s.git('checkout', '-q', '--detach');
  assert.match(whyNotTaken(git, now) ?? '', /at a commit and on no branch\. Go back with "git checkout main"/);
  await s.git('checkout', '-q', 'main');
});

test('without anything valid, ever, nothing starts, and the reason has file and line', async (t) => {
  const s = await scene(t);
  await s.trust.close();
  const store = openMemoryStore({ clock: s.clock, random: (n) => randomBytes(n) });
  await s.commit({ 'ruche.yaml': '\nconcurrency: x\n' });
  const watch = openWatch({ git: s.workspace.git, clock: s.clock, log: quiet });
  const options = {
    store,
    reader: s.reader,
    workspace: s.workspace,
    watch,
    clock: s.clock,
    log: quiet,
  };
  const start = (): Promise<Trust> =>
    s.clock.during(startTrust({ ...options, ids: { next: () => 'x' }, redact: (text) => text }));
  await assert.rejects(start(), (error: unknown) => {
    assert.ok(error instanceof NoGovernance);
    assert.match(error.message, /^ruche.yaml:2: concurrency must be a number/);
    return true;
  });
  await write(s.dir, 'ruche.yaml', 'concurrency: 3\n');
  const trust = await start();
  assert.equal(trust.current().settings.concurrency, 3, 'a mended file that is not committed yet will do');
  await trust.close();
  await store.close();
  await s.start();
});

test('what governs outlives main, reflog and garbage collection', async (t) => {
  const s = await scene(t);
  await s.commit({ 'ruche.yaml': 'concurrency: 6\n' });
  await s.look();
  await s.trust.close();
  await s.git('checkout', '-q', '--orphan', 'fresh');
  await s.commit({ 'ruche.yaml': 'concurrency: 66\n' });
  await s.git('branch', '-q', '-D', 'main');
  await s.git('branch', '-q', '-m', 'main');
  await s.git('reflog', 'expire', '--expire=now', '--all');
  await s.git('gc', '-q', '--prune=now');
  await s.start();
  await s.look();
  assert.equal(steps(s), 6);
  assert.match(await s.text((await s.last('config.held')).data.shown.hash), /concurrency: 66/);
});
