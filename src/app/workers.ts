import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { keepWorkOf } from '../agent/finish/keep.ts';
import { runTask } from '../agent/turn.ts';
import { OUTBOX } from '../core/records/reply.ts';
import { buryTask } from '../runtime/end.ts';
import { machineZone } from '../platform/system.ts';
import { sendReply } from '../messages/outbox.ts';
import type { Pauses } from '../runtime/pauses.ts';
import type { Messengers } from './messengers.ts';
import { heldQueues } from '../scheduler/tasks/deadlines.ts';
import { Worker } from '../scheduler/worker.ts';

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
    handle: (claim) => sendReply({ ...agents, channels, drafts, zone: machineZone }, claim),
  });
  return { runs, sends };
}
