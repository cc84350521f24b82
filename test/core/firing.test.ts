import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Firings, openFirings } from '../../src/core/time/firing.ts';
import type { Timing } from '../../src/core/schedule.ts';
import { openWall, readMoment } from '../../src/core/time/wall.ts';
import { readCron } from '../../src/config/cron.ts';
import { effort, tries } from '../fakes/effort.ts';

const COMMON = { zone: 'UTC', until: null, activeHours: null, jitter: 0 };

function firingsOf(timing: { cron: string } | { every: number } | { at: string }, more: Partial<Timing> = {}): Firings {
  const own =
    'cron' in timing
      ? { kind: 'cron', cron: timing.cron }
      : 'every' in timing
        ? { kind: 'every', ms: timing.every }
        : { kind: 'at', at: timing.at };
  const opened = openFirings({ id: 's', anchor: 0, readCron, timing: { ...COMMON, ...own, ...more } as Timing });
  assert.ok(opened.ok, JSON.stringify(opened));
  return opened.firings;
}

const iso = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString().slice(0, 19));

/** The next so many times after a moment; the same must be found backwards. */
function next(firings: Firings, from: string, count: number): (string | null)[] {
  const times: number[] = [];
  for (let time = firings.after(Date.parse(from)); time !== null && times.length < count; time = firings.after(time))
    times.push(time);
  const back: number[] = [];
  let time = firings.upTo(times.at(-1) ?? 0);
  for (; time !== null && back.length < times.length; time = firings.upTo(time - 1)) back.unshift(time);
  assert.deepEqual(back, times);
  return times.map(iso);
}

/*
 * robfig-vectors.json: the tables of spec_test.go of robfig/cron at bc59245, MIT licence, © Rob Figueiredo. Its dialect
 * differs from OCPS in the step without a range (`0/15`), and in what it does when clocks are put back: a time that
 * comes twice fires twice there.
 */
interface Vectors {
  next: { from: string; spec: string; next: string | null }[];
  activation: { time: string; spec: string; expected: boolean }[];
}
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/cron/robfig-vectors.json'), 'utf8'),
) as Vectors;

