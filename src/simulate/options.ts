import type { Broken } from './breaks.ts';

export interface PlayOptions {
  /** Where everything lies: `home`, `workspace`, `template`, and what happened outside. */
  dir: string;
  seed: number;
  days: number;
  broken: Broken | null;
  /** Where programs are looked for. */
  path: string;
}
