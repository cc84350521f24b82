import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { effort } from '../fakes/effort.ts';
import { Crashes } from './driver.ts';
import { checkAll } from './invariants.ts';
import { randomFrom } from '../fakes/random.ts';
import { randomKill } from './plan.ts';

const SEED = Number(process.env.CRASH_SEED ?? 1);
const KILLS = Number(process.env.CRASH_KILLS ?? effort(3, 20));

let crashes: Crashes;
before(async () => {
  crashes = await Crashes.open();
});
after(() => crashes.close());

test('SIGKILL at random moments: nothing is lost, nothing doubled', async (context) => {
  const random = randomFrom(SEED);
  assert.ok(await crashes.start(), crashes.log);
  for (let n = 0; n < KILLS; n++) await randomKill(crashes, random);
  await crashes.rest();
  assert.equal(await crashes.stop(), 0);
  const checked = await checkAll(crashes);
  assert.equal(crashes.kills, KILLS);
  assert.ok(checked.messages >= KILLS * 7);
  context.diagnostic(`seed ${SEED}, ${crashes.kills} kills, ${checked.said}`);
});
