import type { Adapters } from './adapters.ts';
import type { AgentDeps } from './agent/deps.ts';
import { startHousekeeping } from './scheduler/housekeeping.ts';
import { noteMissedDeadlines } from './scheduler/queues.ts';
import { startTaskFiles } from './scheduler/task-files.ts';
import { parseTask } from './tools/task.ts';

/** Milliseconds between two looks at whether the workspace's objects should be packed. */
const PACK_MS = 600_000;
/** Milliseconds between two looks for deadlines that have gone by. */
const DEADLINES_MS = 1_000;

/** Starts what goes on beside the runs, and ends with `parts`. */
export function startUpkeep(adapters: Adapters, agents: AgentDeps, parts: AsyncDisposableStack): void {
  const { workspace, taskFiles: files, hub, clock, log } = adapters;
  const every = (everyMs: number, job: () => Promise<void>) => startHousekeeping({ job, everyMs, clock, log });
  const started = [
    every(PACK_MS, () => workspace.maintain()),
    every(DEADLINES_MS, () => noteMissedDeadlines(adapters)),
    startTaskFiles({ ...agents, files, parseTask, onWork: (listener) => hub.onWork(listener) }),
  ];
  for (const each of started) parts.defer(() => each.close());
}
