import { readShellLine, type ShellLine } from './shell-line.ts';

/*
 * What is known about programs. For allow rules: which programs, or options of them, run other programs or code given
 * in the line, so that a rule for `sort *` is no rule for `sort --compress-program=sh`. For deny and ask rules: which
 * programs carry another command inside. The tables only ever lead to a question or a refusal; what confines a command
 * is the sandbox. They deny what is known: a program that is in none of them may run others all the same.
 */

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Carry a command in their arguments. */
const WRAPPERS = new Set(
  words(`
  env nice nohup timeout time stdbuf ionice chrt taskset setsid xargs parallel sudo doas su runuser setpriv chroot unshare
  nsenter bwrap busybox toybox exec command builtin watch strace ltrace script flock find fd fdfind entr systemd-run firejail
  start-stop-daemon dbus-run-session xvfb-run ssh rlwrap expect unbuffer proot fakeroot eatmydata faketime cpulimit at
  batch jobs docker podman nerdctl kubectl runc crun lxc-attach machinectl cmd cmd.exe wsl start runas valgrind perf hyperfine`),
);

/** Run code from an argument or from their input. */
const SHELLS = new Set(
  words('sh bash dash zsh ksh ksh93 mksh pdksh ash yash rbash fish csh tcsh elvish nu xonsh osh posh rc es'),
);

/** Run a file if one is named first, and otherwise code from an option or from their input. */
const INTERPRETERS =
  /^(?:node|nodejs|python|pypy|perl|ruby|jruby|php|lua|luajit|julia|raku|tclsh|rscript|guile|racket|groovy|elixir|escript|swipl)[\d.]*$/;

/** Cannot be judged by their arguments: a language of their own, an editor, a door to a shell, or they change what follows. */
const OPAQUE = new Set(
  words(`
  awk gawk mawk nawk sed gsed ed ex red vi vim view nvim emacs nano less more most man info jshell irb ipython deno bun
  gdb lldb tmux screen socat nc ncat netcat telnet ftp sftp scp rsync tar bsdtar cpio m4 dc bc sqlite3 psql mysql mongo r
  powershell pwsh wscript cscript mshta rundll32 regsvr32 osascript msbuild installutil ghci scala clojure erl iex sbcl ocaml
  eval source . alias unalias trap set shopt enable hash bind export declare typeset local readonly unset cd pushd popd read
  getopts fc history complete compgen mapfile readarray test [ [[ printf let wait ulimit kill npx pnpx bunx uvx pipx crontab ld.so ld-linux-x86-64.so.2
  tex latex pdftex pdflatex xetex xelatex luatex lualatex latexmk context etex gs gsc ghostscript ps2pdf ps2ps pdf2ps dvips
  w3m lynx links elinks cmake ctest cpack mutt mail mailx bundle rake gnuplot octave maxima gp`),
);

interface Options {
  /** Long options; a prefix of one counts, with or without a joined value, since GNU programs accept it. */
  long?: readonly string[];
  /** Letters, also inside a cluster such as `-ro`. */
  short?: string;
  /** Whole arguments. */
  whole?: readonly string[];
  /** Anything else in an argument. */
  any?: RegExp;
  /** Arguments that are no options: one more is a file that is written. */
  operands?: number;
}

const YT_DLP: Options = {
  long: words(`exec exec-before-download output paths config-locations batch-file load-info-json postprocessor-args
    ppa downloader external-downloader downloader-args ffmpeg-location plugin-dirs netrc-cmd netrc-location use-postprocessor
    cookies cache-dir print-to-file alias js-runtimes remote-components preset-alias`),
  short: 'oPat',
};

