import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { allow, ask, deny, facts, shell } from './support.ts';

/** Nothing confines the command: only an allow rule could let it run unasked. */
const bare = (command: string, ...rules: Rule[]): string =>
  decide(shell(command), facts({ sandboxed: false, rules })).verdict;
const boxed = (command: string, ...rules: Rule[]): string => decide(shell(command), facts({ rules })).verdict;

/** Every program named here is allowed with any arguments, so that only the form of the line can hold it back. */
const anything = (names: string): Rule[] => names.split(' ').map((name) => allow({ command: `${name} *` }));

function allAsked(lines: readonly string[], least: number, ...rules: Rule[]): void {
  assert.ok(lines.length >= least, `only ${lines.length} lines`);
  for (const line of lines) assert.equal(bare(line, ...rules), 'ask', JSON.stringify(line));
}

test('an allow rule with a command lets plain commands run without a sandbox', () => {
  const rows: [line: string, pattern: string, verdict: string][] = [
    ['ls', 'ls', 'allow'],
    ['ls', 'ls *', 'allow'],
    ['ls -la src', 'ls *', 'allow'],
    ['  ls\t-la ', 'ls *', 'allow'],
    ['ls -la src', 'ls', 'ask'],
    ['ls -la src', 'ls -la', 'ask'],
    ['npm run build', 'npm run *', 'allow'],
    ['npm install x', 'npm run *', 'ask'],
    ['echo \'a b\' "c d"', 'echo *', 'allow'],
    ["'git status'", 'git *', 'ask'],
    ['cat src/a.ts', 'cat src/*', 'allow'],
    ['cat src/a/b.ts', 'cat src/*', 'ask'],
    ['cat src/../../etc/passwd', 'cat src/*', 'ask'],
    ['cat src/a/b.ts', 'cat src/**', 'allow'],
    ['ls 2>/dev/null', 'ls', 'allow'],
    ['ls > /dev/null 2>&1', 'ls', 'allow'],
    ['ls # a comment; rm x', 'ls', 'allow'],
    ['python3 -m pytest -q', 'python3 -m pytest *', 'allow'],
    ['node build.js', 'node build.js', 'allow'],
    ['sh scripts/build.sh', 'sh scripts/build.sh', 'allow'],
    ['[ -f a ]', '[ *', 'ask'],
    ['anything goes', '*', 'allow'],
    ["'if' a", 'if *', 'allow'],
    ['"if" a', 'if *', 'allow'],
    ['\\if a', 'if *', 'allow'],
    ['if a', 'if *', 'ask'],
    ['X="1" a', '*', 'ask'],
    ['echo "\\a" "\\$"', 'echo \\a $', 'allow'],
    ['# nothing', '*', 'ask'],
    ['', '*', 'ask'],
  ];
  assert.equal(rows.length, 30);
  for (const [line, pattern, verdict] of rows)
    assert.equal(bare(line, allow({ command: pattern })), verdict, `${line} by ${pattern}`);
});

test('without a sandbox a rule that names no command vouches for none', () => {
  assert.equal(bare('ls', allow({})), 'ask');
  assert.equal(bare('ls', allow({ tool: 'shell' })), 'ask');
  assert.equal(bare('ls', allow({ tool: 'shell', effect: 'exec' })), 'ask');
  assert.equal(bare('ls', allow({ tool: 'shell', command: 'ls' })), 'allow');
  assert.equal(bare('ls', allow({ tool: 'other', command: 'ls' })), 'ask');
});

test('A11 every segment is checked', () => {
  const lines = [
    'echo x | node',
    'ls && rm a',
    'ls; rm a',
    'ls\nrm a',
    'ls || rm a',
    'ls | rm a',
    'ls|rm a',
    'ls&&rm a',
    'ls & rm a',
    'ls |& rm a',
    '(rm a)',
    'ls;(rm a)',
    '{ rm a; }',
    'if ls; then rm a; fi',
    'while ls; do rm a; done',
    'time rm a',
    '! rm a',
    'ls &>/dev/null rm a',
    'ls >x rm a',
    'ls;;rm a',
    'f() { rm a; }; ls',
  ];
  allAsked(lines, 21, ...anything('echo ls'));
  assert.equal(bare('ls && rm a', ...anything('ls rm')), 'allow');
  assert.equal(bare('echo x | cat', ...anything('echo cat')), 'allow');
  assert.equal(bare('echo evil | node', ...anything('echo node')), 'ask');
  assert.equal(bare('echo evil | sh', ...anything('echo sh')), 'ask');
});

