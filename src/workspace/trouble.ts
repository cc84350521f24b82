import { constants } from 'node:fs';
import { access, lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/ports/clock.ts';
import { type Trouble, WorkspaceUnavailable } from '../core/ports/workspace.ts';
import { MAIN, mainCommit } from '../git/commit.ts';
import { shellWord } from '../core/text/paths.ts';
import { faultWords, inShell, lockHeld, splitIndex } from '../git/fault.ts';
import { freeSpace, isFull } from '../platform/disk.ts';
import type { Git } from '../git/git.ts';
import { readHead } from '../git/neutral.ts';
import { isOwnLock, type Mover } from './landing/move.ts';
import type { Mutex } from '../core/time/mutex.ts';
import { GitError } from '../git/process.ts';

export interface TroubleParts {
  git: Git;
  mover: Mover;
  clock: Pick<Clock, 'now'>;
}

/** Milliseconds for which a Git command of a person may hold a lock without a word. */
const LOCK_PATIENCE = 3_000;

/** What keeps the workspace from being used, or main from moving: what is wrong, and the mend. */
export async function troublesOf(parts: TroubleParts): Promise<Trouble[]> {
  const { git } = parts;
  const dir = git.workTree ?? git.neutral.gitDir;
  const work = (await missing(git, dir)) ?? (await unwritable(git, dir)) ?? (await noMain(git, dir));
  if (work !== null) return [{ what: work, stops: 'work' }];
  const landings = [await splitIndex(git), await parts.mover.busy(), ...(await locks(parts))];
  return landings.flatMap((what): Trouble[] => (what === null ? [] : [{ what, stops: 'landings' }]));
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

async function missing({ neutral }: Git, dir: string): Promise<string | null> {
  if (!(await isThere(dir))) return `the workspace ${dir} is not there; mount it again, or put it back`;
  if (!(await isThere(neutral.gitDir))) return `${neutral.gitDir} is not there; put it back`;
  return damagedHead(neutral.gitDir);
}

/** A power cut can leave it empty: without it Git does not take the folder for a repository. */
export async function damagedHead(gitDir: string): Promise<string | null> {
  const path = join(gitDir, 'HEAD');
  const head = await readFile(path, 'utf8').catch(() => '');
  return /^(?:ref: refs\/\S|[0-9a-f]{40,64}\s*$)/.test(head)
    ? null
    : `${path} is empty or damaged, as a power cut can leave it, so Git does not see a repository; if your branch was main, run: echo 'ref: ${MAIN}' > ${shellWord(path)}`;
}

async function unwritable({ neutral }: Git, dir: string): Promise<string | null> {
  for (const place of [dir, neutral.gitDir, neutral.objects]) {
    const error: unknown = await access(place, constants.W_OK).then(
      () => null,
      (refused: unknown) => refused,
    );
    if (error !== null) return faultWords(error, dir);
    const free = await freeSpace(place).catch(() => null);
    if (free === null) continue;
    if (isFull(free)) return `the disk of ${place} is full; free some space`;
    if (free.files === 0) return `the disk of ${place} takes no more files; remove some`;
  }
  return null;
}

async function noMain(git: Git, dir: string): Promise<string | null> {
  if ((await mainCommit(git)) !== null) return null;
  const damaged = await damagedMain(git.neutral.commonDir);
  if (damaged !== null) return damaged;
  const branch = /^ref: refs\/heads\/(.+)$/.exec(await readHead(git.neutral))?.[1] ?? 'main';
  const command = branch === 'main' ? 'branch main COMMIT' : `branch -m ${shellWord(branch)} main`;
  return `the workspace has no branch main any more; make it again: ${inShell(dir, command)}`;
}

/** A power cut can leave the branch's file empty. The log of the branch has what stood there. */
export async function damagedMain(commonDir: string): Promise<string | null> {
  const path = join(commonDir, MAIN);
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null || /^(?:ref: |[0-9a-f]{40,64}\s*$)/.test(text)) return null;
  const log = await readFile(join(commonDir, 'logs', MAIN), 'utf8').catch(() => '');
  const last = /^[0-9a-f]+ ([0-9a-f]{40,64}) /.exec(log.trimEnd().split('\n').at(-1) ?? '')?.[1] ?? 'COMMIT';
  return `${path} is empty or damaged, as a power cut can leave it; write the commit into it that main was at: echo ${last} > ${shellWord(path)}`;
}

/** Locks that are no landing's, and older than what a person's command needs. */
async function locks({ git: { neutral }, clock }: TroubleParts): Promise<(string | null)[]> {
  const paths = [join(neutral.gitDir, 'index.lock'), join(neutral.gitDir, 'HEAD.lock')];
  return Promise.all(
    [...paths, join(neutral.commonDir, `${MAIN}.lock`)].map(async (path) => {
      const found = await lstat(path).catch(() => null);
      const isOld = found !== null && clock.now() - found.mtimeMs > LOCK_PATIENCE;
      return isOld && !(await isOwnLock(path)) ? lockHeld(path) : null;
    }),
  );
}

export interface FaultParts extends TroubleParts {
  mutex: Mutex;
}

/** An error of disk or Git as what runs wait for; itself if it is another one. */
export async function asUnavailable(parts: FaultParts, error: unknown): Promise<unknown> {
  const words = faultWords(error, parts.git.workTree ?? parts.git.neutral.gitDir);
  if (words === null) return error;
  const [found] = await troublesOf(parts).catch(() => []);
  return new WorkspaceUnavailable(found?.stops === 'work' ? found.what : words, { cause: error });
}

/** Makes again what somebody has removed of the runtime's own folder, or a power cut has left of the index. */
export async function mended({ git, mover, mutex }: FaultParts, error: unknown): Promise<boolean> {
  if (await git.mend().catch(() => false)) return true;
  return error instanceof GitError && mutex.run(() => mover.mendIndex()).catch(() => false);
}

type Method = (...args: unknown[]) => unknown;

/**
 * The same object, whose methods reject with a fault in words. What can be mended at once is, and the call repeated.
 * `passes`: errors that the caller puts in words itself.
 */
export function inPlainWords<T extends object>(
  parts: FaultParts,
  target: T,
  passes: (error: unknown) => boolean = () => false,
): T {
  const failed = async (error: unknown, again: () => unknown): Promise<unknown> => {
    const isFault = !passes(error) && faultWords(error, '') !== null;
    if (!isFault || !(await mended(parts, error))) throw isFault ? await asUnavailable(parts, error) : error;
    try {
      return await again();
    } catch (second) {
      throw await asUnavailable(parts, second);
    }
  };
  return new Proxy(target, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const call = (): unknown => (value as Method).apply(of, args);
        const result = call();
        return result instanceof Promise ? result.catch((error: unknown) => failed(error, call)) : result;
      };
    },
  });
}
