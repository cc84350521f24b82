import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventOf } from '../../src/core/event.ts';
import { NoGovernance } from '../../src/trust/trust.ts';
import { World, problem, type Step } from './trust-kit.ts';
import { calm } from '../scheduler/worker-kit.ts';

const first: Step = { commit: 'c1', by: 'person', rules: 'r1' };
const open = (...more: Step[]): Promise<World> => new World(first, ...more).start();

test('a saved file that is valid is committed for the person and applies', async () => {
  const w = await open();
  w.person = () => ({ commit: 'c2', by: 'person', rules: 'r2' });
  await w.save({ path: 'agents/a/AGENT.md' }, { path: 'agents/b/AGENT.md', text: null });
  assert.deepEqual(w.committed, [['agents/a/AGENT.md', 'agents/b/AGENT.md']]);
  const [, committed, applied] = await w.events();
  assert.deepEqual([committed?.type, committed?.actor], ['person.committed', 'person:owner']);
  assert.deepEqual(committed?.data, { commit: 'c2', author: 'Ada', paths: 2 });
  assert.deepEqual(applied?.data, { commit: 'c2' });
  await w.close();
  await w.start({ person: 'person:eve' });
  w.person = () => ({ commit: 'c3', by: 'person', rules: 'r3' });
  await w.save({ path: 'ruche.yaml' });
  assert.equal((await w.events()).at(-2)?.actor, 'person:eve');
  await w.close();
});

test('the settings are taken before the agents that may need them', async () => {
  const w = await open();
  let made = 1;
  w.person = () => ({ commit: `c${(made += 1)}`, by: 'person', rules: `r${made}` });
  w.check = (text, rules) => (text.startsWith('agents') && rules === 'r1' ? [problem('no such provider')] : []);
  await w.save({ path: 'agents/a/AGENT.md' }, { path: 'ruche.yaml' });
  assert.deepEqual(w.committed, [['ruche.yaml'], ['agents/a/AGENT.md']]);
  assert.deepEqual(w.trust.refused(), []);
  await w.close();
});

test('while Git is busy a save is told to come again', async () => {
  const w = await open();
  await assert.rejects(w.save({ path: 'ruche.yaml' }, { path: 'agents/a/AGENT.md' }), {
    message: 'saved settings could not be committed now, Git is busy',
  });
  assert.deepEqual(w.committed, [['ruche.yaml']]);
  assert.deepEqual(await w.types(), ['config.applied']);
  await w.close();
});

test('a saved file that is wrong is refused once, and warnings do no harm', async () => {
  const w = await open();
  const problems = [problem('is odd', { severity: 'warning' }), problem('is wrong')];
  w.check = (text) => (text === 'bad' ? problems : problems.slice(0, 1));
  w.person = () => ({ commit: 'c2', by: 'person', rules: 'r1' });
  await w.save({ path: 'ruche.yaml', text: 'bad' }, { path: 'agents/a/AGENT.md' });
  assert.deepEqual(w.committed, [['agents/a/AGENT.md']], 'the others are taken');
  const refused = (await w.events()).find((event) => event.type === 'config.refused') as EventOf<'config.refused'>;
  assert.deepEqual([refused.data.commit, refused.data.problems], [null, 1]);
  assert.equal(((await w.blob(refused.data.detail.hash)) as { what: string }).what, 'ruche.yaml');
  assert.deepEqual(
    w.trust.refused().map(({ message }) => message),
    ['is wrong'],
  );
  await w.save({ path: 'ruche.yaml', text: 'bad' });
  await w.close();
  await w.start();
  await w.save({ path: 'ruche.yaml', text: 'bad' });
  const count = async (): Promise<number> => (await w.types()).filter((type) => type === 'config.refused').length;
  assert.equal(await count(), 1, 'not told twice, over a restart either');
  await w.save({ path: 'ruche.yaml', text: 'bad', clean: true });
  assert.deepEqual(w.trust.refused(), [], 'the person took it back');
  await w.save({ path: 'ruche.yaml', text: 'bad' });
  assert.equal(await count(), 2, 'and did it again');
  let made = 2;
  w.person = () => ({ commit: `c${(made += 1)}`, by: 'person', rules: 'r1' });
  await w.save({ path: 'ruche.yaml', text: 'good' });
  assert.deepEqual(w.trust.refused(), []);
  await w.save({ path: 'ruche.yaml', text: 'bad' });
  assert.equal(await count(), 3);
  await w.close();
});

test('an agent that was refused is tried again beside new settings', async () => {
  const w = await open();
  w.check = (text, rules) => (text === 'bad' || (text === 'later' && rules !== 'r2') ? [problem('not yet')] : []);
  w.person = () => ({ commit: 'c3', by: 'person', rules: 'r2' });
  await w.save(
    { path: 'agents/a/AGENT.md', text: 'later' },
    { path: 'agents/b/AGENT.md', text: 'bad' },
    { path: 'agents/c/AGENT.md', text: 'later' },
  );
  await w.save({ path: 'agents/c/AGENT.md', text: 'later', clean: true });
  assert.equal(w.trust.refused().length, 2);
  await w.move('c2', 'person', 'r2');
  assert.deepEqual(w.committed, [['agents/a/AGENT.md']]);
  assert.equal(w.trust.refused().length, 1);
  assert.equal((await w.types()).filter((type) => type === 'config.refused').length, 3, 'none is reported again');
  await w.close();
});

