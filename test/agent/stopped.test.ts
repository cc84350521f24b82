import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shorten } from '../../src/agent/calls/results.ts';
import { loadJson } from '../../src/agent/run/log.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { systemClock } from '../../src/platform/system.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

test('what a model had said when its run was ended is on record', () =>
  withLoop(
    [[{ type: 'text', delta: 'half a tho' }, new Promise(() => {}), ...says('never')]],
    { limits: { runMs: 50 } },
    async (loop) => {
      const outcome = await loop.send('go');
      assert.match(outcome.text, /took longer/);
      const failed = (await loop.events()).find((event) => event.type === 'model.failed');
      assert.ok(failed?.type === 'model.failed' && failed.data.partial);
      assert.equal(failed.data.error, 'aborted');
      assert.match(JSON.stringify(await loadJson(loop.store, failed.data.partial)), /half a tho/);
    },
  ));

test('a cut leaves no half of a character', () => {
  for (let limit = 20; limit < 24; limit++) {
    const { text, full } = shorten('🐝'.repeat(100), limit, { call: 's1c1', reader: 'read' });
    assert.ok(text.isWellFormed() && full !== null);
  }
});

test('a secret in the instructions of an agent does not reach the model', () =>
  withLoop(
    [says('ok')],
    {
      agent: { instructions: 'The key is CANARY-123.' },
      redact: (text) => text.replaceAll('CANARY-123', '[redacted]'),
    },
    async (loop, _log, model) => {
      await loop.send('go');
      assert.match(model.requests[0]?.system ?? '', /The key is \[redacted\]\./);
    },
  ));

test('the time of a run goes on where it was; what it waits for a person does not count', async () => {
  let ahead = 0;
  const given: number[] = [];
  const clock: Clock = {
    now: () => Date.now() + ahead,
    sleep: (ms, signal) => {
      // Nothing else in the network sleeps about as long.
      if (ms > 480_000 && ms <= 590_000) given.push(ms);
      return systemClock.sleep(ms, signal);
    },
  };
  const script = [
    () => {
      ahead += 50_000;
      return calls(['ask', { question: 'go on?' }]);
    },
    () => {
      // Somebody sets the clock.
      ahead += 1e12;
      return calls(['ask', { question: 'and now?' }]);
    },
    says('done'),
  ];
  await withLoop(script, { clock, limits: { runMs: 590_000 } }, async (loop) => {
    await loop.send('go');
    ahead += 3_600_000;
    await loop.send('yes');
    assert.equal((await loop.send('yes!')).text, 'done');
    const [first, second = 0, third = 0] = given;
    assert.deepEqual([given.length, first], [3, 590_000]);
    for (const left of [second, third]) assert.ok(left <= 540_000 && left > 490_000, `${left}`);
  });
});
