import type { Egress, EgressHandle } from '../../src/core/ports/egress.ts';

/** For commands without a network: nobody may open a way out. */
export const noEgress: Egress = {
  open: () => Promise.reject(new Error('a way out was opened')),
  forget: async () => undefined,
  list: async () => [],
};

/** A way out as a sandbox sees it. */
export const handleAt = (dir: string, token: string, ca: string | null = null): EgressHandle => ({
  dir,
  token,
  ca,
  own: [],
  variables: {},
  refused: () => [],
  reached: () => false,
});
