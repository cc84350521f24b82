import { createHash } from 'node:crypto';
import type { ReadCron, Timing } from '../schedule.ts';
import { openWall, readMoment, type Wall } from './wall.ts';

/** The times at which a schedule fires. Pure: equal questions have equal answers, on any machine that knows the same zones. */
export interface Firings {
  /** The first time strictly after an instant; null if there is none. */
  after(instant: number): number | null;
  /** The last time at or before an instant; null if there is none. */
  upTo(instant: number): number | null;
  /**
   * When a firing of this time is due: jitter puts it off, always by as much. Later times are never due before earlier
   * ones.
   */
  due(time: number): number;
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
/** Of a day. */
const MINUTES = 24 * 60;
const DAY = MINUTES * MINUTE;
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
  const raw = within(source, { wall, hours: timing.activeHours, until });
  return { ok: true, firings: { ...raw, due: (time) => dueOf(raw, time, options) } };
}

type Times = Omit<Firings, 'due'>;

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
        const wait = modDay(hours.from - minuteOf(wall, time));
        if (isOpen(minuteOf(wall, time), hours)) return time;
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
        const since = modDay(minuteOf(wall, time) - hours.to);
        if (isOpen(minuteOf(wall, time), hours)) return time;
        to = since > FAR ? time - (since - FAR / 2) * MINUTE : startOfMinute(time) - 1;
      }
      return null;
    },
  };
}

const notAfter = (time: number | null, until: number): number | null => (time !== null && time <= until ? time : null);
const startOfMinute = (time: number): number => Math.floor(time / MINUTE) * MINUTE;
const modDay = (minutes: number): number => ((minutes % MINUTES) + MINUTES) % MINUTES;
const minuteOf = (wall: Wall, time: number): number => modDay(Math.floor(wall.at(time) / MINUTE));
const isOpen = (minute: number, { from, to }: NonNullable<Timing['activeHours']>): boolean =>
  from < to ? minute >= from && minute < to : minute >= from || minute < to;

/** The last moment of `until`; null if it is no date. */
function lastMoment(text: string, wall: Wall): number | null {
  const read = readMoment(text);
  if (read === null) return null;
  if (read.offset !== null) return read.wall - read.offset;
  // A time that is left out by the clock counts as it would have been shown.
  const instantOf = (at: number): number => wall.instant(at) ?? at - (wall.at(at) - at);
  return read.dateOnly ? instantOf(read.wall + DAY) - 1 : instantOf(read.wall);
}

/** Each firing is put off by a share of the jitter, and waits for the one before it. */
function dueOf(times: Times, time: number, { id, timing }: FiringOptions): number {
  const { jitter } = timing;
  if (jitter === 0) return time;
  const own = (at: number): number => at + Math.floor(share(`${id}@${at}`) * jitter);
  let due = own(time);
  for (let before = times.upTo(time - 1); before !== null && before + jitter > due; before = times.upTo(before - 1))
    due = Math.max(due, own(before));
  return due;
}

/** A number in [0, 1), always the same for a text. */
const share = (text: string): number => createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
