import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { usualTool } from '../core/ports/tool.ts';
import type { Pauses } from '../runtime/pauses.ts';
import { restingModels } from '../agent/think/compact.ts';
import { startHousekeeping } from '../core/time/waker.ts';
import { noteMissedDeadlines } from '../scheduler/tasks/deadlines.ts';
import { type CheckResult, lookAtChecks } from '../scheduler/upkeep/checks.ts';
import { Night } from '../scheduler/upkeep/night.ts';
import { Outages } from '../scheduler/upkeep/outages.ts';
import { StatusFile } from '../scheduler/upkeep/status-file.ts';
import { lookForRoom, type RoomDeps } from '../spend/room.ts';
import { goOn } from '../pending/approve.ts';
import { OpenMatters } from '../pending/pending.ts';
import { TIERS } from '../core/model.ts';
import { startTaskFiles } from '../scheduler/tasks/inbox.ts';
import { parseTask } from '../tools/task.ts';

/** Milliseconds between two looks at whether the workspace's objects should be packed. */
const PACK_MS = 600_000;
/** Milliseconds between two looks for deadlines that have gone by. */
const DEADLINES_MS = 1_000;

/** Milliseconds between two looks at the addresses of `checks`. */
const CHECKS_MS = 300_000;
/** Milliseconds between two looks at whether the night has come. */
const NIGHT_MS = 60_000;
/** Milliseconds between two looks at whether work waits for a provider that is down. */
const OUTAGES_MS = 10_000;
/** Milliseconds between two looks at whether a limit has room again at which a run waits. */
const ROOM_MS = 10_000;
/** Milliseconds between two writings of how the runtime is. */
const STATUS_MS = 30_000;

/** How the runtime is, as scripts read it, and what was found at the addresses that are looked at. */
export interface Status {
  file: StatusFile;
  checks: CheckResult[];
}

export function openStatus(adapters: Adapters, agents: AgentDeps, pauses: Pauses): Status {
  const held = (): string[] => {
    const { queues } = agents.governance().settings;
    return [...pauses.names(), ...Object.keys(queues).filter((name) => queues[name]?.state === 'paused')];
  };
  const checks = (): readonly CheckResult[] => status.checks;
  const status: Status = {
    file: new StatusFile({ ...agents, file: adapters.statusFile, paused: held, checks }),
    checks: [],
  };
  return status;
}

/** A look at whether limits have room again at which runs wait. */
export function openRoom(agents: AgentDeps): () => Promise<void> {
  const { store } = agents;
  const matters = new OpenMatters(store);
  const deps: RoomDeps = {
    ...agents,
    matters: () => matters.list(),
    models: () =>
      [...agents.governance().agents.values()].flatMap((agent) =>
        [agent.model, ...TIERS].flatMap((model) => agents.models({ ...agent, model })),
      ),
    goOn: (approval, why) => goOn({ store }, approval, why),
  };
  return () => lookForRoom(deps);
}

/** Starts what goes on beside the runs, and ends with `parts`. */
export async function startUpkeep(
  adapters: Adapters,
  agents: AgentDeps,
  status: Status,
  parts: AsyncDisposableStack,
): Promise<void> {
  const { workspace, taskFiles: files, hub, clock, log } = adapters;
  const stopped = new AbortController();
  parts.defer(() => stopped.abort());
  const night = new Night({ ...agents, models: (agent) => restingModels(agents, agent) });
  const outages = new Outages(agents);
  const look = async (): Promise<void> => {
    const { settings } = agents.governance();
    const tool = usualTool(agents.tools(), 'addresses');
    status.checks = await lookAtChecks({ ...adapters, settings, tool, signal: stopped.signal });
    await status.file.write();
  };
  const every = (everyMs: number, job: () => Promise<void>) => startHousekeeping({ job, everyMs, clock, log });
  const started = [
    every(PACK_MS, () => workspace.maintain()),
    every(DEADLINES_MS, () => noteMissedDeadlines(agents)),
    every(STATUS_MS, () => status.file.write()),
    every(OUTAGES_MS, () => outages.look()),
    every(ROOM_MS, openRoom(agents)),
    every(CHECKS_MS, look),
    every(NIGHT_MS, async () => {
      await night.look();
    }),
    startTaskFiles({ ...agents, files, parseTask, onWork: (listener) => hub.onWork(listener) }),
  ];
  for (const each of started) parts.defer(() => each.close());
  // Before the first script asks.
  await status.file
    .write()
    .catch((error: unknown) => log.warn({ error: String(error) }, 'the status could not be written'));
  if (agents.governance().settings.checks.length > 0)
    look().catch((error: unknown) => stopped.signal.aborted || log.warn({ error: String(error) }, 'the checks failed'));
}
