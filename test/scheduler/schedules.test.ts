import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openFirings } from '../../src/core/time/firing.ts';
import type { Timing } from '../../src/core/schedule.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import { readCron } from '../../src/config/cron.ts';
import { planFirings } from '../../src/scheduler/schedules/standing.ts';
import { schedule, Scene, START, withScene } from './clock-kit.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const hourly = schedule({ cron: '30 * * * *' });
const at = (minutes: number): number => START + minutes * MINUTE;

test('a firing is one commit of its event and its task, which waits in the agent’s queue', async () => {
  await withScene([hourly], async (scene) => {
    await scene.clock.pass(30 * MINUTE);
    const [set] = await scene.of('schedule.set');
    const [fired] = await scene.of('schedule.fired');
    const [task] = await scene.store.tasks({});
    assert.ok(set && fired && task);
    assert.deepEqual(fired.data, { schedule: 'a/s', at: at(30), task: task.id, missed: 0, by: null });
    assert.deepEqual([fired.stream, fired.key, fired.cause], ['schedule:a/s', `firing:a/s@${at(30)}`, set.id]);
    assert.deepEqual(
      [task.queue, task.agent, task.session, task.lane, task.from, task.cause, task.key, task.maxAttempts],
      ['a', 'a', 'schedule-s', 'conv:a/schedule-s', 'schedule:a/s', fired.id, `firing:a/s@${at(30)}`, 3],
    );
    const content = await scene.store.getBlob(task.content ?? { hash: '' });
    assert.equal(Buffer.from(content ?? []).toString(), '{"title":"Do it."}');
  });
});

test('where nothing happens there is no event', async () => {
  await withScene([hourly, schedule({ at: '2020-01-01T00:00' }, { name: 'past' })], async (scene) => {
    const head = await scene.store.head();
    for (let n = 0; n < 29; n++) await scene.clock.pass(MINUTE);
    assert.equal(await scene.store.head(), head);
    scene.kill();
    await scene.start();
    assert.equal(await scene.store.head(), head);
  });
});

test('a new schedule does not fire for the past, one that comes back is new', async () => {
  await withScene([], async (scene) => {
    await scene.clock.pass(HOUR);
    await scene.edit([hourly]);
    assert.deepEqual(await scene.fired(), []);
    await scene.edit([]);
    await scene.clock.pass(3 * HOUR);
    await scene.edit([hourly]);
    assert.deepEqual(await scene.fired(), []);
    assert.equal((await scene.of('schedule.removed')).length, 1);
    await scene.clock.pass(30 * MINUTE);
    assert.deepEqual(await scene.fired(), [at(4 * 60 + 30)]);
  });
});

test('one that was removed while no process was there is new when it comes back', async () => {
  await withScene([hourly], async (scene) => {
    await scene.clock.pass(MINUTE);
    scene.kill();
    await scene.edit([]);
    await scene.start();
    scene.kill();
    await scene.clock.pass(5 * HOUR);
    await scene.edit([hourly]);
    await scene.start();
    assert.deepEqual(await scene.fired(), []);
  });
});

test('an edit while it is due: the old timing fires, the new one counts from then on, each time once', async () => {
  await withScene([hourly], async (scene) => {
    scene.clock.time = at(30);
    await scene.edit([schedule({ cron: '*/30 * * * *' })]);
    assert.deepEqual(await scene.fired(), [at(30)]);
    await scene.clock.pass(30 * MINUTE);
    assert.deepEqual(await scene.fired(), [at(30), at(60)]);
    await scene.edit([schedule({ cron: '0 * * * *' }, { work: { kind: 'task', text: 'Else.' } })]);
    await scene.edit([hourly]);
    assert.deepEqual(await scene.fired(), [at(30), at(60)]);
    assert.equal((await scene.of('schedule.set')).length, 4);
  });
});

test('another text alone leaves the timing where it is', async () => {
  await withScene([hourly], async (scene) => {
    await scene.clock.pass(20 * MINUTE);
    await scene.edit([{ ...hourly, work: { kind: 'task', text: 'Else.' } }]);
    await scene.clock.pass(10 * MINUTE);
    assert.equal((await scene.of('schedule.set')).length, 1);
    const [task] = await scene.store.tasks({});
    const content = await scene.store.getBlob(task?.content ?? { hash: '' });
    assert.equal(Buffer.from(content ?? []).toString(), '{"title":"Else."}');
  });
});

