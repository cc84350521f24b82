import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../src/policy/decide.ts';
import { notPlain } from '../../src/policy/programs.ts';
import { allow, deny, facts, shell } from './support.ts';

/** Any command may run; only what is known about programs can hold it back. Null, or why it was held back. */
function held(line: string): string | null {
  const decision = decide(shell(line), facts({ sandboxed: false, rules: [allow({ command: '*' })] }));
  if (decision.verdict === 'allow') return null;
  const [, why = decision.reason] =
    /^Nothing confines this command, and no rule may vouch for it: (.*)\.$/s.exec(decision.reason) ?? [];
  return why;
}

test('every option that can run a program, or write elsewhere, is known, and named in the question', () => {
  const table: Record<string, string> = {
    sort: '--compress-program --output --files0-from --temporary-directory -o -T -uo',
    git:
      '--exec-path --upload-pack --receive-pack --exec --output --config-env --config --open-files-in-pager --ext-diff ' +
      '--textconv -c -x -u -O bisect submodule filter-branch difftool mergetool config daemon remote-ext instaweb hook ' +
      'credential help worktree bundle maintenance send-email svn -o -oX --git-dir=x --work-tree=x -C ext::sh',
    rg: '--pre --pre-glob --hostname-bin',
    ag: '--pager --pager=sh --pag',
    curl: '--config --output --upload-file --output-dir --engine -K -o -O -T -J -sSo',
    wget: '--use-askpass --config --execute --output-document --input-file -e -O -i -qO',
    zip: '--unzip-command --test -T',
    make: '--eval --file --makefile --directory --include-dir -f -C -I CC=sh',
    gmake: '--eval --file --makefile --directory --include-dir -f -C -I CC=sh',
    npm: '--script-shell --node-options --prefix --call --userconfig --globalconfig --shell -c -C exec x explore config set edit',
    go: '-exec --exec -toolexec=sh -vettool=./x --vettool -overlay -ldflags -gccgoflags -C -o generate tool env',
    cargo: '--config --config=x -C -Zunstable',
    uniq: 'file out',
    split: '--filter --filter=sh --fil',
    pr: '--output --output=x',
    tree: '-o -ao',
    file: '-C -M -m --magic-file --compile',
    xxd: '-r -pr',
    date: '-s -f --set --file=x',
    tcpdump: '-z -w -nw',
    shuf: '-o --output=x --out -no',
    iconv: '-o --output',
    gcc: '-wrapper -B. -B./ -specs=x --specs=x -fplugin=x -fuse-ld=x -Wl,-plugin -Xlinker @args',
    'x86_64-linux-gnu-g++-12': '-wrapper -B./',
    'clang-18': '-fplugin=x -Xclang --config=x --ld-path=x',
    rustc: '-Clinker=x --codegen -Zx @args',
    java: '-javaagent:x -agentpath:x -XX:OnError=x @args',
    pandoc: '--filter --filter=x --lua-filter -F -L -o --output --pdf-engine=x --defaults -d x.lua',
    hg: '--config --config=hooks.x=id --cwd -R extdiff serve',
    svn: '--diff-cmd --diff-cmd=x --diff3-cmd --editor-cmd --config-dir --config-option',
    ip: 'exec exe -b -batch',
    bat: '--pager --pager=sh cache',
    ack: '--pager=sh --ackrc --output',
    fzf: '--preview --bind=x',
    yq: '-i --inplace -s',
    openssl: '-out -engine -provider-path',
    dd: 'of=x',
    patch: '-o --output -d',
    'yt-dlp': '--exec --exec=x --netrc-cmd --config-locations --downloader --ffmpeg-location --plugin-dirs -o -P -a',
  };
  let rows = 0;
  for (const [program, options] of Object.entries(table))
    for (const option of options.split(' ')) {
      const why = `${program} ${option} may run another program or write elsewhere`;
      assert.equal(held(`${program} ${option}`), why);
      assert.equal(held(`${program} - ${option} x`), why, 'wherever it stands');
      rows += 1;
    }
  assert.ok(rows >= 110, `${rows} options`);
});

