import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkout } from '../../core/ports/workspace.ts';
import type { Git } from '../../git/git.ts';
import { removeTree } from '../../platform/remove.ts';
import { replaceFile } from '../../platform/replace.ts';
import { packObjects } from './objects.ts';
import { seal, type Seal } from './seal.ts';

/** What is kept of a checkout beside its files, so that a crash does not lose whose it is. */
export interface CheckoutState {
  /** The call it belongs to; null while it is free. */
  key: string | null;
  /** Its files are the tree's: a command may have been started. */
  ready: boolean;
  base: string;
  tree: string;
  /** Some paths are hidden from the command. */
  blind: boolean;
}

/** The places of one checkout: `files`, and outside of what a command can reach its index, state and throwaway repository. */
export interface Place {
  id: string;
  root: string;
  files: string;
  index: string;
  git: string;
  state: string;
}

export const placeOf = (root: string, id: string): Place => {
  const own = join(root, id);
  return {
    id,
    root: own,
    files: join(own, 'files'),
    index: join(own, 'index'),
    git: join(own, 'git'),
    state: join(own, 'state.json'),
  };
};

/** `objects`: those of the base. A blind command gets none, because among them are files that are hidden from it. */
export const checkoutOf = (place: Place, objects: string, blind: boolean): Checkout => ({
  id: place.id,
  dir: place.files,
  git: place.git,
  objects: blind ? join(place.git, 'none') : objects,
});

export const writeState = (place: Place, state: CheckoutState): Promise<void> =>
  replaceFile(place.state, JSON.stringify(state), { temp: `${place.state}.new` });

export async function readState(place: Place): Promise<CheckoutState | null> {
  const text = await readFile(place.state, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return JSON.parse(text) as CheckoutState;
  } catch {
    // Cut off by a power failure: whose it was is not known, so it is nobody's.
    return null;
  }
}

/** Git on this checkout's files and index. ctime is what a command cannot set back, so changes cannot hide. */
export const on = (place: Place) => ({
  env: { GIT_WORK_TREE: place.files, GIT_INDEX_FILE: place.index },
  cwd: place.files,
});
export const STRICT = ['-c', 'core.trustctime=true', '-c', 'core.checkStat=default', '-c', 'core.filemode=true'];

/**
 * Makes the files those of the tree, over what the seal vouches for; without one, or if that fails, over nothing. `discard` puts
 * away what is in the way.
 */
export async function fill(
  git: Git,
  place: Place,
  tree: string,
  { before, discard }: { before: Seal | null; discard: (path: string) => Promise<void> },
): Promise<Seal> {
  if (before === null) {
    await discard(place.files);
    await rm(place.index, { force: true });
  }
  try {
    await rm(`${place.index}.lock`, { force: true });
    await mkdir(place.files, { recursive: true });
    await git.run([...STRICT, 'read-tree', '--reset', '-u', tree], on(place));
    // The mount point of the throwaway repository.
    await mkdir(join(place.files, '.git'), { recursive: true });
    return await seal(place.files, before);
  } catch (error) {
    if (before === null) throw error;
    return fill(git, place, tree, { before: null, discard });
  }
}

/**
 * The repository a command sees: HEAD at the base, the objects of the base behind an alternate, those of the run's changes its
 * own, and an index copied from ours, so that `status` need not read every file. Made anew each time. A blind one is empty.
 */
export async function throwaway(
  git: Git,
  place: Place,
  { base, tree, blind }: CheckoutState,
  { objects, shallow }: { objects: string; shallow: string },
): Promise<void> {
  const { neutral } = git;
  await removeTree(place.git);
  await mkdir(join(place.git, 'refs', 'heads'), { recursive: true });
  await mkdir(join(place.git, 'objects', 'info'), { recursive: true });
  await mkdir(join(place.git, 'info'));
  const sha256 = neutral.objectFormat === 'sha256';
  const config = [
    `[core]\n\trepositoryformatversion = ${sha256 ? 1 : 0}\n\tbare = false\n\tautocrlf = false\n\tcheckStat = minimal`,
    '\ttrustctime = false\n\tlogAllRefUpdates = true\n[gc]\n\tauto = 0',
    ...(sha256 ? ['[extensions]\n\tobjectFormat = sha256'] : []),
    '[user]\n\tname = agent\n\temail = agent@ruche.invalid\n[init]\n\tdefaultBranch = main\n',
  ].join('\n');
  const own = join(neutral.commonDir, 'info', 'exclude');
  await Promise.all([
    writeFile(join(place.git, 'HEAD'), 'ref: refs/heads/main\n'),
    writeFile(join(place.git, 'config'), config),
    writeFile(join(place.git, 'info', 'attributes'), '* -text !eol -ident !filter !working-tree-encoding\n'),
    writeFile(join(place.git, 'info', 'exclude'), await readFile(own).catch(() => '')),
  ]);
  if (blind) return mkdir(join(place.git, 'none')).then(() => undefined);
  await Promise.all([
    writeFile(join(place.git, 'objects', 'info', 'alternates'), `${objects}\n`),
    writeFile(join(place.git, 'refs', 'heads', 'main'), `${base}\n`),
    copyFile(place.index, join(place.git, 'index')),
    ...(shallow === '' ? [] : [writeFile(join(place.git, 'shallow'), shallow)]),
    ownObjects(git, join(place.git, 'objects'), base, tree),
  ]);
}

async function ownObjects(git: Git, objects: string, base: string, tree: string): Promise<void> {
  await mkdir(join(objects, 'pack'));
  if ((await git.resolve(`${base}^{tree}`)) !== tree) await packObjects(git, objects, tree, base);
}
