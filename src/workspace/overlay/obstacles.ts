import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoredBy } from '../../git/listing.ts';
import { MAIN } from '../../git/commit.ts';
import type { Git } from '../../git/git.ts';
import { readHead } from '../../git/neutral.ts';
import { keptOut } from './kept-out.ts';
import type { Trees } from '../../git/trees.ts';
import { isFile, tooLarge } from './path.ts';

export interface ObstacleParts {
  git: Git;
  trees: Trees;
  /** Bytes of a file that Git is given. */
  maxFile: number;
}

const look = (path: string) => lstat(path).catch(() => null);

/** What lies on the way to a path, or at it, that a landing would overwrite unseen or write through; null: nothing. */
async function standing({ git, trees, maxFile }: ObstacleParts, tree: string, path: string): Promise<string | null> {
  const root = git.workTree ?? '';
  const parts = path.split('/');
  for (let depth = 1; depth < parts.length; depth += 1) {
    const parent = parts.slice(0, depth).join('/');
    const found = await look(join(root, parent));
    if (!found) return null;
    if (found.isDirectory()) {
      if (await look(join(root, parent, '.git')))
        return `${parent} is a Git repository of its own, and what is in it is not kept here`;
    } else if (isFile(await trees.at(tree, parent))) return null;
    else
      return found.isSymbolicLink()
        ? `${parent} is a symbolic link of the owner that Git does not track, and links are not followed`
        : `${parent} is a file of the owner that Git does not track, so nothing can be below it`;
  }
  const found = await look(join(root, path));
  if (found && found.size > maxFile)
    return `a file that Git does not know lies there, and ${tooLarge(path, found.size, maxFile)}`;
  if (!found?.isDirectory()) return null;
  const others = await git.run(['ls-files', '-z', '--others', '--', `${path}/`]);
  return others.stdout.length > 0 ? 'a folder of that name holds files that are not tracked' : null;
}

/** Those of the paths that cannot come to `main`, although its tree has no file in their place, and why. */
export async function obstacles(
  parts: ObstacleParts,
  tree: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  const { git, trees } = parts;
  const reasons = new Map<string, string>();
  // Where the files are another branch's, they say nothing of main.
  if (git.workTree === null || (await readHead(git.neutral)) !== `ref: ${MAIN}`) return reasons;
  const added: string[] = [];
  for (const path of paths) {
    if (isFile(await trees.at(tree, path))) continue;
    const why = await standing(parts, tree, path);
    if (why === null) added.push(path);
    else reasons.set(path, why);
  }
  if (added.length > 0)
    for (const [path, by] of await ignoredBy(git, added)) reasons.set(path, `it is ignored by ${by}`);
  const lying: string[] = [];
  for (const path of added) if (!reasons.has(path) && (await look(join(git.workTree, path))) !== null) lying.push(path);
  // It would go to main as the owner's own, before the landing.
  for (const path of lying.length === 0 ? [] : await keptOut(git, lying))
    reasons.set(
      path,
      'a file of the owner lies there that stays out of Git: a secret by its name, or ignored when it was made',
    );
  return reasons;
}
