import type { Git } from './git.ts';

const MAIN = 'refs/heads/main';
const TRAILERS = '%(trailers:key=Ruche-Run,valueonly,separator=%x2C)';

const runsIn = (text: string): string[] =>
  text
    .split(',')
    .map((run) => run.trim())
    .filter((run) => run !== '');

/** What `ruche verify` asks of the workspace's history (`LandedHistory` of src/trace/verify.ts). */
export function openLandedHistory(git: Git): {
  landed(since: string | null): AsyncIterable<{ commit: string; run: string }>;
  exists(commit: string): Promise<boolean>;
} {
  const exists = async (commit: string): Promise<boolean> =>
    /^[0-9a-f]{40,64}$/.test(commit) && (await git.info(`${commit}^{commit}`)) !== null;
  return {
    exists,
    async *landed(since) {
      const range = since !== null && (await exists(since)) ? [MAIN, `^${since}`] : [MAIN];
      const output = await git.text(['log', `--format=%H%x00${TRAILERS}`, ...range, '--']);
      for (const line of output.split('\n')) {
        const [commit = '', trailers = ''] = line.split('\0');
        for (const run of runsIn(trailers)) yield { commit, run };
      }
    },
  };
}
