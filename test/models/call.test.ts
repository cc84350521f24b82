import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ModelErrorKind } from '../../src/core/model.ts';
import { nextTry } from '../../src/models/choice/retry.ts';

const error = (kind: ModelErrorKind, retryable = true, retryAfter: number | null = null) => ({
  kind,
  retryable,
  retryAfter,
});
const one = [{ window: 1 }];
const two = [{ window: 1 }, { window: 1 }];
const half = (): number => 0.5;

test('what another try cannot mend is given up at once', () => {
  assert.equal(nextTry(error('aborted', true), 1, two, 0, half), null);
  for (const kind of ['context', 'refused'] as const) assert.equal(nextTry(error(kind, true), 1, one, 0, half), null);
});

test('what is too long goes to a larger window alone, what is refused to any other model', () => {
  assert.equal(nextTry(error('context', false), 1, two, 0, half), null);
  const larger = [...two, { window: 2 }];
  assert.deepEqual(nextTry(error('context', false), 1, larger, 0, half), { wait: 0, index: 2 });
  assert.deepEqual(nextTry(error('refused', false), 1, two, 0, half), { wait: 0, index: 1 });
});

test('what lasts goes to the next choice at once, and ends with the last', () => {
  for (const kind of ['auth', 'invalid', 'rate', 'unavailable'] as const) {
    assert.deepEqual(nextTry(error(kind, false), 1, two, 0, half), { wait: 0, index: 1 });
    assert.equal(nextTry(error(kind, false), 1, two, 1, half), null);
  }
});

test('what may pass is tried again, longer apart each time, then by the next choice', () => {
  assert.deepEqual(nextTry(error('overloaded'), 1, two, 0, half), { wait: 750, index: 0 });
  assert.deepEqual(nextTry(error('overloaded'), 2, two, 0, half), { wait: 0, index: 1 });
  const waits = [1, 2, 3, 4].map((tries) => nextTry(error('network'), tries, one, 0, half)?.wait);
  assert.deepEqual(waits, [750, 1_500, 3_000, 6_000]);
  assert.equal(nextTry(error('network'), 5, one, 0, half), null);
  assert.equal(nextTry(error('timeout'), 2, one, 0, half), null, 'a stall has cost minutes already');
});

test('what is too long goes to a window that is only assumed, too, and from one', () => {
  const guessed = [{ window: 1, assumed: true }, { window: 1 }];
  assert.deepEqual(nextTry(error('context', false), 1, guessed, 0, half), { wait: 0, index: 1 });
  assert.deepEqual(nextTry(error('context', false), 1, guessed.toReversed(), 0, half), { wait: 0, index: 1 });
});

test('what fails the same way each time is given up earlier, and what was silent is not asked again beside another', () => {
  const unusable = { ...error('invalid'), asks: { most: 3, later: false } };
  assert.ok(nextTry(unusable, 2, one, 0, half));
  assert.equal(nextTry(unusable, 3, one, 0, half), null);
  assert.deepEqual(nextTry(error('timeout'), 1, two, 0, half), { wait: 0, index: 1 });
});

test('the wait a provider asks for is kept; beyond a bound the run makes way', () => {
  assert.deepEqual(nextTry(error('rate', true, 20_000), 1, two, 0, half), { wait: 20_750, index: 0 });
  assert.deepEqual(nextTry(error('rate', true, 61_000), 1, two, 0, half), { wait: 0, index: 1 });
  assert.deepEqual(nextTry(error('rate', true, 61_000), 1, one, 0, half), { wait: 61_750, index: 0 });
  assert.deepEqual(nextTry(error('rate', true, 300_000), 1, one, 0, half), { wait: 300_750, index: 0 });
  // Longer than a run may sit there: its task waits in the queue for as long as was asked.
  assert.equal(nextTry(error('rate', true, 3_600_000), 1, one, 0, half), null);
});

test('whatever happens, it ends: every choice is tried, none too often, no wait is unbounded', () => {
  const kinds = fc.constantFrom<ModelErrorKind>(
    'rate',
    'overloaded',
    'auth',
    'network',
    'timeout',
    'invalid',
    'unavailable',
  );
  const failure = fc.record({ kind: kinds, retryable: fc.boolean(), retryAfter: fc.option(fc.nat(10_000_000)) });
  let ended = 0;
  fc.assert(
    fc.property(
      fc.array(failure, { minLength: 40, maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      (failures, count) => {
        const choices = Array.from({ length: count }, (_, n) => ({ window: n }));
        let index = 0;
        let tries = 1;
        for (const each of failures) {
          const next = nextTry(each, tries, choices, index, Math.random);
          if (next === null) {
            assert.equal(index, count - 1, 'only after the last choice');
            ended += 1;
            return;
          }
          assert.ok(next.wait >= 0 && next.wait <= 300_000);
          assert.ok(next.index === index || next.index === index + 1);
          tries = next.index === index ? tries + 1 : 1;
          index = next.index;
        }
        assert.fail('it went on without end');
      },
    ),
    { numRuns: 500 },
  );
  assert.equal(ended, 500);
});
