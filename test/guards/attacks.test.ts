import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

/** The catalogue of attacks: A01 to A65. */
const CASES = Array.from({ length: 65 }, (_, at) => `A${String(at + 1).padStart(2, '0')}`);
/** A rule that is shown to be no boundary is a matter of the policy alone; all others are tried on the running process. */
const NOT_END_TO_END = ['A23'];

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

/** What SECURITY.md says cannot be tried yet: rows of `| A07 A38 | the surface they wait for |`. */
function waiting(text: string): string[] {
  return [...text.matchAll(/^\| ((?:A\d\d,? ?)+) *\| *\S[^|]* \|$/gm)].flatMap(
    ([, ids = '']) => ids.match(/A\d\d/g) ?? [],
  );
}
const SECURITY = readFileSync(join(root, '..', 'SECURITY.md'), 'utf8');

test('every attack has a test by its id, or waits for a surface that SECURITY.md names', (context) => {
  const counts = tested('.');
  const listed = waiting(SECURITY);
  assert.deepEqual(
    CASES.filter((id) => !counts.has(id) && !listed.includes(id)),
    [],
    'neither tested nor listed',
  );
  assert.deepEqual(
    listed.filter((id) => tested('e2e').has(id) || !CASES.includes(id)),
    [],
    'listed as waiting, and tested or unknown',
  );
  assert.equal(new Set(listed).size, listed.length, 'listed once');
  assert.deepEqual(
    [...counts.keys()].filter((id) => !CASES.includes(id)),
    [],
    'tests of no known attack',
  );
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  context.diagnostic(`${CASES.length - listed.length} of ${CASES.length} attacks tried, in ${all} tests`);
});

test('and one through the public door of the running process', () => {
  const counts = tested('e2e');
  const listed = [...waiting(SECURITY), ...NOT_END_TO_END];
  assert.deepEqual(
    CASES.filter((id) => !counts.has(id) && !listed.includes(id)),
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

test('a row of the list is read, and other tables are not', () => {
  assert.deepEqual(waiting('| A07, A38 | the browser |\n| A49      | mail |\n| x A01 | y |\n| A02 |  |'), [
    'A07',
    'A38',
    'A49',
  ]);
});
