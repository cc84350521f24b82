import { lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Change, FileRefused, type Files } from '../core/files.ts';
import { type Workspace, WorkspaceUnavailable } from '../core/ports/workspace.ts';
import { addedFiles, commitDiff, lastChange } from '../git/changed.ts';
import { MAIN, findRun, mainCommit, personConfig } from '../git/commit.ts';
import { Overlay, type FilesParts, overlayTree } from './overlay/files.ts';
import { shellWord } from '../core/text/paths.ts';
import { faultWords, inShell, splitIndex } from '../git/fault.ts';
import { checkGitVersion, openGit, plainGit, type Env, type Git } from '../git/git.ts';
import { Landings } from './landing/landing.ts';
import { openListing } from '../git/listing.ts';
import { Mover } from './landing/move.ts';
import { Mutex } from '../core/time/mutex.ts';
import { findGitDir } from '../git/neutral.ts';
import { openObjects, type Objects } from '../git/objects.ts';
import { OpenWork } from './landing/open-work.ts';
import { Person } from './landing/person.ts';
import { Trees } from '../git/trees.ts';
import {
  damagedHead,
  damagedMain,
  troublesOf,
  asUnavailable,
  type FaultParts,
  inPlainWords,
  mended,
} from './trouble.ts';

export interface WorkspaceOptions {
  /** The top folder of the repository. */
  dir: string;
  /** The process's environment: PATH, and where the person's Git configuration is. */
  env: Env;
  clock: Clock;
  boundary: Boundary;
  /** Bytes of the largest file agents may read or write, and that is committed for a person. */
  maxFile?: number;
  /** Milliseconds to wait for another Git command to let go of the index. */
  lockWaitMs?: number;
}

/** An open workspace, with what the other parts of this room build on. */
export interface OpenWorkspace extends Workspace {
  /**
   * Finishes or undoes a landing that a crash has cut off, and mends refs of runs' work whose objects are gone; resolves with
   * what was done. Call before anything else.
   */
  recover(): Promise<string | null>;
  /** Packs loose objects once there are many. Nothing is pruned: what a step has just written is held a moment later. */
  maintain(): Promise<void>;
  /** The same part of this room, whose methods reject with WorkspaceUnavailable where disk or Git fail. */
  plainly<T extends object>(part: T): T;
  /** Refs of runs' work that name objects which are gone: the person's own `git gc` fails on them. */
  brokenRefs(): Promise<string[]>;
  readonly git: Git;
  readonly objects: Objects;
  readonly trees: Trees;
}

const DEFAULT_MAX_FILE = 100_000_000;

/** The git directory of a workspace. Rejects with what is wrong and the command that mends it. */
export async function checkRepository(dir: string, env: Env): Promise<string> {
  const quoted = shellWord(dir);
  const folder = await lstat(dir).catch(() => null);
  if (!folder) throw new Error(`the workspace ${dir} does not exist; make one with: ruche init ${quoted}`);
  const gitDir = await findGitDir(dir);
  if (gitDir === null) {
    const inside = await plainGit(['config', '-f', `${dir}/config`, '--get', 'core.bare'], env, { accept: [0, 1, 3] });
    if (inside.stdout.toString('utf8').trim() === 'true')
      throw new Error(
        `${dir} is a bare repository, without files; clone it and use the clone: git clone ${quoted} workspace`,
      );
    throw new Error(
      `${dir} is not the top folder of a Git repository; run: git init -b main ${quoted} && git -C ${quoted} commit --allow-empty -m start`,
    );
  }
  const damaged = await damagedHead(gitDir);
  if (damaged !== null) throw new Error(damaged);
  const owner = (await lstat(gitDir)).uid;
  const me = process.getuid?.() ?? owner;
  if (owner !== me)
    throw new Error(
      `${gitDir} belongs to user ${owner}, and ruche runs as user ${me}; run it as that user, or: chown -R ${me} ${quoted}`,
    );
  return gitDir;
}

async function checkMain(git: Git, dir: string): Promise<void> {
  if ((await git.resolve(MAIN)) !== null) return;
  const damaged = await damagedMain(git.neutral.commonDir);
  if (damaged !== null) throw new Error(damaged);
  const head = await git.run(['symbolic-ref', '-q', '--short', 'HEAD'], { accept: [0, 1] });
  const branch = head.stdout.toString('utf8').trim();
  const move = inShell(dir, `branch -m ${shellWord(branch)} main`);
  const born = branch !== '' && (await git.resolve(`refs/heads/${branch}`)) !== null;
  if (born) throw new Error(`the workspace's branch is "${branch}", and it must be "main"; run: ${move}`);
  const rename = branch === '' || branch === 'main' ? '' : `${move} && `;
  const start = inShell(dir, branch === '' ? 'branch main HEAD' : 'commit --allow-empty -m start');
  throw new Error(`the workspace has no commit on "main" yet; run: ${rename}${start}`);
}

/** The person's repository, opened to be worked on. */
async function openRepository({
  dir: given,
  env,
}: WorkspaceOptions): Promise<{ git: Git; dir: string; gitDir: string }> {
  const found = checkRepository(given, env).then(async (gitDir) => ({
    gitDir,
    ...(await personConfig(gitDir, env)),
  }));
  // Beside the check of the version, whose complaint goes first.
  found.catch(() => undefined);
  await checkGitVersion(env);
  const { gitDir, excludesFile, conversions } = await found;
  const dir = await realpath(given);
  const git = await openGit({ gitDir, workTree: dir, env, excludesFile, conversions });
  try {
    await checkMain(git, dir);
    const unusable = await splitIndex(git);
    if (unusable !== null) throw new Error(unusable);
    return { git, dir, gitDir };
  } catch (error) {
    git.close();
    throw error;
  }
}

