// Edits of a calendar object: lines that do not change stay as they were written.
import type { When } from '../../core/calendar.ts';
import { escapeText, lineOf, makeLine, type Component, type Line } from './content.ts';
import { Clock, idOf, startsOf } from './expand.ts';
import { calendarOf, readEvent, type CalendarFile } from './read.ts';
import { writeCount, writeUntil } from './rule.ts';
import { readMoment, readWhen, whenLine, whenOf, writeMoment, writeWall } from './values.ts';

export interface Target {
  uid: string;
  /** Of the occurrence, as `Occurrence.id`; null for all of it. */
  id: string | null;
  /** The following ones too. */
  following: boolean;
}

export interface Changes {
  summary?: string;
  description?: string;
  location?: string;
  status?: 'confirmed' | 'tentative' | 'cancelled';
  busy?: boolean;
  /** A new start keeps the length unless an end is given. */
  start?: When;
  end?: When;
}

export interface EditContext {
  zone: string;
  now: number;
  /** Of the series that begins when "the following" are changed. */
  newUid: string;
}

export type Edited =
  /** `root` is null if nothing is left; `split` is the new series, an object of its own. */
  { ok: true; root: Component | null; split: Component | null } | { ok: false; error: string };

type Part = Component;
const failed = (error: string): Edited => ({ ok: false, error });
const without = (part: Part, ...names: string[]): Part => ({
  ...part,
  lines: part.lines.filter(({ name }) => !names.includes(name)),
});
const set = (part: Part, line: Line): Part => {
  const at = part.lines.findIndex(({ name }) => name === line.name);
  const rest = part.lines.filter(({ name }) => name !== line.name);
  return { ...part, lines: at === -1 ? [...rest, line] : rest.toSpliced(at, 0, line) };
};

function applied(part: Part, changes: Changes, now: number): Part {
  const texts = { SUMMARY: changes.summary, DESCRIPTION: changes.description, LOCATION: changes.location };
  let out = part;
  for (const [name, text] of Object.entries(texts))
    if (text !== undefined) out = text === '' ? without(out, name) : set(out, makeLine(name, escapeText(text)));
  if (changes.status !== undefined) out = set(out, makeLine('STATUS', changes.status.toUpperCase()));
  if (changes.busy !== undefined) out = set(out, makeLine('TRANSP', changes.busy ? 'OPAQUE' : 'TRANSPARENT'));
  if (changes.start !== undefined || changes.end !== undefined) out = moved(out, changes);
  const sequence = (readEvent(out).event?.sequence ?? 0) + 1;
  out = set(out, makeLine('SEQUENCE', String(sequence)));
  for (const name of ['DTSTAMP', 'LAST-MODIFIED']) out = set(out, makeLine(name, `${writeWall(now, false)}Z`));
  return out;
}

function moved(part: Part, { start, end }: Changes): Part {
  const event = readEvent(part).event;
  if (event === null) return part;
  const from = start ?? event.start;
  let out = set(part, whenLine('DTSTART', from));
  if (end !== undefined) return set(without(out, 'DURATION'), whenLine('DTEND', end));
  if (!('end' in event.length)) return out;
  const wall = event.length.end.wall + from.wall - event.start.wall;
  const same = event.length.end.zone === event.start.zone;
  out = set(out, whenLine('DTEND', { ...(same ? from : event.length.end), wall }));
  return out;
}

interface Found {
  master: Part;
  overrides: Part[];
  clock: Clock;
}

const isPart = (part: Part, uid: string): boolean =>
  part.name === 'VEVENT' && lineOf(part, 'UID')?.value.trim() === uid;

function overrideId(part: Part, clock: Clock): string | null {
  const line = lineOf(part, 'RECURRENCE-ID');
  const when = line === undefined ? null : readWhen(line);
  return when && idOf(when, clock);
}

function find(file: CalendarFile, uid: string, zone: string): Found | null {
  const parts = file.root.parts.filter((part) => isPart(part, uid));
  const master = parts.find((part) => lineOf(part, 'RECURRENCE-ID') === undefined);
  const overrides = parts.filter((part) => part !== master);
  return master === undefined ? null : { master, overrides, clock: new Clock(file.zones, zone) };
}

