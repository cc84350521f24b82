import type { NewEvent } from '../../core/event.ts';
import type { Store } from '../../core/ports/store.ts';
import type { WorkspaceWatch } from '../../core/ports/governance.ts';

export interface MovesDeps {
  store: Pick<Store, 'commit'>;
  watch: Pick<WorkspaceWatch, 'moves'>;
}

/**
 * Puts on record how `main` has moved since a commit, where nothing else tells of it: commits by hand, pulls. Gives where
 * it is now. What runs land, and what the runtime commits for a person, has an event already or will have in a moment.
 */
export async function recordMoves(
  { store, watch }: MovesDeps,
  since: string,
  told: (commit: string) => boolean,
): Promise<string> {
  let main = since;
  for (const { from, to, by } of await watch.moves(since)) {
    main = to;
    if (by === 'landing' || told(to)) continue;
    const event: NewEvent = {
      type: 'main.moved',
      stream: 'workspace',
      actor: by === 'person' ? 'person:owner' : 'runtime',
      cause: null,
      labels: by === 'person' ? [] : ['untrusted'],
      key: `moved:${from}..${to}`,
      data: { from, to, by: by === 'person' ? 'person' : 'elsewhere' },
    };
    await store.commit({ events: [event], sync: true });
  }
  return main;
}
