import type { Vouching } from '../../src/agent/run/deps.ts';
import type { Files } from '../../src/core/files.ts';
import type { Workspace } from '../../src/core/ports/workspace.ts';
import type { Answering, GrantView, StandingDesk } from '../../src/core/standing.ts';

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

/** A workspace without a file, for endorsements that name none. */
export const noFiles: Pick<Workspace, 'head' | 'files'> = {
  head: async () => '0'.repeat(40),
  files: () => ({ stat: async () => null }) as unknown as Files,
};

/** The grants of a scene, which are gone once they are revoked. */
export const standingOf = (scene: { grants: GrantView[]; asked: string[] }): StandingDesk => ({
  ...noStanding,
  grants: async () => scene.grants,
  async revokeGrant(id) {
    scene.asked.push(`revoke ${id}`);
    scene.grants = scene.grants.filter((each) => each.id !== id);
    return 'done';
  },
});

/** What was answered, and what was said beside it. */
export const withMore = (answer: string, more: Answering): string =>
  Object.keys(more).length === 0 ? answer : `${answer} ${JSON.stringify(more)}`;
