import type { AgentDeps, Turn } from '../run/deps.ts';
import { runKey, runStream } from '../../core/ids.ts';
import type { Store } from '../../core/ports/store.ts';
import { foldRun } from '../run/log.ts';
import type { RunState } from '../run/state.ts';
import { landingRequest } from './land.ts';
import type { Task } from '../../core/task.ts';

/**
 * Holds what the run has changed so far against Git's own cleaning: the person may run `git gc` while it waits, or while
 * the process is down. Only a run that stops waits for it, and one that cannot be held now goes on all the same.
 */
export async function holdWork({ deps, log, stops }: Turn): Promise<void> {
  // The end of a cancelled run may have been told already, and with it that nothing of it is held.
  if (!stops.cancel.aborted) await hold(deps, log.state);
}

async function hold({ workspace, log }: AgentDeps, state: RunState): Promise<void> {
  const { run, startedAt } = state;
  await workspace
    .hold(landingRequest(state, startedAt))
    .catch((error: unknown) => log.warn({ run, error: String(error) }, 'the work of a run is not held'));
}

/** Before the end is told: what has landed, or was kept elsewhere, is held no longer. */
export async function releaseWork({ deps, log }: Turn): Promise<void> {
  // It is tried again once the end is on record, and at the next start.
  await deps.workspace.release(log.state.run).catch(() => undefined);
}

/** At start: runs that go on or wait are held again (the workspace may be a clone, which has no such refs), others no longer. */
export async function holdOpenRuns(deps: AgentDeps): Promise<void> {
  const { store, workspace } = deps;
  const held = new Set(workspace.held());
  const open = new Set<string>();
  for (const task of await store.tasks({ statuses: ['queued', 'running', 'waiting'] })) {
    const started = await store.byKey(runKey(task.id));
    if (started?.type !== 'run.started') continue;
    const { run } = started.data;
    open.add(run);
    // One that waits was held before it did.
    if ((task.status === 'waiting' && held.has(run)) || !(await mayHaveChanges(store, run))) continue;
    const state = await foldRun(store, started, []).catch((error: unknown) => {
      deps.log.warn({ run, error: String(error) }, 'the work of a run is not held');
      return null;
    });
    if (state !== null) await hold(deps, state);
  }
  for (const run of held) if (!open.has(run)) await workspace.release(run);
}

async function mayHaveChanges(store: Store, run: string): Promise<boolean> {
  for await (const event of store.read({ stream: runStream(run), types: ['tool.started', 'files.placed'] }))
    if (event.type === 'files.placed' || (event.type === 'tool.started' && event.data.effect !== 'read')) return true;
  return false;
}

type KeepDeps = Pick<AgentDeps, 'store' | 'workspace' | 'clock' | 'redact' | 'log'>;

/** Keeps what a run has changed and not landed; `text` says where, for the end of a sentence. */
export async function keepUnlanded(deps: KeepDeps, state: RunState): Promise<{ kept: boolean; text: string }> {
  if (state.changes.size === 0 || state.landing === 'done') return { kept: false, text: '' };
  try {
    const lost = await deps.workspace.keepUnlanded(landingRequest(state, deps.clock.now()));
    const but = lost.length === 0 ? '' : `, but for ${lost.join(', ')}, whose content the repository has lost`;
    return { kept: true, text: ` Its changes are kept at refs/ruche/unlanded/${state.run}${but}.` };
  } catch (error) {
    return notKept(deps, state.run, error);
  }
}

/** The person must hear that the run failed even where the repository takes nothing more. */
function notKept({ log, redact }: KeepDeps, run: string, error: unknown): { kept: boolean; text: string } {
  log.error({ run, error: redact(String(error)) }, 'the work of a failed run could not be kept');
  return { kept: false, text: ' Its changes could not be kept.' };
}

/** The same for a task that is ended from outside its run. Call before its end is on record, which releases what it holds. */
export async function keepWorkOf(deps: KeepDeps, task: Pick<Task, 'id'>): Promise<string> {
  const started = await deps.store.byKey(runKey(task.id));
  if (started?.type !== 'run.started') return '';
  const { run } = started.data;
  try {
    const state = await foldRun(deps.store, started, []);
    // It may have landed, and the process may have ended before that was on record.
    const commit = state.landing === 'started' ? await deps.workspace.findLanding(run, state.base) : null;
    return commit === null ? (await keepUnlanded(deps, state)).text : ` Its changes are on main, in commit ${commit}.`;
  } catch (error) {
    return notKept(deps, run, error).text;
  }
}
