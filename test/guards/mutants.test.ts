import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutantsOf } from '../../scripts/testing/mutants.ts';

/** What one line of code becomes, change by change. */
const changed = (code: string): string[] =>
  mutantsOf(code).map(({ start, end, replacement }) => code.slice(0, start) + replacement + code.slice(end));

test('a mutant is one change that parses, at a place people can find', () => {
  const rows: [code: string, mutants: string[]][] = [
    ['f(a < 1);', ['f(false);', 'f(true);', 'f(a <= 1);', 'f(a >= 1);']],
    ['f(a ?? b);', ['f(((a) && (b)));']],
    ['f(a && b);', ['f(((a) || (b)));', 'f(false);', 'f(true);']],
    ['while (a) g();', ['while (false) g();', 'while (a) ;']],
    ['f(!a, -b, true);', ['f(a, -b, true);', 'f(!a, +b, true);', 'f(!a, -b, false);']],
    ["f('x', '', `t`);", ["f('', '', `t`);", "f('x', 'mutant', `t`);", "f('x', '', ``);"]],
    ['f([1], [], {});', ['f([], [], {});', "f([1], ['mutant'], {});"]],
    ['n += a.b?.c;', ['n -= a.b?.c;', 'n += a.b.c;']],
    ['f(a.some(g), b.trim());', ['f(a.every(g), b.trim());', 'f(a.some(g), b);']],
    [
      'if (a) { g(); h(); }',
      ['if (false) { g(); h(); }', 'if (true) { g(); h(); }', 'if (a) {}', 'if (a) { ; h(); }', 'if (a) { g(); ; }'],
    ],
    [
      'f(/^a+[b]\\d$/i);',
      [
        'f(/a+[b]\\d$/i);',
        'f(/^a[b]\\d$/i);',
        'f(/^a+[^b]\\d$/i);',
        'f(/^a+[b]\\D$/i);',
        'f(/^a+[b]\\d/i);',
        'f(/^a+[b]\\d$/);',
      ],
    ],
    ['f(/\\p{L}+/u);', ['f(/\\P{L}+/u);', 'f(/\\p{L}/u);']],
    // Types, imports, keys and quiet spots of the grammar have none.
    ["import x from 'x'; type T = 'a' | 'b'; interface I { a: 'b' } let y: 'a' = f<'b'>(x as 'c', { 'k': y });", []],
  ];
  for (const [code, mutants] of rows) {
    const found = changed(code).filter((each) => each !== ';');
    for (const mutant of mutants)
      assert.ok(found.includes(mutant), `${code} should become ${mutant}: ${found.join('  ')}`);
    if (mutants.length === 0)
      assert.deepEqual(found, [
        "import x from 'x'; type T = 'a' | 'b'; interface I { a: 'b' } let y: 'a' = f<'b'>(x as 'c', {});",
      ]);
  }
  const [first] = mutantsOf('\n\n  f(true);');
  assert.deepEqual([first?.line, first?.column], [3, 3]);
  assert.throws(() => mutantsOf('if ('), /does not parse/);
});
