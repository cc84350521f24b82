import { MAIN } from './commit.ts';
import { findDamage } from './damage.ts';
import type { Git } from './git.ts';
import { GitError } from './process.ts';

const TRAILERS = '%(trailers:key=Ruche-Run,valueonly,separator=%x2C)';

const runsIn = (text: string): string[] =>
  text
    .split(',')
    .map((run) => run.trim())
    .filter((run) => run !== '');

/** Commits that are compared with their parents in one process. */
const PAGE = 500;

/** What `ruche verify` asks of the workspace's history (`LandedHistory` of src/trace/main.ts). */
export function openLandedHistory(git: Git): {
  commits(since: string | null): AsyncIterable<{ commit: string; runs: string[] }>;
  changes(commits: readonly string[]): Promise<Map<string, Map<string, string | null>>>;
  damage: () => ReturnType<typeof findDamage>;
} {
  const exists = async (commit: string): Promise<boolean> => (await git.info(`${commit}^{commit}`)) !== null;
  return {
    async *commits(since: string | null): AsyncGenerator<{ commit: string; runs: string[] }> {
      const range = since !== null && isId(since) && (await exists(since)) ? [MAIN, `^${since}`] : [MAIN];
      const output = await git.text(['log', `--format=%H%x00${TRAILERS}`, ...range, '--']);
      for (const line of output.split('\n')) {
        const [commit = '', trailers = ''] = line.split('\0');
        if (commit !== '') yield { commit, runs: runsIn(trailers) };
      }
    },
    async changes(commits: readonly string[]): Promise<Map<string, Map<string, string | null>>> {
      const found = new Map<string, Map<string, string | null>>();
      for (let at = 0; at < commits.length; at += PAGE)
        for (const [commit, changed] of await changesOf(git, commits.slice(at, at + PAGE).filter(isId)))
          found.set(commit, changed);
      return found;
    },
    damage: () => findDamage(git),
  };
}

const isId = (name: string): boolean => /^[0-9a-f]{40,64}$/.test(name);

/** A commit that cannot be read ends the process, so that the page is halved until it stands alone. */
async function changesOf(git: Git, commits: readonly string[]): Promise<[string, Map<string, string | null>][]> {
  if (commits.length === 0) return [];
  try {
    return await compared(git, commits);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (commits.length === 1) return [];
    const half = commits.length >> 1;
    return [...(await changesOf(git, commits.slice(0, half))), ...(await changesOf(git, commits.slice(half)))];
  }
}

async function compared(git: Git, commits: readonly string[]): Promise<[string, Map<string, string | null>][]> {
  const flags = ['--stdin', '--root', '-r', '-z', '--diff-merges=first-parent', '--no-renames', '--no-abbrev'];
  const { stdout } = await git.run(['diff-tree', ...flags], { input: `${commits.join('\n')}\n` });
  const found: [string, Map<string, string | null>][] = [];
  const fields = stdout.toString('utf8').split('\0');
  for (let at = 0; at < fields.length; at += 1) {
    const field = fields[at] ?? '';
    const change = /^:\d+ (\d+) [0-9a-f]+ ([0-9a-f]+) \w/.exec(field);
    if (change) found.at(-1)?.[1].set(fields[(at += 1)] ?? '', change[1] === '000000' ? null : (change[2] ?? ''));
    else if (isId(field)) found.push([field, new Map()]);
  }
  return found;
}
