// Bytes of iCalendar → events. What cannot be read is said, and the rest is read.
import type { Alarm, Attendee, Calendar, CalendarEvent, Length } from '../../core/calendar.ts';
import { lineOf, readContent, textList, unescapeText, type Component, type Line } from './content.ts';
import { readRule } from './rule.ts';
import { DAY, readDuration, readMoment, readPeriod, readWhen, whenOf } from './values.ts';
import { Zones } from './zones.ts';

/** A calendar with what it was read from: edits change the lines, and questions about times need the zones. */
export interface CalendarFile extends Calendar {
  /** An empty one if there was none. */
  root: Component;
  zones: Zones;
}

const MAX_EVENTS = 50_000;
const MAX_UNTOLD = 50;
const MAX_DATES = 5000;

export function readCalendar(bytes: Uint8Array): CalendarFile {
  const { root, untold } = readContent(bytes);
  if (root === null) untold.push('There is no calendar in it: BEGIN:VCALENDAR is missing.');
  return calendarOf(root ?? { name: 'VCALENDAR', lines: [], parts: [] }, untold);
}

export function calendarOf(root: Component, untold: string[] = []): CalendarFile {
  const zones = new Zones(root);
  const parts = root.parts.filter((part) => part.name === 'VEVENT');
  if (parts.length > MAX_EVENTS) untold.push(`The calendar has ${parts.length} events; ${MAX_EVENTS} were read.`);
  const events = parts.slice(0, MAX_EVENTS).flatMap((part) => {
    const read = readEvent(part);
    for (const name of zonesOf(read.event)) {
      if (zones.of(name) === null) read.untold.push(`has the unknown zone "${name}"; its times count as local ones`);
    }
    const title = (textOf(part, 'SUMMARY') || textOf(part, 'UID')).slice(0, 60);
    if (untold.length < MAX_UNTOLD) untold.push(...read.untold.map((what) => `The event "${title}" ${what}.`));
    return read.event ?? [];
  });
  return {
    root,
    zones,
    method: lineOf(root, 'METHOD')?.value.trim().toUpperCase() ?? null,
    name: textOf(root, 'X-WR-CALNAME') || textOf(root, 'NAME') || null,
    events,
    untold,
  };
}

function zonesOf(event: CalendarEvent | null): Set<string> {
  if (event === null) return new Set();
  const times = [event.start, ...('end' in event.length ? [event.length.end] : []), ...event.except];
  return new Set([...times, ...event.more.map(({ start }) => start)].flatMap(({ zone }) => zone ?? []));
}

const textOf = (part: Component, name: string): string => unescapeText(lineOf(part, name)?.value ?? '').trim();

/** The event of a VEVENT; null if it has no start. What is odd goes on with "The event …". */
export function readEvent(part: Component): { event: CalendarEvent | null; untold: string[] } {
  const untold: string[] = [];
  const startLine = lineOf(part, 'DTSTART');
  const start = startLine === undefined ? null : readWhen(startLine);
  if (start === null) return { event: null, untold: ['has no start that can be read'] };
  const idLine = lineOf(part, 'RECURRENCE-ID');
  const recurrenceId = idLine === undefined ? null : readWhen(idLine);
  const rules = part.lines.filter((line) => line.name === 'RRULE');
  if (rules.length > 1) untold.push('has several rules; the first one counts');
  if (part.lines.some(({ name }) => name === 'EXRULE')) untold.push('has an EXRULE, which is not followed');
  const rule = rules[0]?.value.trim() ?? null;
  const judged = rule === null ? null : readRule(rule);
  if (judged?.ok === false) untold.push(`has a rule that cannot be read (${judged.error}); only its first time counts`);
  const organizer = lineOf(part, 'ORGANIZER');
  const event: CalendarEvent = {
    uid: lineOf(part, 'UID')?.value.trim() ?? '',
    recurrenceId,
    andFollowing: idLine?.params.get('RANGE')?.toUpperCase() === 'THISANDFUTURE',
    start,
    length: lengthOf(part, start, untold),
    summary: textOf(part, 'SUMMARY'),
    description: textOf(part, 'DESCRIPTION'),
    location: textOf(part, 'LOCATION'),
    url: lineOf(part, 'URL')?.value.trim() ?? '',
    status: oneOf(lineOf(part, 'STATUS')?.value, { TENTATIVE: 'tentative', CANCELLED: 'cancelled' }, 'confirmed'),
    busy: lineOf(part, 'TRANSP')?.value.trim().toUpperCase() !== 'TRANSPARENT',
    visibility: oneOf(lineOf(part, 'CLASS')?.value, { PRIVATE: 'private', CONFIDENTIAL: 'confidential' }, 'public'),
    organizer: organizer === undefined ? null : attendeeOf(organizer),
    attendees: part.lines
      .filter(({ name }) => name === 'ATTENDEE')
      .slice(0, 1000)
      .map(attendeeOf),
    alarms: part.parts
      .filter(({ name }) => name === 'VALARM')
      .slice(0, 50)
      .flatMap((each) => alarmOf(each) ?? []),
    categories: part.lines.filter(({ name }) => name === 'CATEGORIES').flatMap(({ value }) => textList(value)),
    sequence: Number(/^\s*\d{1,9}/.exec(lineOf(part, 'SEQUENCE')?.value ?? '')?.[0] ?? 0),
    rule: judged?.ok ? rule : null,
    more: datesOf(part, 'RDATE', untold),
    except: datesOf(part, 'EXDATE', untold).map((each) => each.start),
    modified: readMoment(lineOf(part, 'LAST-MODIFIED')?.value ?? '')?.wall ?? null,
  };
  return { event, untold };
}

