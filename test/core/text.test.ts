import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { durationText, readDuration, roughly } from '../../src/core/text/duration.ts';
import { MAX_PATTERN, pathMatch, segmentsMatch, usablePathPattern, wildcardMatch } from '../../src/core/text/glob.ts';
import { didYouMean } from '../../src/core/text/unknown.ts';
import { workspacePath } from '../../src/core/text/paths.ts';
import { shownByTerminal } from '../../src/core/text/terminal.ts';
import { workMs } from '../fakes/work-ms.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Each row: a pattern, and what fits it and what does not. */
type Row = readonly [pattern: string, fits: readonly string[], not: readonly string[]];

function matches(rows: readonly Row[], match: (pattern: string, text: string) => boolean): void {
  for (const [pattern, fits, not] of rows) {
    for (const text of fits) assert.equal(match(pattern, text), true, `${pattern} fits ${text}`);
    for (const text of not) assert.equal(match(pattern, text), false, `${pattern} does not fit ${text}`);
  }
}

test('wildcards: a star is any characters, a question mark is one, the rest is itself', () => {
  const rows: Row[] = [
    ['', [''], ['a']],
    ['abc', ['abc'], ['abcd', 'ab', 'ABC', 'xabc']],
    ['*', ['', 'a', 'a/b', '.env'], []],
    ['a*', ['a', 'ab', 'a*'], ['', 'ba']],
    ['*a', ['a', 'ba', 'aaa'], ['', 'ab']],
    ['a*b*c', ['abc', 'axbxc', 'abcbc', 'abbbc'], ['ab', 'ac', 'abcd', 'acb']],
    ['a**b', ['ab', 'axxb'], ['a', 'b']],
    ['?', ['a', '?', '*'], ['', 'ab']],
    ['a?c*', ['abc', 'axcd'], ['ac', 'abd']],
    ['[a-c].+()|^$', ['[a-c].+()|^$'], ['b.+', '']],
  ];
  matches(rows, wildcardMatch);
});

test('wildcards: any pattern says the same as a regular expression of it', () => {
  const chars = fc.array(fc.constantFrom('a', 'b', '*', '?', '.'), { maxLength: 8 }).map((all) => all.join(''));
  const words = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 10 }).map((all) => all.join(''));
  let both = 0;
  fc.assert(
    fc.property(chars, words, (pattern, text) => {
      const expected = new RegExp(
        `^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`,
      ).test(text);
      assert.equal(wildcardMatch(pattern, text), expected);
      if (expected) both += 1;
    }),
    { numRuns: 500, seed: 4747 },
  );
  assert.ok(both > 50, `${both} fitted`);
});

test('parts between slashes: two stars are any number of them, none included', () => {
  const rows: Row[] = [
    ['a/*/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/b/c']],
    ['a/**/c', ['a/c', 'a/b/c', 'a/b/b/c'], ['a', 'ac', 'a/b']],
    ['**', ['', 'a', 'a/b'], []],
    ['**/a', ['a', 'b/a', 'c/b/a'], ['a/b', 'ba']],
    ['a**', ['a', 'ab'], ['a/b']],
  ];
  matches(rows, segmentsMatch);
});

test('paths: a folder is all that is in it; names may be dotfiles, and are compared composed', () => {
  const rows: Row[] = [
    ['notes/**', ['notes', 'notes/a.md', 'notes/a/b.md'], ['note', 'notes2/a.md', 'x/notes/a.md']],
    ['notes/', ['notes', 'notes/a.md', 'notes/a/b.md'], ['notes2', 'x/notes']],
    ['*.md', ['a.md', '.md'], ['a/b.md', 'a.mdx', 'A.MD']],
    ['./notes//*.md', ['notes/a.md'], ['notes/a/b.md']],
    ['/notes/a.md', ['notes/a.md'], []],
    ['*/.env', ['a/.env'], ['.env']],
    ['Übung.md', ['U\u0308bung.md', 'Übung.md'], ['Ubung.md']],
    ['/', ['', 'a', 'a/b'], []],
  ];
  matches(rows, pathMatch);
});

