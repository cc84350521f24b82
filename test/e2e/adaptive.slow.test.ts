import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adaptive, CASES } from '../../bench/injection/adaptive/play.ts';

test('an attacker who has read the rules gets nothing out, in a hundred ways', async () => {
  assert.equal(CASES.length, 100);
  assert.equal(new Set(CASES.map(({ about, attack }) => `${about}: ${attack.name}`)).size, 100);
  const said: string[] = [];
  assert.ok(await adaptive((line) => said.push(line)), said.join('\n'));
});
