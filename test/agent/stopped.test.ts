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

/** A clock whose ticks of a run come when the test says so, so that a tick may be slept through. */
function tickingClock(tickMs: number) {
  let ahead = 0;
  let next: (() => void)[] = [];
  let coming = Promise.withResolvers<void>();
  const clock: Clock = {
    now: () => Date.now() + ahead,
    sleep(ms, signal) {
      // Nothing else in the network sleeps as long.
      if (ms !== tickMs) return systemClock.sleep(ms, signal);
      return new Promise((resolve, reject) => {
        next.push(resolve);
        coming.resolve();
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    },
  };
  return {
    clock,
    pass: (ms: number) => void (ahead += ms),
    /** The machine wakes after `ms`, in which it did or did not work. */
    async tick(ms: number) {
      await coming.promise;
      coming = Promise.withResolvers<void>();
      ahead += ms;
      const woken = next;
      next = [];
      for (const wake of woken) wake();
    },
  };
}

const HOUR = 3_600_000;

test('hours in which the machine slept do not end a run, nor does what it waits for a person; work does', async () => {
  const tickMs = 10_007;
  const { clock, pass, tick } = tickingClock(tickMs);
  const script = [
    async () => {
      await tick(tickMs);
      // The lid is closed in the middle of an answer.
      await tick(9 * HOUR);
      return calls(['ask', { question: 'go on?' }]);
    },
    () => {
      // Somebody sets the clock.
      pass(1e12);
      return calls(['ask', { question: 'and now?' }]);
    },
    says('done'),
  ];
  await withLoop(script, { clock, limits: { runMs: 60 * tickMs } }, async (loop) => {
    await loop.send('go');
    pass(HOUR);
    await loop.restart();
    await loop.send('yes');
    assert.equal((await loop.send('yes!')).text, 'done');
    const spent = (await loop.events()).flatMap(({ type, data }) => (type === 'model.answered' ? [data.ms] : []));
    assert.ok((spent[0] ?? 0) > 1.9 * tickMs && (spent[0] ?? 0) < 3 * tickMs, String(spent));
    assert.ok((spent[1] ?? 0) <= tickMs, String(spent));
  });
});

test('a run that worked for as long as it may ends, however it was interrupted', async () => {
  const tickMs = 10_009;
  const { clock, pass, tick } = tickingClock(tickMs);
  const work = async (ticks: number): Promise<void> => {
    for (let n = 0; n < ticks; n++) await tick(tickMs);
  };
  const script = [
    async () => {
      await work(40);
      return calls(['ask', { question: 'go on?' }]);
    },
    async (_: unknown, signal: AbortSignal) => {
      const ended = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await Promise.race([ended, work(60)]);
      assert.ok(signal.aborted, 'twenty ticks were left, and the rest of one');
      return says('never');
    },
  ];
  await withLoop(script, { clock, limits: { runMs: 60 * tickMs } }, async (loop) => {
    await loop.send('go');
    pass(20 * HOUR);
    await loop.restart();
    const { status, text } = await loop.send('yes');
    assert.equal(status, 'failed');
    assert.match(text, /took longer than 10 minutes/);
  });
});
