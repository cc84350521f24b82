import type { AgentDeps } from '../run/deps.ts';
import type { ReadyCall } from './ready.ts';
import type { RunLog } from '../run/log.ts';
import type { RunState } from '../run/state.ts';

/**
 * Commits what people have changed before it is read, and lets the run go on from there, unless that would take changes
 * of its own out from under it. A command that a person is asked for gets its view then, and keeps it once approved.
 */
export async function freshBase(deps: AgentDeps, log: RunLog, group: readonly ReadyCall[]): Promise<void> {
  const looking = group.filter(({ call, tool, facts }) => {
    const approvedCommand = call.approval !== null && tool.effect === 'exec';
    const begins = call.phase === 'asking' || (call.phase === 'allowed' && !approvedCommand);
    return begins && (tool.readsTree === true || facts.paths !== undefined);
  });
  if (looking.length === 0) return;
  const all = looking.some(({ tool }) => tool.readsTree === true);
  await freshPaths(deps, log, all ? null : looking.flatMap(({ facts }) => facts.paths ?? []));
}

/** The same for paths (null: all) that are looked at otherwise. */
export async function freshPaths(deps: AgentDeps, log: RunLog, paths: string[] | null): Promise<void> {
  const person = await deps.workspace.commitPerson(paths);
  const { base, changes } = log.state;
  if (person !== null) {
    const { commit, author, paths: committed } = person;
    const data = { commit, author, paths: committed.length };
    // Their doing, whichever run was about to read it.
    log.emit({ type: 'person.committed', data }, null, { stream: 'workspace', actor: 'person:owner', labels: [] });
  }
  // Another run may have committed them a moment ago; nothing is pulled from under a run that has seen nothing yet.
  const to = person?.commit ?? (isFirstLook(log.state) ? await deps.workspace.head() : base);
  if (to !== base && (await deps.workspace.untouched(base, to, [...changes.keys()])))
    log.emit({ type: 'base.moved', data: { from: base, to } });
}

const isFirstLook = ({ step, calls }: RunState): boolean =>
  step <= 1 && calls.every((call) => call.phase !== 'returned' && call.phase !== 'started');