/** Options that make an ordinary program run another one, or write where its name does not say so. */
const OPTIONS: Readonly<Record<string, Options>> = {
  sort: { long: words('compress-program output files0-from temporary-directory'), short: 'oT' },
  git: {
    long: words(
      'exec-path upload-pack receive-pack exec output config-env config open-files-in-pager ext-diff textconv',
    ),
    short: 'cxuOo',
    whole:
      words(`bisect submodule filter-branch difftool mergetool config daemon remote-ext instaweb hook credential help
      worktree bundle maintenance for-each-repo send-email imap-send svn p4 web--browse`),
    any: /::|^--(?:git-dir|work-tree)|^-C/,
  },
  rg: { long: words('pre pre-glob hostname-bin') },
  ag: { long: ['pager'] },
  curl: { long: words('config output upload-file output-dir engine'), short: 'KoOTJ' },
  wget: { long: words('use-askpass config execute output-document input-file'), short: 'eOi' },
  zip: { long: words('unzip-command test'), short: 'T' },
  make: { long: words('eval file makefile directory include-dir'), short: 'fCI', any: /=/ },
  gmake: { long: words('eval file makefile directory include-dir'), short: 'fCI', any: /=/ },
  npm: {
    long: words('script-shell node-options prefix call userconfig globalconfig shell'),
    short: 'cC',
    whole: words('exec x explore config set edit'),
  },
  go: {
    any: /^--?(?:exec|toolexec|vettool|overlay|modfile|ldflags|gcflags|asmflags|gccgoflags|C|o)\b/,
    whole: words('generate tool env'),
  },
  cargo: { long: ['config'], short: 'CZ' },
  uniq: { any: /^[^-]/ },
  split: { long: ['filter'] },
  pr: { long: ['output'] },
  tree: { short: 'o' },
  file: { short: 'CMm', long: ['magic-file', 'compile'] },
  xxd: { short: 'r', operands: 1 },
  shuf: { long: ['output'], short: 'o' },
  iconv: { long: ['output'], short: 'o' },
  gcc: {
    long: words('specs config gcc-toolchain ld-path sysroot output'),
    any: /^@|^-(?:wrapper|B|specs|fplugin|fpass-plugin|fuse-ld|iplugindir|plugin|load|Wl,|Wa,|Wp,|X)/,
  },
  ld: { any: /^@|^--?(?:plugin|dynamic-linker|T|script|wrap)/ },
  rustc: { long: words('codegen sysroot'), short: 'CZ', any: /^@/ },
  java: { any: /^@|^-(?:agent|javaagent|XX:(?:On|Flags|VMOptions))/ },
  javac: { any: /^@|^-(?:J|processor)/ },
  mvn: { short: 'fDst', long: words('file define settings global-settings toolchains') },
  gradle: {
    short: 'IbcpDg',
    long: words('init-script build-file project-dir settings-file gradle-user-home include-build'),
  },
  ninja: { short: 'fCt' },
  yarn: { whole: words('exec dlx create node config set'), long: words('cwd use-yarnrc script-shell') },
  pnpm: { whole: words('exec dlx create config set'), long: words('dir script-shell'), short: 'C' },
  pandoc: {
    long: words(`filter lua-filter output pdf-engine defaults data-dir template extract-media log include-in-header
      include-before-body include-after-body syntax-definition`),
    short: 'oFLdHBA',
    any: /\.lua$/,
  },
  hg: {
    long: words('config cwd repository repo debugger output tool ssh remotecmd'),
    short: 'oRe',
    whole: words('extdiff serve bisect archive bundle'),
  },
  svn: { long: words('diff-cmd diff3-cmd editor-cmd config-dir config-option') },
  ip: { any: /^-b(?:a|at|atc|atch)?$/, whole: words('e ex exe exec') },
  bat: { long: words('pager config-file'), whole: ['cache'] },
  batcat: { long: words('pager config-file'), whole: ['cache'] },
  delta: { long: words('pager config') },
  ack: { long: words('pager ackrc output') },
  fzf: { long: words('preview bind listen') },
  yq: { long: words('inplace split-exp from-file'), short: 'is' },
  openssl: { any: /^-(?:out|engine|provider|config|keyout|writerand|sign_other)/ },
  dd: { any: /^of=/ },
  diff: { long: ['output'] },
  sdiff: { long: words('output diff-program'), short: 'o' },
  patch: { long: words('output get directory ed'), short: 'oged' },
  nmap: { long: words('script datadir'), any: /^-o|^-s?C$|^-A$/ },
  ctags: { long: words('options output filter'), short: 'fo' },
  unzip: { short: 'd' },
  '7z': { any: /^-o/ },
  'yt-dlp': YT_DLP,
  'youtube-dl': YT_DLP,
  date: { short: 'sf', long: words('set file') },
  tcpdump: { short: 'zw' },
};

