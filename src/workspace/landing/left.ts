import { constants } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { conversionsOf } from '../../git/conversions.ts';
import { shellWord } from '../../core/text/paths.ts';
import { inShell } from '../../git/fault.ts';
import type { Git } from '../../git/git.ts';
import { tooLarge } from '../overlay/path.ts';

interface Looked {
  git: Git;
  /** Bytes of the largest file that is committed. */
  maxFile: number;
  /** Paths that the person's own Git calls changed, and those whose staging is the person's. */
  changed: { has(path: string): boolean };
  left: { has(path: string): boolean };
  /** What keeps main from taking any. */
  held: string | null;
}

/** Why what a person has in these files is not committed for them, and what to do. Paths that nothing keeps are left out. */
export async function whyLeft(looked: Looked, paths: readonly string[]): Promise<Map<string, string>> {
  const { git } = looked;
  const [conversions, hidden] = [await conversionsOf(git, paths), await hiddenFromGit(git, paths)];
  const reasons = new Map<string, string>();
  for (const path of paths) {
    const why = await reason(looked, path, { filtered: conversions.get(path) === 'filter', mark: hidden.get(path) });
    if (why !== null) reasons.set(path, why);
  }
  return reasons;
}

async function reason(
  { git, maxFile, changed, left, held }: Looked,
  path: string,
  { filtered, mark }: { filtered: boolean; mark: string | undefined },
): Promise<string | null> {
  const root = git.workTree ?? '';
  const own = (command: string): string => inShell(root, `${command} -- ${shellWord(path)}`);
  if (left.has(path)) return `only a part of it is staged; commit it, or unstage it with: ${own('restore --staged')}`;
  const full = join(root, path);
  const found = await lstat(full).catch(() => null);
  if (found === null) return null;
  if (mark !== undefined)
    return `Git was told not to look at it (${mark}); end that with: ${own(`update-index --no-${mark}`)}`;
  if (found.size > maxFile) return tooLarge(path, found.size, maxFile);
  if (found.isDirectory()) return 'a folder stands in its place; move the folder away, or commit the change';
  if (!found.isFile() && !found.isSymbolicLink()) return 'it is neither a file nor a link; move it away';
  if (!changed.has(path)) return null;
  if (filtered)
    return `a filter of yours converts it, which Ruche never runs; run git status if you have not changed it, or else commit it yourself: ${own('commit')}`;
  const readable = await access(full, constants.R_OK).then(
    () => true,
    () => false,
  );
  if (!readable) return 'the user that Ruche runs as may not read it; correct its rights';
  return (
    held ??
    `it could not be committed, as it changes again and again or is not in its encoding; commit it yourself: ${own('commit')}`
  );
}

/** `H` is what Git looks at; `S` and small letters are what a person has told it not to look at. */
async function hiddenFromGit(git: Git, paths: readonly string[]): Promise<Map<string, string>> {
  const { stdout } = await git.run(['ls-files', '-v', '-z', '--', ...paths], { env: git.asPerson });
  const marks = new Map<string, string>();
  for (const line of stdout.toString('utf8').split('\0')) {
    const tag = line.charAt(0);
    if (tag.toUpperCase() === 'S') marks.set(line.slice(2), 'skip-worktree');
    else if (tag !== tag.toUpperCase()) marks.set(line.slice(2), 'assume-unchanged');
  }
  return marks;
}
