import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Invariant } from '../../src/simulate/invariants.ts';
import { play, type PlayRequest, type PlayResult } from '../../src/simulate/play.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
/** Of which two hours have a kill, webhooks, a burst of changes and a file that is given along. */
export const SEED = 353;
export const PATH = process.env.PATH ?? '';

/** A folder that is gone with the test: in memory where there is such a place. */
export async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ruche-played-'));
  try {
    await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Processes of a play that are started from what the first of them has compiled take half the time. */
export const playing = (more: Partial<PlayRequest> & { days: number }): Promise<PlayResult> => {
  const cache = join(tmpdir(), 'ruche-played-cache');
  const life = ['env', `NODE_COMPILE_CACHE=${cache}`, process.execPath, MAIN, 'simulate', '--life'];
  return play({ seed: SEED, keep: null, broken: null, path: PATH, life, ...more });
};

export const named = (violations: readonly { invariant: Invariant }[]): Invariant[] => [
  ...new Set(violations.map(({ invariant }) => invariant)),
];
