import assert from 'node:assert/strict';
import { test } from 'node:test';
import { done, event, files, trigger, withScene } from './trigger-kit.ts';
import { calm } from './worker-kit.ts';

const SECOND = 1_000;

test('what another process has fired meanwhile counts as fired here: nothing is reported, and it is tried no second time', async () => {
  for (const debounce of [0, 10 * SECOND])
    await withScene([trigger(done, { debounce })], async (scene) => {
      const { commit } = scene.store;
      let tried = 0;
      scene.store.commit = async (batch) => {
        if (batch.events.some(({ type }) => type === 'trigger.fired') && (tried += 1) === 1)
          await commit.call(scene.store, batch);
        return commit.call(scene.store, batch);
      };
      await scene.ends('tsk_1');
      await scene.clock.pass(10 * SECOND);
      await scene.clock.pass(10 * SECOND);
      assert.deepEqual([tried, (await scene.tasks()).length, scene.told.told], [1, 1, []]);
      const [state] = await scene.triggers.list();
      assert.equal(state?.waiting, null);
      await scene.ends('tsk_2');
      await scene.clock.pass(10 * SECOND);
      assert.deepEqual([tried, (await scene.tasks()).length], [2, 2]);
    });
});

test('how main has moved is asked only where somebody listens to files, once for each move, and again after a failure', async () => {
  await withScene([trigger(done)], async (scene) => {
    await scene.lands('c1', ['d/1'], 'hand');
    assert.deepEqual(scene.looked, []);
  });
  await withScene([trigger(files('d/*'), { work: { kind: 'task', text: '{{path}}' } })], async (scene) => {
    const moved = async (): Promise<string[]> => (await scene.of('main.moved')).map(({ data }) => data.to);
    const before = scene.looked.length;
    await scene.lands('c1', ['d/1'], 'hand');
    assert.deepEqual(scene.looked.slice(before), ['c0']);
    await scene.ends('tsk_1');
    assert.deepEqual(scene.looked.slice(before), ['c0'], 'nothing has moved since');

    scene.blind = new Error('Git is busy');
    await scene.lands('c2', ['d/2'], 'hand');
    assert.deepEqual([await scene.texts(), scene.told.told.length], [['d/1'], 1]);
    scene.blind = null;
    await scene.clock.pass(SECOND);
    assert.deepEqual(await scene.texts(), ['d/1', 'd/2']);

    // The word of a commit is there, and has not been read when the move is seen.
    scene.commits.set('c3', ['d/3']);
    scene.moves.push({ from: 'c2', to: 'c3', by: 'person' });
    const data = { commit: 'c3', author: 'Ann', paths: 1 };
    await scene.store.commit({ events: [event({ type: 'person.committed', data }, 'workspace')], sync: true });
    scene.triggers.moved();
    await calm();
    assert.deepEqual(
      [await moved(), await scene.texts()],
      [
        ['c1', 'c2'],
        ['d/1', 'd/2', 'd/3'],
      ],
    );

    // What is known of main outlives the process, whether or not that could say how far it had seen.
    scene.kill();
    await scene.start();
    await scene.close();
    await scene.start();
    await scene.lands('c4', ['d/4'], 'hand');
    assert.deepEqual(
      [await moved(), await scene.texts()],
      [
        ['c1', 'c2', 'c4'],
        ['d/1', 'd/2', 'd/3', 'd/4'],
      ],
    );
  });
});

test('what is left of a trigger whose rule was erased stops nothing, and without triggers nothing is kept of how far was seen', async () => {
  await withScene([trigger(done), trigger(done, { name: 'b' })], async (scene) => {
    const sets = scene.batches.filter(({ events }) => events.some(({ type }) => type === 'trigger.set'));
    assert.deepEqual(
      sets.map(({ sync }) => sync),
      [true],
    );
    await scene.triggers.pause('a/b', 'person:owner');
    scene.kill();
    await scene.store.erase('trigger:a/b');
    await scene.edit([trigger(done)]);
    await scene.start();
    await scene.ends('tsk_1');
    assert.deepEqual([scene.told.told, (await scene.tasks()).length], [[], 1]);
    await scene.edit([]);
    await scene.ends('tsk_2');
    await scene.close();
    assert.deepEqual(await scene.of('triggers.seen'), []);
    await scene.start();
  });
});
