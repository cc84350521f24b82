import { workspacePath } from '../core/text/paths.ts';
import { readShellLine } from './shell-line.ts';

/** Programs that read only the files their arguments name, or nothing. Any other may read whatever it sees. */
const NAMING = new Set(
  `basename base32 base64 cat cd chmod cksum cmp column comm cp cut date diff dir dirname du echo egrep expand expr false fgrep file
  fmt fold grep head hexdump hostname id iconv join jq ls ln md5sum mkdir mv nl od paste pr printf pwd readlink realpath rev rg rm
  rmdir sed seq sha1sum sha224sum sha256sum sha384sum sha512sum shuf sleep sort split stat strings sum tac tail tee test touch tr
  tree true truncate tsort uname unexpand uniq wc whoami xxd yes [`.split(/\s+/),
);
/** These show names and sizes, and nothing that stands in a file. */
const NAMES_ONLY = new Set(
  'basename chmod dir dirname du echo ls mkdir printf pwd realpath rm rmdir stat test touch tree ['.split(' '),
);
/** What these look at where no argument is a path. */
const OF_FOLDER = new Set(['ls', 'dir', 'du', 'tree', 'rg']);
/** Options that name lists of files or programs; they may be shortened. */
const OTHERS = /^--(?:f|comp|pre|host)/;
/** What Git does with these shows no content. */
const QUIET_GIT = new Set(['add', 'branch', 'commit', 'rev-parse', 'status', '--version']);
/** Scripts of sed without files in them: lines picked, one substitution. */
const PLAIN_SED =
  /^(?:[\d,$ ]*[pdq=]|s(?<mark>[/|#,])(?:(?!\k<mark>)[^\\\n]|\\.)*\k<mark>(?:(?!\k<mark>)[^\\\n]|\\.)*\k<mark>[gip\d]*)$/;
/** Short options that take the next word, of `rg`, of `grep` and its kin, and of what shows folders. */
const WITH_WORD = { rg: /^-\w*[ABCEMTdefgjmrt]$/, grep: /^-\w*[ABCDdefm]$/, folder: /^-\w*[ITwLPoHBdXt]$/ };
/** Where no file of the workspace is. */
const ELSEWHERE = /^\/(?:dev|tmp|etc|usr|var\/tmp)(?:\/|$)/;

/** Paths and globs, '' for the whole workspace. */
export interface Named {
  /** Of files whose content the line can read. */
  paths: string[];
  /** Of files of which it can only see the names. */
  names: string[];
}

/**
 * What a command line can read, by the paths it names; null if that cannot be told from it. Rather too many than too few: a
 * pattern of `grep` may also be the name of a file.
 */
export function namedPaths(command: string): Named | null {
  const { commands, hidden, targets } = readShellLine(command);
  if (hidden !== null) return null;
  const words = [...targets];
  const shown: string[] = [];
  for (const [program = '', ...args] of commands) {
    if (program === 'git' && QUIET_GIT.has(args[0] ?? '')) continue;
    if (!NAMING.has(program) || takesNames(program, args)) return null;
    const to = NAMES_ONLY.has(program) ? shown : words;
    to.push(...(looksAround(program, args) ? ['.', ...args] : args));
  }
  const [paths, names] = [pathsIn(words), pathsIn(shown)];
  return paths === null || names === null ? null : { paths, names };
}

function pathsIn(words: readonly string[]): string[] | null {
  const paths: string[] = [];
  for (const word of words.flatMap(partsOf)) {
    const path = pathIn(word);
    if (path === null) return null;
    if (path !== undefined) paths.push(path);
  }
  return paths;
}

/** True if a line speaks of Git, which has what files were. */
export const speaksOfGit = (command: string): boolean => /\bgit\b/.test(command);

/** Its arguments hold names, or programs, that are not words of the line. */
function takesNames(program: string, args: readonly string[]): boolean {
  if (args.some((arg) => OTHERS.test(arg))) return true;
  // Its programs can load others, and data, by names of their own.
  if (program === 'jq') return args.some((arg) => /\b(?:import|include)\b/.test(arg) || /^-[^-]*f/.test(arg));
  if (program === 'file') return args.some((arg) => /^-[^-]*f/.test(arg));
  return program === 'sed' && !isPlainSed(args);
}

/** Lines picked or one substitution, in the first argument that is no option; what follows are files. */
function isPlainSed(args: readonly string[]): boolean {
  const options = args.filter((arg) => arg.startsWith('-'));
  const script = args.find((arg) => !arg.startsWith('-')) ?? '';
  return options.every((arg) => /^-[nEriz]+$/.test(arg)) && PLAIN_SED.test(script);
}

function looksAround(program: string, args: readonly string[]): boolean {
  const isGrep = program.endsWith('grep');
  const kind = WITH_WORD[program === 'rg' ? 'rg' : isGrep ? 'grep' : 'folder'];
  const takesNext = (option = ''): boolean => kind.test(option) || /^--[^=]+$/.test(option);
  const given = args.filter((arg, at) => !arg.startsWith('-') && !takesNext(args[at - 1]));
  if (OF_FOLDER.has(program)) return given.length <= (program === 'rg' ? 1 : 0);
  return isGrep && args.some((arg) => /^-\w*[rRd]|^--(?:r|de|di)/.test(arg)) && given.length <= 1;
}

/** A path may stand behind an option, too: `--file=x`, `-fx`. */
function partsOf(word: string): string[] {
  const parts = [word];
  if (word.includes('=')) parts.push(word.slice(word.indexOf('=') + 1));
  if (/^-[A-Za-z]./.test(word)) parts.push(word.slice(2));
  return parts.filter((part) => part !== '');
}

/** What a word can mean as a path of the workspace; undefined: nothing; null: something that cannot be told. */
function pathIn(word: string): string | null | undefined {
  // Some shells make several words of one in braces.
  if (word.startsWith('~') || /\{[^}]*(?:,|\.\.)[^}]*\}/.test(word)) return null;
  const inside = word.replace(/^\/workspace(?=\/|$)/, '.');
  if (inside.startsWith('/')) return ELSEWHERE.test(inside) && !inside.includes('..') ? undefined : null;
  if (inside.split('/').includes('..')) return null;
  // A set of characters is taken for any.
  const checked = workspacePath(inside.replace(/\[[^/\]]*\]/g, '*'));
  return checked.ok ? checked.path : undefined;
}
