// Recurrence rules (RFC 5545 §3.3.10), by the clock on the wall. Ours, because a rule comes with any stranger's invitation:
// ical.js never returns from `FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30`, and rrule-temporal needs a Temporal that Node 24 lacks
// and leaves out the `MO` of `FREQ=YEARLY;BYDAY=-4SU,MO`. A period (a year, a month, a week, a day) gives its days, whatever came before.
import { DAY, readMoment } from './values.ts';

const FREQUENCIES = ['YEARLY', 'MONTHLY', 'WEEKLY', 'DAILY', 'HOURLY', 'MINUTELY'] as const;
type Frequency = (typeof FREQUENCIES)[number];

export interface Rule {
  freq: Frequency;
  interval: number;
  count: number | null;
  until: { wall: number; utc: boolean } | null;
  /** 0 is Sunday. */
  weekStart: number;
  months: number[];
  weeks: number[];
  yearDays: number[];
  monthDays: number[];
  /** `nth` is 0 for every such day. */
  weekdays: { nth: number; day: number }[];
  hours: number[];
  minutes: number[];
  seconds: number[];
  positions: number[];
}

const WEEKDAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];
const HOUR = 3_600_000;
const MINUTE = 60_000;
/** What one rule may look at before it is given up: everyone else waits meanwhile. */
const MAX_WORK = 2_000_000;

type Lists = Pick<Rule, 'months' | 'weeks' | 'yearDays' | 'monthDays' | 'hours' | 'minutes' | 'seconds' | 'positions'>;
const LISTS: Readonly<Record<string, [key: keyof Lists, low: number, high: number]>> = {
  BYMONTH: ['months', 1, 12],
  BYWEEKNO: ['weeks', -53, 53],
  BYYEARDAY: ['yearDays', -366, 366],
  BYMONTHDAY: ['monthDays', -31, 31],
  BYHOUR: ['hours', 0, 23],
  BYMINUTE: ['minutes', 0, 59],
  BYSECOND: ['seconds', 0, 59],
  BYSETPOS: ['positions', -366, 366],
};

export function readRule(text: string): { ok: true; rule: Rule } | { ok: false; error: string } {
  const given = new Map<string, string>();
  for (const part of text.trim().toUpperCase().split(';')) {
    const [key = '', value = ''] = part.split('=');
    if (key !== '') given.set(key.trim(), value.trim());
  }
  const wrong = (key: string) => ({ ok: false, error: `${key}=${(given.get(key) ?? '').slice(0, 40)}` }) as const;
  const freq = FREQUENCIES.find((each) => each === given.get('FREQ'));
  if (freq === undefined) return wrong('FREQ');
  if (given.has('RSCALE') && given.get('RSCALE') !== 'GREGORIAN') return wrong('RSCALE');
  const number = (key: string): number | null => (given.has(key) ? Number(given.get(key)) : null);
  const interval = number('INTERVAL') ?? 1;
  const count = number('COUNT');
  if (!Number.isSafeInteger(interval) || interval < 1) return wrong('INTERVAL');
  if (count !== null && (!Number.isSafeInteger(count) || count < 1)) return wrong('COUNT');
  const until = given.has('UNTIL') ? readMoment(given.get('UNTIL') ?? '') : null;
  if (given.has('UNTIL') && until === null) return wrong('UNTIL');
  const lists: Lists = {
    months: [],
    weeks: [],
    yearDays: [],
    monthDays: [],
    hours: [],
    minutes: [],
    seconds: [],
    positions: [],
  };
  for (const [key, [into, low, high]] of Object.entries(LISTS)) {
    const numbers = given.has(key) ? (given.get(key) ?? '').split(',').map((each) => Number(each || NaN)) : [];
    if (numbers.some((each) => !Number.isInteger(each) || each < low || each > high || (low < 0 && each === 0)))
      return wrong(key);
    lists[into] = [...new Set(numbers)].sort((one, other) => one - other);
  }
  const weekdays = given.has('BYDAY') ? (given.get('BYDAY') ?? '').split(',').map(readWeekday) : [];
  if (weekdays.includes(null)) return wrong('BYDAY');
  const weekStart = WEEKDAYS.indexOf(given.get('WKST') ?? 'MO');
  const rule: Rule = {
    freq,
    interval,
    count,
    // A day as the end includes that day.
    until: until && { wall: until.wall + (until.day ? DAY - 1 : 0), utc: until.utc },
    weekStart: Math.max(weekStart, 0),
    ...lists,
    weekdays: weekdays.filter((each) => each !== null),
  };
  return { ok: true, rule };
}

