// Reckoned by hand, and not by what the product reckons with: it is held against it.

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** When a schedule of the play fires, by the clock of Paris or by time that goes by. */
export type When =
  /** `weekdays`: 0 is Sunday; null is every day. */
  { minute: number; hours: readonly number[]; weekdays: readonly number[] | null } | { everyMs: number };

/** Summer time of a year, from its last Sunday of March to that of October, 01:00 UTC. */
const summerOf = (year: number): { from: number; to: number } => ({ from: switchOf(year, 2), to: switchOf(year, 9) });

/** When clocks are put, in March (2) or October (9). */
export function switchOf(year: number, month: 2 | 9): number {
  const last = Date.UTC(year, month, 31, 1);
  return last - new Date(last).getUTCDay() * DAY;
}

const offsetAt = (instant: number): number => {
  const { from, to } = summerOf(new Date(instant).getUTCFullYear());
  return instant >= from && instant < to ? 2 * HOUR : HOUR;
};

/** The first instant at which the clocks of Paris show this; null if they leap over it. */
function instantOf(wall: number): number | null {
  for (const offset of [2 * HOUR, HOUR]) if (offsetAt(wall - offset) === offset) return wall - offset;
  return null;
}

/** Every time after `from` and up to `until` at which a schedule fires, in order; `every` is counted from `from`. */
export function timesOf(when: When, from: number, until: number): number[] {
  const times: number[] = [];
  if ('everyMs' in when) {
    for (let at = from + when.everyMs; at <= until; at += when.everyMs) times.push(at);
    return times;
  }
  const first = Math.floor((from - DAY) / DAY) * DAY;
  for (let day = first; day <= until + DAY; day += DAY) {
    if (when.weekdays !== null && !when.weekdays.includes(new Date(day).getUTCDay())) continue;
    for (const hour of when.hours) {
      const at = instantOf(day + hour * HOUR + when.minute * MINUTE);
      if (at !== null && at > from && at <= until) times.push(at);
    }
  }
  return times.sort((a, b) => a - b);
}

/** The same as the file of an agent has it. */
export function whenYaml(when: When): string {
  if ('everyMs' in when) return `every: ${when.everyMs / MINUTE}m`;
  const { minute, hours, weekdays } = when;
  return `cron: '${minute} ${hours.join(',')} * * ${weekdays === null ? '*' : weekdays.join(',')}', timezone: Europe/Paris`;
}
