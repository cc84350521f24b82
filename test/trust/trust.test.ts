import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Governance } from '../../src/core/agent.ts';
import type { Event, EventOf } from '../../src/core/event.ts';
import type { Change } from '../../src/core/files.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { NoGovernance, startTrust } from '../../src/trust/trust.ts';
import type { Trust } from '../../src/trust/trust.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { openWatch } from '../../src/workspace/edits/watch.ts';
import { AGENT, makeWorkspace, quiet, write } from '../workspace/govern-kit.ts';
import type { TestWorkspace } from '../workspace/govern-kit.ts';

interface Scene extends TestWorkspace {
  store: Store;
  readonly trust: Trust;
  changes: Governance[];
  warnings: string[];
  /** Time passes until the watch has looked often enough to take a saved file in. */
  look(times?: number): Promise<void>;
  start(): Promise<void>;
  /** Types of the workspace's events, without the first `config.applied`. */
  told(): Promise<string[]>;
  last<T extends Event['type']>(type: T): Promise<EventOf<T>>;
  text(hash: string): Promise<string>;
}

async function scene(t: { after(done: () => Promise<void>): void }, files?: Record<string, string>): Promise<Scene> {
  const kit = await makeWorkspace(files);
  const store = openMemoryStore({ clock: kit.clock, random: (n) => randomBytes(n) });
  const changes: Governance[] = [];
  const warnings: string[] = [];
  let made = 0;
  const events = async (): Promise<Event[]> => {
    const found: Event[] = [];
    for await (const event of store.read({ stream: 'workspace' })) found.push(event);
    return found;
  };
  let trust: Trust | null = null;
  const it: Scene = {
    ...kit,
    store,
    changes,
    warnings,
    get trust() {
      assert.ok(trust, 'it has been started');
      return trust;
    },
    async start() {
      const watch = openWatch({ git: kit.workspace.git, clock: kit.clock, log: quiet });
      const starting = startTrust({
        redact: (text) => text.replaceAll('a-known-secret', '[redacted]'),
        store,
        reader: kit.reader,
        workspace: kit.workspace,
        watch,
        clock: kit.clock,
        ids: { next: (kind) => `${kind}_${(made += 1)}` },
        log: { ...quiet, warn: (_fields, message) => void warnings.push(message) },
      });
      trust = await kit.clock.during(starting);
      it.trust.onChange(() => void changes.push(it.trust.current()));
      await kit.clock.sleeping(1);
    },
    async look(times = 4) {
      for (let at = 0; at < times; at += 1) await kit.clock.step(200);
      await it.trust.settled();
    },
    told: async () => (await events()).slice(1).map((event) => event.type),
    async last(type) {
      const found = (await events()).findLast((event) => event.type === type);
      assert.ok(found, `no ${type}`);
      return found as EventOf<typeof type>;
    },
    async text(hash) {
      const bytes = await store.getBlob({ hash });
      return (JSON.parse(Buffer.from(bytes ?? []).toString('utf8')) as { text: string }).text;
    },
  };
  await it.start();
  t.after(async () => {
    await it.trust.close();
    await store.close();
    await kit.remove();
  });
  return it;
}

const steps = (s: Scene): number => s.trust.current().settings.concurrency;

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
async function elsewhere(s: Scene, files: Record<string, string>): Promise<void> {
  const other = join(s.root, 'other');
  await rm(other, { recursive: true, force: true, maxRetries: 5 });
  await s.git('clone', '-q', s.dir, other);
  for (const [path, text] of Object.entries(files)) await write(other, path, text);
  await s.git('-C', other, 'add', '-A');
  await s.git('-C', other, 'commit', '-q', '-m', 'From elsewhere');
}

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

for (const [name, bring] of Object.entries(ways))
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