test('a pause is on record: what falls into it is not made up for', async () => {
  await withScene([hourly], async (scene) => {
    assert.equal(await scene.schedules.pause('a/s', 'owner'), true);
    assert.equal(await scene.schedules.pause('a/s', 'owner'), true);
    assert.equal(await scene.schedules.pause('a/none', 'owner'), false);
    await scene.clock.pass(3 * HOUR);
    scene.kill();
    await scene.start();
    assert.equal(scene.schedules.nextFiring('a'), null);
    // Another timing does not end it.
    await scene.edit([schedule({ cron: '15 * * * *' })]);
    await scene.clock.pass(HOUR);
    assert.deepEqual(await scene.fired(), []);
    const [state] = await scene.schedules.list();
    assert.deepEqual([state?.paused, state?.next, state?.last], [true, null, null]);
    assert.equal(await scene.schedules.resume('a/s', 'owner'), true);
    assert.equal(await scene.schedules.resume('a/s', 'owner'), true);
    assert.deepEqual([(await scene.of('schedule.paused')).length, (await scene.of('schedule.resumed')).length], [1, 1]);
    await scene.clock.pass(15 * MINUTE);
    assert.deepEqual(await scene.fired(), [at(255)]);
  });
});

test('run fires out of turn, also while it is paused, and says nothing about the clock', async () => {
  await withScene([hourly], async (scene) => {
    await scene.clock.pass(29 * MINUTE);
    const task = await scene.schedules.run('a/s', 'owner');
    assert.equal(await scene.schedules.run('a/none', 'owner'), null);
    const [fired] = await scene.of('schedule.fired');
    assert.deepEqual([fired?.data.task, fired?.data.by, fired?.actor, fired?.key], [task, 'owner', 'owner', null]);
    scene.kill();
    await scene.start();
    await scene.clock.pass(MINUTE);
    assert.deepEqual(await scene.fired(), [at(30)]);
    await scene.schedules.pause('a/s', 'owner');
    const second = await scene.schedules.run('a/s', 'owner', 'request-1');
    assert.notEqual(second, null);
    assert.equal(await scene.schedules.run('a/s', 'owner', 'request-1'), second, 'asked again, it is the same firing');
    assert.notEqual(await scene.schedules.run('a/s', 'owner', 'request-2'), second);
    const [state] = await scene.schedules.list();
    assert.equal(state?.last?.at, at(30));
  });
});

test('the list says when it fires, when it did and what came of it', async () => {
  const other = schedule({ every: 90_000 }, { name: 'o', work: { kind: 'run', command: 'scripts/x.sh' } });
  await withScene([hourly, other], async (scene) => {
    await scene.clock.pass(30 * MINUTE);
    const [first, second] = await scene.schedules.list();
    const { task = '' } = first?.last ?? {};
    assert.deepEqual(first, {
      id: 'a/s',
      agent: 'a',
      name: 's',
      when: '30 * * * *',
      zone: 'UTC',
      does: 'Do it.',
      paused: false,
      next: at(90),
      last: { at: at(30), task, status: 'queued' },
    });
    assert.deepEqual([second?.when, second?.does, second?.next], ['every 1m30s', 'run: scripts/x.sh', at(31.5)]);
    assert.equal(scene.schedules.nextFiring('a'), at(31.5));
    assert.equal(scene.schedules.nextFiring('b'), null);
  });
});

