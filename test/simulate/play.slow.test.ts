import assert from 'node:assert/strict';
import { test } from 'node:test';
import { named, playing } from './playing.ts';

test('a whole week holds, through its kills, outages, leaps of the clock and summer time', async (context) => {
  const { violations, counts } = await playing({ seed: 1, days: 7 });
  assert.deepEqual(violations, []);
  assert.ok((counts.tasks['done'] ?? 0) >= 400, JSON.stringify(counts.tasks));
  context.diagnostic(`${counts.events} events, faults: ${JSON.stringify(counts.faults)}`);
});

test('a bug that is planted in a port strikes, and is noticed', async () => {
  const early = await playing({ days: 1 / 24, broken: 'early-firing' });
  assert.equal(early.broken?.struck, true);
  assert.ok(named(early.violations).includes('firing-early'), named(early.violations).join());
});
