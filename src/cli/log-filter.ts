import { readMoment } from '../core/time/wall.ts';
import type { Event } from '../core/event.ts';
import { CliError } from './io.ts';
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

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10m`, `2h`, `3d` before now, or a date and time as ISO 8601. Milliseconds since the epoch. */
export function sinceOf(text: string, now: number): number {
  const ago = /^(\d{1,9})([smhd])$/.exec(text);
  if (ago) return now - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0);
  const isDay = readMoment(text.slice(0, 10)) !== null;
  // A day alone would begin as that of Greenwich, and with its hour here.
  const date = isDay ? Date.parse(text.length === 10 ? `${text}T00:00` : text) : Number.NaN;
  if (!Number.isNaN(date)) return date;
  throw new CliError(`Invalid --since "${text}". Give 30s, 10m, 2h or 3d, or a date such as 2026-11-23T08:15.`);
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
