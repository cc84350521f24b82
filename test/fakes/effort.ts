import { EFFORT } from '../../scripts/testing/slow.ts';

/** True where the slow proofs run whole: `npm run test:all`. */
export const whole = process.env[EFFORT] === 'all';

/** How often a proof is tried: `quick` by `npm test`, `all` by `npm run test:all`. Its file stands in `scripts/testing/slow.ts`. */
export const effort = (quick: number, all: number): number => (whole ? all : quick);
