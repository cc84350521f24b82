// Events → the times at which they take place.
import type { CalendarEvent, Length, Occurrence, Span, When } from '../../core/calendar.ts';
import type { CalendarFile } from './read.ts';
import { readRule, walls, type Rule } from './rule.ts';
import { DAY, two, writeWall } from './values.ts';
import { ianaZone, UTC, type Zone, type Zones } from './zones.ts';

/** Of one series within one span; a rule that gives more is a joke of a stranger. */
const MAX_OCCURRENCES = 20_000;
/** No clock is further ahead of another. */
const MARGIN = 2 * DAY;

/** What times mean to one person. */
export class Clock {
  readonly local: Zone;
  readonly #zones: Zones;

  constructor(zones: Zones, local: string) {
    this.#zones = zones;
    this.local = ianaZone(local) ?? UTC;
  }

  /** Days and floating times are by the person's own clock. */
  zone({ zone }: When): Zone {
    return zone === null ? this.local : zone === 'UTC' ? UTC : (this.#zones.of(zone) ?? this.local);
  }

  instant(when: When): number {
    return this.zone(when).instant(when.wall);
  }
}

/** A series: its master and what differs in single occurrences. */
interface Series {
  master: CalendarEvent | null;
  overrides: CalendarEvent[];
}

export interface Expanded {
  /** By start. */
  occurrences: Occurrence[];
  untold: string[];
}

/** All that takes place within a span, by the zone of one person; what is cancelled only if it is asked for. */
export function expand(
  { events, zones }: Pick<CalendarFile, 'events' | 'zones'>,
  span: Span,
  options: { zone: string; cancelled?: boolean },
): Expanded {
  const clock = new Clock(zones, options.zone);
  const untold: string[] = [];
  const occurrences = seriesOf(events).flatMap((series) => occurrencesOf(series, span, clock, untold));
  const shown = occurrences.filter(
    ({ event, start, end }) =>
      (options.cancelled === true || event.status !== 'cancelled') &&
      start < span.to &&
      (end > span.from || (start === end && start >= span.from)),
  );
  return { occurrences: shown.sort((one, other) => one.start - other.start || one.end - other.end), untold };
}

export function seriesOf(events: readonly CalendarEvent[]): Series[] {
  const found = new Map<string, Series>();
  const out: Series[] = [];
  for (const event of events) {
    let series = event.uid === '' ? undefined : found.get(event.uid);
    if (series === undefined) {
      out.push((series = { master: null, overrides: [] }));
      if (event.uid !== '') found.set(event.uid, series);
    }
    if (event.recurrenceId !== null) series.overrides.push(event);
    // The same event twice: the later version counts.
    else if (series.master === null || event.sequence >= series.master.sequence) series.master = event;
  }
  return out;
}

const recurs = ({ rule, more }: CalendarEvent): boolean => rule !== null || more.length > 0;

/** Names an occurrence by its original start, whatever zone it is written in. */
export function idOf(when: When, clock: Clock): string {
  if (when.allDay) return writeWall(when.wall, true);
  return when.zone === null ? writeWall(when.wall, false) : `${writeWall(clock.instant(when), false)}Z`;
}

function occurrencesOf({ master, overrides }: Series, span: Span, clock: Clock, untold: string[]): Occurrence[] {
  const single = new Map<string, CalendarEvent>();
  for (const each of overrides) {
    const id = each.recurrenceId === null ? '' : idOf(each.recurrenceId, clock);
    const other = single.get(id);
    if (other === undefined || each.sequence >= other.sequence) single.set(id, each);
  }
  const out = [...single].map(([id, event]) => occurrence(event, event.start, event.length, id, clock));
  if (master === null) return out;
  if (!recurs(master)) return single.size > 0 ? out : [occurrence(master, master.start, master.length, null, clock)];
  const ranges = overrides.filter(({ andFollowing }) => andFollowing);
  const changes = ranges.flatMap((event) => (event.recurrenceId === null ? [] : [{ event, from: event.recurrenceId }]));
  changes.sort((one, other) => clock.instant(other.from) - clock.instant(one.from));
  // What is moved by a change may come from outside the span, and what is long from before it.
  const moved = changes.map(({ event, from }) => event.start.wall - from.wall);
  const longest = Math.max(...[master, ...ranges].map((event) => approximate(event.start, event.length)));
  const wide = {
    from: span.from - longest - MARGIN - Math.max(0, ...moved),
    to: span.to + MARGIN - Math.min(0, ...moved),
  };
  const except = new Set(master.except.map((when) => idOf(when, clock)));
  for (const { start, length } of startsOf(master, wide, clock, untold)) {
    const id = idOf(start, clock);
    // A day among the exceptions of a series of times leaves out that day.
    const left = except.size > 0 && (except.has(id) || except.has(writeWall(start.wall, true)));
    if (left || single.has(id)) continue;
    const change = changes.find(({ from }) => clock.instant(from) <= clock.instant(start));
    if (change === undefined) out.push(occurrence(master, start, length ?? master.length, id, clock));
    else out.push(occurrence(change.event, after(change, start), change.event.length, id, clock));
  }
  return out;
}

/** Where "this and the following" puts an occurrence: as far from its original start as the first of them. */
function after({ event, from }: { event: CalendarEvent; from: When }, start: When): When {
  return { ...event.start, wall: event.start.wall + (start.wall - from.wall) };
}

const approximate = (start: When, length: Length): number =>
  'end' in length ? Math.max(0, length.end.wall - start.wall) + DAY : length.days * DAY + length.ms;

/** The original starts of a series whose wall times may concern a span. */
export function* startsOf(
  master: CalendarEvent,
  span: Span,
  clock: Clock,
  untold: string[] = [],
): Generator<{ start: When; length: Length | null }> {
  const seen = new Set<number>();
  const give = function* (start: When, length: Length | null) {
    const at = start.zone === master.start.zone ? start.wall : clock.zone(master.start).wall(clock.instant(start));
    if (seen.has(at)) return;
    seen.add(at);
    yield { start, length };
  };
  // A period says how long it takes, so it counts before the rule's own.
  for (const { start, length } of master.more)
    if (start.wall >= span.from && start.wall < span.to) yield* give(start, length && exact(start, length, clock));
  const read = master.rule === null ? null : readRule(master.rule);
  if (read === null || !read.ok) {
    if (master.start.wall >= span.from && master.start.wall < span.to) yield* give(master.start, null);
    return;
  }
  const spent = (): void =>
    void untold.push(`"${master.summary.slice(0, 60)}" recurs too often to be followed to its end.`);
  let count = 0;
  for (const wall of walls(inZone(read.rule, master.start, clock), master.start.wall, span, spent)) {
    if (++count > MAX_OCCURRENCES) return spent();
    yield* give({ ...master.start, wall }, null);
  }
}

/** A period's end belongs to its own start. */
const exact = (start: When, length: Length, clock: Clock): Length =>
  'end' in length ? { days: 0, ms: clock.instant(length.end) - clock.instant(start) } : length;

/** UNTIL is UTC where the start has a zone. */
function inZone(rule: Rule, start: When, clock: Clock): Rule {
  if (rule.until === null || !rule.until.utc || start.allDay) return rule;
  return { ...rule, until: { wall: clock.zone(start).wall(rule.until.wall), utc: false } };
}

/**
 * When something that starts so and takes so long is over. From one time to another of the same clock it ends when the
 * clock shows it, as every calendar program has it: a night shift until 7:00 ends at 7:00, even if clocks change.
 */
function endOf(event: CalendarEvent, start: When, length: Length, clock: Clock): number {
  const zone = clock.zone(start);
  const begin = zone.instant(start.wall);
  if (!('end' in length)) return zone.instant(start.wall + length.days * DAY) + length.ms;
  const { end } = length;
  const same = end.zone === event.start.zone;
  if (!same || event.start.zone !== start.zone)
    return begin + Math.max(0, clock.instant(end) - clock.instant(event.start));
  const wall = end.wall - event.start.wall;
  const over = zone.instant(start.wall + wall);
  // Its start is put forward beyond its end.
  return over < begin ? begin + wall : over;
}

function occurrence(event: CalendarEvent, start: When, length: Length, id: string | null, clock: Clock): Occurrence {
  const from = clock.instant(start);
  const to = Math.max(from, endOf(event, start, length, clock));
  const first = start.allDay ? start.wall : clock.local.wall(from);
  const last = start.allDay ? lastDay(event, start, length) : clock.local.wall(Math.max(from, to - 1));
  return {
    uid: event.uid,
    id,
    event,
    start: from,
    end: to,
    allDay: start.allDay,
    firstDay: dayText(first),
    lastDay: dayText(last),
  };
}

const lastDay = (event: CalendarEvent, start: When, length: Length): number =>
  start.wall + ('end' in length ? length.end.wall - event.start.wall : length.days * DAY) - DAY;

export const dayText = (wall: number): string => {
  const day = new Date(wall);
  return `${String(day.getUTCFullYear()).padStart(4, '0')}-${two(day.getUTCMonth() + 1)}-${two(day.getUTCDate())}`;
};