test('settings that were refused are not tried again by themselves', async () => {
  const w = await open();
  w.check = (_text, rules) => (rules === 'r1' ? [problem('not yet')] : []);
  await w.save({ path: 'ruche.yaml', text: 'later' });
  await w.move('c2', 'person', 'r2');
  assert.deepEqual(w.committed, []);
  await w.close();
});

test('the commit that governed is gone: main governs, and that is said', async () => {
  const w = await open();
  await w.close();
  w.gone.add('c1');
  w.main.push({ commit: 'c2', by: 'foreign', rules: 'r2' });
  w.told.length = 0;
  await w.start();
  assert.equal(w.trust.current().commit, 'c2');
  assert.deepEqual(w.told[0], {
    level: 'warn',
    fields: { applied: 'c1' },
    message: 'the commit that governed is gone; what is on main governs now',
  });
  await w.close();
});

test('what governed cannot be read any more: the person’s mending counts, a stranger’s does not', async () => {
  for (const [by, governs] of [
    ['person', 'c2'],
    ['foreign', null],
    ['landing', null],
  ] as const) {
    const w = await open();
    await w.close();
    (w.main[0] as Step).problems = [problem('is no longer known')];
    w.main.push({ commit: 'c2', by, rules: 'r2' });
    w.told.length = 0;
    if (governs === null) await assert.rejects(w.start(), { message: 'ruche.yaml:3: models is no longer known' });
    else {
      await w.start();
      assert.equal(w.trust.current().commit, governs);
      assert.ok(w.told.every(({ level }) => level === 'info'));
      await w.close();
    }
  }
});

test('what governed cannot be read any more, and nobody has touched it: that is said', async () => {
  const w = await open();
  await w.close();
  w.head.problems = [problem('is no longer known')];
  await assert.rejects(w.start(), { name: 'NoGovernance', message: 'ruche.yaml:3: models is no longer known' });
});

test('without anything valid nothing starts, unless the person has saved what mends it', async () => {
  const broken: Step = { commit: 'c0', by: 'person', rules: 'r0', problems: [problem('is wrong', { line: null })] };
  const w = new World(broken);
  await assert.rejects(w.start(), (error: unknown) => {
    assert.ok(error instanceof NoGovernance);
    assert.deepEqual(
      [error.name, error.message, error.problems],
      ['NoGovernance', 'ruche.yaml: models is wrong', broken.problems],
    );
    return true;
  });
  assert.deepEqual(w.committed, [['ruche.yaml']]);
  const mended = new World(broken);
  mended.person = () => ({ commit: 'c1', by: 'person', rules: 'r1' });
  await mended.start();
  assert.equal(mended.trust.current().commit, 'c1');
  await mended.close();
  const still = new World(broken);
  still.person = () => ({ ...broken, commit: 'c1', problems: [problem('is still wrong')] });
  await assert.rejects(still.start(), { message: 'ruche.yaml:3: models is still wrong' });
  assert.equal(new NoGovernance([]).message, 'the workspace has no valid ruche.yaml');
});

test('a secret in what is wrong or different is not repeated', async () => {
  const w = await open();
  await w.move('c2', 'person', 'r2', [problem('hunter2 is no number')]);
  const refused = (await w.last()) as EventOf<'config.refused'>;
  assert.equal(
    ((await w.blob(refused.data.detail.hash)) as { text: string }).text,
    'ruche.yaml:3: models *** is no number',
  );
  await w.close();
});

test('what cannot be recorded does not govern', async () => {
  const w = new World(first);
  const commit = w.store.commit.bind(w.store);
  w.store.commit = async () => ({ ok: false, why: 'lease-lost' });
  await assert.rejects(w.start(), { message: 'what governs could not be recorded: {"ok":false,"why":"lease-lost"}' });
  const synced: boolean[] = [];
  w.store.commit = (batch) => {
    synced.push(batch.sync);
    return commit(batch);
  };
  await w.start();
  assert.deepEqual(synced, [true]);
  await w.close();
});

test('one thing after the other, and a failure stops nothing', async () => {
  const w = await open();
  const order: string[] = [];
  const busy = w.save({ path: 'ruche.yaml' }).catch(() => order.push('busy'));
  const settled = w.trust.settled().then(() => order.push('settled'));
  await Promise.all([busy, settled]);
  assert.deepEqual(order, ['busy', 'settled']);
  await w.move('c2', 'person', 'r2');
  assert.equal(w.trust.current().commit, 'c2');
  const moving = w.move('c3', 'person', 'r3');
  await w.trust.close();
  assert.equal(w.trust.current().commit, 'c3', 'closing waits for what has begun');
  await moving;
  await calm();
});

test('a run may have main looked at: at once, and a look that fails leaves what governs', async () => {
  const w = new World(first);
  let broken = false;
  const head = (): Promise<string> => (broken ? Promise.reject(new Error('no disk')) : Promise.resolve(w.head.commit));
  await w.start({ workspace: { head, commitPerson: () => Promise.resolve(null) } });
  w.main.push({ commit: 'c2', by: 'person', rules: 'r2' });
  broken = true;
  await w.trust.look();
  assert.equal(w.trust.current().commit, 'c1');
  assert.deepEqual(w.told.at(-1), {
    level: 'warn',
    fields: { error: 'no disk' },
    message: 'main could not be looked at',
  });
  broken = false;
  await w.trust.look();
  assert.equal(w.trust.current().commit, 'c2');
  await w.close();
});