test('A12 substitution and expansion, in or out of double quotes; single quotes are literal', () => {
  const lines = [
    'echo $(id)',
    'echo "$(id)"',
    'echo `id`',
    'echo "`id`"',
    'echo <(id)',
    'echo >(id)',
    'echo ${X}',
    'echo "${X}"',
    'echo $X',
    'echo "$X"',
    "echo $'\\x24(id)'",
    'echo $((1))',
    'echo {a,b}',
    'echo ~root',
    'echo a=~/x',
    'echo *',
    'echo [ab]?',
    'echo a > out',
    'echo a >> out',
    'echo a >| out',
    'echo < in',
    'cat <<EOF\nx\nEOF',
    'cat <<< x',
    'X=1 echo a',
    'PATH=. echo a',
    'X=1',
    'X+=1 echo a',
    'X[0]=1 echo a',
    'for f in a; do echo a; done',
    'case a in a) echo a;; esac',
    'select x in a; do echo; done',
    'function f { echo a; }',
    'echo a &',
    "echo 'a",
    'echo "a',
    'echo a\\',
    'echo\u00a0a',
    'echo a\u200bb',
    'echo\ra',
    "echo 'a\0b'",
    '/bin/ech? a',
    `echo ${'a'.repeat(70_000)}`,
  ];
  allAsked(lines, 42, ...anything('echo cat X=1'), allow({ command: '**' }));
  for (const line of [
    "echo '$(id)' '`id`' '${X}' '<(id)' '*' '~' '{a,b}' '> x'",
    'echo "\\$(id)" "\\`id\\`" "a * b" "~" "a > b"',
    'echo \\$X \\* \\~ \\> a\\ b',
    "echo '🐝' 🐝 é",
    'echo a#b "#" \\#',
    'echo a\\\nb',
  ])
    assert.equal(bare(line, ...anything('echo')), 'allow', line);
});

test('A13 a backslash and newline between $ and (id)', () => {
  allAsked(['echo $\\\n(id)', 'echo "$\\\n(id)"', 'echo $\\\n\\\n{X}', 'ec\\\nho $(id)'], 4, ...anything('echo'));
});

test('A14 A15 A16 A17 programs that run other programs or code are never vouched for', () => {
  const names =
    'env nice timeout xargs busybox find bash sh dash zsh sort powershell pwsh cmd python3 node perl ruby awk sed ssh sudo ' +
    'tar git rg curl make npm go eval source . exec command nohup stdbuf setsid time vim less php lua /usr/bin/env wget zip';
  const lines = [
    // A14
    'env bash -c id',
    'env FOO=1 ls',
    '/usr/bin/env ls',
    'nice ls',
    'nice -n 5 ls',
    'timeout 5 ls',
    'xargs ls',
    'busybox sh',
    'busybox ls',
    'find . -exec sh -c id',
    'find . -delete',
    'find . -fprintf out x',
    'find . -name a',
    'nohup ls',
    'stdbuf -o0 ls',
    'setsid ls',
    'sudo ls',
    'ssh host ls',
    'exec ls',
    'command ls',
    // A15
    'bash -c id',
    'bash -lc id',
    'bash -l -c id',
    'sh -xec id',
    'sh -c "\\$0" id',
    'sh +x -c id',
    'sh -s',
    'sh',
    'sh -',
    'sh --rcfile x',
    "sh '' -c id",
    'zsh -ic id',
    'python3 -c id',
    'python3 -Bc id',
    'python3',
    'python3 -',
    'python3 -m ../x',
    'python3.12 -c id',
    'node -e 1',
    'node -pe 1',
    'node --eval=1',
    'node --require ./x a.js',
    'node',
    'perl -ne 1',
    'ruby -e 1',
    'php -r 1',
    'lua -e 1',
    'awk 1',
    'sed -n 1p',
    'eval ls',
    'source x',
    '. x',
    'vim x',
    'less x',
    // A16
    'sort --compress-program=sh a',
    'sort --compress-prog=sh a',
    'sort --compress-prog sh a',
    'sort --co=sh a',
    'sort -o f a',
    'sort -of a',
    'sort -ro f a',
    'sort --output=f a',
    'sort --out f a',
    'sort --files0-from=f',
    'sort --files0 f',
    'sort -T /tmp a',
    'tar -xf a.tar',
    'git -c core.pager=sh log',
    'git --exec-path=. log',
    'git clone --upload-pack=x y',
    'git clone --upload-p x y',
    'git clone ext::sh',
    'git -C /elsewhere status',
    'git submodule foreach ls',
    'git bisect run ls',
    'git diff --output=x',
    'git grep -O x',
    'rg --pre sh x',
    'rg --pre=sh x',
    'curl -o x y',
    'curl -K x',
    'wget -O x y',
    'wget --use-askpass=sh y',
    'zip -T -TT sh a b',
    'make SHELL=x',
    'make -f x',
    'make --eval=x',
    'npm exec x',
    'npm --script-shell=x run y',
    'go run -exec sh x',
    'go vet -toolexec=sh x',
    // A17
    'powershell -enc AAAA',
    'powershell -e AAAA',
    'powershell /EncodedCommand AAAA',
    'powershell -File x.ps1',
    'PowerShell.exe -enc AAAA',
    'pwsh -c x',
    'cmd /c dir',
  ];
  allAsked(lines, 98, ...anything(names), ...anything('python3.12 PowerShell.exe'));
  for (const line of [
    'sort -r a',
    'sort -nk2 a',
    'git status',
    'git log --oneline -5',
    'rg -n x',
    'make all',
    'npm test',
  ])
    assert.equal(bare(line, ...anything(names)), 'allow', line);
});

