import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { keepWorkOf, holdOpenRuns } from '../agent/finish/hold.ts';
import { runTask } from '../agent/turn.ts';
import { OUTBOX } from '../core/records/reply.ts';
import { buryTask } from '../runtime/end.ts';
import { retireLate } from '../messages/buttons.ts';
import { sendReply } from '../messages/outbox.ts';
import type { Pauses } from '../runtime/pauses.ts';
import type { Messengers } from './messengers.ts';
import { heldQueues } from '../scheduler/tasks/deadlines.ts';
import { Worker, record } from '../scheduler/worker.ts';
import { liveKeys } from '../agent/run/log.ts';
import { countInterrupted } from '../runtime/interrupted.ts';

/** Replies sent at once. */
const SENDS = 10;

export interface Workers {
  runs: Worker;
  sends: Worker;
}

/** Those who claim tasks: one for what agents do, one for the replies, so that neither waits for the other. */
export function openWorkers(
  { store, clock, log, worker, hub }: Adapters,
  agents: AgentDeps,
  pauses: Pauses,
  { channels, drafts }: Messengers,
): Workers {
  const settings = () => agents.governance().settings;
  const pool = {
    store,
    clock,
    log,
    worker,
    onWork: (listener: () => void) => hub.onWork(listener),
    onCancelled: (listener: (task: string) => void) => hub.onCancelled(listener),
  };
  const runs = new Worker({
    ...pool,
    concurrency: () => settings().concurrency,
    except: () => [OUTBOX, ...pauses.names()],
    held: (running) => heldQueues(settings().queues, running),
    handle: runTask.bind(null, agents),
    bury: (claim, error) => buryTask(agents, claim, error, (task) => keepWorkOf(agents, task)),
  });
  const sends = new Worker({
    ...pool,
    concurrency: () => SENDS,
    only: [OUTBOX],
    handle: async (claim) => {
      await sendReply({ ...agents, channels, drafts }, claim);
      await retireLate({ store, channels, log }, claim);
    },
  });
  return { runs, sends };
}

/** What the last process has left behind is found again or given up, and its tasks are free. */
export async function recover(agents: AgentDeps, adapters: Adapters, version: string): Promise<void> {
  const { store, checkouts, hub, workspace, log, givenUp, newer } = adapters;
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
  const also = {
    ...(givenUp && { lost: givenUp }),
    ...(interrupted.length > 0 && { interrupted }),
    ...(newer && { newer }),
  };
  await record(store, { type: 'gateway.started', data: { version, recovered, ...also } });
}
