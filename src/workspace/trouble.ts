import { constants } from 'node:fs';
import { access, lstat, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/ports/clock.ts';
import type { Trouble } from '../core/ports/workspace.ts';
import { MAIN, mainCommit } from '../git/commit.ts';
import { faultWords, inShell, lockHeld, quotedPath } from '../git/fault.ts';
import { splitIndex } from '../git/index-file.ts';
import type { Git } from '../git/git.ts';
import { readHead } from '../git/neutral.ts';
import { isOwnLock, type Mover } from './landing/move.ts';

export interface TroubleParts {
  git: Git;
  mover: Mover;
  clock: Pick<Clock, 'now'>;
}

/** Milliseconds for which a Git command of a person may hold a lock without a word. */
const LOCK_PATIENCE = 3_000;
/** Bytes below which nothing can be written. */
const FULL = 65_536;

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
    : `${path} is empty or damaged, as a power cut can leave it, so Git does not see a repository; if your branch was main, run: echo 'ref: ${MAIN}' > ${quotedPath(path)}`;
}

async function unwritable({ neutral }: Git, dir: string): Promise<string | null> {
  for (const place of [dir, neutral.gitDir, neutral.objects]) {
    const error: unknown = await access(place, constants.W_OK).then(
      () => null,
      (refused: unknown) => refused,
    );
    if (error !== null) return faultWords(error, dir);
    const disk = await statfs(place).catch(() => null);
    if (disk === null) continue;
    if (disk.bfree * disk.bsize < FULL) return `the disk of ${place} is full; free some space`;
    if (disk.files > 0 && disk.ffree === 0) return `the disk of ${place} takes no more files; remove some`;
  }
  return null;
}

async function noMain(git: Git, dir: string): Promise<string | null> {
  if ((await mainCommit(git)) !== null) return null;
  const damaged = await damagedMain(git.neutral.commonDir);
  if (damaged !== null) return damaged;
  const branch = /^ref: refs\/heads\/(.+)$/.exec(await readHead(git.neutral))?.[1] ?? 'main';
  const command = branch === 'main' ? 'branch main COMMIT' : `branch -m ${quotedPath(branch)} main`;
  return `the workspace has no branch main any more; make it again: ${inShell(dir, command)}`;
}

/** A power cut can leave the branch's file empty. The log of the branch has what stood there. */
export async function damagedMain(commonDir: string): Promise<string | null> {
  const path = join(commonDir, MAIN);
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null || /^(?:ref: |[0-9a-f]{40,64}\s*$)/.test(text)) return null;
  const log = await readFile(join(commonDir, 'logs', MAIN), 'utf8').catch(() => '');
  const last = /^[0-9a-f]+ ([0-9a-f]{40,64}) /.exec(log.trimEnd().split('\n').at(-1) ?? '')?.[1] ?? 'COMMIT';
  return `${path} is empty or damaged, as a power cut can leave it; write the commit into it that main was at: echo ${last} > ${quotedPath(path)}`;
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
