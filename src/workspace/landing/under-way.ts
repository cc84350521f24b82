import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MAIN } from '../../git/commit.ts';
import { readHead, type Neutral } from '../../git/neutral.ts';

/** What of a person's forbids moving main now. */
export async function underWay(neutral: Neutral): Promise<string | null> {
  const onMain = (await readHead(neutral)) === `ref: ${MAIN}`;
  const names = new Set(await readdir(neutral.gitDir));
  const under = (file: string, what: string): string | null =>
    names.has(file) ? `a ${what} is under way in the workspace; finish or abort it` : null;
  const busy =
    under('MERGE_HEAD', 'merge') ?? under('CHERRY_PICK_HEAD', 'cherry-pick') ?? under('REVERT_HEAD', 'revert');
  return (onMain ? busy : null) ?? (await mainInUse(neutral));
}

/**
 * A rebase of main, in any worktree, ends by setting main to what it made: `--abort` would take a landing back, and
 * `--continue` could never end. Another worktree on main would take landings back with its next commit.
 */
async function mainInUse({ gitDir, commonDir }: Neutral): Promise<string | null> {
  const linked = await readdir(join(commonDir, 'worktrees')).catch(() => []);
  const read = (...path: string[]): Promise<string> =>
    readFile(join(...path), 'utf8').then(
      (text) => text.trim(),
      () => '',
    );
  for (const dir of [commonDir, ...linked.map((name) => join(commonDir, 'worktrees', name))]) {
    const place = dir === gitDir ? 'the workspace' : (await read(dir, 'gitdir')) || dir;
    for (const folder of ['rebase-merge', 'rebase-apply'])
      if ((await read(dir, folder, 'head-name')) === MAIN)
        return `main is being rebased in ${place}; finish the rebase (git rebase --continue) or abort it (git rebase --abort)`;
    if (dir !== gitDir && linked.length > 0 && (await read(dir, 'HEAD')) === `ref: ${MAIN}`)
      return `main is checked out in another worktree too (${place}); switch that one to another branch`;
  }
  return null;
}