const RANGES_6 = ['59', '59', '23', '31', '12', '7'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** `5/15` means `5-59/15` there. */
function inOcps(spec: string): string {
  if (spec.startsWith('@')) return spec;
  const fields = spec.split(' ');
  const most = RANGES_6.slice(6 - fields.length);
  return fields
    .map((field, at) => {
      const [, start = '', step = ''] = /^([^*/-]+)\/(\d+)$/.exec(field) ?? [];
      const day = DAYS.indexOf(start.toLowerCase());
      return step === '' ? field : `${day < 0 ? start : day}-${at === fields.length - 1 ? 6 : most[at]}/${step}`;
    })
    .join(' ');
}

function caseOf(from: string, spec: string): { zone: string; instant: number; cron: string } {
  const tz = /(?:CRON_)?TZ=(\S+) /.exec(`${from} ${spec}`);
  const plain = from.replace(/^TZ=\S+ /, '');
  const instant = Date.parse(/^\d{4}/.test(plain) ? plain.replace(/(\d\d)(\d\d)$/, '$1:$2') : `${plain} UTC`);
  return { zone: tz?.[1] ?? 'UTC', instant, cron: inOcps(spec.replace(/^(?:CRON_)?TZ=\S+ /, '')) };
}

/** From where a wall clock of New York shows for the second time what it has shown before. */
const REPEATED: readonly (readonly [from: number, to: number])[] = [
  [Date.parse('2012-11-04T06:00:00Z'), Date.parse('2012-11-04T07:00:00Z')],
];

test('the next times of robfig/cron, but for times that come twice', () => {
  let [same, twice] = [0, 0];
  for (const vector of vectors.next) {
    const { zone, instant, cron } = caseOf(vector.from, vector.spec);
    const found = firingsOf({ cron }, { zone }).after(instant);
    const expected = vector.next === null ? null : caseOf(vector.next, '').instant;
    const again =
      expected !== null && REPEATED.some(([from, to]) => zone !== 'UTC' && expected >= from && expected < to);
    if (again) {
      twice += 1;
      assert.ok(found !== null && found > expected, `${cron} after ${vector.from}`);
    } else {
      same += 1;
      assert.equal(iso(found), iso(expected), `${cron} (${zone}) after ${vector.from}`);
    }
  }
  assert.equal(same + twice, 58);
  assert.equal(twice, 5);
});

test('what robfig/cron says of a moment', () => {
  for (const { time, spec, expected } of vectors.activation) {
    const instant = Date.parse(`${time} UTC`);
    assert.equal(firingsOf({ cron: inOcps(spec) }).upTo(instant) === instant, expected, `${spec} at ${time}`);
  }
  assert.equal(vectors.activation.length, 29);
});

/*
 * OCPS 1.4, §4.3.1: a time that the clocks leap over is skipped; one that they show twice fires once, the first time.
 * zone, cron, from, then what is expected, in UTC.
 */
const SWITCHES: readonly (readonly [zone: string, cron: string, from: string, ...times: string[]])[] = [
  // 2026-03-29 02:00 → 03:00
  ['Europe/Paris', '30 2 * * *', '2026-03-27T12:00Z', '2026-03-28T01:30', '2026-03-30T00:30', '2026-03-31T00:30'],
  ['Europe/Paris', '0 3 * * *', '2026-03-28T12:00Z', '2026-03-29T01:00', '2026-03-30T01:00'],
  ['Europe/Paris', '59 1 * * *', '2026-03-28T12:00Z', '2026-03-29T00:59', '2026-03-29T23:59'],
  ['Europe/Paris', '*/30 * * * *', '2026-03-29T00:15Z', '2026-03-29T00:30', '2026-03-29T01:00', '2026-03-29T01:30'],
  ['Europe/Paris', '30 2,14 * * *', '2026-03-28T20:00Z', '2026-03-29T12:30', '2026-03-30T00:30'],
  ['Europe/Paris', '30 2 29 3 *', '2025-12-01T00:00Z', '2027-03-29T00:30', '2028-03-29T00:30'],
  // 2026-10-25 03:00 → 02:00
  ['Europe/Paris', '30 2 * * *', '2026-10-24T12:00Z', '2026-10-25T00:30', '2026-10-26T01:30'],
  ['Europe/Paris', '0 2 * * *', '2026-10-24T12:00Z', '2026-10-25T00:00', '2026-10-26T01:00'],
  ['Europe/Paris', '0 3 * * *', '2026-10-24T12:00Z', '2026-10-25T02:00', '2026-10-26T02:00'],
  ['Europe/Paris', '*/30 * * * *', '2026-10-25T00:15Z', '2026-10-25T00:30', '2026-10-25T02:00', '2026-10-25T02:30'],
  ['Europe/Paris', '0 * * * *', '2026-10-25T01:30Z', '2026-10-25T02:00', '2026-10-25T03:00'],
  ['Europe/Paris', '30 45 2 * * *', '2026-10-25T00:00Z', '2026-10-25T00:45:30', '2026-10-26T01:45:30'],
  // 2026-03-08 02:00 → 03:00 and 2026-11-01 02:00 → 01:00
  ['America/New_York', '30 2 * * *', '2026-03-07T00:00Z', '2026-03-07T07:30', '2026-03-09T06:30'],
  ['America/New_York', '0 3 * * *', '2026-03-07T12:00Z', '2026-03-08T07:00', '2026-03-09T07:00'],
  ['America/New_York', '30 1 * * *', '2026-10-31T12:00Z', '2026-11-01T05:30', '2026-11-02T06:30'],
  ['America/New_York', '30 1 * * *', '2026-11-01T06:00Z', '2026-11-02T06:30'],
  // Half an hour: 2026-10-04 02:00 → 02:30 and 2026-04-05 02:00 → 01:30
  ['Australia/Lord_Howe', '15 2 * * *', '2026-10-02T20:00Z', '2026-10-04T15:15', '2026-10-05T15:15'],
  ['Australia/Lord_Howe', '30 2 * * *', '2026-10-03T00:00Z', '2026-10-03T15:30', '2026-10-04T15:30'],
  ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T00:00Z', '2026-04-04T14:45', '2026-04-05T15:15'],
  [
    'Australia/Lord_Howe',
    '*/15 1 * * *',
    '2026-04-04T14:20Z',
    '2026-04-04T14:30',
    '2026-04-04T14:45',
    '2026-04-05T14:30',
  ],
];

test('when clocks change', () => {
  for (const [zone, cron, from, ...expected] of SWITCHES)
    assert.deepEqual(
      next(firingsOf({ cron }, { zone }), from, expected.length),
      expected.map((time) => time.padEnd(19, ':00')),
      `${cron} in ${zone} after ${from}`,
    );
  assert.ok(SWITCHES.length >= 20);
});

test('every counts time that goes by, whatever the clocks do', () => {
  const firings = firingsOf({ every: 1_800_000 }, { zone: 'Europe/Paris' });
  const times = next(firings, '2026-10-25T00:10Z', 4);
  assert.deepEqual(times, ['2026-10-25T00:30:00', '2026-10-25T01:00:00', '2026-10-25T01:30:00', '2026-10-25T02:00:00']);
  // The moment it is counted from is not one of them.
  assert.equal(firings.after(-5_000_000), 1_800_000);
  assert.equal(firings.upTo(1_799_999), null);
  assert.equal(firings.upTo(1_800_000), 1_800_000);
});

test('at is one moment: by the clock of the zone, the first of two, or with an offset', () => {
  const one = (at: string, zone = 'Europe/Paris'): string | null => iso(firingsOf({ at }, { zone }).after(0));
  assert.equal(one('2026-12-24T08:00'), '2026-12-24T07:00:00');
  assert.equal(one('2026-10-25T02:30'), '2026-10-25T00:30:00');
  assert.equal(one('2026-10-25 02:30:05'), '2026-10-25T00:30:05');
  assert.equal(one('2026-12-24T08:00:00-05:30'), '2026-12-24T13:30:00');
  assert.equal(one('2026-12-24T08:00Z'), '2026-12-24T08:00:00');
  const { after, upTo } = firingsOf({ at: '1970-01-02T00:00' });
  assert.deepEqual(
    [after(86_400_000), after(86_399_999), upTo(86_399_999), upTo(86_400_000)],
    [null, 86_400_000, null, 86_400_000],
  );
});

test('until: a day counts to its end, a moment is the last one', () => {
  const last = (until: string, zone: string): string | null =>
    iso(firingsOf({ cron: '*/30 * * * *' }, { until, zone }).upTo(1e14));
  assert.equal(last('2026-12-31', 'UTC'), '2026-12-31T23:30:00');
  assert.equal(last('2026-12-31', 'Europe/Paris'), '2026-12-31T22:30:00');
  assert.equal(last('2026-12-31T18:00', 'UTC'), '2026-12-31T18:00:00');
  assert.equal(last('2026-12-31T17:59:59', 'UTC'), '2026-12-31T17:30:00');
  assert.equal(last('2026-12-31T18:00+01:00', 'UTC'), '2026-12-31T17:00:00');
  assert.equal(firingsOf({ cron: '@daily' }, { until: '2026-12-31' }).after(Date.parse('2026-12-31T00:00Z')), null);
});

test('active hours, also over midnight and where clocks change', () => {
  const hours = (from: number, to: number) => ({ activeHours: { from: from * 60, to: to * 60 } });
  const day = firingsOf({ cron: '0 */6 * * *' }, hours(8, 18));
  assert.deepEqual(next(day, '2026-01-01T00:00Z', 2), ['2026-01-01T12:00:00', '2026-01-02T12:00:00']);
  const edges = firingsOf({ cron: '0 * * * *' }, hours(8, 10));
  assert.deepEqual(next(edges, '2026-01-01T00:00Z', 3), [
    '2026-01-01T08:00:00',
    '2026-01-01T09:00:00',
    '2026-01-02T08:00:00',
  ]);
  const night = firingsOf({ cron: '0 * * * *' }, hours(22, 2));
  assert.deepEqual(
    next(night, '2026-01-01T20:00Z', 5).map((time) => time?.slice(11, 13)),
    ['22', '23', '00', '01', '22'],
  );
  const seconds = firingsOf({ every: 1_000 }, { zone: 'Europe/Paris', ...hours(3, 4) });
  assert.deepEqual(next(seconds, '2026-03-28T12:00Z', 1), ['2026-03-29T01:00:00']);
});

test('active hours know the days of the week on which they begin', () => {
  // 1 January 2026 is a Thursday.
  const days = (activeHours: NonNullable<Timing['activeHours']>) =>
    next(firingsOf({ cron: '0 */8 * * *' }, { activeHours }), '2026-01-01T00:00Z', 4).map((time) => time?.slice(5, 13));
  assert.deepEqual(days({ from: 480, to: 1080, days: [1, 2, 3, 4, 5] }), [
    '01-01T08',
    '01-01T16',
    '01-02T08',
    '01-02T16',
  ]);
  assert.deepEqual(days({ from: 480, to: 600, days: [1] }), ['01-05T08', '01-12T08', '01-19T08', '01-26T08']);
  assert.deepEqual(days({ from: 0, to: 1440, days: [0, 6] }), ['01-03T00', '01-03T08', '01-03T16', '01-04T00']);
  // The night of a Friday ends on Saturday.
  assert.deepEqual(days({ from: 22 * 60, to: 9 * 60, days: [5] }), ['01-03T00', '01-03T08', '01-10T00', '01-10T08']);
});

test('an interval that never meets its hours fires when they begin, and others keep their steps', () => {
  const hours = (from: number, to: number, more: object = {}) => ({ activeHours: { from, to, ...more } });
  const daily = (more: Partial<Timing>) =>
    next(firingsOf({ every: 86_400_000 }, more), '2026-01-01T12:00Z', 3).map((time) => time?.slice(5, 16));
  // Counted from midnight: at 10 in the morning hours they wait until those begin, each day once.
  assert.deepEqual(daily(hours(9 * 60, 17 * 60)), ['01-02T09:00', '01-03T09:00', '01-04T09:00']);
  assert.deepEqual(daily(hours(23 * 60, 30)), ['01-02T00:00', '01-03T00:00', '01-04T00:00']);
  assert.deepEqual(daily(hours(9 * 60, 17 * 60, { days: [1] })), ['01-05T09:00', '01-12T09:00', '01-19T09:00']);
  assert.deepEqual(daily({ ...hours(9 * 60, 17 * 60), until: '2026-01-02' }), ['01-02T09:00', null].slice(0, 1));
  const often = firingsOf({ every: 7 * 3_600_000 }, hours(8 * 60, 10 * 60));
  const shown = next(often, '2026-01-01T00:00Z', 12).map((time) => Number(time?.slice(11, 13)));
  assert.ok(
    shown.every((hour) => hour === 8 || hour === 9),
    String(shown),
  );
});

test('jitter never leaves the hours, nor goes beyond the end', () => {
  for (let n = 0; n < 200; n++) {
    const timing = { kind: 'cron', cron: '55 17 * * *', zone: 'Europe/Paris', jitter: 3_600_000 } as const;
    const open = (more: Partial<Timing>): Firings => {
      const opened = openFirings({
        id: `s${n}`,
        anchor: 0,
        readCron,
        timing: { ...COMMON, ...timing, ...more } as Timing,
      });
      assert.ok(opened.ok);
      return opened.firings;
    };
    const time = Date.UTC(2026, 0, 5, 16, 55);
    const due = open({ activeHours: { from: 480, to: 1080, days: [1] } }).due(time);
    assert.ok(due >= time && due < time + 5 * 60_000, iso(due) ?? '');
    const last = open({ until: '2026-01-05T18:00' }).due(time);
    assert.ok(last >= time && last <= time + 5 * 60_000, iso(last) ?? '');
  }
});

test('what can be found forwards is found backwards: in any zone, with any bounds', () => {
  const zones = [
    'UTC',
    'Europe/Paris',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kathmandu',
    'Africa/Casablanca',
  ];
  const crons = [
    '*/7 * * * *',
    '30 2 * * *',
    '15 1,2,3 * * *',
    '0 0 L * *',
    '0 9 * * +1',
    '5 0 29 2 *',
    '0 12 1 * MON',
    '*/20 59 1-3 * * *',
  ];
  const hours = fc.option(
    fc
      .record({ from: fc.integer({ min: 0, max: 1439 }), to: fc.integer({ min: 1, max: 1440 }) })
      .filter(({ from, to }) => from !== to),
  );
  let looked = 0;
  const property = fc.property(
    fc.constantFrom(...zones),
    fc.constantFrom(...crons),
    hours,
    fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2027, 0) }),
    fc.oneof(fc.constant(null), fc.subarray([0, 1, 2, 3, 4, 5, 6], { minLength: 1 })),
    fc.oneof(fc.constant(null), fc.integer({ min: 20, max: 3_000 })),
    (zone, cron, given, from, days, every) => {
      const activeHours = given === null || days === null ? given : { ...given, days };
      const firings = firingsOf(every === null ? { cron } : { every: every * 60_000 }, { zone, activeHours });
      let time = firings.after(from);
      for (let n = 0; n < 8 && time !== null; n++) {
        assert.ok(time > from);
        assert.equal(firings.upTo(time), time);
        const later = firings.after(time);
        if (later !== null) assert.equal(firings.upTo(later - 1), time);
        looked += 1;
        time = later;
      }
    },
  );
  fc.assert(property, tries(20, 150));
  assert.ok(looked > effort(50, 400), String(looked));
});

