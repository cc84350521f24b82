import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeContent } from '../../../src/accounts/calendar/content.ts';
import { expand } from '../../../src/accounts/calendar/expand.ts';
import { readCalendar } from '../../../src/accounts/calendar/read.ts';
import { ics, withParts } from './ics.ts';

const YEAR = { from: Date.UTC(2026, 0), to: Date.UTC(2027, 0) };
const shown = (bytes: Uint8Array, zone = 'Europe/Paris', span = YEAR): string[] =>
  expand(readCalendar(bytes), span, { zone }).occurrences.map(({ start, end, event, allDay, firstDay, lastDay }) =>
    `${allDay ? `${firstDay}..${lastDay}` : `${short(start)}..${short(end)}`} ${event.summary}`.trim(),
  );
const short = (at: number): string => new Date(at).toISOString().slice(0, 16);

const WEEKLY = ['UID:w', 'SUMMARY:Weekly', 'DTSTART;TZID=Europe/Paris:20260316T090000', 'DURATION:PT1H'];

test('calendar: a series with exceptions, more dates, a moved and a cancelled occurrence', () => {
  const bytes = ics(
    [...WEEKLY, 'RRULE:FREQ=WEEKLY;COUNT=6', 'EXDATE;TZID=Europe/Paris:20260323T090000', 'RDATE:20260318T100000Z'],
    // Written in another zone than the series.
    ['UID:w', 'RECURRENCE-ID:20260330T070000Z', 'DTSTART:20260331T120000Z', 'DTEND:20260331T123000Z', 'SUMMARY:Moved'],
    ['UID:w', 'RECURRENCE-ID;TZID=Europe/Paris:20260406T090000', 'DTSTART:20260406T070000Z', 'STATUS:CANCELLED'],
  );
  assert.deepEqual(shown(bytes), [
    '2026-03-16T08:00..2026-03-16T09:00 Weekly',
    '2026-03-18T10:00..2026-03-18T11:00 Weekly',
    '2026-03-31T12:00..2026-03-31T12:30 Moved',
    '2026-04-13T07:00..2026-04-13T08:00 Weekly',
    '2026-04-20T07:00..2026-04-20T08:00 Weekly',
  ]);
});

test('calendar: this and the following are shifted together', () => {
  const bytes = ics(
    [...WEEKLY, 'RRULE:FREQ=WEEKLY;COUNT=4'],
    [
      'UID:w',
      'RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20260330T090000',
      'DTSTART;TZID=Europe/Paris:20260331T110000',
      'DURATION:PT30M',
      'SUMMARY:Later',
    ],
  );
  assert.deepEqual(shown(bytes).slice(2), [
    '2026-03-31T09:00..2026-03-31T09:30 Later',
    '2026-04-07T09:00..2026-04-07T09:30 Later',
  ]);
});

test('calendar: what began long before a span and goes on is within it', () => {
  const bytes = ics(['UID:1', 'DTSTART;VALUE=DATE:20260101', 'DURATION:P30D', 'RRULE:FREQ=MONTHLY;COUNT=3']);
  const span = { from: Date.UTC(2026, 2, 28), to: Date.UTC(2026, 2, 29) };
  assert.deepEqual(shown(bytes, 'UTC', span), ['2026-03-01..2026-03-30']);
});

test('calendar: zones that a calendar describes are those of the same rules', () => {
  const [own, known] = ['Company', 'Europe/Paris'].map((zone) =>
    withParts(OWN, ['UID:1', `DTSTART;TZID=${zone}:20200101T003000`, 'RRULE:FREQ=HOURLY;INTERVAL=7']),
  );
  const span = { from: Date.UTC(2020, 0), to: Date.UTC(2031, 0) };
  assert.ok(own && known);
  assert.deepEqual(shown(own, 'UTC', span), shown(known, 'UTC', span));
});

const OWN = [
  'BEGIN:VTIMEZONE',
  'TZID:Company',
  'BEGIN:STANDARD',
  'DTSTART:19701025T030000',
  'TZOFFSETFROM:+0200',
  'TZOFFSETTO:+0100',
  'RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU',
  'END:STANDARD',
  'BEGIN:DAYLIGHT',
  'DTSTART:19700329T020000',
  'TZOFFSETFROM:+0100',
  'TZOFFSETTO:+0200',
  'RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU',
  'END:DAYLIGHT',
  'END:VTIMEZONE',
];

test('calendar: zones by their name, by that of Windows, by a path, by what the calendar describes', () => {
  for (const name of [
    'Europe/Paris',
    'W. Europe Standard Time',
    'Romance Standard Time',
    '/mozilla.org/20050126_1/Europe/Paris',
    'Company',
  ])
    for (const [day, time] of [
      ['20260328', '2026-03-28T08:00'],
      ['20260329', '2026-03-29T07:00'],
      ['20261024', '2026-10-24T07:00'],
      ['20261025', '2026-10-25T08:00'],
    ] as const) {
      const bytes = withParts(OWN, ['UID:1', `DTSTART;TZID="${name}":${day}T090000`]);
      assert.deepEqual(shown(bytes), [`${time}..${time}`], `${name} on ${day}`);
      assert.deepEqual(readCalendar(bytes).untold, []);
    }
});

test('calendar: an unknown zone is said and counts as the local one', () => {
  const calendar = readCalendar(ics(['UID:1', 'SUMMARY:Lunch', 'DTSTART;TZID=Mars/Base:20260701T120000']));
  assert.deepEqual(calendar.untold, [
    'The event "Lunch" has the unknown zone "Mars/Base"; its times count as local ones.',
  ]);
});

