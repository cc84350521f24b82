import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../src/core/text/json.ts';

/** The same in the words of the standard, several times slower. */
const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });

test('canonical JSON has its keys in order at every depth, and says what JSON says', () => {
  const value = fc.anything({
    withDate: true,
    withSparseArray: true,
    values: [fc.string({ unit: 'binary' }), fc.double(), fc.boolean(), fc.constantFrom(null, undefined)],
    key: fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('__proto__', 'constructor', '10', '9')),
  });
  let nested = 0;
  fc.assert(
    fc.property(value, (given) => {
      const made = canonicalJson(given);
      assert.equal(made, plain(given));
      if (made?.includes('{"') && made.includes('[')) nested++;
    }),
    { numRuns: 300 },
  );
  assert.ok(nested > 20, String(nested));
  assert.equal(
    canonicalJson({ b: [{ d: 1, c: undefined }], a: new Date(0) }),
    '{"a":"1970-01-01T00:00:00.000Z","b":[{"d":1}]}',
  );
});