function oneOf<T extends string>(value: string | undefined, known: Readonly<Record<string, T>>, otherwise: T): T {
  return known[value?.trim().toUpperCase() ?? ''] ?? otherwise;
}

/** Without an end a day lasts a day, and a time no time at all. */
function lengthOf(part: Component, start: CalendarEvent['start'], untold: string[]): Length {
  const endLine = lineOf(part, 'DTEND');
  const duration = lineOf(part, 'DURATION');
  const none = { days: start.allDay ? 1 : 0, ms: 0 };
  if (endLine === undefined && duration === undefined) return none;
  if (endLine !== undefined) {
    const end = readWhen(endLine);
    const fits = end !== null && end.allDay === start.allDay;
    if (!fits) untold.push('has an end that does not fit its start');
    // Some programs write the same day as start and end of a day.
    return !fits || (end.wall <= start.wall && end.zone === start.zone) ? none : { end };
  }
  const length = readDuration(duration?.value ?? '');
  if (length === null || length.days < 0 || length.ms < 0) {
    untold.push('has a duration that cannot be read');
    return none;
  }
  return start.allDay ? { days: Math.max(1, length.days + Math.ceil(length.ms / DAY)), ms: 0 } : length;
}

function datesOf(part: Component, name: string, untold: string[]): CalendarEvent['more'] {
  const found: CalendarEvent['more'] = [];
  for (const line of part.lines.filter((each) => each.name === name)) {
    const zone = line.params.get('TZID');
    for (const text of line.value.split(',')) {
      const moment = readMoment(text);
      const read = moment === null ? readPeriod(text, zone) : { start: whenOf(moment, zone), length: null };
      if (read === null) untold.push(`has an ${name} that cannot be read`);
      else if (found.length < MAX_DATES) found.push(read);
    }
  }
  return found;
}

const ANSWERS = {
  ACCEPTED: 'accepted',
  DECLINED: 'declined',
  TENTATIVE: 'tentative',
  DELEGATED: 'delegated',
} as const;
const ROLES = { CHAIR: 'chair', 'OPT-PARTICIPANT': 'optional', 'NON-PARTICIPANT': 'informed' } as const;
const KINDS = { GROUP: 'group', ROOM: 'room', RESOURCE: 'resource' } as const;

function attendeeOf({ value, params }: Line): Attendee {
  const uri = value.trim();
  const mail = /^mailto:(.*)$/i.exec(uri)?.[1] ?? (/^[^:/\s]+@[^:/\s]+$/.test(uri) ? uri : undefined);
  return {
    name: params.get('CN') ?? '',
    address: mail?.trim().toLowerCase() ?? uri,
    answer: oneOf<Attendee['answer']>(params.get('PARTSTAT'), ANSWERS, 'needs-action'),
    role: oneOf<Attendee['role']>(params.get('ROLE'), ROLES, 'required'),
    kind: oneOf<Attendee['kind']>(params.get('CUTYPE'), KINDS, 'person'),
    rsvp: params.get('RSVP')?.toUpperCase() === 'TRUE',
  };
}

function alarmOf(part: Component): Alarm | null {
  const line = lineOf(part, 'TRIGGER');
  if (line === undefined) return null;
  const named = {
    action: lineOf(part, 'ACTION')?.value.trim().toUpperCase() ?? 'DISPLAY',
    text: textOf(part, 'DESCRIPTION'),
  };
  const at = readMoment(line.value);
  if (at !== null) return { ...named, trigger: { at: at.wall } };
  const before = readDuration(line.value);
  const from = line.params.get('RELATED')?.toUpperCase() === 'END' ? 'end' : 'start';
  return before && { ...named, trigger: { from, offset: before.days * DAY + before.ms } };
}
