import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeContent, type Component } from '../../../src/accounts/calendar/content.ts';
import { edit, type Changes, type Target } from '../../../src/accounts/calendar/edit.ts';
import { expand } from '../../../src/accounts/calendar/expand.ts';
import { merge } from '../../../src/accounts/calendar/merge.ts';
import { readCalendar } from '../../../src/accounts/calendar/read.ts';
import type { When } from '../../../src/core/calendar.ts';
import { ics } from './ics.ts';

const SPAN = { from: Date.UTC(2026, 0), to: Date.UTC(2028, 0) };
const CONTEXT = { zone: 'Europe/Paris', now: Date.UTC(2026, 0, 1), newUid: 'new' };

const shown = (root: Component | null): string[] => {
  if (root === null) return [];
  const { occurrences } = expand(readCalendar(Buffer.from(writeContent(root))), SPAN, { zone: CONTEXT.zone });
  return occurrences.map(({ start, event }) => `${new Date(start).toISOString().slice(0, 16)} ${event.summary}`);
};

function edited(bytes: Uint8Array, target: Partial<Target>, changes: Changes | null): string[] {
  const done = edit(readCalendar(bytes), { uid: 'w', id: null, following: false, ...target }, changes, CONTEXT);
  assert.ok(done.ok, done.ok ? '' : done.error);
  return [...shown(done.root), ...shown(done.split)].sort();
}

const SERIES = [
  'UID:w',
  'SUMMARY:Weekly',
  'DTSTART;TZID=Europe/Paris:20260316T090000',
  'DTEND;TZID=Europe/Paris:20260316T100000',
  'RRULE:FREQ=WEEKLY;COUNT=4',
  'X-KEPT;A="b:c":d',
];
const paris = (wall: string): When => ({ wall: Date.parse(`${wall}Z`), zone: 'Europe/Paris', allDay: false });

test('calendar: one occurrence is changed, moved, cancelled', () => {
  const id = '20260330T070000Z';
  const rest = ['2026-03-16T08:00 Weekly', '2026-03-23T08:00 Weekly', '2026-04-06T07:00 Weekly'];
  assert.deepEqual(edited(ics(SERIES), { id }, null), rest);
  assert.deepEqual(
    edited(ics(SERIES), { id }, { summary: 'Once; only', start: paris('2026-03-31T11:00') }),
    [...rest, '2026-03-31T09:00 Once; only'].sort(),
  );
  const wrong = edit(readCalendar(ics(SERIES)), { uid: 'w', id: '20260331T070000Z', following: false }, null, CONTEXT);
  assert.equal(wrong.ok, false);
});

test('calendar: this and the following become a series of their own, with what is left of the count', () => {
  const target = { id: '20260330T070000Z', following: true };
  const first = ['2026-03-16T08:00 Weekly', '2026-03-23T08:00 Weekly'];
  assert.deepEqual(edited(ics(SERIES), target, null), first);
  assert.deepEqual(edited(ics(SERIES), target, { summary: 'Late', start: paris('2026-03-30T12:00') }), [
    ...first,
    '2026-03-30T10:00 Late',
    '2026-04-06T10:00 Late',
  ]);
});

test('calendar: all of a series is moved, with its exceptions', () => {
  const bytes = ics(
    [...SERIES, 'EXDATE;TZID=Europe/Paris:20260323T090000'],
    ['UID:w', 'SUMMARY:Odd', 'RECURRENCE-ID:20260330T070000Z', 'DTSTART:20260330T150000Z'],
  );
  assert.deepEqual(edited(bytes, {}, { start: paris('2026-03-16T11:00') }), [
    '2026-03-16T10:00 Weekly',
    '2026-03-30T15:00 Odd',
    '2026-04-06T09:00 Weekly',
  ]);
  const done = edit(readCalendar(bytes), { uid: 'w', id: null, following: false }, { location: 'Room 1' }, CONTEXT);
  assert.ok(done.ok && done.root !== null);
  assert.match(writeContent(done.root), /X-KEPT;A="b:c":d\r\n/);
  assert.deepEqual(edited(bytes, {}, null), []);
});

test('calendar: cancelling any occurrence, alone or with the following, leaves exactly the others', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('DAILY', 'WEEKLY;BYDAY=MO,TH', 'MONTHLY;BYMONTHDAY=31,-2', 'WEEKLY;INTERVAL=2'),
      fc.constantFrom(';COUNT=9', ';UNTIL=20260531T220000Z', ''),
      fc.constantFrom(
        'DTSTART;TZID=America/New_York:20260226T233000',
        'DTSTART:20260226T100000Z',
        'DTSTART:20260226T100000',
        'DTSTART;VALUE=DATE:20260226',
      ),
      fc.nat(8),
      fc.boolean(),
      (rule, end, start, at, following) => {
        const bytes = ics(['UID:w', start, `RRULE:FREQ=${rule}${end}`]);
        const file = readCalendar(bytes);
        const all = expand(file, SPAN, { zone: CONTEXT.zone }).occurrences;
        const chosen = all[at % all.length];
        assert.ok(chosen);
        const done = edit(file, { uid: 'w', id: chosen.id, following }, null, CONTEXT);
        assert.ok(done.ok);
        const left = all.filter((each) => (following ? each.start < chosen.start : each !== chosen));
        assert.deepEqual(
          shown(done.root),
          left.map((each) => `${new Date(each.start).toISOString().slice(0, 16)} `),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test('calendar: two edits of one base are joined by field, or said to collide', () => {
  const base = readCalendar(ics(SERIES));
  const by = (changes: Changes): Component => {
    const done = edit(base, { uid: 'w', id: null, following: false }, changes, CONTEXT);
    assert.ok(done.ok && done.root !== null);
    return done.root;
  };
  const joined = merge(base.root, by({ summary: 'Mine' }), by({ start: paris('2026-03-16T11:00') }));
  assert.ok(joined.ok);
  assert.equal(shown(joined.root)[0], '2026-03-16T10:00 Mine');
  assert.deepEqual(merge(base.root, by({ summary: 'Mine' }), by({ summary: 'Theirs', location: 'x' })), {
    ok: false,
    collisions: ['"Mine": SUMMARY'],
  });
  const moved = merge(base.root, by({ start: paris('2026-03-16T11:00') }), by({ end: paris('2026-03-16T12:00') }));
  assert.deepEqual(moved, { ok: false, collisions: ['"Weekly": when it takes place'] });
});
