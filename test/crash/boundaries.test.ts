import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BOUNDARIES } from '../../src/core/ports/boundary.ts';
import { Crashes } from './driver.ts';
import { checkAll } from './invariants.ts';
import { interrupted, killPlan } from './plan.ts';

let crashes: Crashes;
before(async () => {
  crashes = await Crashes.open();
});
after(() => crashes.close());

test('SIGKILL at durable boundaries: nothing is lost, nothing doubled', async (context) => {
  assert.ok(await crashes.start(), crashes.log);
  crashes.say({ filing: true });
  await crashes.finish();
  const counts = await crashes.counts();
  const missing = BOUNDARIES.filter((name) => !counts[name]);
  assert.deepEqual(missing, [], 'every boundary is reached by a quiet evening');
  const plan = killPlan(counts);
  const unreached: string[] = [];
  for (const order of plan) {
    const name = `${order.name}:${order.index}`;
    await context.test(`killed at ${name}`, async () => {
      if (!(await interrupted(crashes, order))) unreached.push(name);
    });
  }
  const firsts = unreached.filter((name) => name.endsWith(':1'));
  assert.deepEqual(firsts, [], 'every boundary of the plan was killed at');
  await crashes.rest();
  assert.equal(await crashes.stop(), 0);
  const checked = await checkAll(crashes);
  assert.ok(checked.messages >= plan.length * 7);
  context.diagnostic(`${plan.length} places, ${crashes.kills} kills, ${checked.said}`);
});
