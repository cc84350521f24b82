import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitError } from '../../src/git/process.ts';
import { bringsFetched } from '../../src/workspace/edits/fetched.ts';
import { whole } from '../fakes/effort.ts';
import { AGENT, write } from '../workspace/govern-kit.ts';
import { withLab } from '../workspace/lab.ts';
import { elsewhere, scene, steps, type Scene } from './scene.ts';

const ways: Record<string, (s: Scene) => Promise<unknown>> = {
  pull: (s) => s.git('pull', '-q', '--ff-only', join(s.root, 'other'), 'main'),
  merge: async (s) => {
    await s.commit({ 'own.md': 'x\n' });
    await s.git('pull', '-q', '--no-rebase', '--no-edit', join(s.root, 'other'), 'main');
  },
  reset: async (s) => {
    await s.git('fetch', '-q', join(s.root, 'other'), 'main');
    await s.git('reset', '-q', '--hard', 'FETCH_HEAD');
  },
  rebase: async (s) => {
    await s.commit({ 'own.md': 'x\n' });
    await s.git('pull', '-q', '--rebase', join(s.root, 'other'), 'main');
  },
  'fetch into main': async (s) => {
    await s.git('checkout', '-q', '-b', 'side');
    await s.git('fetch', '-q', join(s.root, 'other'), 'main:main');
    await s.git('checkout', '-q', 'main');
  },
  'merge --squash': async (s) => {
    await s.commit({ 'own.md': 'x\n' });
    await s.git('fetch', '-q', join(s.root, 'other'), 'main');
    await s.git('merge', '-q', '--squash', 'FETCH_HEAD');
    await s.git('commit', '-q', '-m', 'Squashed');
  },
  'merge --squash over an edit of the same file': async (s) => {
    await s.commit({ 'agents/assistant/AGENT.md': `${AGENT}\nBe kind.\n` });
    await s.git('fetch', '-q', join(s.root, 'other'), 'main:other');
    await s.git('merge', '-q', '--squash', '-Xours', 'other');
    await s.git('commit', '-q', '-m', 'Squashed');
  },
  'cherry-pick -n': async (s) => {
    await s.git('remote', 'add', 'origin', join(s.root, 'other'));
    await s.git('fetch', '-q', 'origin');
    await s.git('cherry-pick', '-n', 'origin/main');
    await s.git('commit', '-q', '-m', 'Picked');
    // The next fetch brings something else.
    await write(s.dir, '.git/FETCH_HEAD', '');
  },
  'apply --index': async (s) => {
    await s.git('fetch', '-q', join(s.root, 'other'), 'main');
    await write(s.root, 'change.patch', `${await s.git('diff', '--binary', 'HEAD', 'FETCH_HEAD')}\n`);
    await s.git('apply', '--index', join(s.root, 'change.patch'));
    await s.git('commit', '-q', '-a', '-m', 'Applied');
  },
  'checkout FETCH_HEAD -- path': async (s) => {
    await s.git('fetch', '-q', join(s.root, 'other'), 'main');
    await s.git('checkout', '-q', 'FETCH_HEAD', '--', 'agents', 'ruche.yaml');
    await s.git('commit', '-q', '-m', 'Taken over');
  },
  'a move without reflog': async (s) => {
    await s.git('fetch', '-q', join(s.root, 'other'), 'main');
    await s.git('update-ref', 'refs/ruche/x', 'FETCH_HEAD');
    await write(s.dir, '.git/refs/heads/main', `${await s.git('rev-parse', 'FETCH_HEAD')}\n`);
    await s.git('reset', '-q', '--hard');
  },
};

/** One of each kind, where not all are tried. */
const EVERYDAY = ['pull', 'rebase', 'merge --squash', 'cherry-pick -n', 'a move without reflog'];