test('a wall clock: what it shows and when, over years', () => {
  const zones = ['Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/Sao_Paulo'];
  const property = fc.property(
    fc.constantFrom(...zones),
    fc.integer({ min: Date.UTC(2005, 0), max: Date.UTC(2035, 0) }),
    (zone, instant) => {
      const wall = openWall(zone);
      assert.ok(wall);
      const shown = wall.at(instant);
      const found = wall.instant(shown);
      assert.ok(found !== null && found <= instant && instant - found <= 3_600_000);
      assert.equal(wall.at(found), shown);
      assert.ok(wall.latest(instant) >= shown);
    },
  );
  fc.assert(property, { numRuns: 500 });
  // A whole day that never was: Samoa went over the date line.
  const apia = openWall('Pacific/Apia');
  assert.equal(apia?.instant(Date.UTC(2011, 11, 30, 12)), null);
  for (const zone of ['Mars/Phobos', '', '+01:00', 'Europe/Nowhere', 'Europe/Paris '])
    assert.equal(openWall(zone), null, zone);
});

test('moments as people write them', () => {
  assert.deepEqual(readMoment('2026-12-24'), { wall: Date.UTC(2026, 11, 24), offset: null, dateOnly: true });
  assert.deepEqual(readMoment('2026-12-24T08:00'), { wall: Date.UTC(2026, 11, 24, 8), offset: null, dateOnly: false });
  assert.equal(readMoment('2026-12-24T08:00-03:30')?.offset, -12_600_000);
  assert.equal(readMoment('2026-12-24T08:00Z')?.offset, 0);
  for (const wrong of [
    '2026-02-29',
    '2026-13-01',
    '2026-1-1',
    '24.12.2026',
    '2026-12-24T24:00',
    '2026-12-24T08',
    '2026-12-24T08:60',
    '2026-12-24T08:00:60',
    '2026-00-10',
    'tomorrow',
  ])
    assert.equal(readMoment(wrong), null, wrong);
});

