import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_LINE, readShellLine } from '../../src/policy/shell-line.ts';

const EXPANSION = 'an expansion or substitution';
const OPEN_QUOTE = 'a quote that does not end';
const GLOB = 'a file pattern, which the shell replaces by names';
const REDIRECTION = 'a redirection';

/** What a line must be read as: its commands, words joined by `␣`; why something may hide; why no rule may allow it. */
type Row = [line: string, commands: string[], why?: string];

function read(line: string): { commands: string[]; hidden: string | null; unclear: string | null } {
  const { commands, hidden, unclear } = readShellLine(line);
  return { commands: commands.map((words) => words.join('␣')), hidden, unclear };
}

function check(rows: readonly Row[], outcome: (why: string | null) => object): void {
  for (const [line, commands, why = null] of rows)
    assert.deepEqual(read(line), { commands, ...outcome(why) }, JSON.stringify(line));
}

test('plain lines: words, quotes, operators', () => {
  check(
    [
      ['', []],
      ['a', ['a']],
      [' \t a\t b  ', ['a␣b']],
      ['a;b\nc&&d||e|f', ['a', 'b', 'c', 'd', 'e', 'f']],
      ['a ;\n; b', ['a', 'b']],
      ['a\\\nb', ['ab']],
      ['a \\\n b', ['a␣b']],
      ['\\\na', ['a']],
      ['\'a b\'c"d e"', ['a bcd e']],
      ["'' a", ['␣a']],
      ['"a\\"b" "\\\\" "\\x" "a\\\nb"', ['a"b␣\\␣\\x␣ab']],
      ["'$x`y' '\\'", ['$x`y␣\\']],
      ['a\\ b \\$c', ['a b␣$c']],
      ['a # b; c', ['a']],
      ['# a\nb', ['b']],
      ['a#b', ['a#b']],
      ['a "#" b', ['a␣#␣b']],
      ['[ -f a ]', ['[␣-f␣a␣]']],
      ['[[ a == b ]]', ['[[␣a␣==␣b␣]]']],
      ['find {} +', ['find␣{}␣+']],
      ["a '{b}' \"{c}\" '*' \\*", ['a␣{b}␣{c}␣*␣*']],
      ['a~b x~a', ['a~b␣x~a']],
    ],
    () => ({ hidden: null, unclear: null }),
  );
});

test('output thrown away, and outputs joined, change nothing', () => {
  check(
    [
      ['a >/dev/null', ['a']],
      ['a > /dev/null b', ['a␣b']],
      ['a >\t/dev/null', ['a']],
      ['a 2>/dev/null', ['a']],
      ['a 12>/dev/null', ['a']],
      ['a 2 >/dev/null', ['a␣2']],
      ['a x2>/dev/null', ['a␣x2']],
      ['a 2x>/dev/null', ['a␣2x']],
      ["a '2'>/dev/null", ['a␣2']],
      ['a 2\\\n>/dev/null', ['a␣2']],
      ['a >&2 2>&1 <&0', ['a']],
      ['a >>/dev/null </dev/null', ['a']],
      ['>/dev/null a', ['a']],
    ],
    () => ({ hidden: null, unclear: null }),
  );
});

test('what no rule may allow is seen all the same, and named', () => {
  const keywords = ['if', 'then', 'elif', 'else', 'while', 'until', 'do', 'time', '!', '{', '}', 'fi', 'done'];
  check(
    [
      ...keywords.map((word): Row => [`${word} a b`, ['a␣b'], `the shell keyword ${word}`]),
      ['a;; b', ['a', 'b'], 'a case branch'],
      ['a |& b', ['a', 'b'], 'a joined pipe'],
      ['a & b', ['a', 'b'], 'a command in the background'],
      ['(a)', ['a'], 'a subshell'],
      ['a )b', ['a', 'b'], 'a subshell'],
      ['a && b & c', ['a', 'b', 'c'], 'a command in the background'],
      ['a >b', ['a'], REDIRECTION],
      ['a > b c', ['a␣c'], REDIRECTION],
      ['a >| b', ['a'], REDIRECTION],
      ['a <> b', ['a'], REDIRECTION],
      ['a > ', ['a'], REDIRECTION],
      ['a > ; b', ['a', 'b'], REDIRECTION],
      ['a >\nb', ['a', 'b'], REDIRECTION],
      ['a >&b', ['a'], REDIRECTION],
      ['a >&12', ['a'], REDIRECTION],
      ['a >&-1', ['a'], REDIRECTION],
      ['a >& /dev/null', ['a'], REDIRECTION],
      ['a <1', ['a'], REDIRECTION],
      ['a >/dev/nullx', ['a'], REDIRECTION],
      ['a &>/dev/null b', ['a', 'b'], 'a redirection of both outputs'],
      ['a &>>/dev/null b', ['a', 'b'], 'a redirection of both outputs'],
      ['X=1 a', ['a'], 'a variable set for the command'],
      ['_x1+=1 a', ['a'], 'a variable set for the command'],
      ["X='1 2' Y=2 a", ['a'], 'a variable set for the command'],
      ['X', ['X']],
      ['a ~', ['a␣~'], 'a home folder (~)'],
      ['a ~root', ['a␣~root'], 'a home folder (~)'],
      ['a b=~', ['a␣b=~'], 'a home folder (~)'],
      ['a b:~', ['a␣b:~'], 'a home folder (~)'],
      ['a *', ['a␣*'], GLOB],
      ['a b?', ['a␣b?'], GLOB],
      ['a [b]', ['a␣[b]'], GLOB],
      ['a [[', ['a␣[[']],
    ],
    (unclear) => ({ hidden: null, unclear }),
  );
});

