import assert from 'node:assert/strict';
import { test } from 'node:test';
import { named, playing } from './playing.ts';

test('two days around summer time hold, through their kills, outages and leaps of the clock', async (context) => {
  const { violations, counts } = await playing({ seed: 5, days: 2 });
  assert.deepEqual(violations, []);
  assert.ok((counts.tasks['done'] ?? 0) >= 120, JSON.stringify(counts.tasks));
  context.diagnostic(`${counts.events} events, faults: ${JSON.stringify(counts.faults)}`);
});

test('a bug that is planted in a port strikes, and is noticed', async () => {
  const early = await playing({ days: 1 / 24, broken: 'early-firing' });
  assert.equal(early.broken?.struck, true);
  assert.ok(named(early.violations).includes('firing-early'), named(early.violations).join());
});
