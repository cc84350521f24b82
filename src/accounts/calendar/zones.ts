// The clocks of a calendar. A year of a zone is looked up once and kept: a thousand series ask for it half a million times.
import { openWall, type Wall } from '../../core/time/wall.ts';
import { lineOf, type Component } from './content.ts';
import { readRule, walls, type Rule } from './rule.ts';
import { readWalls } from './values.ts';
import { windowsZone } from './windows.ts';

/** A clock that shows every time once: one that is skipped counts by the offset before (RFC 5545 §3.3.5), one shown twice as the first. */
export interface Zone {
  name: string;
  instant(wall: number): number;
  wall(instant: number): number;
}

/** From this instant on, clocks are so far ahead of UTC. */
interface Change {
  at: number;
  before: number;
  after: number;
}

const DAY = 86_400_000;
const YEAR = 366 * DAY;
/** Of the same zone, further years are found but not kept. */
const MAX_YEARS = 300;

const yearOf = (time: number): number => Math.floor(time / YEAR);

/** The offset at an instant, and the changes of offset around it. */
function zone(name: string, offsetAt: (instant: number) => number, changesIn: (span: number) => Change[]): Zone {
  const kept = new Map<number, Change[]>();
  const near = (time: number): Change[] => {
    const span = yearOf(time);
    let found = kept.get(span);
    if (found === undefined) {
      found = changesIn(span);
      if (found.length === 0) {
        const offset = offsetAt(span * YEAR);
        found = [{ at: span * YEAR, before: offset, after: offset }];
      }
      if (kept.size < MAX_YEARS) kept.set(span, found);
    }
    return found;
  };
  return {
    name,
    wall(instant) {
      const changes = near(instant);
      let offset = changes[0]?.before ?? 0;
      for (const change of changes) if (instant >= change.at) offset = change.after;
      return instant + offset;
    },
    instant(wall) {
      const changes = near(wall);
      let offset = changes[0]?.before ?? 0;
      // What the clock before a change still shows at it, or is put forward over, belongs to the time before it.
      for (const change of changes)
        if (wall >= change.at + Math.max(change.before, change.after)) offset = change.after;
      return wall - offset;
    },
  };
}

/** Spans overlap by two days, as an instant and what a clock shows at it may lie in different ones. */
const bounds = (span: number): { from: number; to: number } => ({
  from: span * YEAR - 2 * DAY,
  to: (span + 1) * YEAR + 2 * DAY,
});

function scan(wall: Wall, span: number): Change[] {
  const offset = (instant: number): number => wall.at(instant) - instant;
  const { from, to } = bounds(span);
  const found: Change[] = [];
  let before = offset(from);
  for (let at = from; at < to; at += DAY) {
    const after = offset(at + DAY);
    if (after === before) continue;
    let low = at;
    let high = at + DAY;
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000;
      if (offset(middle) === before) low = middle;
      else high = middle;
    }
    found.push({ at: high, before, after });
    before = after;
  }
  return found;
}

export const UTC: Zone = { name: 'UTC', instant: (wall) => wall, wall: (instant) => instant };

/** By its IANA name; null if this Node knows none of that name. */
export function ianaZone(name: string): Zone | null {
  if (/^(etc\/)?(utc|gmt|zulu|uct|universal|z)$/i.test(name)) return UTC;
  const wall = openWall(name);
  return (
    wall &&
    zone(
      name,
      (instant) => wall.at(instant) - instant,
      (span) => scan(wall, span),
    )
  );
}

interface Observance {
  offset: number;
  before: number;
  start: number;
  rule: Rule | null;
  more: number[];
}

/** `+0100`, `-033000`. */
function offsetOf(text: string | undefined): number | null {
  const [, sign, hours, minutes, seconds = '0'] = /^\s*([+-])(\d\d)(\d\d)(\d\d)?\s*$/.exec(text ?? '') ?? [];
  if (sign === undefined) return null;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
}

const MAX_OBSERVANCES = 200;

