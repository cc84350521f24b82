import type { Problem } from '../core/agent.ts';
import { readDuration } from '../core/text/duration.ts';
import { openFirings } from '../core/time/firing.ts';
import type { Missed, Schedule, Timing } from '../core/schedule.ts';
import { readCron } from './cron.ts';
import { readHours } from '../core/time/hours.ts';
import type { ScheduleSource } from './schedule-schema.ts';
import { problem, type Path, type YamlSource } from './yaml-source.ts';

const DAY = 86_400_000;
const LONGEST = 366 * DAY;
/** A schedule is tried out from here on: a file means the same whenever it is read. */
const TRIAL = Date.UTC(2026, 0, 1);
const DEFAULT_MAX = 10;

/** Reads the schedules of a file whose shape is right; what can never work is a problem with line and key. */
export function readSchedules(
  given: readonly ScheduleSource[],
  source: YamlSource,
  file: string,
): { schedules: Schedule[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  const schedules = given.map((each, index) => {
    const add = (key: string, said: string): void => {
      const path: Path = ['schedules', index, ...(key === '' ? [] : [key])];
      problems.push(problem(file, source.lineOf(path), path.join('.'), said));
    };
    if (seen.has(each.name)) add('name', `"${each.name}" names an earlier schedule already`);
    seen.add(each.name);
    const schedule = toSchedule(each);
    const wrong = tryOut(schedule);
    if (wrong !== null) add(wrong.key, wrong.error);
    return schedule;
  });
  return { schedules, problems };
}

function toSchedule(given: ScheduleSource): Schedule {
  const { name, cron, every, at, timezone, task, run } = given;
  const common = {
    zone: timezone ?? null,
    until: given.until ?? null,
    activeHours: given.activeHours === undefined ? null : readHours(given.activeHours),
    jitter: readDuration(given.jitter ?? '') ?? 0,
  };
  const missed: Missed =
    given.missed === 'all' ? { mode: 'all', max: given.max ?? DEFAULT_MAX } : { mode: given.missed ?? 'once' };
  return {
    name,
    timing: timingOf({ cron, every, at }, common),
    missed,
    overlap: given.overlap ?? (missed.mode === 'all' ? 'queue' : 'skip'),
    work: run === undefined ? { kind: 'task', text: task ?? '' } : { kind: 'run', command: run },
    ...(given.to === undefined ? {} : { to: given.to }),
  };
}

function timingOf(
  { cron, every, at }: Pick<ScheduleSource, 'cron' | 'every' | 'at'>,
  common: Omit<Timing, 'kind' | 'zone'> & { zone: string | null },
): Schedule['timing'] {
  if (cron !== undefined) return { kind: 'cron', cron, ...common };
  if (every !== undefined) return { kind: 'every', ms: readDuration(every) ?? 0, ...common };
  return { kind: 'at', at: at ?? '', ...common };
}

function tryOut({ name, timing }: Schedule): { key: string; error: string } | null {
  const { kind, jitter, activeHours } = timing;
  if (kind === 'every' && timing.ms > LONGEST) return { key: 'every', error: 'must be at most 366d' };
  if (jitter > DAY) return { key: 'jitter', error: 'must be at most 1d' };
  const open = (more: Partial<Timing>): ReturnType<typeof openFirings> =>
    openFirings({
      id: name,
      anchor: TRIAL,
      readCron,
      timing: { ...timing, zone: timing.zone ?? 'UTC', ...more } as Timing,
    });
  const whole = open({});
  if (!whole.ok) return whole;
  // A schedule that is over is no mistake, whenever its file is read.
  const endless = open({ until: null });
  const trial = endless.ok ? endless.firings : whole.firings;
  const first = trial.after(kind === 'at' ? -Infinity : TRIAL);
  if (first === null) {
    const anyHour = open({ until: null, activeHours: null });
    const comes = anyHour.ok && anyHour.firings.after(kind === 'at' ? -Infinity : TRIAL) !== null;
    return activeHours !== null && comes
      ? { key: 'activeHours', error: 'never fires: none of its times lies within these hours' }
      : { key: kind, error: 'never fires: no day of the calendar fits' };
  }
  const second = trial.after(first);
  const apart = kind === 'every' ? timing.ms : second === null ? Infinity : second - first;
  if (jitter >= apart) return { key: 'jitter', error: 'must be shorter than the time between two firings' };
  return null;
}