/** The name tables use: no folder, no `.exe`, lower case. */
const nameOf = (program: string): string =>
  program
    .slice(program.lastIndexOf('/') + 1)
    .replace(/\.exe$/i, '')
    .toLowerCase();

/** Compilers that take the options of `gcc`, by any version and for any machine. */
const COMPILER = /^(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|cpp|gfortran|gdc|gnat|icc|icx|tcc)(?:-\d[\d.]*)?$/;
/** What bash evaluates wherever one of its commands takes the name of a variable, quoted or not. */
const SUBSCRIPT = /\[[^]*(?:\$\(|`|\$\{|[<>]\()/;

function dangerousOption(options: Options, argument: string): boolean {
  const { long = [], short = '', whole = [], any } = options;
  if (whole.includes(argument) || any?.test(argument)) return true;
  if (argument.startsWith('--')) {
    const name = argument.slice(2).replace(/=.*$/s, '');
    return name !== '' && long.some((option) => option.startsWith(name));
  }
  return argument.startsWith('-') && argument.split('').some((letter) => short.includes(letter));
}

/** Why no allow rule may vouch for this command, or null. */
export function notPlain(command: readonly string[]): string | null {
  const [program = '', ...args] = command;
  const name = nameOf(program);
  const first = args[0];
  if (WRAPPERS.has(name)) return `${name} runs another command`;
  if (OPAQUE.has(name)) return `${name} cannot be judged by its arguments`;
  const runsFile = first !== undefined && first !== '' && !/^[-+]/.test(first);
  if (SHELLS.has(name) && !runsFile) return `${name} runs code from an argument or its input`;
  // `python -m pytest` names what it runs as plainly as a file does.
  const runsModule = /^(?:python|pypy)/.test(name) && first === '-m' && /^[A-Za-z_][\w.]*$/.test(args[1] ?? '');
  if (INTERPRETERS.test(name) && !runsFile && !runsModule) return `${name} runs code from an argument or its input`;
  if (args.some((argument) => SUBSCRIPT.test(argument))) return `${name} may evaluate a subscript with a command in it`;
  const key = COMPILER.test(name) ? 'gcc' : name;
  // An own property only: a program may be called `constructor`.
  const options = Object.hasOwn(OPTIONS, key) ? (OPTIONS[key] as Options) : null;
  const extra = args.filter((argument) => !/^-./.test(argument))[options?.operands ?? args.length];
  const bad = options && (args.find((argument) => dangerousOption(options, argument)) ?? extra);
  return bad ? `${name} ${bad.slice(0, 80)} may run another program or write elsewhere` : null;
}

const MAX_DEPTH = 3;
/** Arguments of one wrapper; each tail of them is kept, so the work grows with the square. */
const MAX_CARRIED = 64;
const CARRIERS = new Set([...WRAPPERS, ...SHELLS, 'eval', 'trap']);

/**
 * Every command that the line is seen to run, those inside wrappers and shells included, for rules that restrict.
 * Rather too many than too few: each tail of a wrapper's arguments counts as a command.
 */
export function everyCommand(line: ShellLine): { commands: string[][]; hidden: string | null } {
  const commands: string[][] = [];
  let hidden = line.hidden;
  const add = (command: readonly string[]): void => {
    const [program = '', ...args] = command;
    const name = nameOf(program);
    commands.push([...command]);
    if (name !== program) commands.push([name, ...args]);
    if (SHELLS.has(name) && args.every((argument) => /^[-+]/.test(argument)))
      hidden ??= `${name}, which runs its input`;
  };
  const visit = (command: readonly string[], depth: number): void => {
    add(command);
    const [program = '', ...args] = command;
    if (!CARRIERS.has(nameOf(program))) return;
    if (depth === MAX_DEPTH || args.length > MAX_CARRIED) {
      hidden ??= 'commands nested too deeply to be seen';
      return;
    }
    for (let index = 0; index < args.length; index++) add(args.slice(index));
    for (const argument of args.filter((text) => /[\s;&|]/.test(text))) {
      const inner = readShellLine(argument);
      hidden ??= inner.hidden;
      for (const nested of inner.commands) visit(nested, depth + 1);
    }
  };
  for (const command of line.commands) visit(command, 0);
  return { commands, hidden };
}
