import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BREAKS } from '../../src/simulate/breaks.ts';
import { named, playing, SEED } from './playing.ts';

test('two days around summer time hold, through their kills, outages and leaps of the clock', async (context) => {
  const { violations, counts } = await playing({ seed: 5, days: 2 });
  assert.deepEqual(violations, []);
  assert.ok((counts.tasks['done'] ?? 0) >= 120, JSON.stringify(counts.tasks));
  context.diagnostic(`${counts.events} events, faults: ${JSON.stringify(counts.faults)}`);
});

/** Plays that give each bug its chance: which hour has a kill, or two runs on one file, is up to the seed. */
const PLAYS = [
  { seed: 1, days: 6 / 24 },
  { seed: SEED, days: 3 / 24 },
  { seed: 5, days: 6 / 24 },
];

for (const [broken, { caughtBy, what }] of Object.entries(BREAKS))
  test(`${caughtBy} notices when ${what}`, async (context) => {
    for (const chance of PLAYS) {
      const played = await playing({ ...chance, broken });
      if (played.broken?.struck !== true) continue;
      const noticed = named(played.violations);
      assert.ok(noticed.includes(caughtBy), noticed.join());
      context.diagnostic(`${broken}, seed ${chance.seed}: ${noticed.join()}`);
      return;
    }
    assert.fail(`${broken} never struck`);
  });
