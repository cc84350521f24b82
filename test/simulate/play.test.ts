import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BREAKS } from '../../src/simulate/breaks.ts';
import { play, type PlayResult } from '../../src/simulate/play.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

const playing = (seed: number, hours: number, broken: string | null = null): Promise<PlayResult> =>
  play({
    seed,
    days: hours / 24,
    keep: null,
    broken,
    path: process.env.PATH ?? '',
    life: [process.execPath, MAIN, 'simulate', '--life'],
  });

test('a short play is clean, and two planted bugs are noticed by what is there for them', async () => {
  const [clean, ...broken] = await Promise.all([
    playing(5, 4),
    playing(5, 2, 'double-firing'),
    playing(5, 2, 'lost-message'),
  ]);
  assert.deepEqual(clean?.violations, []);
  assert.ok(clean.counts.firings >= 2, `${clean.counts.firings} firings`);
  assert.ok((clean.counts.tasks['done'] ?? 0) >= 10, JSON.stringify(clean.counts.tasks));
  assert.ok(clean.counts.landings >= 3, `${clean.counts.landings} landings`);
  for (const each of broken) {
    assert.equal(each.broken?.struck, true);
    const named = new Set(each.violations.map(({ invariant }) => invariant as string));
    assert.ok(named.has(each.broken?.caughtBy ?? ''), `${each.broken?.caughtBy} is not among ${[...named].join(', ')}`);
  }
});

test('there are eight bugs to plant, and no bug of another name', async () => {
  assert.equal(Object.keys(BREAKS).length, 8);
  await assert.rejects(playing(1, 2, 'no-such-bug'), /There is no bug "no-such-bug" to plant\. There are: lost-result/);
});
