import { createHash } from 'node:crypto';
import type { ActiveHours, ReadCron, Timing } from '../schedule.ts';
import { isOpen, lastClosing, nextClosing, nextOpening, opens } from './hours.ts';
import { openWall, readMoment, type Wall } from './wall.ts';

/** The times at which a schedule fires. Pure: equal questions have equal answers, on any machine that knows the same zones. */
export interface Firings {
  /** The first time strictly after an instant; null if there is none. */
  after(instant: number): number | null;
  /** The last time at or before an instant; null if there is none. */
  upTo(instant: number): number | null;
  /**
   * When a firing of this time is due: jitter puts it off, always by as much. Later times are never due before earlier
   * ones, and never into the hours in which the schedule rests.
   */
  due(time: number): number;
  /** The first moment from an instant on at which it may fire at all: that instant, or when its hours begin. */
  opens(instant: number): number;
}

export interface FiringOptions {
  /** Of the schedule: its jitter follows from it. */
  id: string;
  timing: Timing;
  /** Where `every` is counted from. */
  anchor: number;
  readCron: ReadCron;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Minutes to the active hours from which on a search leaps; the half that is left is more than clocks are ever put by. */
const FAR = 240;
/** How far a search for a time within the active hours goes: a 29th of February that is a Monday may be 40 years away. */
const HORIZON = 45 * 366 * DAY;
/** Times outside the active hours, each a leap from the last, after which none is believed to come: four years of days. */
const MAX_TRIES = 1_500;

/** Rejects what does not fit in words for a person, by the key that is wrong. */
export function openFirings(
  options: FiringOptions,
): { ok: true; firings: Firings } | { ok: false; key: string; error: string } {
  const { timing } = options;
  const wall = openWall(timing.zone);
  if (wall === null)
    return {
      ok: false,
      key: 'timezone',
      error: `there is no time zone "${timing.zone}"; write one such as Europe/Paris`,
    };
  const until = timing.until === null ? Infinity : lastMoment(timing.until, wall);
  if (until === null)
    return { ok: false, key: 'until', error: `"${timing.until}" is no date: write 2026-12-31 or 2026-12-31T18:00` };
  const source = sourceOf(options, wall);
  if ('error' in source) return { ok: false, key: timing.kind, error: source.error };
  const { activeHours: hours } = timing;
  const bounds = { wall, hours, until };
  const raw =
    timing.kind === 'every' && hours !== null ? everyWithin(source, { ...bounds, hours }) : within(source, bounds);
  return {
    ok: true,
    firings: {
      ...raw,
      due: (time) => dueOf(raw, time, { ...options, ...bounds }),
      opens: (instant) => opens(instant, wall, hours),
    },
  };
}

type Times = Pick<Firings, 'after' | 'upTo'>;

function sourceOf({ timing, anchor, readCron }: FiringOptions, wall: Wall): Times | { error: string } {
  if (timing.kind === 'every') return everyTimes(anchor, timing.ms);
  if (timing.kind === 'at') {
    const read = readMoment(timing.at);
    if (read === null || read.dateOnly) return { error: `"${timing.at}" is no moment: write 2026-12-24T08:00` };
    const time = read.offset === null ? wall.instant(read.wall) : read.wall - read.offset;
    if (time === null)
      return { error: `the clocks of ${timing.zone} never show ${timing.at}: they are put forward over it` };
    return { after: (instant) => (time > instant ? time : null), upTo: (instant) => (time <= instant ? time : null) };
  }
  const read = readCron(timing.cron);
  if (!read.ok) return read;
  const { times } = read;
  return {
    after(instant) {
      for (let at = times.after(wall.at(instant)); at !== null; at = times.after(at)) {
        const time = wall.instant(at);
        if (time !== null && time > instant) return time;
      }
      return null;
    },
    upTo(instant) {
      // Looked for strictly before, so from a moment later.
      for (let at = times.before(wall.latest(instant) + 1); at !== null; at = times.before(at)) {
        const time = wall.instant(at);
        if (time !== null && time <= instant) return time;
      }
      return null;
    },
  };
}

/** Whole intervals from the anchor on; the anchor itself is not one of them. */
const everyTimes = (anchor: number, ms: number): Times => ({
  after: (instant) => anchor + Math.max(1, Math.floor((instant - anchor) / ms) + 1) * ms,
  upTo(instant) {
    const count = Math.floor((instant - anchor) / ms);
    return count < 1 ? null : anchor + count * ms;
  },
});

interface Bounds {
  wall: Wall;
  hours: Timing['activeHours'];
  until: number;
}

/** The times of a source that lie within the active hours and not after the end. */
function within(source: Times, { wall, hours, until }: Bounds): Times {
  if (hours === null)
    return {
      after: (instant) => notAfter(source.after(instant), until),
      upTo: (instant) => source.upTo(Math.min(instant, until)),
    };
  return {
    after(instant) {
      let from = instant;
      let first: number | null = null;
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const time = notAfter(source.after(from), until);
        if (time === null || time > (first ??= time) + HORIZON) return null;
        const shown = wall.at(time);
        if (isOpen(shown, hours)) return time;
        const wait = Math.floor((nextOpening(shown, hours) - shown) / MINUTE);
        from = wait > FAR ? time + (wait - FAR / 2) * MINUTE : startOfMinute(time) + MINUTE - 1;
      }
      return null;
    },
    upTo(instant) {
      let to = Math.min(instant, until);
      let last: number | null = null;
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const time = source.upTo(to);
        if (time === null || time < (last ??= time) - HORIZON) return null;
        const shown = wall.at(time);
        if (isOpen(shown, hours)) return time;
        const since = Math.floor((shown - lastClosing(shown, hours)) / MINUTE);
        to = since > FAR ? time - (since - FAR / 2) * MINUTE : startOfMinute(time) - 1;
      }
      return null;
    },
  };
}

