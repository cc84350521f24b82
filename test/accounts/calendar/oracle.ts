// Recurrence told in another way than the product tells it: every day from the start on is asked whether it fits, and
// zones are Temporal's.
export interface OracleRule {
  freq: 'YEARLY' | 'MONTHLY' | 'WEEKLY' | 'DAILY';
  interval?: number;
  count?: number;
  weekStart?: number;
  weekdays?: readonly (readonly [nth: number, day: number])[];
  monthDays?: readonly number[];
  months?: readonly number[];
  yearDays?: readonly number[];
  weeks?: readonly number[];
  positions?: readonly number[];
  hours?: readonly number[];
}

const NAMES = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];
const DAY = 86_400_000;
const utc = (wall: number): Temporal.PlainDateTime =>
  Temporal.Instant.fromEpochMilliseconds(wall).toZonedDateTimeISO('UTC').toPlainDateTime();
const weekOf = (day: Temporal.PlainDate, weekStart: number): number => {
  const since = day.since('2000-01-02', { largestUnit: 'days' }).days;
  return Math.floor((since - weekStart) / 7);
};

/** The number of a day's week, and how many weeks its year of weeks has. */
function weekNumber(day: Temporal.PlainDate, weekStart: number): [number, number] {
  const firstOf = (year: number): number => weekOf(new Temporal.PlainDate(year, 1, 4), weekStart);
  const week = weekOf(day, weekStart);
  const year = [day.year + 1, day.year, day.year - 1].find((each) => week >= firstOf(each)) ?? day.year;
  return [week - firstOf(year) + 1, firstOf(year + 1) - firstOf(year)];
}

const fromEither = (numbers: readonly number[], value: number, size: number): boolean =>
  numbers.includes(value) || numbers.includes(value - size - 1);

function fits(rule: OracleRule, day: Temporal.PlainDate, start: Temporal.PlainDate): boolean {
  const { freq, weekStart = 1, weekdays, monthDays, months, yearDays, weeks } = rule;
  const weekday = day.dayOfWeek % 7;
  if (months && !months.includes(day.month)) return false;
  if (yearDays && !fromEither(yearDays, day.dayOfYear, day.daysInYear)) return false;
  if (weeks && !fromEither(weeks, ...weekNumber(day, weekStart))) return false;
  if (monthDays && !fromEither(monthDays, day.day, day.daysInMonth)) return false;
  if (weekdays) {
    const month = freq === 'MONTHLY' || months !== undefined;
    const [at, size] = month ? [day.day, day.daysInMonth] : [day.dayOfYear, day.daysInYear];
    const nths = [0, Math.ceil(at / 7), -Math.ceil((size - at + 1) / 7)];
    if (!weekdays.some(([nth, name]) => name === weekday && nths.includes(nth))) return false;
  }
  const sameWeekday = weekday === start.dayOfWeek % 7;
  if (weekdays ?? monthDays ?? yearDays) return true;
  if (weeks) return sameWeekday;
  if (freq === 'WEEKLY') return sameWeekday;
  if (freq === 'MONTHLY') return day.day === start.day;
  return freq === 'DAILY' || (day.day === start.day && (months !== undefined || day.month === start.month));
}

/** Wall times up to, and without, an end. */
export function oracle(rule: OracleRule, begin: number, end: number): number[] {
  const start = utc(begin).toPlainDate();
  const time = begin - Math.floor(begin / DAY) * DAY;
  const { freq, interval = 1, weekStart = 1 } = rule;
  const period = (day: Temporal.PlainDate): number =>
    ({
      YEARLY: () => day.year - start.year,
      MONTHLY: () => (day.year - start.year) * 12 + day.month - start.month,
      WEEKLY: () => weekOf(day, weekStart) - weekOf(start, weekStart),
      DAILY: () => day.since(start, { largestUnit: 'days' }).days,
    })[freq]();
  const byPeriod = new Map<number, number[]>();
  // From a year before, so that the first period is whole.
  for (let day = start.subtract({ days: 370 }); ; day = day.add({ days: 1 })) {
    const midnight = day.toZonedDateTime('UTC').epochMilliseconds;
    if (midnight > end + 370 * DAY) break;
    const index = period(day);
    if (index < 0 || index % interval !== 0 || !fits(rule, day, start)) continue;
    const times = rule.hours ? rule.hours.map((hour) => hour * 3_600_000 + (time % 3_600_000)) : [time];
    byPeriod.set(index, [
      ...(byPeriod.get(index) ?? []),
      ...times.toSorted((a, b) => a - b).map((at) => midnight + at),
    ]);
  }
  const found: number[] = [];
  for (const all of byPeriod.values()) {
    const chosen = rule.positions?.map((nth) => all[nth > 0 ? nth - 1 : all.length + nth]) ?? all;
    found.push(...new Set(chosen.filter((at) => at !== undefined)));
  }
  const later = found.toSorted((a, b) => a - b).filter((at) => at > begin);
  return [begin, ...later].slice(0, rule.count ?? Infinity).filter((at) => at < end);
}

/** Temporal's "compatible" is what RFC 5545 asks for: skipped times by the offset before, doubled ones as the first. */
export const instantOf = (wall: number, zone: string): number => utc(wall).toZonedDateTime(zone).epochMilliseconds;

export function ruleText(rule: OracleRule): string {
  const list = (name: string, values: readonly unknown[] | undefined): string[] =>
    values === undefined ? [] : [`${name}=${values.join(',')}`];
  return [
    `FREQ=${rule.freq}`,
    ...list('INTERVAL', rule.interval === undefined ? undefined : [rule.interval]),
    ...list('COUNT', rule.count === undefined ? undefined : [rule.count]),
    ...list('WKST', rule.weekStart === undefined ? undefined : [NAMES[rule.weekStart]]),
    ...list('BYMONTH', rule.months),
    ...list('BYWEEKNO', rule.weeks),
    ...list('BYYEARDAY', rule.yearDays),
    ...list('BYMONTHDAY', rule.monthDays),
    ...list(
      'BYDAY',
      rule.weekdays?.map(([nth, day]) => `${nth === 0 ? '' : nth}${NAMES[day]}`),
    ),
    ...list('BYHOUR', rule.hours),
    ...list('BYSETPOS', rule.positions),
  ].join(';');
}