function readWeekday(text: string): { nth: number; day: number } | null {
  const [, nth = '0', name = ''] = /^\s*([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)\s*$/.exec(text) ?? [];
  return name === '' || Math.abs(Number(nth)) > 53 ? null : { nth: Number(nth), day: WEEKDAYS.indexOf(name) };
}

// Days are counted from 1 January 1970.
const dayOf = (wall: number): number => Math.floor(wall / DAY);
const weekdayOf = (day: number): number => (((day + 4) % 7) + 7) % 7;
const partsOf = (day: number): { year: number; month: number; date: number } => {
  const shown = new Date(day * DAY);
  return { year: shown.getUTCFullYear(), month: shown.getUTCMonth() + 1, date: shown.getUTCDate() };
};
/** Months may be beyond the year. */
const firstOf = (year: number, month: number): number => {
  const shown = new Date(0);
  shown.setUTCFullYear(year, month - 1, 1);
  return shown.getTime() / DAY;
};

interface Block {
  first: number;
  length: number;
}
const monthBlock = (year: number, month: number): Block => {
  const first = firstOf(year, month);
  return { first, length: firstOf(year, month + 1) - first };
};
const yearBlock = (year: number): Block => ({
  first: firstOf(year, 1),
  length: firstOf(year + 1, 1) - firstOf(year, 1),
});
const all = ({ first, length }: Block): number[] => Array.from({ length }, (_, at) => first + at);

/** The nth days of a block, counted from its end if negative. */
const nths = ({ first, length }: Block, numbers: readonly number[]): number[] =>
  numbers
    .map((nth) => (nth > 0 ? nth - 1 : length + nth))
    .filter((at) => at >= 0 && at < length)
    .map((at) => first + at);

function weekdaysIn({ first, length }: Block, { nth, day }: { nth: number; day: number }): number[] {
  const before = (day - weekdayOf(first) + 7) % 7;
  const found = Array.from({ length: Math.ceil((length - before) / 7) }, (_, week) => first + before + week * 7);
  if (nth === 0) return found;
  const one = nth > 0 ? found[nth - 1] : found.at(nth);
  return one === undefined ? [] : [one];
}

/** The first day of the first week that has four days in a year. */
function firstWeek(year: number, weekStart: number): number {
  const fourth = firstOf(year, 1) + 3;
  return fourth - ((weekdayOf(fourth) - weekStart + 7) % 7);
}

/** The days of a year in the weeks of a rule; the first and the last week may reach over from another year. */
function weekDays(year: number, { weeks, weekStart }: Rule): number[] {
  const { first, length } = yearBlock(year);
  return [year - 1, year, year + 1]
    .flatMap((each) => {
      const start = firstWeek(each, weekStart);
      const count = (firstWeek(each + 1, weekStart) - start) / 7;
      const chosen = weeks
        .map((week) => (week > 0 ? week : count + 1 + week))
        .filter((week) => week > 0 && week <= count);
      return chosen.flatMap((week) => all({ first: start + (week - 1) * 7, length: 7 }));
    })
    .filter((day) => day >= first && day < first + length);
}

/** What is in all of the lists. */
function common(lists: readonly number[][]): number[] {
  const [first = [], ...rest] = lists;
  const sets = rest.map((list) => new Set(list));
  return [...new Set(first)].filter((day) => sets.every((set) => set.has(day))).sort((one, other) => one - other);
}

function daysOfYear(rule: Rule, year: number, start: number): number[] {
  const { months, weeks, yearDays, monthDays, weekdays } = rule;
  const blocks = months.map((month) => monthBlock(year, month));
  const lists: number[][] = [];
  if (yearDays.length > 0) lists.push(nths(yearBlock(year), yearDays));
  if (weeks.length > 0) lists.push(weekDays(year, rule));
  if (monthDays.length > 0) {
    const within = months.length > 0 ? blocks : all({ first: 1, length: 12 }).map((month) => monthBlock(year, month));
    lists.push(within.flatMap((block) => nths(block, monthDays)));
  }
  if (weekdays.length > 0) {
    const within = months.length > 0 ? blocks : [yearBlock(year)];
    lists.push(within.flatMap((block) => weekdays.flatMap((each) => weekdaysIn(block, each))));
  }
  const { month, date } = partsOf(start);
  if (lists.length === 0)
    return (months.length > 0 ? blocks : [monthBlock(year, month)]).flatMap((block) => nths(block, [date]));
  if (weeks.length > 0 && lists.length === 1)
    lists.push(weekdaysIn(yearBlock(year), { nth: 0, day: weekdayOf(start) }));
  if (months.length > 0) lists.push(blocks.flatMap(all));
  return common(lists);
}

function daysOfMonth({ months, monthDays, weekdays }: Rule, index: number, start: number): number[] {
  const [year, month] = [Math.floor(index / 12), (((index % 12) + 12) % 12) + 1];
  if (months.length > 0 && !months.includes(month)) return [];
  const block = monthBlock(year, month);
  const lists: number[][] = [];
  if (monthDays.length > 0) lists.push(nths(block, monthDays));
  if (weekdays.length > 0) lists.push(weekdays.flatMap((each) => weekdaysIn(block, each)));
  return lists.length === 0 ? nths(block, [partsOf(start).date]) : common(lists);
}

function suits({ months, monthDays, yearDays, weekdays, freq }: Rule, day: number): boolean {
  if (freq !== 'WEEKLY' && weekdays.length > 0 && !weekdays.some((each) => each.day === weekdayOf(day))) return false;
  if (months.length + monthDays.length + yearDays.length === 0) return true;
  const { year, month } = partsOf(day);
  if (months.length > 0 && !months.includes(month)) return false;
  if (freq !== 'WEEKLY' && monthDays.length > 0 && !nths(monthBlock(year, month), monthDays).includes(day))
    return false;
  return yearDays.length === 0 || freq === 'WEEKLY' || nths(yearBlock(year), yearDays).includes(day);
}

/** The periods of a rule: which one a day lies in, where one begins, and which days it gives. */
interface Periods {
  indexOf(day: number): number;
  firstOf(index: number): number;
  days(index: number): number[];
}

function periodsOf(rule: Rule, start: number): Periods {
  if (rule.freq === 'YEARLY')
    return {
      indexOf: (day) => partsOf(day).year,
      firstOf: (year) => firstOf(year, 1),
      days: (year) => daysOfYear(rule, year, start),
    };
  if (rule.freq === 'MONTHLY')
    return {
      indexOf: (day) => partsOf(day).year * 12 + partsOf(day).month - 1,
      firstOf: (index) => firstOf(Math.floor(index / 12), (((index % 12) + 12) % 12) + 1),
      days: (index) => daysOfMonth(rule, index, start),
    };
  if (rule.freq === 'WEEKLY') {
    // 4 January 1970 was a Sunday.
    const zero = 3 + rule.weekStart - 7;
    const chosen = rule.weekdays.length > 0 ? [...new Set(rule.weekdays.map(({ day }) => day))] : [weekdayOf(start)];
    const offsets = chosen.map((day) => (day - rule.weekStart + 7) % 7).sort((one, other) => one - other);
    return {
      indexOf: (day) => Math.floor((day - zero) / 7),
      firstOf: (index) => zero + index * 7,
      days: (index) => offsets.map((offset) => zero + index * 7 + offset).filter((day) => suits(rule, day)),
    };
  }
  return { indexOf: (day) => day, firstOf: (day) => day, days: (day) => (suits(rule, day) ? [day] : []) };
}

/** Times of a day, in milliseconds; for rules by the hour or minute those of this very day. */
function timesOf(rule: Rule, start: number): (day: number) => number[] {
  const own = start - dayOf(start) * DAY;
  const or = (list: readonly number[], value: number): readonly number[] => (list.length > 0 ? list : [value]);
  const part = (unit: number, size: number): number => Math.floor(own / unit) % size;
  const seconds = or(rule.seconds, part(1000, 60));
  const every = (size: number): number[] => Array.from({ length: size }, (_, at) => at);
  const often = rule.freq === 'HOURLY' || rule.freq === 'MINUTELY';
  const minutes =
    rule.freq === 'MINUTELY' && rule.minutes.length === 0 ? every(60) : or(rule.minutes, part(MINUTE, 60));
  const hours = often && rule.hours.length === 0 ? every(24) : or(rule.hours, part(HOUR, 24));
  const times = hours.flatMap((hour) =>
    minutes.flatMap((minute) => seconds.map((second) => hour * HOUR + minute * MINUTE + second * 1000)),
  );
  if (!often) return () => times;
  const unit = rule.freq === 'HOURLY' ? HOUR : MINUTE;
  const anchor = Math.floor(start / unit);
  return (day) => times.filter((time) => (Math.floor((day * DAY + time) / unit) - anchor) % rule.interval === 0);
}

/**
 * The times of a rule from `from` up to, and without, `to`: by the clock on the wall, in order. The start is always the
 * first of them. `spent` is called if the rule was given up.
 */
export function* walls(
  rule: Rule,
  start: number,
  { from, to }: { from: number; to: number },
  spent?: () => void,
): Generator<number> {
  const end = Math.min(to, (rule.until?.wall ?? Infinity) + 1);
  if (start >= end) return;
  if (start >= from) yield start;
  let left = (rule.count ?? Infinity) - 1;
  const periods = periodsOf(rule, dayOf(start));
  const times = timesOf(rule, start);
  const often = rule.freq === 'HOURLY' || rule.freq === 'MINUTELY';
  const step = often ? 1 : rule.interval;
  const first = periods.indexOf(dayOf(start));
  // Without a count nothing before the span matters.
  const leap = rule.count === null && from > start ? Math.floor((periods.indexOf(dayOf(from)) - first) / step) : 0;
  let work = 0;
  for (let index = first + Math.max(0, leap) * step; left > 0; index += step) {
    const begin = periods.firstOf(index);
    if (Number.isNaN(begin) || begin * DAY >= end) return;
    const candidates = periods.days(index).flatMap((day) => times(day).map((time) => day * DAY + time));
    work += candidates.length + 1;
    if (work > MAX_WORK) return spent?.();
    for (const wall of rule.positions.length > 0 ? nthsOf(candidates, rule.positions) : candidates) {
      if (wall <= start) continue;
      if (wall >= end || left <= 0) return;
      left -= 1;
      if (wall >= from) yield wall;
    }
  }
}

function nthsOf(candidates: readonly number[], positions: readonly number[]): number[] {
  const chosen = positions.flatMap((nth) => (nth > 0 ? candidates[nth - 1] : candidates.at(nth)) ?? []);
  return [...new Set(chosen)].sort((one, other) => one - other);
}

export const writeUntil = (rule: string, until: string): string =>
  [...rule.split(';').filter((part) => !/^(COUNT|UNTIL)=/i.test(part) && part !== ''), `UNTIL=${until}`].join(';');

export const writeCount = (rule: string, count: number): string =>
  [...rule.split(';').filter((part) => !/^(COUNT|UNTIL)=/i.test(part) && part !== ''), `COUNT=${count}`].join(';');
