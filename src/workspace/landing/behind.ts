import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { changedPaths, type PathChange } from '../../git/changed.ts';
import { MAIN } from '../../git/commit.ts';
import type { Git } from '../../git/git.ts';
import { isRuntime, reflog } from '../../git/reflog.ts';

/** Bytes of HEAD's log that hold its last lines. */
const LAST_LINES = 16_384;

/**
 * The commit whose files the index shows, where that is not main. `git checkout main` looks main up first, writes files and
 * index, and says last that HEAD is main: a landing in between finds another branch there and moves no files. Then the index
 * is older than that word, and has every file of the landing as it was before.
 */
export async function filesStandAt(git: Git, main: string): Promise<string> {
  const { gitDir, commonDir, index } = git.neutral;
  // The log of a linked worktree is not the one that landings write to.
  if (gitDir !== commonDir) return main;
  const head = await reflog(git, 'HEAD', LAST_LINES);
  if (!/^checkout: moving from .+ to main$/.test(head.at(-1)?.note ?? '')) return main;
  const [written, said] = await Promise.all([index, join(commonDir, 'logs', 'HEAD')].map(timeOf));
  if (written === undefined || said === undefined || written > said) return main;
  const shown = new Set(head.slice(0, -1).map(({ to }) => to));
  let at = main;
  for (const move of (await reflog(git, MAIN, LAST_LINES)).toReversed()) {
    if (move.to !== at || !isRuntime(move.note) || shown.has(move.to)) break;
    const paths = await changedPaths(git, move.from, main);
    if (paths.length === 0 || (await asOld(git, paths)).length < paths.length) break;
    at = move.from;
  }
  return at;
}

const timeOf = (path: string): Promise<bigint | undefined> =>
  lstat(path, { bigint: true }).then(
    ({ mtimeNs }) => mtimeNs,
    () => undefined,
  );

/** Those that the person's index has as they were before the move. The others are theirs. */
export async function asOld(git: Git, paths: readonly PathChange[]): Promise<PathChange[]> {
  const { stdout } = await git.run(['ls-files', '--stage', '-z'], { env: git.asPerson });
  const entries = new Map<string, string>();
  for (const line of stdout.toString('utf8').split('\0')) {
    const tab = line.indexOf('\t');
    entries.set(line.slice(tab + 1), line.slice(0, tab));
  }
  return paths.filter(({ path, old }) => entries.get(path) === (old === null ? undefined : `${old.mode} ${old.oid} 0`));
}
