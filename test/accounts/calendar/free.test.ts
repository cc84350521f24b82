// Whose time is free, against an oracle that looks at every five minutes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { expand } from '../../../src/accounts/calendar/expand.ts';
import { busyOf, conflicts, dayList, slots, type Person, type Wish } from '../../../src/accounts/calendar/free.ts';
import { holidays } from '../../../src/accounts/calendar/holidays.ts';
import { readCalendar } from '../../../src/accounts/calendar/read.ts';
import { ianaZone, UTC } from '../../../src/accounts/calendar/zones.ts';
import { readHours } from '../../../src/core/time/hours.ts';
import { ics } from './ics.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const zoneOf = (name: string) => ianaZone(name) ?? UTC;

function person(zone: string, hours: string | null, ...events: readonly (readonly string[])[]): Person {
  const span = { from: Date.UTC(2026, 2, 1), to: Date.UTC(2026, 11, 31) };
  return {
    name: zone,
    zone: zoneOf(zone),
    hours: hours === null ? null : readHours(hours),
    holidays: new Set(),
    addresses: ['me@a.test'],
    occurrences: expand(readCalendar(ics(...events.map((lines, at) => [`UID:${at}`, ...lines]))), span, { zone })
      .occurrences,
  };
}

const wish = (span: { from: number; to: number }, more: Partial<Wish> = {}): Wish => ({
  length: 45 * MINUTE,
  span,
  travel: 0,
  place: '',
  notBefore: 0,
  notAfter: 24 * 60,
  zone: zoneOf('Europe/Paris'),
  grid: 15,
  ...more,
});
const short = (at: number): string => new Date(at).toISOString().slice(0, 16);

test('calendar: 45 minutes next week, not before ten, for two people in two zones, around a holiday', () => {
  const paris = person(
    'Europe/Paris',
    'Mon-Fri 09:00-18:00',
    // All day, and it takes the day; all day, and it does not; by rule; declined; cancelled.
    ['DTSTART;VALUE=DATE:20260512', 'SUMMARY:Away'],
    ['DTSTART;VALUE=DATE:20260513', 'TRANSP:TRANSPARENT'],
    ['DTSTART;TZID=Europe/Paris:20260401T153000', 'DTEND;TZID=Europe/Paris:20260401T170000', 'RRULE:FREQ=DAILY'],
    ['DTSTART:20260513T080000Z', 'DURATION:PT9H', 'ATTENDEE;PARTSTAT=DECLINED:mailto:me@a.test'],
    ['DTSTART:20260513T080000Z', 'DURATION:PT9H', 'STATUS:CANCELLED'],
  );
  const york = person('America/New_York', 'Mon-Fri 09:00-17:00');
  const people = [{ ...paris, holidays: holidays('FR', 2026) ?? new Set() }, york];
  const week = { from: Date.UTC(2026, 4, 10, 22), to: Date.UTC(2026, 4, 17, 22) };
  assert.deepEqual(
    slots(people, wish(week, { notBefore: 600, grid: 15 })).map(({ from }) => short(from)),
    // 14 May is Ascension; New York begins at 15:00 of Paris, where 15:30 to 17:00 is taken.
    ['2026-05-11', '2026-05-13', '2026-05-15'].flatMap((day) => [`${day}T15:00`, `${day}T15:15`]),
  );
  const busy = busyOf(paris, { from: Date.UTC(2026, 4, 11, 22), to: Date.UTC(2026, 4, 13, 22) });
  assert.deepEqual(
    busy.map(({ from, to }) => `${short(from)}..${short(to)}`),
    ['2026-05-11T22:00..2026-05-12T22:00', '2026-05-13T13:30..2026-05-13T15:00'],
  );
});

