import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHours } from '../../src/core/time/hours.ts';
import { closes } from '../../src/core/time/hours.ts';
import { openWall } from '../../src/core/time/wall.ts';

const end = (hours: string, zone: string, now: string): string | null => {
  const read = readHours(hours);
  const wall = openWall(zone);
  assert.ok(wall && read);
  const until = closes(Date.parse(now), wall, read);
  return until === null ? null : new Date(until).toISOString().replace('.000Z', 'Z');
};

test('quiet hours end when the clock on the wall shows it, in summer and winter', () => {
  const rows: [hours: string, zone: string, now: string, until: string | null][] = [
    ['22:00-07:00', 'UTC', '2026-11-30T21:59:59Z', null],
    ['22:00-07:00', 'UTC', '2026-11-30T22:00:00Z', '2026-12-01T07:00:00Z'],
    ['22:00-07:00', 'UTC', '2026-12-01T06:59:59Z', '2026-12-01T07:00:00Z'],
    ['22:00-07:00', 'UTC', '2026-12-01T07:00:00Z', null],
    ['12:00-13:30', 'UTC', '2026-12-01T12:10:00Z', '2026-12-01T13:30:00Z'],
    ['12:00-24:00', 'UTC', '2026-12-01T23:59:59Z', '2026-12-02T00:00:00Z'],
    ['22:00-07:00', 'Europe/Paris', '2026-11-30T21:30:00Z', '2026-12-01T06:00:00Z'],
    // The night in which clocks are put forward, and the one in which they are put back.
    ['22:00-07:00', 'Europe/Paris', '2026-03-28T22:00:00Z', '2026-03-29T05:00:00Z'],
    ['22:00-07:00', 'Europe/Paris', '2026-10-24T21:00:00Z', '2026-10-25T06:00:00Z'],
    // An end that no clock shows that night, and one that is shown twice.
    ['22:00-02:30', 'Europe/Paris', '2026-03-29T00:30:00Z', '2026-03-29T01:30:00Z'],
    ['22:00-02:30', 'Europe/Paris', '2026-10-25T00:10:00Z', '2026-10-25T00:30:00Z'],
    ['22:00-02:30', 'Europe/Paris', '2026-10-25T01:10:00Z', '2026-10-25T01:30:00Z'],
    ['22:00-07:00', 'Asia/Kolkata', '2026-11-30T18:00:00Z', '2026-12-01T01:30:00Z'],
    // On some days only: those on which they begin.
    ['Mon-Fri 22:00-07:00', 'UTC', '2026-11-28T23:00:00Z', null],
    ['Mon-Fri 22:00-07:00', 'UTC', '2026-11-28T06:00:00Z', '2026-11-28T07:00:00Z'],
    ['Sat,Sun', 'UTC', '2026-11-28T06:00:00Z', '2026-11-30T00:00:00Z'],
    ['Sat,Sun', 'UTC', '2026-11-30T00:00:00Z', null],
  ];
  for (const [hours, zone, now, until] of rows) assert.equal(end(hours, zone, now), until, `${hours} ${zone} ${now}`);
});

test('the end is always ahead, less than a day and two hours away', () => {
  const start = Date.UTC(2026, 2, 28);
  for (const zone of ['Europe/Paris', 'America/New_York', 'Australia/Lord_Howe'])
    for (const hours of ['22:00-07:00', '01:00-02:30', '02:30-01:00'])
      for (let at = start; at < start + 370 * 86_400_000; at += 29 * 3_600_000 + 13 * 60_000) {
        const until = end(hours, zone, new Date(at).toISOString());
        if (until === null) continue;
        const left = Date.parse(until) - at;
        assert.ok(left > 0 && left < 26 * 3_600_000, `${zone} ${hours} ${new Date(at).toISOString()}: ${until}`);
      }
});
