import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EscalationEnd, EscalationLevel } from '../../src/core/escalation.ts';
import { OUTBOX } from '../../src/core/records/reply.ts';
import type { Task } from '../../src/core/task.ts';
import { pendingById } from '../../src/pending/pending.ts';
import { MINUTE, withWorld, type World } from './escalation-kit.ts';
import { calm } from './worker-kit.ts';
import { tries } from '../fakes/effort.ts';

const RECEIVERS = ['chat:o', 'chat:p', 'agent:b', 'agent:none', 'gone:1', 'webhook:https://x.org'];

const chain = fc
  .tuple(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 90 }), fc.constantFrom(...RECEIVERS)), { minLength: 1, maxLength: 4 }),
    fc.boolean(),
  )
  .map(([steps, denies]) => {
    let after = 0;
    const levels = steps.map(([gap, to]): EscalationLevel => ({ after: (after += gap * MINUTE), to }));
    return denies ? [...levels, { after: after + 10 * MINUTE, to: 'deny' }] : levels;
  });

type Action =
  | { do: 'pass' | 'sleep' | 'back'; minutes: number }
  | { do: 'kill' | 'start' }
  | { do: 'doom'; after: boolean; left: number }
  | { do: 'approval' | 'question' | 'matter' }
  | { do: 'answer' | 'ack' | 'end' | 'fail'; which: number };

const minutes = fc.integer({ min: 1, max: 120 });
const which = fc.nat(9);
const action = fc.oneof(
  { weight: 6, arbitrary: minutes.map((each): Action => ({ do: 'pass', minutes: each })) },
  { weight: 1, arbitrary: minutes.map((each): Action => ({ do: 'sleep', minutes: each })) },
  { weight: 1, arbitrary: minutes.map((each): Action => ({ do: 'back', minutes: each })) },
  { weight: 5, arbitrary: fc.constantFrom<Action>({ do: 'approval' }, { do: 'question' }, { do: 'matter' }) },
  {
    weight: 9,
    arbitrary: fc
      .tuple(
        fc.constantFrom('answer' as const, 'ack' as const, 'end' as const, 'fail' as const, 'fail' as const),
        which,
      )
      .map(([verb, each]): Action => ({ do: verb, which: each })),
  },
  { weight: 4, arbitrary: fc.constantFrom<Action>({ do: 'kill' }, { do: 'start' }, { do: 'start' }, { do: 'start' }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.boolean(), fc.integer({ min: 1, max: 3 }))
      .map(([after, left]): Action => ({ do: 'doom', after, left })),
  },
);

/** What the runs have led to: no run may be said to hold that has seen nothing. */
const seen: Record<EscalationEnd | 'escalations' | 'levels' | 'acknowledged' | 'tops' | 'failed' | 'deaths', number> = {
  escalations: 0,
  levels: 0,
  denied: 0,
  answered: 0,
  gone: 0,
  acknowledged: 0,
  tops: 0,
  failed: 0,
  deaths: 0,
};

const isMade = ({ queue }: Task): boolean => queue === OUTBOX || queue === 'b';