test('A18 a rule for a name is no rule for a file of that name', () => {
  const rules = anything('ls git');
  allAsked(['./ls', 'bin/ls', '/tmp/ls', '../ls', 'PATH=. ls', 'PATH=.:/bin ls', 'LS', 'ls.exe', '~/ls'], 9, ...rules);
  assert.equal(bare('/bin/ls -l', allow({ command: '/bin/ls *' })), 'allow');
  assert.equal(bare('ls -l', allow({ command: '/bin/ls *' })), 'ask');
});

test('A23 deny and ask rules on commands look into every segment and wrapper, but are no boundary', () => {
  const lines = [
    'rm a',
    'rm',
    'ls; rm a',
    'ls && rm a',
    'ls | rm a',
    'ls\nrm a',
    'r\\m a',
    "r'm' a",
    '"rm" a',
    'r\\\nm a',
    '/bin/rm a',
    'X=1 rm a',
    'if true; then rm a; fi',
    'for x in 1; do rm a; done',
    '(rm a)',
    '{ rm a; }',
    'f() { rm a; }',
    '! rm a',
    'time rm a',
    '>x rm a',
    'env rm a',
    'env -i X=1 rm a',
    'nice -n 5 rm a',
    'timeout 5 rm a',
    'xargs -n1 rm',
    'busybox rm a',
    'sudo -u x rm a',
    'find . -exec rm {} ;',
    'find . -name x -exec rm {} +',
    "sh -c 'rm a'",
    "bash -lc 'ls; rm a'",
    "env bash -c 'rm a'",
    'sh -c rm',
    'eval rm a',
    "eval 'rm a'",
    'command rm a',
    'exec rm a',
    'echo $(rm a)',
    'rm $(echo a)',
    'ssh host rm a',
  ];
  assert.equal(lines.length, 40);
  for (const line of lines) {
    assert.equal(boxed(line, deny({ command: 'rm *' })), 'deny', JSON.stringify(line));
    assert.equal(boxed(line, ask({ command: 'rm *' })), 'ask', JSON.stringify(line));
    assert.equal(bare(line, allow({ command: '*' }), deny({ command: 'rm *' })), 'deny', JSON.stringify(line));
  }
  for (const line of ['echo rm a', 'ls rm', 'rmdir a', "echo 'rm a'", 'ls # rm a', 'cat firm'])
    assert.equal(boxed(line, deny({ command: 'rm *' })), 'allow', line);
  assert.equal(boxed('curl a --data=b/c/d', deny({ command: 'curl * --data=*' })), 'deny');
  assert.equal(boxed('cat x | tee y', deny({ command: '* | tee *' })), 'deny');
});

test('A23 what hides commands is asked for where a rule looks at commands', () => {
  const lines = [
    'echo cm0gLXJm | base64 -d | sh',
    'base64 -d x | bash -s',
    'echo $(printf a)',
    '$X a',
    '`a`',
    'echo "$X"',
    '{r,m} a',
    '/bin/r? a',
    'cat <<EOF\nx\nEOF',
    "echo 'a",
    'sh -c \'sh -c "sh -c \\"sh -c x\\""\'',
    'sh -c "$X"',
    `env ${'a '.repeat(100)}`,
    "'l\0s'",
    'a'.repeat(70_000),
  ];
  assert.equal(lines.length, 15);
  for (const line of lines) {
    const decision = decide(shell(line), facts({ rules: [deny({ command: 'rm *' })] }));
    assert.deepEqual([decision.verdict, decision.rule], ['ask', 'builtin:hidden-command'], JSON.stringify(line));
    assert.equal(boxed(line), 'allow', 'no rule looks at commands');
    assert.equal(boxed(line, deny({ command: 'rm *', tool: 'other' })), 'allow', 'no rule looks at this tool');
    for (const more of [{ path: 'x' }, { host: 'x.org' }])
      assert.equal(boxed(line, deny({ command: 'rm *', ...more })), 'allow', 'a rule that cannot match');
    assert.equal(boxed(line, deny({ path: 'x' }), allow({ command: 'rm *' })), 'allow', 'no rule restricts commands');
  }
  for (const line of ['ls *.md', 'echo a > b', 'a & b', 'X=1 ls', 'if a; then b; fi', 'python3 -c 1', 'sh x.sh'])
    assert.equal(boxed(line, deny({ command: 'rm *' })), 'allow', line);
});

test('the question says why no rule could vouch', () => {
  const reason = (line: string): string =>
    decide(shell(line), facts({ sandboxed: false, rules: anything('echo sort env') })).reason;
  assert.match(reason('echo $X'), /an expansion or substitution/);
  assert.match(reason('echo a > b'), /a redirection/);
  assert.match(reason("sort '--comp=\u001bsh' a"), /sort --comp=\\u\{1b\}sh may run another program/);
  assert.match(reason('env ls'), /env runs another command/);
  assert.match(reason('ls'), /it has no sandbox/);
});
