import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  timesUpTo,
  type Climb,
  levelsFor,
  nextDue,
  planEscalation,
  type Step,
} from '../../src/scheduler/escalations/standing.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T = Date.UTC(2026, 10, 22, 8);
const LEVELS = [
  { after: 0, to: 'chat:o' },
  { after: 30 * MINUTE, to: 'agent:b' },
  { after: HOUR, to: 'webhook:https://x.org' },
  { after: 2 * HOUR, to: 'deny' },
];
const told = (...minutes: number[]): Climb['reached'] =>
  minutes.map((each) => ({ at: T + each * MINUTE, failed: false }));
const failed = (reached: Climb['reached']): Climb['reached'] =>
  reached.map((each, index) => ({ ...each, failed: index === reached.length - 1 }));
const until = (minutes: number): Step => ({ do: 'wait', until: T + minutes * MINUTE });
const NEVER: Step = { do: 'wait', until: null };
const open = LEVELS.slice(0, 3);

interface Row {
  what: string;
  given?: Partial<Climb>;
  /** Minutes after it was asked; the process has looked since `since`. */
  when: number;
  since?: number;
  step: Step;
}

const TABLE: Row[] = [
  { what: 'at once is at once', when: 0, step: { do: 'reach', level: 0 } },
  { what: 'the next has its own time', given: { reached: told(0) }, when: 0, step: until(30) },
  { what: 'not a moment early', given: { reached: told(0) }, when: 29.999, step: until(30) },
  { what: 'when it comes it is due', given: { reached: told(0) }, when: 30, step: { do: 'reach', level: 1 } },
  {
    what: 'missed levels come one after the other',
    given: { reached: told(0) },
    when: 90,
    step: { do: 'reach', level: 1 },
  },
  { what: 'none is left out', given: { reached: told(0, 90) }, when: 90, step: { do: 'reach', level: 2 } },
  {
    what: 'nobody was reached: the next at once',
    given: { reached: failed(told(0)) },
    when: 0,
    step: { do: 'reach', level: 1 },
  },
  { what: 'the one after keeps its time', given: { reached: told(0, 0) }, when: 1, step: until(60) },
  { what: 'but a denial keeps its time', given: { reached: failed(told(0, 30, 60)) }, when: 61, step: until(120) },
  { what: 'the end', given: { reached: told(0, 30, 60) }, when: 120, step: { do: 'reach', level: 3 } },
  { what: 'after it the denial itself', given: { reached: told(0, 30, 60, 120) }, when: 120, step: { do: 'deny' } },
  {
    what: 'unless somebody looks after it, where it could not be put on record',
    given: { reached: told(0, 30, 60, 120), acknowledged: true },
    when: 121,
    step: NEVER,
  },
  { what: 'acknowledged: the clock stands', given: { reached: told(0), acknowledged: true }, when: 500, step: NEVER },
  { what: 'acknowledged before anything', given: { acknowledged: true }, when: 0, step: NEVER },
  {
    what: 'acknowledged and not reached',
    given: { reached: failed(told(0)), acknowledged: true },
    when: 1,
    step: NEVER,
  },
  { what: 'a question stays at its top', given: { levels: open, reached: told(0, 30, 60) }, when: 9_999, step: NEVER },
  {
    what: 'also where its top was not reached',
    given: { levels: open, reached: failed(told(0, 30, 60)) },
    when: 61,
    step: NEVER,
  },
  { what: 'told late: a minute to answer', given: { reached: told(0, 30, 119.9) }, when: 120, step: until(120.9) },
  {
    what: 'Ruche was off: a minute to answer',
    given: { reached: told(0, 30, 60) },
    when: 600,
    since: 600,
    step: until(601),
  },
  {
    what: 'and then it is denied',
    given: { reached: told(0, 30, 60) },
    when: 601,
    since: 600,
    step: { do: 'reach', level: 3 },
  },
];

test('what is to be done, by where it stands and what time it is', () => {
  for (const { what, given = {}, when, since = 0, step } of TABLE) {
    const climb: Climb = { from: T, levels: LEVELS, reached: [], acknowledged: false, ...given };
    assert.deepEqual(planEscalation(climb, { now: T + when * MINUTE, since: T + since * MINUTE }), step, what);
  }
  assert.equal(TABLE.length, 20);
});

test('short chains are not made long by the minute to answer', () => {
  const levels = [
    { after: 0, to: 'chat:o' },
    { after: 2_000, to: 'deny' },
  ];
  const climb = { from: T, levels, reached: told(0), acknowledged: false };
  assert.equal(nextDue(climb, { now: T, since: T }), T + 2_000);
  assert.equal(nextDue({ ...climb, reached: [] }, { now: T, since: T }), T);
});

test('a clock that is put back: what lies ahead of it counts from when that is noticed, and stays so', () => {
  const noticed = new Map<string, number>();
  const back = T - 5 * HOUR;
  assert.deepEqual([timesUpTo(back, noticed)('e', T), timesUpTo(back, noticed)('f', back - 1)], [back, back - 1]);
  assert.deepEqual([timesUpTo(back + HOUR, noticed)('e', T), timesUpTo(T + HOUR, noticed)('e', T)], [back, back]);
  assert.deepEqual([...noticed.keys()], ['e']);
});

test('the levels a kind has', () => {
  const names = (chain: typeof LEVELS, approval: boolean, ofEscalation = false): string[] =>
    levelsFor(chain, { approval, ofEscalation }).map(({ to, after }) => `${to} ${after / MINUTE}`);
  assert.deepEqual(names(LEVELS, true), ['chat:o 0', 'agent:b 30', 'webhook:https://x.org 60', 'deny 120']);
  assert.deepEqual(names(LEVELS, false), ['chat:o 0', 'agent:b 30', 'webhook:https://x.org 60']);
  assert.deepEqual(names(open, true).at(-1), `deny ${25 * 60}`);
  assert.deepEqual(names(LEVELS, true, true), ['chat:o 0', 'webhook:https://x.org 60', 'deny 120']);
  assert.deepEqual(names([], true), []);
  // A chain that only denies does so without telling anybody; one of agents only tells nobody of what they led to.
  assert.deepEqual(names(LEVELS.slice(3), true), ['deny 120']);
  assert.deepEqual(names(LEVELS.slice(1, 2), true, true), [`deny ${24 * 60 + 30}`]);
  assert.deepEqual(names(LEVELS.slice(1, 2), false, true), []);
});
