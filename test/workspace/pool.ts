import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckouts } from '../../src/workspace/checkouts/checkouts.ts';
import type { CheckoutOptions, CheckoutPool } from '../../src/workspace/checkouts/checkouts.ts';
import { realClock } from '../fakes/sandbox-home.ts';
import { withLab } from './lab.ts';
import type { Lab } from './lab.ts';

export const openPool = (lab: Lab, options: Partial<CheckoutOptions> = {}): Promise<CheckoutPool> =>
  openCheckouts({
    workspace: lab.ws,
    dir: join(lab.root, 'home/checkouts'),
    boundary: () => undefined,
    clock: realClock,
    minFree: 0,
    ...options,
  });

/** Names of the checkouts that are there. */
export const numbered = async (lab: Lab): Promise<string[]> =>
  (await readdir(join(lab.root, 'home/checkouts'))).filter((name) => /^c\d+$/.test(name));

/** Runs a test body with a lab and a pool of its own. */
export const withPool = (
  body: (lab: Lab, pool: CheckoutPool, base: string) => Promise<void>,
  options?: Partial<CheckoutOptions>,
) =>
  withLab(async (lab) => {
    const pool = await openPool(lab, options);
    try {
      await body(lab, pool, await lab.ws.head());
    } finally {
      await pool.close();
    }
  });
