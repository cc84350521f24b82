import { runKey } from '../../core/ids.ts';
import type { Task } from '../../core/task.ts';
import type { AgentDeps } from '../run/deps.ts';
import { foldRun } from '../run/log.ts';
import type { RunState } from '../run/state.ts';
import { landingRequest } from './land.ts';

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
