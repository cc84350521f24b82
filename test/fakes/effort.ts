import { EFFORT } from '../../scripts/testing/slow.ts';

// What a slow proof is asked for: less by `npm test`, all of it by `npm run test:all`. Its file stands in scripts/testing/slow.ts.

/** True where the slow proofs run whole. */
export const whole = process.env[EFFORT] === 'all';

export const effort = (quick: number, all: number): number => (whole ? all : quick);

/** Of a property: the quick form looks at the same cases each time, so that what it has to have met is no matter of luck. */
export const tries = (quick: number, all: number): { numRuns: number; seed?: number } =>
  whole ? { numRuns: all } : { numRuns: quick, seed: 4747 };
