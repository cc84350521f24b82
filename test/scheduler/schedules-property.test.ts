import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Missed, Schedule } from '../../src/core/schedule.ts';
import { schedule, Scene, START } from './clock-kit.ts';
import { calm } from './worker-kit.ts';
import { effort, tries } from '../fakes/effort.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const GRACE = MINUTE;

/** Times that fire, told without the code under test: whole seconds from `from` on that fit. */
interface Kind {
  made: Parameters<typeof schedule>[0];
  /** Least common step of its times, and which of them count. */
  step: number;
  fits(time: number): boolean;
}

const kinds: readonly Kind[] = [
  ...[20 * SECOND, 45 * SECOND, 7 * MINUTE].map((every) => ({
    made: { every },
    step: SECOND,
    fits: (time: number) => time > START && (time - START) % every === 0,
  })),
  ...[1, 5, 7].map((minutes) => ({
    made: { cron: `*/${minutes} * * * *` },
    step: MINUTE,
    fits: (time: number) => new Date(time).getUTCMinutes() % minutes === 0,
  })),
  {
    made: { cron: '*/20 1-59/2 * * * *' },
    step: 20 * SECOND,
    fits: (time: number) => new Date(time).getUTCMinutes() % 2 === 1,
  },
];

const timesIn = ({ step, fits }: Kind, after: number, upTo: number): number[] => {
  const times: number[] = [];
  for (let time = (Math.floor(after / step) + 1) * step; time <= upTo; time += step) if (fits(time)) times.push(time);
  return times;
};

const missed = fc.oneof(
  fc.constant<Missed>({ mode: 'skip' }),
  fc.constant<Missed>({ mode: 'once' }),
  fc.integer({ min: 1, max: 5 }).map((max): Missed => ({ mode: 'all', max })),
);

type Action =
  | { do: 'pass' | 'sleep' | 'back'; ms: number }
  | { do: 'kill' | 'start' | 'edit' | 'settle' }
  | { do: 'doom'; after: boolean };

/** Seconds as a machine runs, hours as it sleeps. */
const span = fc.oneof(
  fc.integer({ min: 1, max: 4_000 }),
  fc.integer({ min: 1, max: 90 }).map((s) => s * SECOND),
  fc.integer({ min: 1, max: 90 }).map((m) => m * MINUTE),
);

const action = fc.oneof(
  { weight: 5, arbitrary: span.map((ms): Action => ({ do: 'pass', ms })) },
  { weight: 1, arbitrary: span.map((ms): Action => ({ do: 'sleep', ms })) },
  { weight: 2, arbitrary: span.map((ms): Action => ({ do: 'back', ms })) },
  { weight: 2, arbitrary: fc.constantFrom<Action>({ do: 'kill' }, { do: 'edit' }, { do: 'settle' }) },
  { weight: 5, arbitrary: fc.constant<Action>({ do: 'start' }) },
  { weight: 2, arbitrary: fc.boolean().map((after): Action => ({ do: 'doom', after })) },
);

/** What must have happened: the rules of the documentation, in a few lines. */
class Model {
  readonly fired: number[] = [];
  /** Firings that were let go, or are told by one that fired for them. */
  let = 0;
  #cursor = START;
  readonly #kind: Kind;
  readonly #missed: Missed;

  constructor(kind: Kind, rule: Missed) {
    this.#kind = kind;
    this.#missed = rule;
  }

  /** True if a look at this moment makes a commit. */
  due(now: number): boolean {
    return timesIn(this.#kind, this.#cursor, now).length > 0;
  }

  look(now: number): void {
    const due = timesIn(this.#kind, this.#cursor, now);
    const newest = due.at(-1);
    if (newest === undefined) return;
    const rule = this.#missed;
    const most = rule.mode === 'all' ? rule.max : rule.mode === 'skip' && now - newest > GRACE ? 0 : 1;
    const fire = most === 0 ? [] : due.slice(-most);
    this.fired.push(...fire);
    this.let += due.length - fire.length;
    this.#cursor = newest;
  }
}

async function play(kind: Kind, rule: Missed, actions: readonly Action[]): Promise<{ fired: number; kills: number }> {
  const make = (text: string): Schedule => schedule(kind.made, { missed: rule, work: { kind: 'task', text } });
  const scene = new Scene([make('one')]);
  const model = new Model(kind, rule);
  let doomed: { after: boolean } | null = null;
  let [kills, edits] = [0, 0];
  const look = (): void => {
    if (doomed === null || !model.due(scene.clock.time)) return model.look(scene.clock.time);
    // It dies at the commit of what is due.
    if (doomed.after) model.look(scene.clock.time);
    doomed = null;
    kills += 1;
  };
  await scene.start();
  for (const each of [...actions, { do: 'start' } as const, { do: 'pass', ms: 10 * MINUTE } as const]) {
    const alive = !scene.dead;
    if (each.do === 'pass') await scene.clock.pass(each.ms);
    // Timers do not count while a machine sleeps: the next one that ends finds another time.
    if (each.do === 'sleep') {
      scene.clock.time += each.ms;
      await scene.clock.pass(6_000);
    }
    if (each.do === 'back') {
      scene.clock.time -= each.ms;
      await calm();
    }
    if (each.do === 'kill') {
      scene.kill();
      if (alive) kills += 1;
      doomed = null;
    }
    if (each.do === 'edit') await scene.edit([make(`text ${(edits += 1)}`)]);
    if (each.do === 'settle') for (const task of await scene.open()) await scene.settle(task);
    if (each.do === 'doom' && alive) {
      doomed = each;
      scene.dieAt(1, each.after);
    }
    if (each.do === 'start' && !alive) {
      await scene.start();
      look();
    } else if (alive && each.do !== 'kill' && each.do !== 'back') look();
  }
  const fired = await scene.fired();
  assert.deepEqual(fired, model.fired);
  assert.equal(new Set(fired).size, fired.length, 'each once');
  for (const event of await scene.of('schedule.fired')) assert.ok(event.at >= event.data.at, 'never early');
  const tasks = await scene.store.tasks({});
  assert.equal(tasks.length, fired.length, 'a task each');
  const told =
    (await scene.of('schedule.fired')).reduce((sum, { data }) => sum + data.missed, 0) +
    (await scene.of('schedule.skipped')).reduce((sum, { data }) => sum + data.count, 0);
  assert.equal(told, model.let, 'what is let go is told');
  if (!scene.dead) await scene.schedules.close();
  return { fired: fired.length, kills };
}

test('each due firing once, none early, missed ones as documented: over kills, sleeps and clocks that leap', async () => {
  let [runs, fired, kills] = [0, 0, 0];
  const property = fc.asyncProperty(
    fc.constantFrom(...kinds),
    missed,
    fc.array(action, { minLength: 5, maxLength: 40 }),
    async (kind, rule, actions) => {
      const played = await play(kind, rule, actions);
      runs += 1;
      fired += played.fired;
      kills += played.kills;
    },
  );
  await fc.assert(property, tries(60, 500));
  assert.ok(
    runs >= effort(60, 500) && fired >= effort(120, 1_000) && kills >= effort(36, 300),
    `${runs} runs, ${fired} firings, ${kills} kills`,
  );
});
