import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nowWrong } from '../../src/app/problems.ts';
import { governing, schedule, START, withScene } from '../scheduler/clock-kit.ts';
import { makeWorkspace } from '../workspace/govern-kit.ts';

test('what is wrong now names the schedules that a clock which was ahead has silenced, and how to have them back', async () => {
  const kit = await makeWorkspace({ 'ruche.yaml': '' });
  try {
    const all = [schedule({ every: 5_000 }), schedule({ cron: '0 0 1 1 *' }, { name: 'yearly' })];
    await withScene(all, async (scene) => {
      const { workspace, reader } = kit;
      const secrets = { peek: () => Promise.reject(new Error('there are none')) };
      const wrong = () =>
        nowWrong(
          { reader, workspace, secrets, clock: scene.clock },
          governing({ a: all }),
          { schedules: scene.schedules },
          new Map(),
        );
      assert.deepEqual(await wrong(), []);
      await scene.clock.pass(10 * 86_400_000);
      scene.clock.time = START;
      const [problem, ...others] = await wrong();
      assert.deepEqual(
        [problem?.file, problem?.key, problem?.severity],
        ['agents/a/AGENT.md', 'schedules.s', 'warning'],
      );
      assert.match(
        problem?.message ?? '',
        /^does not fire before 2026-03-11T12:00.*ruche schedules pause a\/s, then ruche schedules resume a\/s$/,
      );
      assert.deepEqual(others, []);
    });
  } finally {
    await kit.remove();
  }
});