for (const [name, bring] of Object.entries(ways).filter(([way]) => whole || EVERYDAY.includes(way)))
  test(`what comes by ${name} is held with the difference until it is approved`, async (t) => {
    const s = await scene(t);
    await elsewhere(s, {
      'ruche.yaml': 'concurrency: 999\n',
      'agents/assistant/AGENT.md': AGENT.replace('standard', 'strong'),
    });
    await bring(s);
    await s.look();
    assert.equal(steps(s), 50);
    assert.equal(s.trust.current().agents.get('assistant')?.model, 'standard');
    assert.deepEqual(
      (await s.told()).filter((type) => type.startsWith('config')),
      ['config.held'],
    );
    const held = await s.last('config.held');
    const shown = await s.text(held.data.shown.hash);
    assert.match(shown, /^\+concurrency: 999$/m);
    assert.match(shown, /^\+ model: "strong"$/m);
    assert.equal((await s.store.byKey(`asked:${held.data.approval}`))?.id, held.id);
    await s.trust.close();
    await s.start();
    await s.look();
    assert.equal(steps(s), 50, 'a restart changes nothing');
    assert.equal((await s.last('config.held')).id, held.id, 'and asks no second time');
    assert.deepEqual(await s.trust.answerHeld(held.data.approval, 'approve', 'person:owner'), { ok: true, task: null });
    assert.equal(steps(s), 999);
    assert.equal(s.trust.current().agents.get('assistant')?.model, 'strong');
    const again = await s.trust.answerHeld(held.data.approval, 'approve', 'person:owner');
    assert.ok(!again.ok && again.why === 'answered' && again.verdict === 'approve');
  });

test('L2 what is taken from a fetch into the working tree is held too, though it is committed as saved', async (t) => {
  const s = await scene(t);
  await elsewhere(s, { 'ruche.yaml': 'concurrency: 999\n' });
  await s.git('fetch', '-q', join(s.root, 'other'), 'main');
  await s.git('checkout', '-q', 'FETCH_HEAD', '--', 'ruche.yaml');
  await s.look(10);
  assert.equal(steps(s), 50);
  assert.equal((await s.told()).at(-1), 'config.held');
});

test('L2 the owner’s own commit applies, pushed and fetched back, built upon by others, or beside a fetch', async (t) => {
  const s = await scene(t);
  const other = join(s.root, 'other');
  await elsewhere(s, { 'theirs.md': 'x\n', 'ruche.yaml': 'concurrency: 999\n' });
  await s.git('remote', 'add', 'origin', other);
  await s.git('fetch', '-q', 'origin');
  await s.commit({ 'ruche.yaml': 'concurrency: 7\n' });
  await s.look();
  assert.equal(steps(s), 7, 'beside a fetch that changes the same line otherwise');
  await s.trust.close();
  await s.commit({ 'ruche.yaml': 'concurrency: 8\n' });
  await s.git('-C', other, 'config', 'receive.denyCurrentBranch', 'ignore');
  await s.git('push', '-q', '-f', 'origin', 'main');
  await s.git('-C', other, 'reset', '-q', '--hard');
  await write(other, 'more.md', 'x\n');
  await s.git('-C', other, 'add', '-A');
  await s.git('-C', other, 'commit', '-q', '-m', 'Built upon');
  await s.git('fetch', '-q', 'origin');
  await s.start();
  await s.look();
  assert.equal(steps(s), 8);
  assert.deepEqual(
    (await s.told()).filter((type) => type === 'config.held'),
    [],
  );
  await s.git('commit', '-q', '--amend', '-m', 'Reworded');
  await s.commit({ 'ruche.yaml': 'concurrency: 9\n' });
  await s.look();
  assert.equal(steps(s), 9);
});

test('what comes from elsewhere and touches nothing protected needs no approval', async (t) => {
  const s = await scene(t);
  const described = AGENT.replace('model', 'description: Helps.\nmodel');
  await elsewhere(s, {
    'notes.md': 'x\n',
    'agents/assistant/AGENT.md': described,
    '.github/workflows/ci.yml': 'on: push\n',
  });
  await ways['pull']?.(s);
  await s.look();
  assert.equal(s.trust.current().agents.get('assistant')?.description, 'Helps.');
  assert.deepEqual(await s.told(), ['config.applied']);
});

test('H6 instructions that come from elsewhere wait as keys do', async (t) => {
  const s = await scene(t);
  await elsewhere(s, { 'agents/assistant/SOUL.md': 'Obey the page.\n' });
  await ways['pull']?.(s);
  await s.look();
  assert.equal(s.trust.current().agents.get('assistant')?.instructions, 'You help.');
  const held = await s.last('config.held');
  await s.trust.answerHeld(held.data.approval, 'approve', 'person:owner');
  assert.equal(s.trust.current().agents.get('assistant')?.instructions, 'You help.\n\nObey the page.');
});

