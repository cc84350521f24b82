/** The clock on a wall of one zone. Its times are milliseconds as if it stood in UTC. */
export interface Wall {
  /** What it shows at an instant. */
  at(instant: number): number;
  /** The instant at which it shows this; the first one if it does so twice, null if it never does. */
  instant(wall: number): number | null;
  /** No less than the latest time it has shown up to an instant: it may have been put back since. */
  latest(instant: number): number;
}

const DAY = 86_400_000;

const UTC: Wall = { at: (instant) => instant, instant: (wall) => wall, latest: (instant) => instant };

/** Null if this Node knows no such zone. Offsets such as `+01:00` are none: they know no summer. */
export function openWall(zone: string): Wall | null {
  if (zone === 'UTC') return UTC;
  const format = formatOf(zone);
  if (format === null) return null;
  const at = (instant: number): number => {
    const whole = Math.floor(instant / 1000) * 1000;
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(whole)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) + (instant - whole);
  };
  return {
    at,
    instant(wall) {
      // By the offsets before and after any change that could concern it.
      const candidates = [wall - DAY, wall + DAY].map((near) => wall - (at(near) - near));
      const found = candidates.filter((candidate) => at(candidate) === wall);
      return found.length === 0 ? null : Math.min(...found);
    },
    latest: (instant) => Math.max(at(instant), at(instant - DAY) + DAY),
  };
}

/** The wall of a zone that may become another one: opened again only then, for that costs as much as a commit. */
export function wallOf(zone: () => string): () => Wall {
  let opened: { zone: string; wall: Wall } | null = null;
  return () => {
    const named = zone();
    if (opened?.zone === named) return opened.wall;
    const wall = openWall(named);
    if (wall === null) throw new Error(`there is no time zone "${named}"`);
    opened = { zone: named, wall };
    return wall;
  };
}

function formatOf(zone: string): Intl.DateTimeFormat | null {
  if (!/^[A-Za-z]/.test(zone)) return null;
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
  const time = { hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' } as const;
  try {
    return new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', { timeZone: zone, ...numeric, ...time });
  } catch {
    // There is no other way to ask whether it is one.
    return null;
  }
}

const MOMENT = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?)?$/;

/** `2026-12-24`, `2026-12-24T08:00`, `2026-12-24T08:00:00+01:00`. Null if it is none of these, or no day of the calendar. */
export function readMoment(text: string): { wall: number; offset: number | null; dateOnly: boolean } | null {
  const match = MOMENT.exec(text);
  if (!match) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return null;
  const wall = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = new Date(wall);
  if (back.getUTCMonth() !== month - 1 || back.getUTCDate() !== day) return null;
  return { wall, offset: offsetOf(match[7]), dateOnly: match[4] === undefined };
}

function offsetOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (text === 'Z') return 0;
  const [hours = 0, minutes = 0] = text.slice(1).split(':').map(Number);
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** `Monday 2026-11-30 08:15 (Europe/Paris, UTC+01:00)`: all that there is to know of a moment. */
export function momentText(instant: number, zone: string, wall: Wall): string {
  const shown = new Date(wall.at(instant));
  const offset = Math.round((shown.getTime() - instant) / 60_000);
  const two = (part: number): string => String(Math.floor(part)).padStart(2, '0');
  const ahead = `UTC${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  const [day, time = ''] = shown.toISOString().split('T');
  return `${WEEKDAYS[shown.getUTCDay()]} ${day} ${time.slice(0, 5)} (${zone === 'UTC' ? zone : `${zone}, ${ahead}`})`;
}

const HOUR = 3_600_000;

/** When the hour, day or month of an instant begins and ends. Where a clock leaves out the time of a bound, it is where the clock jumps. */
export function windowAt(window: 'hour' | 'day' | 'month', instant: number, wall: Wall): { from: number; to: number } {
  const shown = wall.at(instant);
  const at = new Date(shown);
  const [year, month, day, hour] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  const when = (bound: number): number =>
    wall.instant(bound) ?? wall.instant(bound + HOUR) ?? bound - (shown - instant);
  switch (window) {
    case 'hour':
      return { from: when(Date.UTC(year, month, day, hour)), to: when(Date.UTC(year, month, day, hour + 1)) };
    case 'day':
      return { from: when(Date.UTC(year, month, day)), to: when(Date.UTC(year, month, day + 1)) };
    case 'month':
      return { from: when(Date.UTC(year, month)), to: when(Date.UTC(year, month + 1)) };
  }
}

/** When the day of an instant began in a zone. */
export const dayBegan = (zone: string, instant: number): number => windowAt('day', instant, openWall(zone) ?? UTC).from;
