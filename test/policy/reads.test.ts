import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedPaths } from '../../src/policy/reads.ts';

/** Commands as agents write them, and the paths that they can read by their line; null: whatever they see. */
const NAMED: readonly [line: string, paths: string[] | null][] = [
  ['cat notes/a.md', ['notes/a.md']],
  ['cat notes/*.md | head -20', ['notes/*.md']],
  ['head -n 5 data/orders.csv', ['data/orders.csv']],
  ['sed -n 1,200p src/app.ts', ['src/app.ts']],
  ["sed -i 's/old/new/g' README.md", ['README.md']],
  ['wc -l < data/orders.csv', ['data/orders.csv']],
  ['grep -n "total" reports/2026.md', ['reports/2026.md']],
  ['grep -rn total reports', ['reports']],
  ['grep -rn total', ['']],
  ['rg total', ['']],
  ['ls', ['']],
  ['ls -la notes', ['notes']],
  ['sort data/a.csv | uniq -c | sort -rn > out/count.txt', ['out/count.txt', 'data/a.csv']],
  ['diff a.txt b.txt', ['a.txt', 'b.txt']],
  ['cut -d, -f2 data/a.csv', ['data/a.csv']],
  ['jq .items[0].name data/x.json', ['data/x.json']],
  ['mkdir -p out && cp report.md out/report.md', ['out', 'report.md', 'out/report.md']],
  ['cd reports && cat 2026.md', ['reports', '2026.md']],
  ['echo hello > hello.txt', ['hello.txt']],
  ['date +%F', []],
  ['git status --short', []],
  ['git add -A', []],
  ['cat /workspace/notes/a.md', ['notes/a.md']],
  ['cat /etc/hostname', []],
  ['sha256sum dist/*.tgz', ['dist/*.tgz']],
  ['grep --file=words.txt notes/a.md', null],
  ['npm test', null],
  ['node scripts/report.js', null],
  ['python3 -c "print(1)"', null],
  ['make report', null],
  ['git log --oneline -5', null],
  ['git diff', null],
  ['find . -name "*.md"', null],
  ["awk -F, '{ s += $2 } END { print s }' data/a.csv", null],
  ['cat $(ls notes)', null],
  ['for f in notes/*; do cat "$f"; done', null],
  ['ls notes | xargs cat', null],
  ['cat ../elsewhere', null],
  ['cat ~/notes', null],
  ['cat /proc/self/cwd/mail.md', null],
  ['wc -l --files0-from=list', null],
  ['file -f list', null],
  ["sed -n '1r mail.md' a.md", null],
  ['sed -f script a.md', null],
  ['sort --compress-program=sh a', null],
  ['split --filter="cat mail.md" a', null],
  ['sh -c "cat mail.md"', null],
  ['cat <<EOF\nx\nEOF', null],
];

test('what a line names is what it reads, where its programs read nothing else', () => {
  for (const [line, paths] of NAMED) {
    const found = namedPaths(line);
    const named = found && [...found.paths, ...found.names];
    // Words that are no files are taken for names of files that are not there.
    const files = named?.filter((path) => paths?.includes(path) || path === '') ?? null;
    assert.deepEqual(files?.toSorted() ?? null, paths?.toSorted() ?? null, `${line}: ${String(named)}`);
  }
  const daily = NAMED.slice(0, 33);
  const told = daily.filter(([line]) => namedPaths(line) !== null).length;
  assert.equal(told, 25, 'of 33 lines from daily work; docs/formats/policy.md says so');
});

test('a word that belongs to an option is no place to look, and a script that reads files is not plain', () => {
  for (const line of [
    'grep -r -m 1 code',
    'grep -rA 3 code',
    'grep --recurs code',
    'grep -d recurse code',
    'rg -m 1 code',
  ])
    assert.ok(namedPaths(line)?.paths.includes(''), line);
  for (const line of ['tree -L 2', 'ls -I x', 'du -d 1']) assert.ok(namedPaths(line)?.names.includes(''), line);
  assert.deepEqual(namedPaths('grep -r -m 1 code src')?.paths.includes(''), false);
  for (const line of [
    "sed 's/a/b/;e cat x/mail.md /p' y",
    "sed 's/a/b/;r x/1' y",
    `jq -n 'import "x/mail" as $d; $d'`,
    'jq -nf script',
    'cat {x,y}/mail.md',
  ])
    assert.equal(namedPaths(line), null, line);
  assert.notEqual(namedPaths(String.raw`sed 's/a\/b/c/g' y`), null);
});

test('whatever is put before or behind a file, a line that reads it names it', () => {
  for (const line of [
    'cat x/mail.md',
    'cat < x/mail.md',
    'cat "x"/mail.md',
    "cat 'x/mail.md'",
    'cat x/m?il.md',
    'cat x/[m]ail.md',
    'cat x/*',
    'cat ./x//mail.md',
    'cd x; cat mail.md',
    'grep -fx/mail.md y',
    'cat /workspace/x/mail.md',
    'cp -r x y',
  ])
    assert.ok(
      namedPaths(line)?.paths.some((path) => ['x', 'x/mail.md', 'x/m?il.md', 'x/*ail.md', 'x/*'].includes(path)),
      `${line}: ${JSON.stringify(namedPaths(line))}`,
    );
});

test('what only lists names reads no content', () => {
  assert.deepEqual(namedPaths('ls'), { paths: [], names: [''] });
  assert.deepEqual(namedPaths('ls x && test -f y && rm z')?.paths, []);
  assert.deepEqual(namedPaths('ls x | cat y')?.paths, ['y']);
  assert.deepEqual(namedPaths('echo a > b')?.paths, ['b']);
});
