import assert from 'node:assert/strict';
import { test } from 'node:test';
import { switchOf, timesOf } from '../../src/simulate/calendar.ts';
import { makePlan } from '../../src/simulate/plan.ts';

const iso = (times: readonly number[]): string[] => times.map((time) => new Date(time).toISOString());

test('a week is planned by its seed alone, and is as full as it has to be', () => {
  assert.deepEqual(makePlan(7, 7), makePlan(7, 7));
  assert.notDeepEqual(makePlan(7, 7), makePlan(8, 7));
  for (let seed = 1; seed <= 20; seed += 1) {
    const plan = makePlan(seed, 7);
    assert.ok(plan.start < plan.switchAt && plan.switchAt < plan.end, 'clocks are put in it');
    const once = Object.values(plan.orders).filter(({ lines }) => !lines.some(({ text }) => text.endsWith('#')));
    assert.ok(once.length >= 350, `seed ${seed}: ${once.length} pieces of work beside what the clock makes`);
    const firings = plan.schedules.flatMap(({ when }) => timesOf(when, plan.start, plan.end));
    assert.ok(firings.length >= 120, `seed ${seed}: ${firings.length} firings`);
    const acts = plan.acts.filter(({ do: what }) => ['kill', 'full', 'jump', 'edit'].includes(what)).length;
    const mail = plan.messages.filter(({ again, send }) => again.length > 0 || send !== 'ok').length;
    assert.ok(acts + mail + plan.outages.length >= 55, `seed ${seed}: too few faults`);
  }
});

test('times are reckoned by the clocks of Paris', () => {
  const at = (hour: number, minute: number) => ({ minute, hours: [hour], weekdays: null });
  const spring = switchOf(2027, 2);
  assert.equal(iso([spring, switchOf(2026, 9)]).join(), '2027-03-28T01:00:00.000Z,2026-10-25T01:00:00.000Z');
  const day = 86_400_000;
  assert.deepEqual(iso(timesOf(at(2, 30), spring - day, spring + day)), [
    '2027-03-27T01:30:00.000Z',
    '2027-03-29T00:30:00.000Z',
  ]);
  const autumn = switchOf(2026, 9);
  assert.deepEqual(iso(timesOf(at(2, 30), autumn - day / 2, autumn + day / 2)), ['2026-10-25T00:30:00.000Z']);
  assert.deepEqual(timesOf({ everyMs: day }, autumn, autumn + 2 * day), [autumn + day, autumn + 2 * day]);
});
