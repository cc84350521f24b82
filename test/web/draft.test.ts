import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Delta } from '../../src/core/api/runtime.ts';
import { type Draft, EMPTY, fold } from '../../web/stores/draft.ts';

const at = { task: 't', run: 'r' };
const text = (offset: number, piece: string, step = 1): Delta => ({ ...at, kind: 'text', step, offset, text: piece });
const all = (...deltas: Delta[]): Draft => deltas.reduce(fold, EMPTY);
const said = (draft: Draft): string[] => draft.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : []));

test('however a text is cut, and whatever comes twice, it reads the same', () => {
  let count = 0;
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1, maxLength: 5 }), { maxLength: 8 }), fc.nat(8), (list, again) => {
      let offset = 0;
      const deltas = list.map((piece) => {
        offset += piece.length;
        return text(offset - piece.length, piece);
      });
      // A reconnect tells everything once more.
      const draft = all(...deltas.slice(0, again), ...deltas);
      assert.equal(said(draft).join(''), list.join(''));
      count += 1;
    }),
  );
  assert.ok(count >= 100);
});

test('a late listener shows what it has, and that the beginning is missing', () => {
  const draft = all(text(10, 'later '), text(16, 'on'));
  assert.deepEqual(draft.parts, [{ kind: 'text', step: 1, from: 10, text: 'later on' }]);
  assert.deepEqual(all(text(0, 'a'), text(5, 'f')).parts, [{ kind: 'text', step: 1, from: 5, text: 'f' }]);
});

test('a step that is tried again takes its text back; tools and earlier steps stay', () => {
  const tool: Delta = { ...at, kind: 'tool.started', call: 'c1', tool: 'shell', args: '{}' };
  const draft = all(
    text(0, 'one'),
    tool,
    { ...at, kind: 'tool.output', call: 'c1', text: 'out' },
    { ...at, kind: 'tool.returned', call: 'c1', tool: 'shell', ok: true, text: 'whole' },
    text(0, 'tw', 2),
    { ...at, kind: 'discard' },
    { ...at, kind: 'retrying', text: 'The model is overloaded; asked again in 2 s.' },
    tool,
  );
  assert.deepEqual(said(draft), ['one']);
  assert.equal(draft.notice, 'The model is overloaded; asked again in 2 s.');
  assert.deepEqual(draft.parts.at(-1), {
    kind: 'tool',
    call: 'c1',
    tool: 'shell',
    args: '{}',
    output: 'whole',
    ok: true,
  });
  assert.equal(fold(draft, text(0, 'two', 2)).notice, '');
});
