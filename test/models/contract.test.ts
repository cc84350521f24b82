import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tally } from '../contracts/model.ts';
import { SITUATIONS } from '../contracts/model-situations.ts';
import { wireContract } from '../contracts/model-wires.ts';
import { WIRES } from '../fakes/wires/all.ts';

// Every provider in every situation, over the real wire.

const tallies = WIRES.map((wire) => ({ name: wire.name, tallies: wireContract(wire) }));

test('model contract: every situation was tried on every wire, and most of them twice', () => {
  const seen = (tally: Tally): [ran: number, skipped: number] => [tally.ran, tally.skipped.size];
  for (const { name, tallies: both } of tallies) {
    const [ran, skipped] = seen(both.raw);
    assert.ok(ran >= SITUATIONS.length && skipped <= 2, `${name}, raw: ${ran} ran, ${skipped} skipped`);
    const [mocked, left] = seen(both.aimock);
    assert.ok(mocked >= 15 && left <= 6, `${name}, aimock: ${mocked} ran, ${left} skipped`);
    for (const reason of [...both.raw.skipped.values(), ...both.aimock.skipped.values()]) assert.ok(reason.length > 15);
    for (const situation of SITUATIONS)
      assert.ok(!both.raw.skipped.has(situation) || !['malformed', 'cut', 'call'].includes(situation));
  }
});