/**
 * Times of a grid, where one outside the hours waits until they begin if no other comes within them: an interval that never
 * meets its hours would else never fire, and whether it does would hang on the minute in which it was saved.
 */
function everyWithin(grid: Times, { wall, hours, until }: Bounds & { hours: ActiveHours }): Times {
  const fate = (time: number): number => {
    if (isOpen(wall.at(time), hours)) return time;
    const begin = opens(time, wall, hours);
    const first = grid.after(begin - 1);
    const same = first !== null && wall.at(first) < nextClosing(wall.at(begin), hours) && isOpen(wall.at(first), hours);
    return same ? first : begin;
  };
  return {
    after(instant) {
      const waiting = grid.upTo(instant);
      const late = waiting === null ? null : fate(waiting);
      if (late !== null && late > instant) return notAfter(late, until);
      const next = grid.after(instant);
      return next === null ? null : notAfter(fate(next), until);
    },
    upTo(instant) {
      const to = Math.min(instant, until);
      const last = grid.upTo(to);
      if (last === null) return null;
      const own = fate(last);
      if (own <= to) return own;
      // It waits for hours to come: what those before had for a time of theirs was the last.
      const closed = instantBefore(wall, lastClosing(wall.at(last), hours), last);
      const before = grid.upTo(closed - 1);
      return before === null ? null : fate(before);
    },
  };
}

/** The last instant up to another at which the clock showed this. */
function instantBefore(wall: Wall, shown: number, instant: number): number {
  const now = shown - (wall.at(instant) - instant);
  return now <= instant && wall.at(now) === shown ? now : (wall.instant(shown) ?? now);
}

const notAfter = (time: number | null, until: number): number | null => (time !== null && time <= until ? time : null);
const startOfMinute = (time: number): number => Math.floor(time / MINUTE) * MINUTE;
/** The last moment of `until`; null if it is no date. */
function lastMoment(text: string, wall: Wall): number | null {
  const read = readMoment(text);
  if (read === null) return null;
  if (read.offset !== null) return read.wall - read.offset;
  // A time that is left out by the clock counts as it would have been shown.
  const instantOf = (at: number): number => wall.instant(at) ?? at - (wall.at(at) - at);
  return read.dateOnly ? instantOf(read.wall + DAY) - 1 : instantOf(read.wall);
}

/**
 * Each firing is put off by a share of the jitter, and waits for the one before it. Where its hours or the schedule end
 * before, by a share of what is left until then.
 */
function dueOf(times: Times, time: number, { id, timing, wall, hours, until }: FiringOptions & Bounds): number {
  const { jitter } = timing;
  if (jitter === 0) return time;
  const own = (at: number): number => {
    const shown = wall.at(at);
    const left = hours === null ? jitter : nextClosing(shown, hours) - shown;
    const due = at + Math.floor(share(`${id}@${at}`) * Math.max(0, Math.min(jitter, left, until - at + 1)));
    // Clocks that are put forward on the way make the hours shorter than they seem.
    return hours === null || isOpen(wall.at(due), hours) ? due : at;
  };
  let due = own(time);
  for (let before = times.upTo(time - 1); before !== null && before + jitter > due; before = times.upTo(before - 1))
    due = Math.max(due, own(before));
  return due;
}

/** A number in [0, 1), always the same for a text. */
const share = (text: string): number => createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
