import { lstat, mkdir, readFile, readlink, rm, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { replaceFile } from '../platform/replace.ts';

/**
 * A git directory that shares objects, refs and logs with a repository, but nothing that could run or rewrite bytes:
 * own configuration from an allow-list, no hooks, attributes that switch every conversion off. An allow-list, since
 * blanking what is known to be dangerous misses what the next Git version adds.
 */
export interface Neutral {
  /** What GIT_DIR is set to. */
  dir: string;
  /**
   * What GIT_DIR is set to where the person's working tree is compared or written: the same, with the conversions that are
   * built into Git (line endings, `ident`, encodings) as the person has them. No filter is configured, so none runs.
   */
  personDir: string;
  /** Real places of the repository. For a linked worktree `gitDir` and `commonDir` differ. */
  gitDir: string;
  commonDir: string;
  objects: string;
  index: string;
  bare: boolean;
  objectFormat: 'sha1' | 'sha256';
}

/** Keys of the repository's own configuration that only describe the file system. */
const INERT = ['core.filemode', 'core.ignorecase', 'core.symlinks', 'core.trustctime', 'core.checkstat'];
const HARMLESS_EXTENSIONS = [
  'objectformat',
  'noop',
  'noop-v1',
  'worktreeconfig',
  'relativeworktrees',
  'preciousobjects',
];

// info/attributes outranks every .gitattributes file, so bytes go in and out exactly as they are and no filter is looked up.
const ATTRIBUTES = '* -text !eol -ident !filter !working-tree-encoding\n';

async function writeIfDifferent(path: string, text: string): Promise<void> {
  const old = await readFile(path, 'utf8').catch(() => null);
  if (old === text) return;
  await replaceFile(path, text);
}

async function linkTo(target: string, path: string): Promise<void> {
  const old = await readlink(path).catch(() => null);
  if (old === target) return;
  await rm(path, { recursive: true, force: true });
  await symlink(target, path).catch((error: NodeJS.ErrnoException) => {
    // Another process of the same home made it at the same moment.
    if (error.code !== 'EEXIST') throw error;
  });
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** The git directory of a work tree: `.git`, or where a `.git` file points to. Null if there is none. */
export async function findGitDir(workTree: string): Promise<string | null> {
  const path = join(workTree, '.git');
  const found = await lstat(path).catch(() => null);
  if (!found) return null;
  if (!found.isFile()) return (await isFolder(path)) ? path : null;
  const match = /^gitdir: (.+?)\r?\n?$/.exec(await readFile(path, 'utf8'));
  return match?.[1] ? resolve(workTree, match[1]) : null;
}

async function commonDirOf(gitDir: string): Promise<string> {
  const text = await readFile(join(gitDir, 'commondir'), 'utf8').catch(() => null);
  return text === null ? gitDir : resolve(gitDir, text.trim());
}

/** `key` → last value, from `git config -z --list`. */
export function parseConfig(output: string): Map<string, string> {
  const config = new Map<string, string>();
  for (const item of output.split('\0')) {
    if (item === '') continue;
    const cut = item.indexOf('\n');
    if (cut < 0) config.set(item.toLowerCase(), 'true');
    else config.set(item.slice(0, cut).toLowerCase(), item.slice(cut + 1));
  }
  return config;
}

function checkExtensions(config: Map<string, string>, gitDir: string): void {
  for (const [key, value] of config) {
    if (!key.startsWith('extensions.')) continue;
    const name = key.slice('extensions.'.length);
    if (name === 'refstorage') {
      if (value === 'files') continue;
      throw new Error(
        `${gitDir} keeps its refs as "${value}", which is not supported; run: git refs migrate --ref-format=files`,
      );
    }
    if (name === 'partialclone')
      throw new Error(
        `${gitDir} is a partial clone, so files are missing; run: git fetch --refetch --no-filter, then git config --unset extensions.partialClone`,
      );
    if (!HARMLESS_EXTENSIONS.includes(name))
      throw new Error(`${gitDir} uses the Git extension "${name}", which is not supported`);
  }
}

function configText(
  config: Map<string, string>,
  bare: boolean,
  excludesFile: string | null,
  conversions: readonly string[],
): string {
  const format = config.get('extensions.objectformat');
  const inert = INERT.filter((key) => config.has(key)).map(
    (key) => `\t${key.slice('core.'.length)} = ${quote(config.get(key) ?? '')}`,
  );
  return [
    '[core]',
    `\trepositoryformatversion = ${format ? 1 : 0}`,
    `\tbare = ${bare}`,
    `\tlogAllRefUpdates = ${!bare}`,
    ...inert,
    '\thooksPath = /dev/null',
    '\tfsmonitor = false',
    '\tuntrackedCache = false',
    '\tsafecrlf = false',
    ...conversions,
    '\tprecomposeUnicode = false',
    '\tquotePath = false',
    '\tuseReplaceRefs = false',
    `\texcludesFile = ${quote(excludesFile ?? '/dev/null')}`,
    // What a landing relies on is on disk before the ref names it; the index can be made again.
    '\tfsync = committed,loose-object,reference',
    // The journal is the only bare one, and holds what everybody has said.
    `\tsharedRepository = ${bare ? '0600' : 'umask'}`,
    ...(format ? ['[extensions]', `\tobjectFormat = ${quote(format)}`] : []),
    '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[receive]\n\tautogc = false',
    '[commit]\n\tgpgSign = false\n[tag]\n\tgpgSign = false\n[user]\n\tuseConfigOnly = true',
    '[protocol]\n\tallow = never\n[protocol "https"]\n\tallow = always\n[protocol "ssh"]\n\tallow = always',
    '[submodule]\n\trecurse = false\n[fetch]\n\trecurseSubmodules = false\n[diff]\n\tignoreSubmodules = all\n\trenames = false',
    '[advice]\n\tdetachedHead = false\n[index]\n\tthreads = true\n[core]\n\tpreloadIndex = true',
    '[fastimport]\n\tunpackLimit = 1',
    '',
  ].join('\n');
}

const quote = (value: string): string => `"${value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;

const NO_CONVERSIONS = ['\tautocrlf = false', '\tattributesFile = /dev/null'];

const conversionsOf = ({ autocrlf, eol, attributesFile }: Conversions): string[] => [
  `\tautocrlf = ${quote(autocrlf ?? 'false')}`,
  ...(eol === null ? [] : [`\teol = ${quote(eol)}`]),
  `\tattributesFile = ${quote(attributesFile ?? '/dev/null')}`,
];

/** How the person has Git convert files between the repository and the working tree; null: not said. */
export interface Conversions {
  autocrlf: string | null;
  eol: string | null;
  /** Their own attributes, which are only patterns. */
  attributesFile: string | null;
  /** Names of filters for which a program is configured. It is never run: what it converts is left to the person's own Git. */
  filters: readonly string[];
}

export interface NeutralOptions {
  gitDir: string;
  bare: boolean;
  /** Output of `git config -z --list` on the repository's own file. */
  readConfig: (file: string) => Promise<string>;
  /** The person's global ignore file, which is only patterns. */
  excludesFile: string | null;
  conversions: Conversions;
}

/** Makes or refreshes `<gitDir>/ruche`. Rejects with advice for repositories whose form is not supported. */
export async function openNeutral(options: NeutralOptions): Promise<Neutral> {
  const gitDir = resolve(options.gitDir);
  const commonDir = await commonDirOf(gitDir);
  const config = parseConfig(await options.readConfig(join(commonDir, 'config')));
  checkExtensions(config, gitDir);
  const dir = join(gitDir, 'ruche');
  const personDir = join(dir, 'person');
  const { bare, excludesFile, conversions } = options;
  await mkdir(join(commonDir, 'refs', 'heads'), { recursive: true });
  if (!bare) await mkdir(join(gitDir, 'logs'), { recursive: true });
  await layOut(dir, { gitDir, commonDir, config: configText(config, bare, excludesFile, NO_CONVERSIONS) });
  await writeIfDifferent(join(dir, 'info', 'attributes'), ATTRIBUTES);
  if (!bare) {
    const text = configText(config, bare, excludesFile, conversionsOf(conversions));
    await layOut(personDir, { gitDir, commonDir, config: text });
    await linkTo(join(commonDir, 'info', 'attributes'), join(personDir, 'info', 'attributes'));
  }
  return {
    dir,
    personDir,
    gitDir,
    commonDir,
    objects: join(commonDir, 'objects'),
    index: join(gitDir, 'index'),
    bare: options.bare,
    objectFormat: config.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1',
  };
}

async function layOut(dir: string, of: { gitDir: string; commonDir: string; config: string }): Promise<void> {
  await mkdir(join(dir, 'info'), { recursive: true });
  await mkdir(join(dir, 'objects'), { recursive: true });
  await writeIfDifferent(join(dir, 'config'), of.config);
  for (const name of ['info/exclude', 'refs', 'packed-refs', 'logs', 'shallow'])
    await linkTo(join(of.commonDir, name), join(dir, name));
  await writeIfDifferent(join(dir, 'HEAD'), await readFile(join(of.gitDir, 'HEAD'), 'utf8'));
}

/** Whether everything Git looks for is still there. */
export async function isLaidOut({ dir, personDir, bare }: Neutral): Promise<boolean> {
  for (const each of bare ? [dir] : [dir, personDir])
    for (const name of ['HEAD', 'config', 'refs', 'objects', 'info/exclude'])
      if ((await lstat(join(each, name)).catch(() => null)) === null) return false;
  return true;
}

/** `ref: refs/heads/…`, or a commit. */
export const readHead = async ({ gitDir }: Neutral): Promise<string> =>
  (await readFile(join(gitDir, 'HEAD'), 'utf8')).trim();

/** Copies the real HEAD into the neutral directories, so that moving the branch it names is noted in HEAD's reflog. */
export async function mirrorHead(neutral: Neutral): Promise<string> {
  const head = await readFile(join(neutral.gitDir, 'HEAD'), 'utf8');
  await writeIfDifferent(join(neutral.dir, 'HEAD'), head);
  if (!neutral.bare) await writeIfDifferent(join(neutral.personDir, 'HEAD'), head);
  return head.trim();
}
