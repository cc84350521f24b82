import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { effort, tries } from '../fakes/effort.ts';

const SCRIPT = join(import.meta.dirname, '../../skills/csv-report/scripts/report.sh');
const dir = mkdtempSync(join(tmpdir(), 'ruche-csv-'));
after(() => rmSync(dir, { recursive: true }));

function report(text: string, ...args: string[]): string {
  writeFileSync(join(dir, 'a.csv'), text);
  return execFileSync('sh', [SCRIPT, 'a.csv', ...args], { cwd: dir, encoding: 'utf8' });
}

test('columns: sums in both spellings of numbers, empty fields, words', () => {
  const out = report(
    '\ufeffname;hours;amount\r\n"Müller; Söhne";2,5;"1.250,00"\r\nZed;;-50,25\r\n"a ""b"" |c";x;10 €\r\n',
  );
  assert.match(out, /^3 rows, 3 columns$/m);
  assert.match(out, /^\| name \| 3 \| 0 \| 3 \| \| \| \| \|$/m);
  assert.match(out, /^\| hours \| 2 \| 1 \| 1 \| 2\.50 \| 2\.50 \| 2\.50 \| 2\.50 \|$/m);
  assert.match(out, /^\| amount \| 3 \| 0 \| 0 \| 1209\.75 \| -50\.25 \| 1250\.00 \| 403\.25 \|$/m);
});

test('groups: largest first, total last; quotes over lines, columns by number', () => {
  const text = 'who,what,n\na,"x\ny","1,000.5"\nb,z,3\na,z,2\n';
  assert.equal(
    report(text, '--by', 'who', '--sum', 'n'),
    '| who | rows | n |\n| --- | ---: | ---: |\n| a | 2 | 1002.5 |\n| b | 1 | 3.0 |\n| **total** | 3 | 1005.5 |\n',
  );
  assert.match(report(text, '--by', '1', '--by', 'what'), /^\| a \| x y \| 1 \|$/m);
  assert.match(report(text, '--sum', 'N'), /^\| all \| 3 \| 1005\.5 \|$/m);
});

test('what is wrong with a file is said, and is not mended', () => {
  assert.match(report('a,b\n1,2\n1\n1,2,3\n'), /another number of columns than the first line: 2, the first at line 3/);
  assert.match(report('a,b\n"1,2\n'), /a quote is not closed/);
  assert.match(report('a,b\n5" pipe,1\n6",2\n'), /^2 rows/m);
  assert.match(report('a,b\nx,1\nx,no\n', '--by', 'a', '--sum', 'b'), /rows without a number in b: 1/);
  const fails: [string[], number, RegExp][] = [
    [['a.csv', '--by', 'nix'], 1, /column "nix" not found; columns: a, b/],
    [['none.csv'], 1, /file none.csv not found/],
    [[], 2, /usage/],
    [['a.csv', '--delete'], 2, /unknown option --delete/],
    [['a.csv', '--by', 'a"; system("touch ran'], 1, /column .* not found/],
  ];
  for (const [args, code, message] of fails) {
    const { status, stderr } = spawnSync('sh', [SCRIPT, ...args], { cwd: dir, encoding: 'utf8' });
    assert.equal(status, code, stderr);
    assert.match(stderr, message);
  }
});

test('any table of whole numbers adds up, however its texts are quoted', () => {
  let tables = 0;
  const name = fc.string({
    minLength: 1,
    maxLength: 6,
    unit: fc.constantFrom('a', 'b', ',', '"', ' ', ';', '\n', '|'),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.integer({ min: -999, max: 999 })), { minLength: 1, maxLength: 12 }),
      (rows) => {
        const quoted = rows.map(([text, n]) => `"${text.replaceAll('"', '""')}",${n}`);
        const out = report(`who,n\n${quoted.join('\n')}\n`, '--by', 'who', '--sum', 'n');
        const total = rows.reduce((sum, [, n]) => sum + n, 0);
        assert.equal(out.trimEnd().split('\n').at(-1), `| **total** | ${rows.length} | ${total} |`);
        tables += 1;
      },
    ),
    tries(8, 40),
  );
  assert.ok(tables >= effort(8, 40));
});