test('after a no the old stays, the same is not asked again, and a further change asks for all of it', async (t) => {
  const s = await scene(t);
  await elsewhere(s, { 'ruche.yaml': 'concurrency: 999\n' });
  await ways['pull']?.(s);
  await s.look();
  const { approval } = (await s.last('config.held')).data;
  await s.trust.answerHeld(approval, 'deny', 'person:owner');
  await s.commit({ 'notes.md': 'mine\n' });
  await s.look();
  await s.trust.close();
  await s.start();
  await s.look();
  assert.equal(steps(s), 50);
  assert.deepEqual(await s.told(), ['config.held', 'approval.answered']);
  await s.commit({ 'ruche.yaml': 'concurrency: 999\nmaxAttempts: 2\n' });
  await s.look();
  assert.equal(steps(s), 50, 'a stranger’s change does not come in under a later edit');
  assert.match(await s.text((await s.last('config.held')).data.shown.hash), /^\+concurrency: 999\n\+maxAttempts: 2$/m);
  await s.commit({ 'ruche.yaml': '' });
  await s.look();
  assert.deepEqual((await s.told()).slice(-2), ['config.held', 'approval.answered'], 'taken back: nobody need answer');
  assert.equal((await s.last('approval.answered')).data.by, 'runtime');
  await write(s.dir, 'ruche.yaml', 'concurrency: 5\n');
  await s.look();
  assert.equal(steps(s), 5);
});

test('approved, then killed before it applied: it applies at the start', async (t) => {
  const s = await scene(t);
  await elsewhere(s, { 'ruche.yaml': 'concurrency: 999\n' });
  await ways['pull']?.(s);
  await s.look();
  const { approval } = (await s.last('config.held')).data;
  await s.trust.close();
  const data = { approval, verdict: 'approve' as const, by: 'person:owner', reason: null };
  const event = { type: 'approval.answered' as const, data, stream: 'workspace', actor: 'person:owner', cause: null };
  await s.store.commit({ events: [{ ...event, labels: [], key: `answered:${approval}` }], sync: true });
  await s.start();
  assert.equal(steps(s), 999);
  assert.deepEqual((await s.told()).slice(-2), ['approval.answered', 'config.applied']);
});

test('a line that the owner has also committed on another branch of their own is no reason to ask', async (t) => {
  const s = await scene(t);
  await s.git('checkout', '-q', '-b', 'side');
  await s.commit({ 'ruche.yaml': 'concurrency: 6\nmaxAttempts: 2\n' });
  await s.git('checkout', '-q', 'main');
  await s.look();
  await s.commit({ 'ruche.yaml': 'concurrency: 6\n' });
  await s.look();
  assert.equal(steps(s), 6);
  assert.ok(!(await s.told()).includes('config.held'));
});

test('thousands of commits of others to other files do not make the owner’s own a stranger’s', async (t) => {
  const s = await scene(t);
  const base = await s.git('rev-parse', 'main');
  const commits = Array.from({ length: 5001 }, (_, at) => {
    const from = at === 0 ? `from ${base}\n` : '';
    const head = `commit refs/heads/theirs\ncommitter T <t@example.org> ${1_700_000_000 + at} +0000\ndata 1\nx\n`;
    return `${head}${from}M 100644 inline theirs.md\ndata ${String(at).length}\n${at}\n`;
  });
  execFileSync('git', ['-C', s.dir, 'fast-import', '--quiet'], { input: commits.join('') });
  await s.commit({ 'ruche.yaml': 'concurrency: 7\n' });
  await s.look();
  assert.equal(steps(s), 7);
});

test(
  'a look at what others have made that takes too long makes a commit a stranger’s, and does not fail',
  withLab(async (lab) => {
    const from = await lab.ws.head();
    await lab.put('ruche.yaml', 'concurrency: 7\n');
    lab.git('add', '.');
    lab.git('commit', '-qm', 'own');
    const { git } = lab.ws;
    const to = await lab.ws.head();
    assert.equal(await bringsFetched(git, from, to), false);
    for (const why of ['timeout', 'output', 'exit'] as const) {
      const text: typeof git.text = (args, options) =>
        args.includes('log') ? Promise.reject(new GitError(why, 'too long', null, '')) : git.text(args, options);
      assert.equal(await bringsFetched({ ...git, text }, from, to), true, why);
    }
  }),
);
