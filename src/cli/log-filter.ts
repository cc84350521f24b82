import type { Event } from '../core/event.ts';
import { runOfStream, idIn, conversationOf } from '../core/ids.ts';

export interface LogFlags {
  run?: string;
  task?: string;
  agent?: string;
  /** Types, comma-separated; `run.` means all that begin so. */
  type?: string;
  since?: string;
  limit?: string;
  follow?: boolean;
  json?: boolean;
}

export interface Filter {
  /** True if every event fits. */
  all: boolean;
  /** To be called with the events in order: a run's start says to which task and agent its events belong. */
  fits(event: Event): boolean;
}

export const typesOf = (flags: LogFlags): string[] | undefined => flags.type?.split(',').map((type) => type.trim());

/** `run.` means all that begin so. */
export const fitsType = (type: string, wanted: string): boolean =>
  type === wanted || (wanted.endsWith('.') && type.startsWith(wanted));

/** Events that every given flag lets through. */
export function eventFilter(flags: LogFlags, since: number | null): Filter {
  const types = typesOf(flags);
  const { run, task, agent } = flags;
  const runs = new Set<string>();
  const belongs = (event: Event): boolean => {
    const data = event.data as { run?: unknown; task?: unknown; agent?: unknown };
    const ofRun = runOfStream(event.stream) ?? data.run;
    const ofTask = idOf(data.task) ?? idIn('task', event.stream);
    const ofAgent = data.agent ?? agentOf(data.task) ?? nameIn(event);
    const ours =
      (run === undefined || ofRun === run) &&
      (task === undefined || ofTask === task || runs.has(String(ofRun))) &&
      (agent === undefined || ofAgent === agent || runs.has(String(ofRun)));
    // One set serves both, because a run belongs to one task and one agent.
    if (ours && event.type === 'run.started') runs.add(event.data.run);
    return ours;
  };
  return {
    all: run === undefined && task === undefined && agent === undefined && types === undefined && since === null,
    fits: (event) =>
      belongs(event) &&
      (since === null || event.at >= since) &&
      (types === undefined || types.some((wanted) => fitsType(event.type, wanted))),
  };
}

/** A task is named by its id, or stands whole in the event that queues it. */
const idOf = (task: unknown): string | null => {
  if (typeof task === 'string') return task;
  return typeof task === 'object' && task !== null && 'id' in task ? String(task.id) : null;
};

const agentOf = (task: unknown): string | null =>
  typeof task === 'object' && task !== null && 'agent' in task ? String(task.agent) : null;

function nameIn(event: Event): string | null {
  return conversationOf(event.stream)?.agent ?? idIn('agent', event.actor);
}