/** The original start that an id names. */
function originalStart({ master, clock }: Found, id: string): When | null {
  const event = readEvent(master).event;
  const moment = readMoment(id);
  if (event === null || moment === null) return null;
  const named = whenOf(moment, undefined);
  const wall = named.zone === 'UTC' ? clock.zone(event.start).wall(moment.wall) : moment.wall;
  const span = { from: wall, to: wall + 1 };
  return [...startsOf(event, span, clock)].map(({ start }) => start).find((start) => idOf(start, clock) === id) ?? null;
}

function put(root: Component, uid: string, parts: readonly Part[]): Component | null {
  const others = root.parts.filter((part) => !isPart(part, uid));
  return parts.length === 0 && !others.some(({ name }) => name === 'VEVENT')
    ? null
    : { ...root, parts: [...others, ...parts] };
}

/** Splits the dates of EXDATE and RDATE lines; a line of which nothing is left goes. */
function keepDates(part: Part, keep: (when: When) => boolean): Part {
  const lines = part.lines.flatMap((line): Line[] => {
    if (line.name !== 'EXDATE' && line.name !== 'RDATE') return [line];
    const texts = line.value.split(',').filter((text) => {
      const moment = readMoment(text.split('/')[0] ?? '');
      return moment === null || keep(whenOf(moment, line.params.get('TZID')));
    });
    if (texts.length === 0) return [];
    return texts.join(',') === line.value
      ? [line]
      : [makeLine(line.name, texts.join(','), Object.fromEntries(line.params))];
  });
  return { ...part, lines };
}

/** A copy of the master for one occurrence. */
function overrideOf(master: Part, start: When): Part {
  const plain = moved(without(master, 'RRULE', 'RDATE', 'EXDATE', 'EXRULE'), { start });
  return { ...plain, lines: [...plain.lines, whenLine('RECURRENCE-ID', start)] };
}

/** Changes or moves what the target names; `null` as changes cancels it. */
export function edit(file: CalendarFile, target: Target, changes: Changes | null, context: EditContext): Edited {
  const found = find(file, target.uid, context.zone);
  if (found === null) return failed(`There is no event "${target.uid}" in this calendar.`);
  if (target.id === null) return editAll(file, found, target.uid, changes, context);
  const start = originalStart(found, target.id);
  if (start === null)
    return failed(`The event has no occurrence "${target.id}". Occurrences are named by their original start.`);
  if (!target.following) return editOne(file, found, { uid: target.uid, id: target.id, start }, changes, context);
  const first = lineOf(found.master, 'DTSTART');
  if (first !== undefined && readWhen(first)?.wall === start.wall)
    return editAll(file, found, target.uid, changes, context);
  return editFollowing(file, found, { uid: target.uid, start }, changes, context);
}

function editAll(file: CalendarFile, found: Found, uid: string, changes: Changes | null, { now }: EditContext): Edited {
  const { master, overrides, clock } = found;
  if (changes === null) return { ok: true, root: put(file.root, uid, []), split: null };
  const before = readEvent(master).event;
  const recurring = before !== null && (before.rule !== null || before.more.length > 0);
  if (!recurring || changes.start === undefined)
    return { ok: true, root: put(file.root, uid, [applied(master, changes, now), ...overrides]), split: null };
  const delta = changes.start.wall - before.start.wall;
  const days = Math.floor(changes.start.wall / 86_400_000) !== Math.floor(before.start.wall / 86_400_000);
  if (days && /BY(MONTHDAY|DAY|YEARDAY|WEEKNO|MONTH|SETPOS)=/i.test(before.rule ?? ''))
    return failed('The rule of this series names its days. Moving it to another day needs a new rule.');
  const { start } = changes;
  // What names occurrences by their original start moves along.
  const along = (when: When): When => ({ ...start, wall: clock.zone(before.start).wall(clock.instant(when)) + delta });
  const shifted = (part: Part): Part => ({
    ...part,
    lines: part.lines.flatMap((line): Line[] => {
      if (line.name === 'RECURRENCE-ID') {
        const when = readWhen(line);
        return [when === null ? line : withRange(whenLine(line.name, along(when)), line)];
      }
      if (line.name !== 'EXDATE') return [line];
      const dates = line.value.split(',').flatMap((text) => readMoment(text) ?? []);
      return dates.map((moment) => whenLine('EXDATE', along(whenOf(moment, line.params.get('TZID')))));
    }),
  });
  const parts = [applied(shifted(master), changes, now), ...overrides.map(shifted)];
  return { ok: true, root: put(file.root, uid, parts), split: null };
}