test('ordinary use of the same programs is vouched for', () => {
  const lines = [
    'sort -- a',
    'sort -r --reverse a=b',
    'git log a--git-dir b--work-tree a-C',
    'go test a--exec -v',
    'go test -executable',
    'cargo test --release -q',
    'uniq -c',
    'split -l 5 a',
    'tree -a --mutant',
    'file a',
    'xxd a',
    'xxd -c 4',
    'shuf a b',
    'iconv -f latin1 a',
    'gcc -O2 -Wall -c a.c -I include -fPIC',
    'ip -br addr',
    'pandoc a.md -t html',
    'svn diff -r 2',
    'bat -n a',
    "rg '[a-z](x)' src",
    'date -u',
    'ag x',
    'curl -s https://example.org',
    'nodemon -e 1',
    'mynode -e 1',
    'sh my-script.sh',
    'node my-app.js',
    'constructor --x',
    '__proto__ -x',
    "'' a",
    'node.exe a.js',
    'my.exec a',
    'en.exev ls',
    'a.exe.d/b x',
  ];
  assert.equal(lines.length, 34);
  for (const line of lines) assert.equal(held(line), null, line);
  assert.equal(notPlain(['']), null);
});

test('A14 what a shell does itself with names of variables never vouches, nor does a language of its own', () => {
  const opaque = `test [ [[ printf let wait declare unset read pdflatex lualatex latexmk gs ps2pdf cmake ctest w3m`;
  for (const program of opaque.split(' '))
    assert.equal(held(`${program} -v x`), `${program} cannot be judged by its arguments`);
  assert.equal(held('jobs -x id'), 'jobs runs another command');
  for (const line of [
    "test -v 'a[$(id)]'",
    "[ -v 'a[`id`]' ]",
    "[[ 'a[$(id)]' -eq 1 ]]",
    "printf -v 'a[$(id)]' x",
    "let 'a[$(id)]'",
  ])
    assert.match(held(line) ?? 'allowed', /cannot be judged by its arguments/, line);
  for (const line of ["echo 'a[$(id)]'", "shift 'a[`id`]'", "unknown 'x[${y}]'"])
    assert.match(held(line) ?? 'allowed', /may evaluate a subscript with a command in it/, line);
  assert.equal(held('xxd in out'), 'xxd out may run another program or write elsewhere');
  assert.equal(held('xxd - out'), 'xxd out may run another program or write elsewhere');
});

test('the question says what it is about a program', () => {
  const rows: [line: string, why: string][] = [
    ['env ls', 'env runs another command'],
    ['/usr/bin/ENV.EXE ls', 'env runs another command'],
    ['awk 1', 'awk cannot be judged by its arguments'],
    ['sh -c id', 'sh runs code from an argument or its input'],
    ['node -e 1', 'node runs code from an argument or its input'],
    ['python3 -m', 'python3 runs code from an argument or its input'],
    ["python3 -m 'a b'", 'python3 runs code from an argument or its input'],
    ["python3 -m 'http.server;x'", 'python3 runs code from an argument or its input'],
    ['perl -m x', 'perl runs code from an argument or its input'],
    [`sort --output=${'x'.repeat(100)}`, `sort --output=${'x'.repeat(71)} may run another program or write elsewhere`],
    ["sort '--output=a\nb'", 'sort --output=a\\u{a}b may run another program or write elsewhere'],
  ];
  for (const [line, why] of rows) assert.equal(held(line), why, line);
});

/** A rule against `rm` looks at every command: denied, let through, or asked for because something is hidden. */
function watched(line: string, command = 'rm *'): string {
  const { verdict, reason } = decide(shell(line), facts({ rules: [{ ...deny({ command }), id: 'no-rm' }] }));
  return verdict === 'ask' ? reason : verdict;
}

test('rules against commands look into whatever carries one', () => {
  const hidden = (why: string): string => `Rule no-rm looks at commands, and this line hides some: ${why}.`;
  const many = (count: number): string => `env ${Array.from({ length: count }, (_, n) => `a${n}`).join(' ')}`;
  const rows: [line: string, outcome: string][] = [
    ["trap 'rm a' EXIT", 'deny'],
    ["sh -c 'ls;rm a'", 'deny'],
    ["sh -c 'ls&rm a'", 'deny'],
    ["sh -c 'ls|rm a'", 'deny'],
    ["sh -c 'echo $X'", hidden('an expansion or substitution')],
    ["echo 'echo $X'", 'allow'],
    ["env '$X'", 'allow'],
    ['sh my-script.sh', 'allow'],
    ['sh -x my-script.sh', 'allow'],
    ['sh -x', hidden('sh, which runs its input')],
    ['BASH.exe +x', hidden('bash, which runs its input')],
    [many(64), 'allow'],
    [many(65), hidden('commands nested too deeply to be seen')],
    [`${many(60)} rm x`, 'deny'],
    ['sh -c "sh -c \'sh -c ls\'"', 'allow'],
  ];
  for (const [line, outcome] of rows) assert.equal(watched(line), outcome, line);
  assert.equal(watched('env rm a', 'rm'), 'allow', 'a pattern without a star means no arguments');
});