test('calendar: times that clocks skip or show twice', () => {
  const nightly = (time: string): Buffer =>
    ics([
      'UID:1',
      `DTSTART;TZID=Europe/Paris:20260328T${time}`,
      'DURATION:PT15M',
      'RRULE:FREQ=DAILY;UNTIL=20260330T220000Z',
    ]);
  assert.deepEqual(
    shown(nightly('023000')).map((each) => each.slice(0, 16)),
    ['2026-03-28T01:30', '2026-03-29T01:30', '2026-03-30T00:30'],
  );
  const twice = ics(['UID:1', 'DTSTART;TZID=Europe/Paris:20261025T023000', 'DURATION:PT15M']);
  assert.deepEqual(shown(twice), ['2026-10-25T00:30..2026-10-25T00:45']);
  // A shift that ends at seven ends at seven on the night that is an hour longer.
  const shift = ics([
    'UID:1',
    'DTSTART;TZID=Europe/Paris:20261023T220000',
    'DTEND;TZID=Europe/Paris:20261024T070000',
    'RRULE:FREQ=DAILY;COUNT=2',
  ]);
  assert.deepEqual(shown(shift), ['2026-10-23T20:00..2026-10-24T05:00', '2026-10-24T20:00..2026-10-25T06:00']);
});

test('calendar: a day without an end, with the same day as its end, in every zone', () => {
  for (const zone of ['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Asia/Beirut', 'Europe/Paris'])
    for (const more of [[], ['DTEND;VALUE=DATE:20260329'], ['DURATION:P1D'], ['DTEND;VALUE=DATE:20260330']])
      assert.deepEqual(shown(ics(['UID:1', 'DTSTART;VALUE=DATE:20260329', ...more]), zone), ['2026-03-29..2026-03-29']);
});

test('calendar: what an event says of people, alarms and itself', () => {
  const calendar = readCalendar(
    withParts(
      ['METHOD:request'],
      [
        'UID:1',
        'DTSTART:20260701T120000Z',
        String.raw`SUMMARY:Lunch\, with a \nbreak`,
        'ORGANIZER;CN="Doe; Ann":MAILTO:Ann@Example.org',
        'ATTENDEE;PARTSTAT=DECLINED;ROLE=OPT-PARTICIPANT;RSVP=TRUE;CUTYPE=ROOM:mailto:r@example.org',
        'SEQUENCE:3',
        'CLASS:PRIVATE',
        'TRANSP:TRANSPARENT',
        'BEGIN:VALARM',
        'TRIGGER:-PT15M',
        'ACTION:DISPLAY',
        'DESCRIPTION:Soon',
        'END:VALARM',
      ],
    ),
  );
  const [event] = calendar.events;
  assert.equal(calendar.method, 'REQUEST');
  assert.deepEqual([event?.summary, event?.sequence, event?.visibility], ['Lunch, with a \nbreak', 3, 'private']);
  assert.equal(event?.busy, false);
  assert.deepEqual([event?.organizer?.name, event?.organizer?.address], ['Doe; Ann', 'ann@example.org']);
  assert.deepEqual(event?.attendees, [
    { name: '', address: 'r@example.org', answer: 'declined', role: 'optional', kind: 'room', rsvp: true },
  ]);
  assert.deepEqual(event?.alarms, [{ action: 'DISPLAY', text: 'Soon', trigger: { from: 'start', offset: -900_000 } }]);
});

test('calendar: what is unknown is written back as it was', () => {
  const bytes = withParts(
    ['X-WR-CALNAME:Home', 'BEGIN:X-OWN', 'X-A;B="c:d":e', 'END:X-OWN'],
    ['UID:1', 'DTSTART:20260701T120000Z', `X-LONG;P=1:${'é'.repeat(200)}`, 'GEO:1;2'],
  );
  const text = writeContent(readCalendar(bytes).root);
  assert.ok(text.split('\r\n').every((line) => Buffer.byteLength(line) <= 75));
  assert.equal(text.replaceAll('\r\n ', ''), bytes.toString());
});

test('calendar: rules made to keep a reader busy are given up and said', () => {
  const never = 'RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30';
  const often = 'RRULE:FREQ=MINUTELY;COUNT=1000000000';
  assert.deepEqual(shown(ics(['UID:1', 'DTSTART:20260101T000000Z', never])), ['2026-01-01T00:00..2026-01-01T00:00']);
  const { untold, occurrences } = expand(readCalendar(ics(['UID:1', 'DTSTART:20260101T000000Z', often])), YEAR, {
    zone: 'UTC',
  });
  assert.equal(occurrences.length, 20_000);
  assert.deepEqual(untold, ['"" recurs too often to be followed to its end.']);
});

test('calendar: a thousand series over a year take less than a second', () => {
  const zones = ['Europe/Paris', 'America/New_York', 'Asia/Tokyo', 'Company'];
  const rules = ['DAILY', 'WEEKLY;BYDAY=MO,WE,FR', 'MONTHLY;BYDAY=-1FR', 'YEARLY', 'WEEKLY;INTERVAL=2'];
  const events = Array.from({ length: 1000 }, (_, at) => [
    `UID:${at}`,
    `DTSTART;TZID=${zones[at % zones.length]}:20160104T090000`,
    'DURATION:PT1H',
    `RRULE:FREQ=${rules[at % rules.length]}`,
  ]);
  const calendar = readCalendar(withParts(OWN, ...events));
  const begin = process.cpuUsage();
  const { occurrences } = expand(calendar, YEAR, { zone: 'Europe/Paris' });
  // Of this process: others may be busy meanwhile.
  const took = process.cpuUsage(begin).user / 1000;
  assert.ok(occurrences.length > 110_000, String(occurrences.length));
  assert.ok(took < 1000, `${Math.round(took)} ms for ${occurrences.length}`);
  console.log(`${occurrences.length} occurrences of 1,000 series in ${Math.round(took)} ms`);
});
