import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { effort } from '../fakes/effort.ts';
import { Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const KILLS = effort(4, 10);

test('a schedule for the next seconds fires once although the process is killed again and again around it', async () => {
  const home = await Home.up({ files: { 'ruche.yaml': '', 'log.md': 'begin;', 'README.md': 'x\n' } });
  try {
    const due = Math.ceil(Date.now() / 1000) * 1000 + 7_000;
    const at = new Date(due).toISOString().replace('.000Z', 'Z');
    home.write(
      'agents/assistant/AGENT.md',
      `---\ndescription: helps\nschedules:\n  - { name: once, at: "${at}", task: "append log.md: fired;" }\n---\nYou help.\n`,
    );
    const set = async (): Promise<number> => (await home.recorded('schedule.set')).length;
    await until(async () => (await set()) === 1, 'the schedule is on record');
    let kills = 0;
    for (; kills < KILLS; kills++) {
      // Half of them before it is due, the others while it fires and runs.
      const left = due - Date.now();
      if (kills < KILLS / 2 && left > 2_000) await delay(Math.min(200, left / 10));
      else if (kills === KILLS / 2 && left > 400) await delay(left - 300 + kills * 20);
      else await delay(kills * 37);
      await home.end('SIGKILL');
      await home.start();
    }
    assert.equal(kills, KILLS);
    const done = async (): Promise<boolean> =>
      (await home.recorded('task.finished')).some(({ status }) => status === 'done');
    await until(done, 'the task of the schedule ends');
    const fired = await home.events('schedule.fired');
    assert.deepEqual(
      fired.map(({ data }) => [data['schedule'], data['at'], data['missed']]),
      [['assistant/once', due, 0]],
    );
    assert.ok((fired[0]?.at ?? 0) >= due, 'never early');
    assert.equal((await home.events('task.queued')).length, 1);
    assert.equal(home.read('log.md'), 'begin;fired;');
    assert.deepEqual((await home.verify()).findings, []);
  } finally {
    await home.close();
  }
});