test('calendar: the way between two places counts for slots and conflicts', () => {
  const busy = person(
    'UTC',
    null,
    ['SUMMARY:A', 'DTSTART:20260512T100000Z', 'DURATION:PT1H', 'LOCATION:Lyon'],
    ['SUMMARY:B', 'DTSTART:20260512T111500Z', 'DURATION:PT1H', 'LOCATION:Paris'],
    ['SUMMARY:C', 'DTSTART:20260512T120000Z', 'DURATION:PT1H'],
    ['SUMMARY:Day', 'DTSTART;VALUE=DATE:20260512'],
  );
  const told = conflicts(busy, HOUR / 2).map(({ one, other, travel }) => [
    one.event.summary,
    other.event.summary,
    travel,
  ]);
  assert.deepEqual(told, [
    ['A', 'B', true],
    ['B', 'C', false],
  ]);
  const timed = { ...busy, occurrences: busy.occurrences.filter(({ allDay }) => !allDay) };
  const span = { from: Date.UTC(2026, 4, 12, 8), to: Date.UTC(2026, 4, 12, 10) };
  const ask = wish(span, { zone: UTC, place: 'Nice', travel: 30 * MINUTE, grid: 45 });
  assert.deepEqual(
    slots([timed], ask).map(({ from }) => short(from)),
    ['2026-05-12T08:15'],
  );
  assert.deepEqual(
    dayList(busy.occurrences, '2026-05-12').map(({ event }) => event.summary),
    ['Day', 'A', 'B', 'C'],
  );
});

test('calendar: slots are exactly those that an oracle finds by looking at every five minutes', () => {
  const event = fc.record({
    start: fc.integer({ min: 0, max: 7 * 288 - 1 }),
    length: fc.integer({ min: 1, max: 100 }),
    busy: fc.boolean(),
    daily: fc.boolean(),
  });
  const zone = fc.constantFrom('Europe/Paris', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe');
  const who = fc.record({
    zone,
    hours: fc.constantFrom('Mon-Fri 09:00-17:30', '00:00-24:00', '22:00-03:00'),
    events: fc.array(event, { maxLength: 5 }),
  });
  // Weeks in which clocks change in one of the zones, and one in which they do not.
  const week = fc.constantFrom(
    Date.UTC(2026, 2, 26),
    Date.UTC(2026, 9, 22),
    Date.UTC(2026, 9, 30),
    Date.UTC(2026, 5, 1),
  );
  fc.assert(
    fc.property(
      fc.array(who, { minLength: 1, maxLength: 3 }),
      week,
      fc.integer({ min: 1, max: 30 }),
      (given, from, length) => {
        const span = { from, to: from + 5 * DAY };
        const stamp = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
        const people = given.map(({ zone: name, hours, events }) =>
          person(
            name,
            hours,
            ...events.map((each) => [
              `DTSTART:${stamp(from + (each.start - 288) * 5 * MINUTE)}`,
              `DURATION:PT${each.length * 5}M`,
              ...(each.busy ? [] : ['TRANSP:TRANSPARENT']),
              ...(each.daily ? ['RRULE:FREQ=DAILY;COUNT=3'] : []),
            ]),
          ),
        );
        const isFree = (at: number): boolean =>
          given.every(({ zone: name, hours, events }) => {
            const shown = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(name);
            const minute = shown.hour * 60 + shown.minute;
            const works = hours.startsWith('Mon')
              ? shown.dayOfWeek < 6 && minute >= 540 && minute < 1050
              : hours.startsWith('00') || minute >= 1320 || minute < 180;
            const taken = events.some((each) =>
              [0, 1, 2].some((day) => {
                const start = from + (each.start - 288) * 5 * MINUTE + day * DAY;
                return (day === 0 || each.daily) && each.busy && at >= start && at < start + each.length * 5 * MINUTE;
              }),
            );
            return works && !taken;
          });
        const steps = Array.from({ length: (span.to - span.from) / (5 * MINUTE) }, (_, at) => from + at * 5 * MINUTE);
        const free = steps.map(isFree);
        const expected = steps.filter(
          (_, index) => free.slice(index, index + length).filter(Boolean).length === length,
        );
        const got = slots(people, wish(span, { length: length * 5 * MINUTE, zone: UTC, grid: 5 }), 200);
        assert.deepEqual(
          got.map((each) => short(each.from)),
          expected.slice(0, 200).map(short),
        );
      },
    ),
    { numRuns: 150 },
  );
});

test('calendar: the holidays of a country', () => {
  assert.deepEqual(
    [...(holidays('fr', 2026) ?? [])],
    [
      '2026-01-01',
      '2026-04-06',
      '2026-05-01',
      '2026-05-08',
      '2026-05-14',
      '2026-05-25',
      '2026-07-14',
      '2026-08-15',
      '2026-11-01',
      '2026-11-11',
      '2026-12-25',
    ],
  );
  const american = holidays('US', 2027);
  for (const day of ['2027-01-18', '2027-05-31', '2027-11-25']) assert.ok(american?.has(day), day);
  assert.ok(holidays('SE', 2026)?.has('2026-06-20'));
  assert.equal(holidays('XX', 2026), null);
});
