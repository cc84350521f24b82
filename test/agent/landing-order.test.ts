import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LandingOrder } from '../../src/agent/run/landing-order.ts';
import type { Clock } from '../../src/core/ports/clock.ts';

/** Time that goes by only when told. */
function handClock(): Clock & { pass(): void } {
  let due: (() => void)[] = [];
  return {
    now: () => 0,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        due.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      }),
    pass() {
      for (const each of due) each();
      due = [];
    },
  };
}

const never = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('who has conflicted lands next: others wait at its paths, in order, and nowhere else', async () => {
  const order = new LandingOrder(handClock());
  const heard: string[] = [];
  const hear = (name: string, waiting: Promise<boolean>): unknown =>
    waiting.then((waited) => heard.push(`${name} ${waited}`));
  assert.equal(await order.take('a', ['x'], never), false);
  hear('b', order.take('b', ['x', 'y'], never));
  hear('c', order.take('c', ['y'], never));
  hear('d', order.pass('d', ['x'], never));
  assert.equal(await order.pass('e', ['z'], never), false);
  assert.equal(await order.pass('a', ['x', 'y'], never), false, 'it waits for no later one');
  await turn();
  assert.equal(heard.length, 0);
  order.leave('a');
  await turn();
  assert.deepEqual(heard, ['b true']);
  order.leave('b');
  await turn();
  assert.deepEqual(new Set(heard), new Set(['b true', 'c true', 'd true']));
});

test('who takes too long has had its turn, and who is cancelled waits no longer', async () => {
  const clock = handClock();
  const order = new LandingOrder(clock);
  const stop = new AbortController();
  await order.take('a', ['x'], never);
  const second = order.take('b', ['x'], never);
  const third = order.pass('c', ['x'], stop.signal);
  stop.abort(new Error('cancelled'));
  await assert.rejects(third, /cancelled/);
  clock.pass();
  assert.equal(await second, true);
});

test('whatever each one wants, everybody has a turn, and no two at one path', async () => {
  const wants = fc.array(fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { minLength: 1 }), { maxLength: 8 });
  let turns = 0;
  await fc.assert(
    fc.asyncProperty(wants, wants, async (firsts, seconds) => {
      const order = new LandingOrder(handClock());
      const held = new Set<string>();
      let left = firsts.length;
      const work = async (paths: readonly string[], n: number): Promise<void> => {
        const run = `run_${n}`;
        await order.take(run, paths, never);
        for (const path of paths) assert.ok(!held.has(path), path);
        for (const path of paths) held.add(path);
        await turn();
        for (const path of paths) held.delete(path);
        // It conflicts elsewhere too, while it has its turn.
        await order.take(run, seconds[n] ?? [], never);
        order.leave(run);
        left -= 1;
        turns += 1;
      };
      await Promise.all(firsts.map(work));
      assert.equal(left, 0);
    }),
    { numRuns: 200, seed: 20_261_122 },
  );
  assert.ok(turns > 400, String(turns));
});
