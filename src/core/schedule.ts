import { durationText } from './text/duration.ts';
import type { Json } from './text/json.ts';

/** Hours of the day in which a schedule may fire, and the days on which they begin. */
export interface ActiveHours {
  /** Minutes of the day, from (included) and to (not included); over midnight if `from` is later. */
  from: number;
  to: number;
  /** Days of the week on which they begin, Sunday being 0; every day unless given. */
  days?: readonly number[];
}

/** When a schedule fires, with nothing left out: what is on record of it. */
export type Timing = (
  | { kind: 'cron'; cron: string }
  /** Milliseconds of time gone by, whatever clocks on walls say. */
  | { kind: 'every'; ms: number }
  /** A moment: `2026-12-24T08:00`, by the clock of the zone, or with an offset of its own. */
  | { kind: 'at'; at: string }
) & {
  /** IANA name. */
  zone: string;
  /** Last moment it may fire at: a date (its whole day counts) or a date with a time; null for none. */
  until: string | null;
  /** Null: at any time. */
  activeHours: ActiveHours | null;
  /** Milliseconds by which a firing may be put off, so that not everything begins in the same second. */
  jitter: number;
};

/** What becomes of firings that nobody was there for. `max`: the newest so many. */
export type Missed = { mode: 'skip' } | { mode: 'once' } | { mode: 'all'; max: number };

/** What happens if the task of the last firing has not ended. */
type Overlap = 'skip' | 'queue' | 'cancel';

/** A schedule of an AGENT.md. */
export interface Schedule {
  /** Unique in the agent. */
  name: string;
  /** `zone` null: that of the network. */
  timing: WithoutZone<Timing> & { zone: string | null };
  missed: Missed;
  overlap: Overlap;
  /** What the agent is told, or the command line of a script in the workspace that runs without a model. */
  work: { kind: 'task'; text: string } | { kind: 'run'; command: string };
  /** Who gets the answer: `owner` or `CHANNEL:ADDRESS`. */
  to?: string;
}

type WithoutZone<T> = T extends unknown ? Omit<T, 'zone'> : never;

/** What stands in the record for a model where a script says what comes next. */
export const SCRIPT = 'schedule/script';

/** `<agent>/<name>`. */
export const scheduleId = (agent: string, name: string): string => `${agent}/${name}`;
export const scheduleStream = (id: string): string => `schedule:${id}`;
/** Unique key of one firing, whatever comes of it. */
export const firingKey = (id: string, at: number): string => `firing:${id}@${at}`;
/** Unique key of a firing of a schedule or trigger that a person asked for, by the name that their request has. */
export const askedFiringKey = (stream: string, request: string): string => `firing:${stream}#${request}`;
/** Session of the conversation its tasks belong to. */
export const scheduleSession = (name: string): string => `schedule-${name}`;

/** How a schedule stands, for people. Times are milliseconds since the epoch. */
export interface ScheduleState {
  id: string;
  agent: string;
  name: string;
  /** When it fires, in the words of its file: `15 8 * * 1-5`, `every 15m`, `at 2026-12-24T08:00`. */
  when: string;
  zone: string;
  /** What it does: the task's text, or `run: …`. */
  does: string;
  paused: boolean;
  /** Null: never again, or paused. */
  next: number | null;
  /** The clock was ahead: what is due before this moment has fired or was let go by it, and does not fire. Absent else. */
  silentUntil?: number;
  /** The last time it fired, when that was due, and what came of it; null if it never did. `why`: what it said when it failed. */
  last: { at: number; task: string | null; status: string; why?: string } | null;
}

/** What people can ask of the schedules. `by` is the one who asks. */
export interface ScheduleDesk {
  list(): Promise<ScheduleState[]>;
  /** Has it fire out of turn, also while it is paused. Gives the task; null if there is no such schedule. */
  /** `request`: the same one again gives the task it has made. */
  run(id: string, by: string, request?: string): Promise<string | null>;
  /** What would fire while it is paused is not made up for. False if there is no such schedule. */
  pause(id: string, by: string): Promise<boolean>;
  resume(id: string, by: string): Promise<boolean>;
  /** When the next schedule of an agent is due, as far as is known without looking; null if none is. */
  nextFiring(agent: string): number | null;
}

/** How an agent looks at its own schedules and changes them. `text` is that of its AGENT.md. */
export interface ScheduleBook {
  list(agent: string, text: string): string;
  /** Takes one out, then puts one in; null for nothing. Gives the file's new text and what to tell, or what is wrong. */
  change(
    agent: string,
    text: string,
    /** `zone`: of times of day that name none; the network's unless given. */
    change: { create: { [key: string]: Json } | null; remove: string | null; zone?: string },
  ): { ok: true; text: string; said: string } | { ok: false; error: string };
}

/** Moments of a clock without zone, as if it stood in UTC: milliseconds. */
export interface CronTimes {
  /** First match strictly after; null if there is none. */
  after(wall: number): number | null;
  /** Last match strictly before; null if there is none. */
  before(wall: number): number | null;
}

/** Reads cron patterns of 5 or 6 fields (seconds first) and the nicknames; says in words what is wrong. */
export type ReadCron = (pattern: string) => { ok: true; times: CronTimes } | { ok: false; error: string };

/** When it fires, in the words of its file. */
export function whenText(timing: WithoutZone<Timing>): string {
  if (timing.kind === 'cron') return timing.cron;
  return timing.kind === 'every' ? `every ${durationText(timing.ms)}` : `at ${timing.at}`;
}
