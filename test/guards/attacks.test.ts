import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

/** Attacks that every release withstands, each with a test by its id. */
const REQUIRED =
  'A02 A03 A06 A09 A10 A19 A20 A21 A22 A23 A24 A25 A26 A27 A28 A29 A30 A31 A32 A36 A37 A39 A40 A41 A42 A43 A64'.split(
    ' ',
  );
/** Those that a person, a model or a stranger can try on the running process, and that are tried there too. */
const END_TO_END = REQUIRED.filter((id) => id !== 'A23');

const root = join(import.meta.dirname, '..');

/** Ids at the beginning of test names: `test('A39 A40 the model’s own …'`. */
function idsIn(source: string): string[] {
  const names = source.matchAll(/^(?!\s*(?:\/\/|\/?\*))[^\n]*?(?<![\w.'"`])test\(\s*['"`]((?:A\d\d )+)/gm);
  return [...names].flatMap(([, ids = '']) => ids.trim().split(' '));
}

function tested(folder: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const file of globSync('**/*.ts', { cwd: join(root, folder) })) {
    if (join(folder, file) === 'guards/attacks.test.ts') continue;
    for (const id of idsIn(readFileSync(join(root, folder, file), 'utf8'))) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

test('every required attack has a test by its id', (context) => {
  const counts = tested('.');
  assert.deepEqual(
    REQUIRED.filter((id) => !counts.has(id)),
    [],
  );
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  context.diagnostic(`${REQUIRED.length} attacks required, ${counts.size} tried, in ${all} tests`);
});

test('and one through the public door of the running process', () => {
  const counts = tested('e2e');
  assert.deepEqual(
    END_TO_END.filter((id) => !counts.has(id)),
    [],
  );
});

test('what is skipped, commented or only spoken of is not taken for a test', () => {
  assert.deepEqual(idsIn("test('A19 A20 x', () => {});\n  test(`A21 ${name}`, f);"), ['A19', 'A20', 'A21']);
  for (const none of [
    "// test('A19 x', f)",
    " * test('A19 x', f)",
    "test('like A19', f)",
    "test.skip('A19 x', f)",
    "describe('A19 x', f)",
  ])
    assert.deepEqual(idsIn(none), [], none);
});