test('overlap: what happens while the last task has not ended', async () => {
  const run = async (overlap: 'skip' | 'queue' | 'cancel', body: (scene: Scene) => Promise<void>): Promise<void> =>
    withScene([{ ...hourly, overlap }], async (scene) => {
      await scene.clock.pass(30 * MINUTE);
      await scene.clock.pass(HOUR);
      await body(scene);
    });
  await run('skip', async (scene) => {
    const [task] = await scene.open();
    assert.deepEqual(await scene.fired(), [at(30)]);
    const [skipped] = await scene.of('schedule.skipped');
    assert.deepEqual(skipped?.data, { schedule: 'a/s', at: at(90), count: 1, why: 'overlap', task });
    await scene.settle(task ?? '');
    await scene.clock.pass(HOUR);
    assert.deepEqual(await scene.fired(), [at(30), at(150)]);
  });
  await run('queue', async (scene) => {
    assert.equal((await scene.open()).length, 2);
    assert.deepEqual(scene.cancelled, []);
  });
  await run('cancel', async (scene) => {
    const [first] = await scene.of('schedule.fired');
    assert.deepEqual(scene.cancelled, [first?.data.task]);
    assert.equal((await scene.open()).length, 1);
    assert.deepEqual(await scene.fired(), [at(30), at(90)]);
  });
});

test('a queue of a schedule has a bound', async () => {
  await withScene([schedule({ every: MINUTE })], async (scene) => {
    for (let n = 0; n < 105; n++) await scene.clock.pass(MINUTE);
    assert.equal((await scene.open()).length, 100);
    assert.deepEqual(
      (await scene.of('schedule.skipped')).map(({ data }) => data.why),
      Array.from({ length: 5 }, () => 'full'),
    );
  });
});

test('a sleep is never longer than five seconds, so that a clock that leaps is noticed', async () => {
  await withScene([hourly], async (scene) => {
    for (let n = 0; n < 20; n++) await scene.clock.pass(5_000);
    assert.ok(scene.clock.sleeps.length >= 20);
    assert.equal(Math.max(...scene.clock.sleeps), 5_000);
    // The clock leaps; nothing wakes before the sleep that was begun has passed.
    scene.clock.time += 29 * MINUTE;
    await scene.clock.pass(5_000);
    assert.deepEqual(await scene.fired(), [at(30)]);
  });
});

test('two processes by mistake: still once', async () => {
  const scene = new Scene([hourly]);
  await scene.start();
  const first = scene.schedules;
  await scene.start();
  await scene.clock.pass(30 * MINUTE);
  await scene.clock.pass(HOUR);
  assert.deepEqual(await scene.fired(), [at(30), at(90)]);
  await Promise.all([first.close(), scene.schedules.close()]);
});

test('a store that takes nothing: it is told, and tried again', async () => {
  await withScene([hourly], async (scene) => {
    const { commit } = scene.store;
    let refused = 0;
    scene.store.commit = async () => {
      refused += 1;
      throw new StoreUnavailable('full', 'the disk is full');
    };
    await scene.clock.pass(30 * MINUTE);
    await scene.clock.pass(1_000);
    assert.equal(refused, 2);
    assert.ok(scene.told.told.some(({ fields }) => JSON.stringify(fields).includes('the disk is full')));
    scene.store.commit = commit.bind(scene.store);
    await scene.clock.pass(1_000);
    assert.deepEqual(await scene.fired(), [at(30)]);
  });
});

test('resumed after a wrong clock: what had fired does not fire again', async () => {
  await withScene([schedule({ every: MINUTE })], async (scene) => {
    for (let n = 0; n < 5; n++) await scene.clock.pass(MINUTE);
    scene.clock.time -= 3 * MINUTE;
    await scene.schedules.pause('a/s', 'owner');
    await scene.schedules.resume('a/s', 'owner');
    for (let n = 0; n < 5; n++) await scene.clock.pass(MINUTE);
    assert.deepEqual(await scene.fired(), [1, 2, 3, 4, 5, 6, 7].map(at));
  });
});

