import assert from 'node:assert/strict';
import { test } from 'node:test';
import { switchOf, timesOf } from '../../src/simulate/calendar.ts';
import { isOf, TRIGGERS } from '../../src/simulate/causes.ts';
import { plannedOf } from '../../src/simulate/counts.ts';
import { makePlan } from '../../src/simulate/plan.ts';

const iso = (times: readonly number[]): string[] => times.map((time) => new Date(time).toISOString());

test('a week is planned by its seed alone, and is as full as it has to be', () => {
  assert.deepEqual(makePlan(7, 7), makePlan(7, 7));
  assert.notDeepEqual(makePlan(7, 7), makePlan(8, 7));
  for (let seed = 1; seed <= 20; seed += 1) {
    const plan = makePlan(seed, 7);
    assert.ok(plan.start < plan.switchAt && plan.switchAt < plan.end, 'clocks are put in it');
    const once = Object.values(plan.orders).filter(({ lines }) => !lines.some(({ text }) => text.endsWith('#')));
    assert.ok(once.length >= 240, `seed ${seed}: ${once.length} pieces of work beside what the clock makes`);
    const { firings, faults, webhooks, orders } = plannedOf(plan);
    assert.ok(orders >= 240 && orders <= once.length, `seed ${seed}: ${orders} orders`);
    assert.ok(firings >= 110, `seed ${seed}: ${firings} firings`);
    assert.ok(faults >= 70, `seed ${seed}: ${faults} faults`);
    assert.ok(webhooks >= 25 && plan.hooks.some(({ booking }) => !booking), `seed ${seed}: ${webhooks} webhooks`);
    const given = Object.values(plan.orders).flatMap(({ steps }) => steps.flatMap(({ calls }) => calls));
    assert.ok(given.filter(({ args }) => 'deadline' in args).length >= 5, `seed ${seed}: too few deadlines`);
    assert.ok(given.filter(({ args }) => 'artefacts' in args).length >= 3, `seed ${seed}: too few artefacts`);
  }
});

test('system gives email its report, and calendar gives writing a deadline', () => {
  const plan = makePlan(1, 7);
  const leads = (schedule: string, agent: string): string[] => {
    const { order = '', agent: from = '' } = plan.schedules.find(({ name }) => name === schedule) ?? {};
    const paths = plan.orders[order]?.lines.map(({ path }) => path.replace('#', '1')) ?? [];
    const fits = ({ source }: (typeof TRIGGERS)[number]): boolean =>
      source.on === 'file.landed' && source.paths.some((glob) => paths.some((path) => isOf(glob, path)));
    return TRIGGERS.filter((trigger) => trigger.agent === agent && fits(trigger)).map(
      (trigger) => `${from} → ${trigger.agent}: ${plan.orders[trigger.order]?.lines[0]?.text}`,
    );
  };
  assert.deepEqual(leads('report', 'email'), ['system → email: sent-report #']);
  assert.deepEqual(leads('deadlines', 'writing'), ['calendar → writing: deadline-text #']);
  assert.equal(isOf('a/*.md', 'a/b/c.md') || isOf('a/*.md', 'a/.md') || isOf('a/*.md', 'a/b.txt'), false);
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
