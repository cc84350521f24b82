import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dropped } from '../../src/scheduler/triggers/saved-files.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { collect, random } from '../store/kit.ts';
import { files, trigger, withScene } from './trigger-kit.ts';
import { calm, HandClock, recorder } from './worker-kit.ts';

test('what people drop is committed and on record as theirs; a failure is reported, and tried again', async () => {
  const clock = new HandClock();
  const store = openMemoryStore({ clock, random });
  const { log, told } = recorder();
  const asked: (readonly string[])[] = [];
  const committed: (readonly string[] | null)[] = [];
  let found: string[] = [];
  const syncs: boolean[] = [];
  let broken = false;
  const dropped = new Dropped({
    dropped: {
      async look(globs) {
        asked.push(globs);
        if (broken) throw new Error('no disk');
        return found.splice(0);
      },
      stuck: () => [],
    },
    workspace: {
      async commitPerson(paths) {
        committed.push(paths);
        return paths?.includes('busy') === true ? null : { commit: 'c1', author: 'Ada', paths: [...(paths ?? [])] };
      },
    },
    store: { commit: (batch) => (syncs.push(batch.sync), store.commit(batch)) },
    clock,
    log,
    globs: () => ['in/*'],
  });
  dropped.start();
  await calm();
  assert.deepEqual([asked, committed], [[['in/*']], []]);
  found = ['in/a', 'in/b'];
  await clock.pass(1_000);
  found = ['busy'];
  await clock.pass(1_000);
  broken = true;
  await clock.pass(1_000);
  broken = false;
  found = ['in/c'];
  await clock.pass(1_000);
  assert.deepEqual(committed, [['in/a', 'in/b'], ['busy']], 'not at once after a failure');
  await clock.pass(20_000);
  assert.deepEqual(committed.at(-1), ['in/c']);
  const message = 'files that triggers name could not be committed; it is tried again';
  assert.deepEqual(told, [{ level: 'warn', fields: { error: 'no disk' }, message }]);
  assert.deepEqual(new Set(clock.sleeps), new Set([1_000, 20_000]));
  await dropped.close();
  const looked = asked.length;
  await clock.pass(60_000);
  assert.equal(asked.length, looked);
  const events = await collect(store.read({}));
  const by = { type: 'person.committed', stream: 'workspace', actor: 'person:owner', cause: null, labels: [] };
  assert.deepEqual(
    events.map(({ type, stream, actor, cause, labels, data }) => ({ type, stream, actor, cause, labels, data })),
    [2, 1].map((paths) => ({ ...by, data: { commit: 'c1', author: 'Ada', paths } })),
  );
  assert.deepEqual([clock.sleeping, syncs], [0, [true, true]]);
  await store.close();
});

test('a file that is moved from one place a trigger names to another is nothing new; one that is moved in is', async () => {
  const all = trigger(files('d/**'), { work: { kind: 'task', text: 'all {{path}}' } });
  const paid = { name: 'paid', when: 'path.startsWith("d/paid/")' };
  const some = trigger(files('d/**'), { ...paid, work: { kind: 'task', text: 'paid {{path}}' } });
  await withScene([all, some], async (scene) => {
    const moves = {
      'd/b.md': 'd/a.md',
      'd/in.md': 'elsewhere.md',
      'd/paid/c.md': 'd/c.md',
      'd/paid/e.md': 'd/paid/d.md',
    };
    for (const [path, from] of Object.entries(moves)) scene.from.set(path, from);
    await scene.lands('c1', ['d/b.md']);
    assert.deepEqual(await scene.texts(), []);
    await scene.lands('c2', [...Object.keys(moves), 'd/new.md'], 'pull');
    // Where a condition holds of the new place alone, the file is new to it.
    assert.deepEqual(await scene.texts(), ['all d/in.md, d/new.md', 'paid d/paid/c.md']);
    assert.deepEqual(await scene.of('trigger.skipped'), []);
  });
});

test('a file that gets its name when it is whole is new under that name, even if it was seen before', async () => {
  await withScene([trigger(files('d/**'), { work: { kind: 'task', text: '{{path}}' } })], async (scene) => {
    const moves = {
      'd/a.pdf': 'd/a.pdf.uploading',
      'd/b.pdf': 'd/.b.pdf',
      'd/c.pdf': 'd/.c.pdf.kQ3xZt',
      'd/e.pdf': 'd/part/.~e.pdf',
    };
    for (const [path, from] of Object.entries(moves)) scene.from.set(path, from);
    // Nothing is said by an ending that goes on, nor by words before the name.
    const renamed = { 'd/f.pdf.done': 'd/f.pdf', 'd/g.pdf': 'd/copy of g.pdf', 'd/h.pdf': 'd/2026 h.pdf' };
    for (const [path, from] of Object.entries(renamed)) scene.from.set(path, from);
    await scene.lands('c1', [...Object.keys(moves), ...Object.keys(renamed)]);
    assert.deepEqual(await scene.texts(), [Object.keys(moves).join(', ')]);
  });
});
