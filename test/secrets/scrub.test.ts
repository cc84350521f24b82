import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrubOf } from '../../src/secrets/scrub.ts';
import { spellings } from '../fakes/canary.ts';

const VALUE = 'tok_a+b/c=d&ä-0123456789';
const MARK = 'ruche-secret.x.0123456789abcdef0123456789abcdef';
const scrub = scrubOf([{ value: VALUE, mark: MARK }]);

/** The bytes as they come through in pieces that end at these places. */
function through(bytes: Uint8Array, ...cuts: number[]): Buffer {
  const body = scrub.body();
  const ends = [...cuts, bytes.length];
  const pieces = ends.map((end, index) => body.push(bytes.subarray(ends[index - 1] ?? 0, end)));
  return Buffer.concat([...pieces, body.end()]);
}

test('each spelling of a value is replaced, wherever the pieces end, and every other byte is as it was', () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  assert.deepEqual(through(every, 7, 100), every);
  for (const spelling of spellings(VALUE)) {
    const bytes = Buffer.concat([every, Buffer.from(spelling), every]);
    const clean = Buffer.concat([every, Buffer.from(MARK), every]);
    for (let cut = every.length - 1; cut <= every.length + spelling.length + 1; cut += 1) {
      assert.deepEqual(through(bytes, cut), clean, `${spelling} at ${cut}`);
      assert.deepEqual(through(bytes, cut, Math.min(cut + 1, bytes.length)), clean, `${spelling} at ${cut} and on`);
    }
  }
});

test('a body that ends in the middle of a value is given out to its end', () => {
  const half = Buffer.from(`x ${VALUE.slice(0, 10)}`);
  assert.deepEqual(through(half, 4), half);
});

test('a header is cleaned as a whole', () => {
  assert.equal(scrub.text(`Bearer ${VALUE}; ü`), `Bearer ${MARK}; ü`);
});