test('after a clock that was ten days ahead it is told who is silent until then; paused and resumed, it counts from now', async () => {
  const DAY = 86_400_000;
  const all = [
    schedule({ every: 5_000 }, { name: 'often' }),
    schedule({ cron: '0 0 1 1 *' }, { name: 'yearly' }),
    schedule({ at: '2026-03-01T13:00' }, { name: 'soon' }),
  ];
  await withScene(all, async (scene) => {
    await scene.clock.pass(10_000);
    assert.ok((await scene.schedules.list()).every(({ silentUntil }) => silentUntil === undefined));
    scene.clock.time += 10 * DAY;
    await scene.clock.pass(10_000);
    // What is edited while the clock is ahead counts from there, too.
    await scene.edit([...all, schedule({ every: 7_000 }, { name: 'late' })]);
    await scene.clock.pass(10_000);
    scene.clock.time = START + 20_000;
    // A real sleep goes by no clock on a wall; that of this one does.
    await scene.edit([...all, schedule({ every: 7_000 }, { name: 'late' })]);
    const states = await scene.schedules.list();
    const silent = states.filter(({ silentUntil }) => silentUntil !== undefined).map(({ name }) => name);
    assert.deepEqual(silent.toSorted(), ['late', 'often'], 'only what would fire before then');
    for (const { silentUntil = 0 } of states.filter(({ name }) => silent.includes(name)))
      assert.ok(silentUntil > START + 10 * DAY);
    const before = (await scene.fired()).length;
    await scene.clock.pass(60_000);
    assert.equal((await scene.fired()).length, before);
    for (const name of silent) {
      await scene.schedules.pause(`a/${name}`, 'person:owner');
      await scene.schedules.resume(`a/${name}`, 'person:owner');
    }
    assert.ok((await scene.schedules.list()).every(({ silentUntil }) => silentUntil === undefined));
    await scene.clock.pass(8_000);
    const again = (await scene.of('schedule.fired')).slice(before).map(({ data }) => data.schedule);
    assert.deepEqual(new Set(again), new Set(['a/late', 'a/often']));
  });
});