async function act(world: World, ids: string[], given: Action): Promise<void> {
  const pick = async (which: number): Promise<string | null> => {
    const id = ids[which % Math.max(1, ids.length)];
    return id !== undefined && (await pendingById(world.store, id)) !== null ? id : null;
  };
  switch (given.do) {
    case 'pass':
      return world.clock.pass(given.minutes * MINUTE);
    case 'sleep':
      world.clock.time += given.minutes * MINUTE;
      return;
    case 'back':
      world.clock.time -= given.minutes * MINUTE;
      if (!world.dead) world.escalations.changed();
      return calm();
    case 'kill':
      return world.kill();
    case 'start':
      if (world.dead) seen.deaths += 1;
      return world.dead ? world.start() : undefined;
    case 'doom':
      return world.dead ? undefined : world.dieAt(given.left, given.after);
    case 'approval':
    case 'question':
      return void ids.push(await world.ask(given.do));
    case 'matter':
      return void ids.push(await world.raise());
    case 'fail': {
      const open = (await world.store.tasks({ statuses: ['queued'] })).filter(isMade);
      const task = open[given.which % Math.max(1, open.length)];
      if (task) seen.failed += 1;
      return task ? world.fail(task.id) : undefined;
    }
    default: {
      const id = await pick(given.which);
      if (id === null) return;
      if (given.do === 'answer') await world.answer(id);
      // A matter waits for nobody's task.
      else if (given.do === 'end') await (id.startsWith('mat') ? world.answer(id) : world.end(id));
      else if (!world.dead) await Promise.race([world.escalations.acknowledge(id, 'owner'), calm()]);
    }
  }
}

/** Time enough for every level, and one who was there all the while. */
async function settle(world: World): Promise<void> {
  if (world.dead) await world.start();
  for (let n = 0; n < 8; n++) {
    await world.clock.pass(60 * 60 * MINUTE);
    // Dead of what it was doomed to.
    if (world.dead) await world.start();
    world.escalations.changed();
    await world.escalations.list();
  }
}

async function check(world: World, ids: readonly string[], levels: readonly EscalationLevel[]): Promise<void> {
  const reached = await world.of('escalation.reached');
  const started = await world.of('escalation.started');
  assert.ok(new Set(started.map(({ data }) => data.about)).size === started.length);
  const open = (await world.escalations.list()).map(({ about }) => about);
  for (const { data } of started) {
    const own = reached.filter((each) => each.data.escalation === data.escalation).map((each) => each.data.level);
    assert.deepEqual(own, [...own.keys()], 'each level once, in order');
    const why = await world.ended(data.about);
    const waits = (await pendingById(world.store, data.about)) !== null;
    const seenBy = (await world.of('escalation.acknowledged')).some((each) => each.data.escalation === data.escalation);
    assert.equal(why === null, waits, `${data.about} has ended if nothing waits, and only then`);
    assert.equal(open.includes(data.about), waits);
    if (waits)
      assert.ok(
        seenBy || (own.length === data.levels.length && data.kind !== 'approval'),
        'acknowledged, or at its top',
      );
    if (why === 'denied') assert.equal(own.length, data.levels.length);
    seen.escalations += 1;
    seen.levels += own.length;
    seen.acknowledged += seenBy ? 1 : 0;
    if (why === null) seen.tops += seenBy ? 0 : 1;
    else if (why === 'denied' || why === 'answered' || why === 'gone') seen[why] += 1;
  }
  // What still waits without an escalation has a chain that has nobody for it.
  for (const id of ids)
    if ((await pendingById(world.store, id)) !== null)
      assert.ok(started.some(({ data }) => data.about === id) || levels.every(({ to }) => to === 'deny'), id);
  // Who was told was told by one message or one task of that level.
  const told = reached.flatMap(({ data }) => data.task ?? []);
  assert.equal(new Set(told).size, told.length);
  const made = (await world.store.tasks({})).filter(isMade);
  assert.equal(made.length, told.length);
}

const RUNS = tries(25, 90);

test('whatever is answered, acknowledged, killed or put back: each level once and in order, each answered or at its top', async () => {
  await fc.assert(
    fc.asyncProperty(chain, fc.array(action, { minLength: 4, maxLength: 24 }), async (levels, actions) => {
      await withWorld({ owner: levels }, async (world) => {
        const ids: string[] = [];
        for (const each of actions) await act(world, ids, each);
        await settle(world);
        await check(world, ids, levels);
      });
    }),
    RUNS,
  );
  assert.ok(seen.escalations >= RUNS.numRuns && seen.levels >= RUNS.numRuns, JSON.stringify(seen));
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no ${what}: ${JSON.stringify(seen)}`);
});
