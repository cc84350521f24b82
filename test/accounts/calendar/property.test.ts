// Zones, days on which clocks change and rules, against an oracle that tells them in another way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeContent } from '../../../src/accounts/calendar/content.ts';
import { expand } from '../../../src/accounts/calendar/expand.ts';
import { readCalendar } from '../../../src/accounts/calendar/read.ts';
import { instantOf, oracle, ruleText, type OracleRule } from './oracle.ts';
import { ics } from './ics.ts';

const ZONES = [
  'UTC',
  'Europe/Paris',
  'Europe/London',
  'America/New_York',
  'America/St_Johns',
  'America/Santiago',
  'America/Sao_Paulo',
  'Africa/Casablanca',
  'Africa/Cairo',
  'Asia/Beirut',
  'Asia/Kolkata',
  'Asia/Tehran',
  'Australia/Lord_Howe',
  'Pacific/Auckland',
  'Pacific/Apia',
  'Pacific/Chatham',
];
const DAY = 86_400_000;
const zone = fc.constantFrom(...ZONES);
const wall = fc
  .tuple(fc.integer({ min: 2015 * 366, max: 2026 * 366 }), fc.integer({ min: 0, max: 95 }))
  .map(([day, quarter]) => (day - 1970 * 366 + 15) * DAY + quarter * 900_000);

const some = <T>(item: fc.Arbitrary<T>, maxLength = 3) => fc.uniqueArray(item, { minLength: 1, maxLength });
const either = (max: number) => fc.integer({ min: -max, max }).filter((each) => each !== 0);
const maybe = <T>(item: fc.Arbitrary<T>) => fc.option(item, { nil: undefined, freq: 3 });
const weekday = (nths: fc.Arbitrary<number>) =>
  fc.uniqueArray(fc.tuple(nths, fc.integer({ min: 0, max: 6 })), { minLength: 1, maxLength: 3, selector: String });

const rule: fc.Arbitrary<OracleRule> = fc.constantFrom('YEARLY', 'MONTHLY', 'WEEKLY', 'DAILY').chain((given) => {
  const freq: OracleRule['freq'] = given;
  const no = fc.constant(undefined);
  const year = freq === 'YEARLY';
  const nth = year || freq === 'MONTHLY' ? fc.oneof(fc.constant(0), either(5)) : fc.constant(0);
  return fc.record({
    freq: fc.constant(freq),
    interval: maybe(fc.integer({ min: 1, max: 4 })),
    count: maybe(fc.integer({ min: 1, max: 30 })),
    weekStart: maybe(fc.integer({ min: 0, max: 6 })),
    months: maybe(some(fc.integer({ min: 1, max: 12 }))),
    monthDays: freq === 'WEEKLY' ? no : maybe(some(either(31))),
    weekdays: maybe(weekday(nth)),
    yearDays: year ? maybe(some(either(366))) : no,
    weeks: year ? maybe(some(either(53))) : no,
    hours: maybe(some(fc.integer({ min: 0, max: 23 }))),
    positions: maybe(some(either(4))),
  });
});

test('calendar: a series takes place when the oracle says, in any zone, over changes of clocks', () => {
  fc.assert(
    fc.property(rule, wall, zone, zone, (given, begin, own, viewer) => {
      const text = new Date(begin).toISOString().slice(0, 19).replace(/[-:]/g, '');
      const start = own === 'UTC' ? `DTSTART:${text}Z` : `DTSTART;TZID=${own}:${text}`;
      const calendar = readCalendar(ics(['UID:1', start, 'DURATION:PT15M', `RRULE:${ruleText(given)}`]));
      assert.deepEqual(calendar.untold, []);
      const end = begin + 3 * 365 * DAY;
      const expected = new Set(oracle(given, begin, end).map((at) => instantOf(at, own)));
      const from = begin - DAY;
      const to = end - 3 * DAY;
      const { occurrences } = expand(calendar, { from, to }, { zone: viewer });
      assert.deepEqual(
        [...new Set(occurrences.map((each) => each.start))],
        [...expected].filter((at) => at < to),
      );
      // A span in the middle shows the same as the whole.
      const middle = begin + 500 * DAY;
      const later = expand(calendar, { from: middle, to }, { zone: viewer }).occurrences;
      assert.deepEqual(
        later.map((each) => each.start),
        occurrences.filter((each) => each.end > middle).map((each) => each.start),
      );
    }),
    { numRuns: 250 },
  );
});

test('calendar: a day is never a day early, wherever it is read', () => {
  fc.assert(
    fc.property(wall, fc.integer({ min: 1, max: 5 }), zone, (at, days, viewer) => {
      const first = new Date(at).toISOString().slice(0, 10);
      const last = new Date(at + (days - 1) * DAY).toISOString().slice(0, 10);
      const over = new Date(at + days * DAY).toISOString().slice(0, 10);
      const plain = (day: string): string => day.replaceAll('-', '');
      // Samoa had no 30 December 2011; the days asked for are later.
      const calendar = readCalendar(
        ics(['UID:1', `DTSTART;VALUE=DATE:${plain(first)}`, `DTEND;VALUE=DATE:${plain(over)}`]),
      );
      const [found] = expand(calendar, { from: at - 9 * DAY, to: at + 19 * DAY }, { zone: viewer }).occurrences;
      assert.deepEqual([found?.firstDay, found?.lastDay], [first, last]);
      const dayStart = (day: string): number => Temporal.PlainDate.from(day).toZonedDateTime(viewer).epochMilliseconds;
      assert.deepEqual([found?.start, found?.end], [dayStart(first), dayStart(over)]);
    }),
    { numRuns: 500 },
  );
});

test('calendar: any bytes are read without an exception, and what was read is written back', () => {
  const words = fc.constantFrom(
    'BEGIN:VCALENDAR',
    'END:VCALENDAR',
    'BEGIN:VEVENT',
    'END:VEVENT',
    'BEGIN:VTIMEZONE',
    'TZID:Own',
    'BEGIN:STANDARD',
    'TZOFFSETTO:+0100',
    'TZOFFSETFROM:+0200',
    'DTSTART;TZID=Own:20260101T100000',
    'DTSTART;VALUE=DATE:20260230',
    'DTSTART:00010101T000000Z',
    'RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30',
    'RRULE:FREQ=MINUTELY;BYHOUR=3;COUNT=100000000',
    'RRULE:FREQ=YEARLY;INTERVAL=9007199254740991',
    'RRULE:FREQ=DAILY;BYDAY=54XX',
    'RDATE;VALUE=PERIOD:20260101T000000Z/PT1H,x',
    'RECURRENCE-ID;RANGE=THISANDFUTURE:20260101T000000Z',
    'ATTENDEE;CN="a;b:c":mailto:A@B.test',
    'BEGIN:VALARM',
    'TRIGGER:-P99999999W',
    'X-ODD;A=B;C="d',
    ' folded',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 9, arbitrary: words }, fc.string())), (lines) => {
      const calendar = readCalendar(Buffer.from(lines.join('\r\n')));
      expand(calendar, { from: Date.UTC(2026, 0), to: Date.UTC(2027, 0) }, { zone: 'Europe/Paris' });
      const again = readCalendar(Buffer.from(writeContent(calendar.root)));
      assert.deepEqual(again.root, calendar.root);
      assert.deepEqual(again.events, calendar.events);
    }),
    { numRuns: 500 },
  );
});
