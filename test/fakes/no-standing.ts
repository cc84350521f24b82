import type { Vouching } from '../../src/agent/run/deps.ts';
import type { StandingDesk } from '../../src/core/standing.ts';

/** Nobody has granted or endorsed anything. */
export const noStanding: StandingDesk & Vouching = {
  vouchedBy: () => null,
  fileVouched: () => null,
  grantFor: () => null,
  settled: async () => {},
  refresh: async () => {},
  grants: async () => [],
  revokeGrant: async () => null,
  endorsements: async () => [],
  endorse: async () => ({ ok: false, message: 'Nobody can endorse here.' }),
  revokeEndorsement: async () => null,
};
