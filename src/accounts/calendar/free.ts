// Answers about time: who is busy, what collides, where a meeting fits. Computed here, so that no model has to count.
import type { ActiveHours } from '../../core/schedule.ts';
import type { Occurrence, Span } from '../../core/calendar.ts';
import { isOpen, nextClosing, nextOpening } from '../../core/time/hours.ts';
import { dayText } from './expand.ts';
import type { Zone } from './zones.ts';

const DAY = 86_400_000;
const MINUTE = 60_000;
const MAX_SLOTS = 200;

/** One whose time is asked for. */
export interface Person {
  name: string;
  zone: Zone;
  /** By the person's own clock; null for at any time. */
  hours: ActiveHours | null;
  /** Days off, as `2026-12-25`. */
  holidays: ReadonlySet<string>;
  occurrences: readonly Occurrence[];
  /** Their addresses: what they declined takes no time of theirs. */
  addresses: readonly string[];
}

export interface Busy extends Span {
  tentative: boolean;
}

/** True if an occurrence takes the time of a person. */
function takes({ event }: Occurrence, addresses: readonly string[]): boolean {
  if (!event.busy || event.status === 'cancelled') return false;
  return !event.attendees.some(({ address, answer }) => answer === 'declined' && addresses.includes(address));
}

/** What is taken of a span, joined where it touches, in order; what is certain covers what is tentative. */
export function busyOf({ occurrences, addresses }: Pick<Person, 'occurrences' | 'addresses'>, span: Span): Busy[] {
  const taken = occurrences
    .filter((each) => takes(each, addresses) && each.end > span.from && each.start < span.to && each.end > each.start)
    .map(({ start, end, event }) => ({
      from: Math.max(start, span.from),
      to: Math.min(end, span.to),
      tentative: event.status === 'tentative',
    }));
  const certain = joined(taken.filter(({ tentative }) => !tentative));
  const maybe = without(joined(taken.filter(({ tentative }) => tentative)), certain);
  const all = [
    ...certain.map((each) => ({ ...each, tentative: false })),
    ...maybe.map((each) => ({ ...each, tentative: true })),
  ];
  return all.sort((one, other) => one.from - other.from);
}

function joined(spans: readonly Span[]): Span[] {
  const out: Span[] = [];
  for (const { from, to } of spans.toSorted((one, other) => one.from - other.from)) {
    const last = out.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else out.push({ from, to });
  }
  return out;
}

/** What is left of spans when others are taken away; both joined and in order. */
function without(spans: readonly Span[], taken: readonly Span[]): Span[] {
  const out: Span[] = [];
  let first = 0;
  for (const span of spans) {
    let { from } = span;
    while ((taken[first]?.to ?? Infinity) <= span.from) first += 1;
    for (let at = first; at < taken.length; at++) {
      const each = taken[at];
      if (each === undefined || each.from >= span.to) break;
      if (each.from > from) out.push({ from, to: each.from });
      from = Math.max(from, each.to);
    }
    if (from < span.to) out.push({ from, to: span.to });
  }
  return out;
}

/** When a person works within a span. */
function workOf({ hours, zone, holidays }: Person, span: Span): Span[] {
  const shown = zone.wall(span.from);
  const last = zone.wall(span.to);
  const open: Span[] = [];
  for (let at = shown; at < last;) {
    const from = hours === null || isOpen(at, hours) ? at : nextOpening(at, hours);
    const to = hours === null ? last : nextClosing(from, hours);
    if (from < last) open.push({ from, to: Math.min(to, last) });
    at = Math.max(to, at + MINUTE);
  }
  const off: Span[] = [];
  for (let day = Math.floor(shown / DAY); day * DAY < last; day++)
    if (holidays.has(dayText(day * DAY))) off.push({ from: day * DAY, to: (day + 1) * DAY });
  const instants = without(open, joined(off)).map(({ from, to }) => ({
    from: zone.instant(from),
    to: zone.instant(to),
  }));
  return joined(instants.filter(({ from, to }) => from < to)).map(({ from, to }) => ({
    from: Math.max(from, span.from),
    to: Math.min(to, span.to),
  }));
}