const withRange = (line: Line, old: Line): Line => {
  const range = old.params.get('RANGE');
  return range === undefined
    ? line
    : makeLine(line.name, line.value, { ...Object.fromEntries(line.params), RANGE: range });
};

interface Named {
  uid: string;
  start: When;
}

function editOne(
  file: CalendarFile,
  { master, overrides, clock }: Found,
  { uid, id, start }: Named & { id: string },
  changes: Changes | null,
  { now }: EditContext,
): Edited {
  const own = overrides.find((part) => overrideId(part, clock) === id);
  const others = overrides.filter((part) => part !== own);
  if (own !== undefined && lineOf(own, 'RECURRENCE-ID')?.params.has('RANGE') === true)
    return failed('This occurrence also changes the following ones. Change it together with the following.');
  if (changes !== null) {
    const next = applied(own ?? overrideOf(master, start), changes, now);
    return { ok: true, root: put(file.root, uid, [master, ...others, next]), split: null };
  }
  const left = applied(master, {}, now);
  const less = { ...left, lines: [...left.lines, whenLine('EXDATE', start)] };
  return { ok: true, root: put(file.root, uid, [less, ...others]), split: null };
}

/** The series ends before, and what follows is a series of its own. */
function editFollowing(
  file: CalendarFile,
  { master, overrides, clock }: Found,
  { uid, start }: Named,
  changes: Changes | null,
  context: EditContext,
): Edited {
  const event = readEvent(master).event;
  if (event === null) return failed('The event has no start that can be read.');
  const at = clock.instant(start);
  const isLater = (when: When): boolean => clock.instant(when) >= at;
  const later = overrides.filter((part) => {
    const line = lineOf(part, 'RECURRENCE-ID');
    const when = line === undefined ? null : readWhen(line);
    return when !== null && isLater(when);
  });
  const earlier = overrides.filter((part) => !later.includes(part));
  const end = event.start.allDay ? { ...start, wall: start.wall - 86_400_000 } : { ...start, wall: start.wall - 1000 };
  const last = event.start.zone === null ? end : { wall: at - 1000, zone: 'UTC', allDay: false };
  let first = keepDates(master, (when) => !isLater(when));
  let second = keepDates(master, isLater);
  if (event.rule !== null) {
    first = set(first, makeLine('RRULE', writeUntil(event.rule, writeMoment(last))));
    const count = /COUNT=(\d+)/i.exec(event.rule)?.[1];
    const gone = [...startsOf({ ...event, more: [] }, { from: event.start.wall, to: start.wall }, clock)].length;
    if (count !== undefined)
      second = set(second, makeLine('RRULE', writeCount(event.rule, Math.max(1, Number(count) - gone))));
  }
  const root = put(file.root, uid, [applied(first, {}, context.now), ...earlier]);
  if (changes === null) return { ok: true, root, split: null };
  const rename = (part: Part): Part => set(part, makeLine('UID', context.newUid));
  const zones = file.root.parts.filter(({ name }) => name === 'VTIMEZONE');
  const series = [moved(second, { start }), ...later].map(rename);
  const split = calendarOf({ ...file.root, parts: [...zones, ...series] });
  const done = edit(split, { uid: context.newUid, id: null, following: false }, changes, context);
  return done.ok ? { ok: true, root, split: done.root } : done;
}
