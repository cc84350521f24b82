import type { ActiveHours } from '../schedule.ts';
import type { Wall } from './wall.ts';

const MINUTE = 60_000;
/** Of a day. */
const MINUTES = 24 * 60;
const DAY = MINUTES * MINUTE;
const WEEK = 7;
/** 1 January 1970 was a Thursday. */
const FIRST_DAY = 4;

const dayOf = (shown: number): number => Math.floor(shown / DAY);
const within = ({ days }: ActiveHours, day: number): boolean =>
  days === undefined || days.includes((((day + FIRST_DAY) % WEEK) + WEEK) % WEEK);
const startOn = ({ from }: ActiveHours, day: number): number => day * DAY + from * MINUTE;
const endOn = ({ from, to }: ActiveHours, day: number): number => day * DAY + (from < to ? to : to + MINUTES) * MINUTE;

// What a clock on the wall shows, as `Wall` has it.

/** Whether hours are open when the clock shows this. */
export function isOpen(shown: number, hours: ActiveHours): boolean {
  const today = dayOf(shown);
  // Hours over midnight may have begun yesterday.
  return [today, today - 1].some(
    (day) => within(hours, day) && shown >= startOn(hours, day) && shown < endOn(hours, day),
  );
}

/** When hours that are closed open next. */
export function nextOpening(shown: number, hours: ActiveHours): number {
  let day = dayOf(shown);
  while (!within(hours, day) || startOn(hours, day) <= shown) day += 1;
  return startOn(hours, day);
}

/** When hours that are closed have closed last. */
export function lastClosing(shown: number, hours: ActiveHours): number {
  let day = dayOf(shown);
  while (!within(hours, day) || endOn(hours, day) > shown) day -= 1;
  return endOn(hours, day);
}

/** When hours that are open close: those of one day may go over into those of the next. */
export function nextClosing(shown: number, hours: ActiveHours): number {
  const today = dayOf(shown);
  let day = within(hours, today) && startOn(hours, today) <= shown ? today : today - 1;
  for (let more = 0; more < WEEK && isOpen(endOn(hours, day), hours); more++) day += 1;
  return endOn(hours, day);
}

/** The first instant from this one on at which hours are open. */
export function opens(instant: number, wall: Wall, hours: ActiveHours | null): number {
  if (hours === null || isOpen(wall.at(instant), hours)) return instant;
  for (let shown = nextOpening(wall.at(instant), hours); ; shown = nextOpening(shown, hours)) {
    // Where the clock is put forward over the opening, they open when it has been.
    const at = wall.instant(shown) ?? shown - (wall.at(instant) - instant);
    if (at > instant && isOpen(wall.at(at), hours)) return at;
  }
}

/** When hours that are open at an instant close; null while they are closed. */
export function closes(instant: number, wall: Wall, hours: ActiveHours): number | null {
  const shown = wall.at(instant);
  if (!isOpen(shown, hours)) return null;
  const end = nextClosing(shown, hours);
  const at = wall.instant(end);
  // Where clocks are put forward over the end, or have shown it once already, the time that is left counts.
  return at !== null && at > instant ? at : instant + (end - shown);
}

const HOURS = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_NAMES = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** `08:00-18:00`, `Mon-Fri 08:00-18:00`, `Sat,Sun`; null if it is nothing like that. */
export function readHours(given: string): ActiveHours | null {
  const words = given.trim().split(/\s+/);
  const times = /\d/.test(words.at(-1) ?? '') ? words.pop() : undefined;
  const days = words.length === 0 ? undefined : readDays(words.join(''));
  if (days === null || (times === undefined && days === undefined)) return null;
  const open = times === undefined ? { from: 0, to: 24 * 60 } : readTimes(times);
  if (open === null) return null;
  return days === undefined ? open : { ...open, days };
}

/** In minutes of the day. */
function readTimes(given: string): { from: number; to: number } | null {
  if (!HOURS.test(given)) return null;
  const [from = 0, to = 0] = given.split('-').map((part) => Number(part.slice(0, 2)) * 60 + Number(part.slice(3)));
  return from === to ? null : { from, to };
}

/** `Mon-Fri`, `sat,sun`, `Fri-Mon,Wednesday`: each day once, Sunday being 0. */
function readDays(given: string): number[] | null {
  const found = new Set<number>();
  for (const part of given.toLowerCase().split(',')) {
    const ends = part.split('-').map((name) => Math.max(DAYS.indexOf(name), DAY_NAMES.indexOf(name)));
    const [first = -1, last = first] = ends;
    if (ends.length > 2 || first < 0 || last < 0) return null;
    for (let day = first; ; day = (day + 1) % DAYS.length) {
      found.add(day);
      if (day === last) break;
    }
  }
  return [...found].sort((a, b) => a - b);
}