test('patterns that are none', () => {
  const wrong: readonly (readonly [pattern: string, said: RegExp])[] = [
    ['61 * * * *', /minute: 61/],
    ['* * * *', /has 4 fields; 5 .* or 6/],
    ['0 0 0 1 1 * 2026', /has 7 fields/],
    ['? * * * *', /"\?" only alone/],
    ['0 0 1,? * *', /"\?" only alone/],
    ['@reboot', /there is no @reboot/],
    ['@Daily', /there is no @Daily/],
    ['0 0 10-5 * *', /From value is larger/],
    ['0 0 /30 * *', /missing prefix/],
    ['0 12 +1 * MON', /illegal characters/],
    ['0 12 1-15W * *', /W is not allowed/],
    ['*/0 * * * *', /stepping: 0/],
    ['every day', /has 2 fields/],
    ['', /has 1 fields/],
  ];
  for (const [pattern, said] of wrong) {
    const read = readCron(pattern);
    assert.ok(!read.ok, pattern);
    assert.match(read.error, said, pattern);
  }
  for (const pattern of [
    '0 0 * * ?',
    '0 0 ? * MON',
    '@hourly',
    ' 0\t0 * * * ',
    '0 0 L * *',
    '0 0 * * FRI#L',
    '0 12 1 * +MON',
    '0 12 15W * *',
  ])
    assert.ok(readCron(pattern).ok, pattern);
});