export interface Wish {
  /** In milliseconds. */
  length: number;
  span: Span;
  /** Between this meeting and one at another place, in milliseconds. */
  travel: number;
  /** Where it is to be; '' for anywhere, which needs no travel. */
  place: string;
  /** By the clock of `zone`, in minutes of the day; a meeting may go over midnight unless it is to end before. */
  notBefore: number;
  notAfter: number;
  zone: Zone;
  /** Starts lie on such minutes, counted by the clock of `zone`. */
  grid: number;
}

/** Where a meeting fits for all, in order of time. */
export function slots(people: readonly Person[], wish: Wish, limit = 10): Span[] {
  let free: Span[] = [wish.span];
  for (const person of people) {
    free = common(free, workOf(person, wish.span));
    free = without(
      free,
      joined(person.occurrences.filter((each) => takes(each, person.addresses)).map((each) => around(each, wish))),
    );
  }
  const found: Span[] = [];
  const most = Math.min(limit, MAX_SLOTS);
  for (const { from, to } of free)
    for (let at = onGrid(from, wish); at + wish.length <= to && found.length < most; at = onGrid(at + 1, wish)) {
      if (!suits(at, wish)) continue;
      found.push({ from: at, to: at + wish.length });
    }
  return found;
}

/** What a meeting takes with the way to and from it. A whole day is nowhere to come from. */
function around({ start, end, allDay, event }: Occurrence, { travel, place }: Wish): Span {
  const elsewhere = !allDay && place !== '' && event.location !== '' && event.location !== place;
  return elsewhere ? { from: start - travel, to: end + travel } : { from: start, to: end };
}

const common = (spans: readonly Span[], others: readonly Span[]): Span[] =>
  without(spans, without(spans.length === 0 ? [] : [{ from: -Infinity, to: Infinity }], others));

function onGrid(instant: number, { zone, grid }: Wish): number {
  const step = Math.max(1, grid) * MINUTE;
  const shown = zone.wall(instant);
  return instant + (Math.ceil(shown / step) * step - shown);
}

function suits(at: number, { zone, notBefore, notAfter, length }: Wish): boolean {
  const shown = zone.wall(at);
  const minute = (shown - Math.floor(shown / DAY) * DAY) / MINUTE;
  return minute >= notBefore && (notAfter >= DAY / MINUTE || minute + length / MINUTE <= notAfter);
}

export interface Conflict {
  one: Occurrence;
  other: Occurrence;
  /** True if they do not overlap, but leave too little time for the way. */
  travel: boolean;
}

/** What a person cannot do both of. Days are no conflict with what is on them. */
export function conflicts(
  { occurrences, addresses }: Pick<Person, 'occurrences' | 'addresses'>,
  travel = 0,
): Conflict[] {
  const taken = occurrences
    .filter((each) => takes(each, addresses) && !each.allDay && each.end > each.start)
    .toSorted((one, other) => one.start - other.start);
  const found: Conflict[] = [];
  for (const [at, one] of taken.entries())
    for (let next = at + 1; next < taken.length && found.length < MAX_SLOTS; next++) {
      const other = taken[next];
      if (other === undefined || other.start >= one.end + travel) break;
      const apart = other.start >= one.end;
      const away =
        one.event.location !== '' && other.event.location !== '' && one.event.location !== other.event.location;
      if (!apart || away) found.push({ one, other, travel: apart });
    }
  return found;
}

/** What is on one day, as `2026-11-30`, whole days first. */
export const dayList = (occurrences: readonly Occurrence[], day: string): Occurrence[] =>
  occurrences
    .filter(({ firstDay, lastDay }) => firstDay <= day && lastDay >= day)
    .toSorted((one, other) => Number(other.allDay) - Number(one.allDay) || one.start - other.start);
