// Values of content lines: days, times and durations.
import type { Length, When } from '../../core/calendar.ts';
import { makeLine, type Line } from './content.ts';

export const DAY = 86_400_000;
const TIME = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z)?)?$/i;

interface Moment {
  wall: number;
  utc: boolean;
  day: boolean;
}

/** `20261130`, `20261130T080000`, `20261130T080000Z`; null if it is none, or no day of the calendar. */
export function readMoment(text: string): Moment | null {
  const match = TIME.exec(text.trim());
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  // Not `Date.UTC`, which takes 26 for 1926.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (year === 0 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  if (hour > 24 || minute > 59 || second > 60) return null;
  const wall = date.getTime() + ((hour * 60 + minute) * 60 + Math.min(second, 59)) * 1000;
  return { wall, utc: match[7] !== undefined, day: match[4] === undefined };
}

export const readWalls = (text: string): number[] =>
  text.split(',').flatMap((each) => readMoment(each.split('/')[0] ?? '')?.wall ?? []);

export const whenOf = ({ wall, utc, day }: Moment, zone: string | undefined): When => ({
  wall,
  zone: day ? null : utc ? 'UTC' : (zone ?? null),
  allDay: day,
});

export function readWhen(line: Line): When | null {
  const moment = readMoment(line.value);
  return moment && whenOf(moment, line.params.get('TZID'));
}

/** `20261130`, `20261130T080000`; without a zone. */
export function writeWall(wall: number, day: boolean): string {
  // Not `toISOString`, which is six times slower; a year of a calendar is half a million of these.
  const at = new Date(wall);
  const date = `${String(at.getUTCFullYear()).padStart(4, '0')}${two(at.getUTCMonth() + 1)}${two(at.getUTCDate())}`;
  return day ? date : `${date}T${two(at.getUTCHours())}${two(at.getUTCMinutes())}${two(at.getUTCSeconds())}`;
}

export const two = (part: number): string => (part < 10 ? `0${part}` : String(part));

export const writeMoment = ({ wall, zone, allDay }: When): string =>
  `${writeWall(wall, allDay)}${zone === 'UTC' ? 'Z' : ''}`;

export function whenLine(name: string, when: When): Line {
  if (when.allDay) return makeLine(name, writeMoment(when), { VALUE: 'DATE' });
  return makeLine(name, writeMoment(when), when.zone === null || when.zone === 'UTC' ? {} : { TZID: when.zone });
}

const DURATION = /^([+-])?P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?$/i;

/** Days are by the clock, the rest is exact. */
export function readDuration(text: string): { days: number; ms: number } | null {
  const match = DURATION.exec(text.trim());
  if (match === null || !/\d/.test(text)) return null;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(2).map((part) => Number(part ?? 0));
  const sign = match[1] === '-' ? -1 : 1;
  return { days: sign * (weeks * 7 + days), ms: sign * ((hours * 60 + minutes) * 60 + seconds) * 1000 };
}

/** `20261130T080000Z/PT1H` or `…/20261130T090000Z`. */
export function readPeriod(text: string, zone: string | undefined): { start: When; length: Length | null } | null {
  const [from = '', to] = text.split('/');
  const start = readMoment(from);
  if (start === null) return null;
  const end = to === undefined ? null : readMoment(to);
  const length = to === undefined ? null : end === null ? readDuration(to) : { end: whenOf(end, zone) };
  return { start: whenOf(start, zone), length };
}