test('jitter puts off by as much each time it is asked, never over the next, and never early', () => {
  const property = fc.property(
    fc.string({ minLength: 1, maxLength: 8 }),
    fc.integer({ min: 1, max: MINUTE - 1 }),
    fc.nat(10_000),
    (id, jitter, from) => {
      const timing: Timing = { kind: 'cron', cron: '* * * * *', zone: 'UTC', until: null, activeHours: null, jitter };
      const opened = openFirings({ id, timing, anchor: 0, readCron });
      assert.ok(opened.ok);
      const { firings } = opened;
      let [time, last] = [firings.after(at(from)) ?? 0, 0];
      for (let n = 0; n < 5; n++) {
        const due = firings.due(time);
        assert.equal(due, firings.due(time));
        assert.ok(due >= time && due <= time + jitter && due >= last);
        last = due;
        time = firings.after(time) ?? 0;
      }
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test('with jitter it fires when it is due, once', async () => {
  const jittered = schedule({ cron: '30 * * * *' }, { timing: { jitter: 10 * MINUTE } });
  await withScene([jittered], async (scene) => {
    const due = scene.schedules.nextFiring('a') ?? 0;
    assert.ok(due > at(30) && due < at(40), String(due - at(30)));
    await scene.clock.pass(due - START - 1);
    assert.deepEqual(await scene.fired(), []);
    await scene.clock.pass(1);
    await scene.clock.pass(HOUR - MINUTE * 20);
    assert.deepEqual(await scene.fired(), [at(30)]);
  });
});

test('what was missed is made up for within the hours of the schedule, as one, and told as late', async () => {
  const days = { from: 8 * 60, to: 18 * 60, days: [1, 2, 3, 4, 5] };
  // START is a Sunday: the machine sleeps on Monday from ten to eleven in the evening.
  await withScene([schedule({ cron: '0 * * * *' }, { timing: { activeHours: days } })], async (scene) => {
    const monday = (hours: number): number => START + (12 + hours) * HOUR;
    await scene.clock.pass(monday(10) - START);
    assert.deepEqual(await scene.fired(), [monday(10)]);
    for (const { id } of await scene.store.tasks({})) await scene.settle(id);
    await scene.clock.pass(13 * HOUR);
    assert.deepEqual(await scene.fired(), [monday(10)]);
    const next = async (): Promise<unknown> => (await scene.schedules.list()).map((each) => each.next);
    assert.deepEqual(await next(), [monday(32)]);
    scene.kill();
    await scene.start();
    assert.deepEqual(await next(), [monday(32)]);
    // In the morning one stands for all of them, among them that of the morning.
    await scene.clock.pass(9 * HOUR);
    const [, made] = await scene.of('schedule.fired');
    assert.deepEqual([made?.data.at, made?.data.missed], [monday(32), 7]);
    const content = async (id: string): Promise<unknown> => {
      const hash = (await scene.store.task(id))?.content?.hash ?? '';
      return JSON.parse(Buffer.from((await scene.store.getBlob({ hash })) ?? []).toString());
    };
    assert.deepEqual(await content(made?.data.task ?? ''), { title: 'Do it.', late: { at: monday(32), missed: 7 } });
  });
});

test('what its work looks at is brought up to date before it fires; where that fails it fires all the same', async () => {
  await withScene([hourly], async (scene) => {
    const looks: number[] = [];
    scene.prepare = async () => {
      looks.push((await scene.fired()).length);
      throw new Error('the disk is full');
    };
    await scene.clock.pass(30 * MINUTE);
    await scene.clock.pass(60 * MINUTE);
    assert.deepEqual([looks, (await scene.fired()).length], [[0, 1], 2]);
  });
});

test('a firing in the last moment of its hours is no catch-up: a busy moment does not put it off to the morning', async () => {
  const hours = { from: 8 * 60, to: 13 * 60 };
  await withScene([schedule({ cron: '59 12 * * *' }, { timing: { activeHours: hours } })], async (scene) => {
    await scene.clock.pass(60 * MINUTE);
    assert.deepEqual(await scene.fired(), [at(59)]);
  });
});

test('what is missed, at its bounds', () => {
  const timing: Timing = { kind: 'every', ms: MINUTE, zone: 'UTC', until: null, activeHours: null, jitter: 0 };
  const opened = openFirings({ id: 's', timing, anchor: START, readCron });
  assert.ok(opened.ok);
  const plan = (minutes: number, missed: Parameters<typeof planFirings>[3], cursor = START) =>
    planFirings(opened.firings, cursor, at(minutes), missed);
  assert.equal(plan(0.99, { mode: 'once' }), null);
  assert.deepEqual(plan(1, { mode: 'skip' }), { fire: [at(1)], left: null });
  assert.deepEqual(plan(3, { mode: 'once' }), { fire: [at(3)], left: { count: 2, at: at(2) } });
  assert.deepEqual(plan(3, { mode: 'all', max: 2 }), { fire: [at(2), at(3)], left: { count: 1, at: at(1) } });
  assert.deepEqual(plan(3, { mode: 'all', max: 9 }), { fire: [at(1), at(2), at(3)], left: null });
  assert.equal(plan(3, { mode: 'all', max: 9 }, at(3)), null);
  assert.equal(plan(3, { mode: 'all', max: 9 }, at(30)), null);
  // The newest is not due yet: the one before it fires, and it waits.
  const jittered = openFirings({ id: 's', timing: { ...timing, jitter: MINUTE - 1 }, anchor: START, readCron });
  assert.ok(jittered.ok);
  const due = jittered.firings.due(at(2));
  assert.ok(due > at(2) + 1);
  assert.deepEqual(planFirings(jittered.firings, START, due - 1, { mode: 'all', max: 9 }), {
    fire: [at(1)],
    left: null,
  });
  assert.deepEqual(planFirings(jittered.firings, at(1), due - 1, { mode: 'once' }), null);
  assert.deepEqual(planFirings(jittered.firings, at(1), due, { mode: 'once' }), { fire: [at(2)], left: null });
  // However long Ruche was off, it is told in a moment.
  assert.deepEqual(plan(1_000_000, { mode: 'once' }), {
    fire: [at(1_000_000)],
    left: { count: 1_000, at: at(999_999) },
  });
  const rare = openFirings({ id: 's', timing: { ...timing, ms: HOUR }, anchor: START, readCron });
  assert.ok(rare.ok);
  const late = (ms: number) => planFirings(rare.firings, START, at(60) + ms, { mode: 'skip' });
  assert.deepEqual(late(MINUTE), { fire: [at(60)], left: null });
  assert.deepEqual(late(MINUTE + 1), { fire: [], left: { count: 1, at: at(60) }, late: true });
});