/** Opens a repository as workspace. Rejects with advice if it cannot be one. */
export async function openWorkspace(options: WorkspaceOptions): Promise<OpenWorkspace> {
  const { env, clock, boundary, maxFile = DEFAULT_MAX_FILE } = options;
  const { git, dir, gitDir } = await openRepository(options).catch((error: unknown) => {
    const words = faultWords(error, options.dir);
    throw words === null ? error : new Error(`the workspace cannot be opened: ${words}`, { cause: error });
  });
  const objects = openObjects(git.neutral);
  const trees = new Trees(git, objects);
  const mutex = new Mutex();
  const mover = new Mover({ git, boundary, clock, lockWaitMs: options.lockWaitMs ?? 3000 });
  const identity = async () => (await personConfig(gitDir, env)).author;
  const person = new Person({ git, objects, trees, mover, mutex, clock, identity, maxFile }, dir);
  const faults: FaultParts = { git, mover, clock, mutex };
  const inWords = async (error: unknown): Promise<unknown> => {
    await mended(faults, error);
    return asUnavailable(faults, error);
  };
  const landings = new Landings({ git, objects, trees, mover, person, mutex, boundary, maxFile, inWords });
  const openWork = new OpenWork({ git, objects, trees });
  const filesParts: FilesParts = { git, objects, trees, listing: openListing(git), boundary, maxFile };
  return inPlainWords(faults, {
    git,
    objects,
    trees,
    plainly: (part) => inPlainWords(faults, part),
    troubles: () => troublesOf(faults),
    unseen: (paths) => person.unseen(paths),
    recover: () =>
      mutex.run(async () => {
        const done = await mover.recover();
        // Files that were only copied or touched would each count as edited.
        if (!(await mover.mendIndex()))
          await git.run(['update-index', '-q', '--refresh'], { env: git.asPerson, accept: [0, 1, 128] });
        const mends = [...(done === null ? [] : [done]), ...(await openWork.recover())];
        return mends.length === 0 ? null : mends.join('; ');
      }),
    async head() {
      const head = await mainCommit(git);
      if (head !== null) return head;
      const [trouble] = await troublesOf(faults);
      throw new WorkspaceUnavailable(trouble?.what ?? 'main could not be read');
    },
    files: (base, changes): Files =>
      // A file for which there is no room is the model's to know; a disk that takes nothing at all is waited for.
      inPlainWords(faults, new Overlay(filesParts, base, changes), (error) => {
        return error instanceof FileRefused && error.code !== 'readonly';
      }),
    commitPerson: (paths) => person.commit(paths),
    untouched: (from, to, paths) => untouched(trees, from, to, paths),
    land: (request) => landings.land(request),
    findLanding: (run, base) => findRun(git, run, base),
    hold: (request) => openWork.hold(request),
    lost: (base, changes) => openWork.lost(base, changes),
    release: (run) => openWork.release(run),
    held: () => openWork.runs(),
    keepUnlanded: (request) => openWork.keep(request),
    brokenRefs: () => openWork.broken(),
    diff: (base, changes, limit) => diff(git, trees, base, changes, limit),
    added: (from, to) => addedFiles(git, from, to),
    commitDiff: (commit, limit) => commitDiff(git, commit, limit),
    lastChange: (path) => lastChange(git, path),
    maintain: () => maintain(git),
    async close() {
      // A landing that is under way is finished first.
      await mutex.run(() => Promise.resolve());
      await openWork.settled();
      git.close();
    },
  });
}

/** Loose objects at which they are packed. */
const LOOSE_MAX = 4000;

async function maintain(git: Git): Promise<void> {
  // Ids are spread evenly, so one of the 256 folders tells about all.
  const sample = await readdir(join(git.neutral.objects, '17')).catch(() => []);
  if (sample.length * 256 > LOOSE_MAX) await git.run(['repack', '--geometric=2', '-d', '-l', '-q']);
}

async function untouched(trees: Trees, from: string, to: string, paths: readonly string[]): Promise<boolean> {
  if (from === to) return true;
  const [before, after] = await Promise.all([trees.of(from), trees.of(to)]);
  for (const path of paths) {
    const [old, now] = await Promise.all([trees.at(before, path), trees.at(after, path)]);
    if (old?.oid !== now?.oid || old?.mode !== now?.mode) return false;
  }
  return true;
}

async function diff(git: Git, trees: Trees, base: string, changes: readonly Change[], limit: number): Promise<string> {
  const { tree, stored } = await overlayTree(trees, base, changes);
  await stored;
  const args = ['diff-tree', '-r', '-p', '--no-color', '--no-ext-diff', '--no-textconv', '--no-renames'];
  const result = await git.run([...args, '--end-of-options', await trees.of(base), tree, '--'], {
    maxOutput: limit,
    overflow: 'cut',
  });
  return result.stdout
    .subarray(0, limit)
    .toString('utf8')
    .replace(/\uFFFD$/, '');
}
