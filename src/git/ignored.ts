import type { Git } from './git.ts';
import { GitError } from './process.ts';

/** Those of the paths that .gitignore files, `info/exclude` or the person's own patterns exclude. */
export async function ignoredPaths(git: Git, paths: readonly string[]): Promise<string[]> {
  const args = ['check-ignore', '--no-index', '-z', '--stdin'];
  const ask = async (some: readonly string[]): Promise<string[]> => {
    // check-ignore refuses literal pathspecs; `./` keeps a leading colon from meaning anything.
    const input = some.map((path) => `./${path}\0`).join('');
    const result = await git.run(args, { input, env: { GIT_LITERAL_PATHSPECS: '0' }, accept: [0, 1] });
    const found = result.stdout.toString('utf8').split('\0').filter(Boolean);
    return found.map((path) => path.slice('./'.length));
  };
  try {
    return await ask(paths);
  } catch (error) {
    if (!(error instanceof GitError) || !error.stderr.includes('beyond a symbolic link')) throw error;
    // One path below a link makes Git give up on all of them. Such a path cannot be written anyway.
    if (paths.length === 1) return [...paths];
    const each = await Promise.all(paths.map((path) => ignoredPaths(git, [path])));
    return each.flat();
  }
}
