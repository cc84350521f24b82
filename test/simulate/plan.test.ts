import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { parseAgent } from '../../src/config/agent.ts';
import { switchOf, timesOf } from '../../src/simulate/calendar.ts';
import { isOf, TRIGGERS } from '../../src/simulate/causes.ts';
import { countPlay, plannedOf } from '../../src/simulate/counts.ts';
import { agentFile } from '../../src/simulate/network.ts';
import { AGENTS } from '../../src/simulate/orders.ts';
import { makePlan } from '../../src/simulate/plan.ts';
import { KNOWN } from '../fakes/known.ts';
import { sound } from './sound.ts';

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

test('the files of the agents say what the plan says, by the product’s own reader', () => {
  const { schedules } = makePlan(1, 7);
  for (const name of AGENTS) {
    const { agent, problems } = parseAgent(agentFile(name, schedules), `agents/${name}/AGENT.md`, name, KNOWN);
    assert.deepEqual(problems, [], name);
    const planned = schedules.filter((each) => each.agent === name).map((each) => `${each.name} ${each.jitter}`);
    assert.deepEqual(
      agent?.schedules.map((each) => `${each.name} ${each.timing.jitter}`),
      planned,
    );
    assert.deepEqual(
      agent?.triggers?.map((each) => [each.name, each.source.on, each.debounce, each.limit]),
      TRIGGERS.filter((each) => each.agent === name).map((each) => [
        each.name,
        each.source.on,
        each.debounceMs,
        each.limit,
      ]),
    );
  }
});

test('what a play is told to have had is counted from its record', () => {
  const story = sound();
  rmSync(dirname(story.home), { recursive: true });
  story.world.push(
    { t: 0, wall: 0, kind: 'fault', fault: 'kill', id: '1' },
    { t: 0, wall: 0, kind: 'fault', fault: 'kill', id: '2' },
  );
  const { from, to, switchAt, ...counts } = countPlay(story);
  assert.deepEqual([from, to, switchAt], [story.plan.start, story.plan.end, story.plan.switchAt]);
  assert.deepEqual(counts, {
    tasks: { dead: 3, done: 25 },
    firings: 5,
    missed: 2,
    triggered: 5,
    skipped: 1,
    webhooks: 2,
    late: 1,
    handOvers: 0,
    escalations: 4,
    waits: 2,
    landings: 13,
    conflicts: 0,
    files: 3,
    rejected: 1,
    messages: 10,
    replies: 11,
    faults: { 'clock: summer time': 1, kill: 2 },
    events: story.events.length,
    planned: { messages: 9, webhooks: 2, orders: 15, firings: 9, faults: 8 },
  });
});