/** The zone that a VTIMEZONE describes; null if it cannot be told. */
export function ownZone(part: Component, name: string): Zone | null {
  const observances = part.parts.slice(0, MAX_OBSERVANCES).flatMap((each): Observance[] => {
    const offset = offsetOf(lineOf(each, 'TZOFFSETTO')?.value);
    const before = offsetOf(lineOf(each, 'TZOFFSETFROM')?.value);
    const [start] = readWalls(lineOf(each, 'DTSTART')?.value ?? '');
    if (offset === null || before === null || start === undefined) return [];
    const written = lineOf(each, 'RRULE')?.value;
    const rule = written === undefined ? null : readRule(written);
    const more = each.lines.filter((line) => line.name === 'RDATE').flatMap((line) => readWalls(line.value));
    return [{ offset, before, start, rule: rule?.ok ? rule.rule : null, more }];
  });
  if (observances.length === 0) return null;
  const first = observances.reduce((one, other) => (one.start <= other.start ? one : other));
  const within = ({ from, to }: { from: number; to: number }): Change[] =>
    observances
      .flatMap((each) => {
        // UNTIL of a zone is UTC, its times are by the clock before.
        const until = !each.rule?.until ? Infinity : each.rule.until.wall + (each.rule.until.utc ? each.before : 0);
        const ruled =
          each.rule === null ? [] : walls({ ...each.rule, until: null }, each.start, { from, to: to + DAY });
        const times = new Set([each.start, ...each.more, ...[...ruled].filter((wall) => wall <= until)]);
        return [...times].map((wall) => ({ at: wall - each.before, before: each.before, after: each.offset }));
      })
      .filter(({ at }) => at >= from && at < to)
      .sort((one, other) => one.at - other.at);
  /** The last change before an instant may be years back. */
  const offsetAt = (instant: number): number => {
    for (const years of [1, 5, 50]) {
      const last = within({ from: instant - years * YEAR, to: instant + 1 }).at(-1);
      if (last !== undefined) return last.after;
    }
    const last = observances.filter(({ start, before }) => start - before <= instant).at(-1);
    return last?.offset ?? first.before;
  };
  return zone(name, offsetAt, (span) => within(bounds(span)));
}

/** Finds the zones that one calendar names. */
export class Zones {
  readonly #own = new Map<string, Component>();
  readonly #found = new Map<string, Zone | null>();

  constructor(root: Component | null) {
    for (const part of root?.parts ?? []) {
      const name = part.name === 'VTIMEZONE' ? lineOf(part, 'TZID')?.value.trim() : undefined;
      if (name !== undefined && !this.#own.has(name)) this.#own.set(name, part);
    }
  }

  /**
   * A known name counts before what the calendar says of it: exporters describe only the rules of the day. `unknown` if none
   * is known and none described.
   */
  of(name: string): Zone | null {
    let found = this.#found.get(name);
    if (found === undefined) this.#found.set(name, (found = this.#find(name)));
    return found;
  }

  #find(name: string): Zone | null {
    const own = this.#own.get(name);
    const known = knownZone(name) ?? knownZone((own && lineOf(own, 'X-LIC-LOCATION')?.value.trim()) ?? '');
    return known ?? (own === undefined ? null : ownZone(own, name)) ?? fixedZone(name);
  }
}

/** `Europe/Paris`, `W. Europe Standard Time`, `/mozilla.org/20050126_1/Europe/Paris`. */
function knownZone(name: string): Zone | null {
  const plain = name.replace(/^"|"$/g, '').trim();
  const windows = windowsZone(plain);
  if (windows !== null) return ianaZone(windows);
  // `EST` is five hours behind all year to Node, and New York to those who write it: better told by the calendar itself.
  const parts = plain.split('/').filter((part) => part !== '');
  const names = plain.includes('/') ? [plain, ...[3, 2].map((count) => parts.slice(-count).join('/'))] : [plain];
  for (const each of names) {
    const found = /^[A-Z]{3}$/.test(each) && each !== 'UTC' && each !== 'GMT' ? null : ianaZone(each);
    if (found !== null) return found;
  }
  return null;
}

/** `GMT+0200`, `UTC-03:30`, `(UTC+01:00) Berlin`. */
function fixedZone(name: string): Zone | null {
  const [, sign, hours, minutes = '00'] = /^\(?(?:GMT|UTC)\s*([+-])(\d{1,2}):?(\d\d)?\)?/i.exec(name) ?? [];
  if (sign === undefined) return null;
  const offset = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  return { name, instant: (wall) => wall - offset, wall: (instant) => instant + offset };
}
