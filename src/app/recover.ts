import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { holdOpenRuns, keepWorkOf } from '../agent/finish/hold.ts';
import { liveKeys } from '../agent/run/log.ts';
import { countInterrupted } from '../runtime/interrupted.ts';
import { record } from '../scheduler/worker.ts';

/** What the last process has left behind is found again or let go of, and its tasks are free. */
export async function recover(agents: AgentDeps, adapters: Adapters, version: string): Promise<void> {
  const { store, checkouts, hub, workspace, log, givenUp } = adapters;
  hub.onRunEnded((run) => {
    const failed = (error: unknown): void => log.warn({ run, error: String(error) }, 'the ref of an ended run is left');
    workspace.release(run).catch(failed);
  });
  const interrupted = await countInterrupted(agents, (task) => keepWorkOf(agents, task));
  await holdOpenRuns(agents);
  const live = await liveKeys(store);
  for (const tool of agents.tools().values()) await tool.sweep?.(live);
  await checkouts.recover([...live]);
  const recovered = await store.releaseAll();
  const also = { ...(givenUp && { lost: givenUp }), ...(interrupted.length > 0 && { interrupted }) };
  await record(store, { type: 'gateway.started', data: { version, recovered, ...also } });
}