test('paths: what leads outside or is too long fits nothing, not even itself', () => {
  for (const pattern of ['../a', 'a/../b', '..', `${'a'.repeat(MAX_PATTERN)}b`]) {
    assert.equal(usablePathPattern(pattern), false, pattern);
    assert.equal(pathMatch(pattern, pattern), false, pattern);
  }
  for (const pattern of ['..a', 'a..', 'a/..b', 'a'.repeat(MAX_PATTERN)]) {
    assert.equal(usablePathPattern(pattern), true, pattern);
    assert.equal(pathMatch(pattern, pattern), true, pattern);
  }
});

test('a pattern that is all stars is decided at once', () => {
  const ms = workMs(() => assert.equal(wildcardMatch(`${'*a'.repeat(500)}b`, 'a'.repeat(20_000)), false));
  assert.ok(ms < 2_000, `${ms} ms`);
});

test('a path of the workspace has one form', () => {
  const same: Record<string, string> = {
    'a/b.md': 'a/b.md',
    './a//b.md': 'a/b.md',
    'a/./b/': 'a/b',
    'a/x/../b': 'a/b',
    '/workspace': '',
    '/workspace/a': 'a',
    '/workspace/../workspace': 'no: the path leaves the workspace',
    '': '',
    '.': '',
    '...': '...',
    '.gitignore': '.gitignore',
    git: 'git',
    'a/.github/x': 'a/.github/x',
    'a\\b': 'a\\b',
    '~a': '~a',
    '/workspaces/a': 'no: absolute paths are outside the workspace',
    '/etc/passwd': 'no: absolute paths are outside the workspace',
    'C:\\x': 'no: absolute paths are outside the workspace',
    'c:/x': 'no: absolute paths are outside the workspace',
    '\\\\host\\x': 'no: absolute paths are outside the workspace',
    '~': 'no: the home folder is outside the workspace',
    '~/x': 'no: the home folder is outside the workspace',
    '..': 'no: the path leaves the workspace',
    'a/../../b': 'no: the path leaves the workspace',
    'a/..\\b': 'no: the path leaves the workspace',
    'a\0b': 'no: the path contains a NUL character',
    'a%2Fb': 'no: the path contains percent-encoded separators',
    '%2e%2e/a': 'no: the path contains percent-encoded separators',
    'a%5cb': 'no: the path contains percent-encoded separators',
    'a%00': 'no: the path contains percent-encoded separators',
    ['a/'.repeat(2049)]: 'no: the path is longer than 4096 characters',
    ['a'.repeat(256)]: 'no: a name in the path is longer than 255 characters',
    ['a'.repeat(255)]: 'a'.repeat(255),
  };
  for (const [raw, expected] of Object.entries(same)) {
    const result = workspacePath(raw);
    assert.equal(result.ok ? result.path : `no: ${result.reason}`, expected, raw.slice(0, 50));
  }
});

test('.git is out of reach in every spelling that a file system may fold', () => {
  for (const name of [
    '.git',
    '.GIT',
    '.Git',
    'git~1',
    'GIT~1',
    '.git.',
    '.git ',
    '.git . .',
    '.g\u200cit',
    '.git\ufeff',
    '.git:x',
    '.git ::$DATA',
  ])
    for (const path of [name, `a/${name}`, `${name}/config`, `/workspace/${name}`])
      assert.deepEqual(workspacePath(path), { ok: false, reason: '.git belongs to the runtime' }, path);
});

test('whatever a path is, its form is that of its form, and stays inside', () => {
  const parts = fc.constantFrom('a', 'b.md', '.', '..', '', '.git', ' ', '/', '\\', '~', 'workspace', 'C:');
  let taken = 0;
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 6 }), (all) => {
      const result = workspacePath(all.join('/'));
      if (!result.ok) return;
      taken += 1;
      const names = result.path.split('/');
      assert.ok(result.path === '' || names.every((name) => !['', '.', '..', '.git'].includes(name)), result.path);
      if (!result.path.startsWith('~') && !result.path.startsWith('C:') && !result.path.startsWith('\\'))
        assert.deepEqual(workspacePath(result.path), result);
    }),
    { numRuns: 500, seed: 4747 },
  );
  assert.ok(taken > 100, `${taken} were taken`);
});