test('where something may hide, no rule may allow the line, and the first reason is named', () => {
  const compound = ['for', 'case', 'esac', 'select', 'function', 'coproc'];
  check(
    [
      ...compound.map((word): Row => [`${word} a`, [`${word}␣a`], `the shell keyword ${word}`]),
      ['a\0b', ['a\0b'], 'a NUL character'],
      ['a $b', ['a␣$b'], EXPANSION],
      ['a `b`', ['a␣`b`'], EXPANSION],
      ['a "$b"', ['a␣$b'], EXPANSION],
      ['a "`b`"', ['a␣`b`'], EXPANSION],
      ['a <(b)', ['a␣b'], 'a process substitution'],
      ['a >(b)', ['a␣b'], 'a process substitution'],
      ['a <<b', ['a␣b'], 'a here-document'],
      ['a <<-b', ['a␣b'], 'a here-document'],
      ['a <<<b', ['a␣b'], 'a here-document'],
      ["a 'b", ['a␣b'], OPEN_QUOTE],
      ["a '", ['a␣'], OPEN_QUOTE],
      ['a "b', ['a␣b'], OPEN_QUOTE],
      ['a "b\\', ['a␣b\\'], OPEN_QUOTE],
      ['a\\', ['a'], 'a backslash at the end'],
      ['a {b,c}', ['a␣{b,c}'], 'a brace expansion'],
      ['{a,b} c', ['{a,b}␣c'], 'a brace expansion'],
      ['a\u00a0b', ['a\u00a0b'], 'an invisible character or unusual space'],
      ['a\u200bb', ['a\u200bb'], 'an invisible character or unusual space'],
      ['a\rb', ['a\rb'], 'an invisible character or unusual space'],
      ['$a "$b" `c', ['$a␣$b␣`c'], EXPANSION],
    ],
    (why) => ({ hidden: why, unclear: why }),
  );
  assert.deepEqual(read('/bin/r* a'), {
    commands: ['/bin/r*␣a'],
    hidden: 'a file pattern in place of a program',
    unclear: 'a file pattern in place of a program',
  });
  assert.deepEqual(read('a > b $c'), { commands: ['a␣$c'], hidden: EXPANSION, unclear: REDIRECTION });
  assert.deepEqual(read('"for" a; \'case\' b'), { commands: ['for␣a', 'case␣b'], hidden: null, unclear: null });
});

test('what looks like an assignment or a keyword, and is none', () => {
  check(
    [
      ['1x=1 a', ['1x=1␣a']],
      ['-x=1 a', ['-x=1␣a']],
      ['a X=1 if', ['a␣X=1␣if']],
      ['iff a', ['iff␣a']],
      ["'if' a", ['if␣a']],
      ['x-y=1 a', ['x-y=1␣a']],
    ],
    (unclear) => ({ hidden: null, unclear }),
  );
  for (const line of ['X[0]=1 a', 'X[10]+=1 a', 'X[]=1 a'])
    assert.deepEqual([read(line).commands, read(line).unclear], [['a'], 'a variable set for the command'], line);
});

test('a line is looked into up to its bound', () => {
  const longest = 'a'.repeat(MAX_LINE);
  assert.deepEqual(read(longest), { commands: [longest], hidden: null, unclear: null });
  const why = `more than ${MAX_LINE} characters`;
  assert.deepEqual(read(`${longest}a`), { commands: [], hidden: why, unclear: why });
});
