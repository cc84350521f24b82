import { join } from 'node:path';
import type { Store } from '../core/ports/store.ts';
import { verify, type Verification, type VerifyOptions } from '../trace/verify.ts';
import { STORE } from './store.ts';
import { systemClock as clock, systemRandom } from '../platform/system.ts';
import { openGit, type Env } from '../git/git.ts';
import { readJournalRepository } from '../git/journal.ts';
import { openLandedHistory } from '../git/landed.ts';
import { findGitDir } from '../git/neutral.ts';
import { checkRepository } from '../workspace/workspace.ts';

/** The record of a home, to be read: nothing here writes, so a gateway may hold the home meanwhile. */
export interface OpenRecord {
  store: Store;
  verify(onProgress?: VerifyOptions['onProgress']): Promise<Verification>;
  close(): Promise<void>;
}

type Readable = NonNullable<Awaited<ReturnType<typeof readJournalRepository>>>;

/** A repository that cannot even be opened is one finding, and no end of the others. */
function unreadable(error: Error): Readable {
  const fail = (): never => {
    throw error;
  };
  return { tip: async () => fail(), lines: fail, close: () => undefined };
}

/** Second composition root, for the commands that only look. Rejects if there is no home, or its database cannot be read. */
export async function openRecord(options: { home: string; workspace: string; env: Env }): Promise<OpenRecord> {
  const { home, workspace, env } = options;
  const boundary = (): void => undefined;
  const store = await STORE.open({ home, clock, random: systemRandom.bytes, boundary, readOnly: true });
  return {
    store,
    async verify(onProgress) {
      const gitDir = await findGitDir(workspace);
      if (gitDir === null)
        throw new Error(
          `There is no workspace in ${workspace}, so what landed cannot be checked. Name it with --workspace.`,
        );
      await checkRepository(workspace, env);
      const git = await openGit({ gitDir, workTree: workspace, env });
      const journal = await readJournalRepository({ dir: join(home, 'journal.git'), env }).catch(unreadable);
      try {
        return await verify({ store, journal, history: openLandedHistory(git), onProgress });
      } finally {
        git.close();
        journal?.close();
      }
    },
    close: () => store.close(),
  };
}