test('a duration is read as it is written, in any of its units', () => {
  const read: Record<string, number | null> = {
    '90s': 90 * SECOND,
    '15m': 15 * MINUTE,
    '1h30m': 90 * MINUTE,
    '2d': 2 * DAY,
    '1d2h3m4s': DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND,
    '30m1h': 90 * MINUTE,
    '0s': 0,
    '007m': 7 * MINUTE,
    '999999999d': 999_999_999 * DAY,
    '1000000000s': null,
  };
  for (const text of ['', '1', 's', '1.5h', '-1h', '1H', '1 h', '1h ', ' 1h', '1w', '1ms', '1h30', '١h', '1h\n'])
    read[text] = null;
  for (const [text, ms] of Object.entries(read)) assert.equal(readDuration(text), ms, JSON.stringify(text));
});

test('a duration is written in the largest units that fit, and read again as the same', () => {
  const written: Record<number, string> = {
    0: '0s',
    [SECOND]: '1s',
    [59_499]: '59s',
    [59_500]: '1m',
    [90 * MINUTE]: '1h30m',
    [DAY + SECOND]: '1d1s',
    [400 * DAY]: '400d',
  };
  for (const [ms, text] of Object.entries(written)) assert.equal(durationText(Number(ms)), text);
  fc.assert(
    fc.property(fc.nat(10_000_000), (seconds) => {
      assert.equal(readDuration(durationText(seconds * SECOND)), seconds * SECOND);
    }),
  );
});

test('roughly: as people say it', () => {
  const said: [number, string][] = [
    [-5, '0 s'],
    [0, '0 s'],
    [499, '0 s'],
    [500, '1 s'],
    [59_499, '59 s'],
    [59_500, '1 min'],
    [90 * SECOND, '2 min'],
    [119 * MINUTE, '119 min'],
    [120 * MINUTE, '2 h'],
    [50 * HOUR, '50 h'],
  ];
  for (const [ms, text] of said) assert.equal(roughly(ms), text, String(ms));
});

test('did you mean: the nearest of what is known, if any is near', () => {
  const known = ['schedules', 'tasks', 'task', 'log', 'up'];
  const meant: Record<string, string> = {
    shedules: 'schedules',
    schedulse: 'schedules',
    SCHEDULES: 'schedules',
    tsk: 'task',
    taskss: 'tasks',
    lgo: '',
    lo: 'log',
    logs: 'log',
    ups: 'up',
    u: 'up',
    x: '',
    '': '',
    sched: '',
    'something else': '',
  };
  for (const [word, name] of Object.entries(meant))
    assert.equal(didYouMean(word, known), name && ` Did you mean "${name}"?`, word);
  assert.equal(didYouMean('task', []), '');
  // Of two that are equally near, the first; and nothing is reckoned for what nobody types.
  assert.equal(didYouMean('tas', ['tasx', 'tasy']), ' Did you mean "tasx"?');
  assert.equal(didYouMean('a'.repeat(65), ['a'.repeat(65)]), '');
});

test('what a terminal would show in the end', () => {
  const shown: readonly (readonly [said: string, shown: string])[] = [
    ['plain\ttext\n', 'plain\ttext\n'],
    ['1 %\r50 %\r100 %\ndone\n', '100 %\ndone\n'],
    ['windows\r\nlines\r\n', 'windows\nlines\n'],
    ['50 %\r', '50 %'],
    ['50 %\r\u001b[K', ''],
    ['50 %\r\u001b[Kdone', 'done'],
    ['half\u001b[2K\rwhole', 'whole'],
    ['\u001b[1;31mred\u001b[0m \u001b[38;5;208morange\u001b[m', 'red orange'],
    ['\u001b[?25l\u001b[1A\u001b[2Kstep 2\u001b[?25h', 'step 2'],
    ['\u001b]8;;https://example.org\u001b\\link\u001b]8;;\u001b\\ and \u001b]0;title\u0007text', 'link and text'],
    ['\u001bPq#0\u001b\\sixel \u001b(Bset \u001b=keys', 'sixel set keys'],
    ['\u009b31mred', 'red'],
    ['cut \u001b[3', 'cut '],
    ['cut \u001b]8;;http://x\nnext', 'cut \nnext'],
    ['cut \u001b', 'cut '],
    ['b\bbo\bol\bld\bd', 'bold'],
    ['bell\u0007', 'bell'],
  ];
  for (const [said, seen] of shown) assert.equal(shownByTerminal(said), seen, JSON.stringify(said));
  for (const unit of ['\u001b[', '\u001b]x', '\r\u001b[K', 'x\b', '\u001b ', '\r'])
    assert.ok(workMs(() => shownByTerminal(unit.repeat(200_000))) < 2_000, JSON.stringify(unit));
});
