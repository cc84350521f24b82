import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../src/core/event.ts';
import { putJson } from '../../src/core/records/json-blob.ts';
import { readCron } from '../../src/config/cron.ts';
import { schedule, Scene, START, withScene } from './clock-kit.ts';
import { newTask } from '../store/kit.ts';
import { calm } from './worker-kit.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const hourly = schedule({ cron: '30 * * * *' });
const at = (minutes: number): number => START + minutes * MINUTE;
const timing = { kind: 'cron', cron: '30 * * * *', zone: 'UTC', until: null, activeHours: null, jitter: 0 };

const told = async (scene: Scene) =>
  (await scene.events()).map(({ stream, type, actor, cause, labels, key, data }: Event) => {
    const whole = { stream, type, actor, cause, labels, data };
    return key === null ? whole : { ...whole, key };
  });

test('the journal tells a schedule whole: set, paused, resumed and removed, each commit synced and bound to what was read', async () => {
  await withScene([hourly], async (scene) => {
    await scene.schedules.pause('a/s', 'person:ada');
    await scene.clock.pass(MINUTE);
    await scene.schedules.resume('a/s', 'person:eve');
    const set = (await scene.of('schedule.set'))[0]?.id;
    await scene.edit([]);
    const common = { stream: 'schedule:a/s', labels: [] };
    const about = { schedule: 'a/s', agent: 'a', name: 's' };
    assert.deepEqual(await told(scene), [
      {
        ...common,
        type: 'schedule.set',
        actor: 'runtime',
        cause: null,
        data: { ...about, timing, anchor: START, paused: false },
      },
      { ...common, type: 'schedule.paused', actor: 'person:ada', cause: set, data: { schedule: 'a/s' } },
      { ...common, type: 'schedule.resumed', actor: 'person:eve', cause: set, data: { schedule: 'a/s', from: at(1) } },
      { ...common, type: 'schedule.removed', actor: 'runtime', cause: null, data: { schedule: 'a/s' } },
    ]);
    assert.deepEqual(
      scene.batches.map(({ sync, expect }) => [sync, expect?.['schedule:a/s']]),
      [0, 1, 2, undefined].map((version) => [true, version]),
    );
    assert.deepEqual(await scene.schedules.list(), []);
    assert.equal(scene.schedules.nextFiring('a'), null);
    assert.equal(await scene.schedules.run('a/s', 'person:ada'), null);
    // Once is enough, however often the files are read again.
    await scene.edit([]);
    assert.equal((await scene.of('schedule.removed')).length, 1);
    assert.deepEqual(scene.told.told, []);
  });
});

test('a firing is bound to what was read; one that something came before is looked at again', async () => {
  await withScene([hourly], async (scene) => {
    scene.meanwhile = async () => {
      const event = { stream: 'schedule:a/s', actor: 'x', cause: null, labels: [], type: 'schedule.paused' } as const;
      await scene.store.commit({ events: [{ ...event, data: { schedule: 'a/s' } }], sync: true });
    };
    await scene.clock.pass(30 * MINUTE);
    assert.deepEqual(await scene.fired(), []);
    const [state] = await scene.schedules.list();
    assert.deepEqual([state?.paused, state?.next], [true, null]);
    assert.equal(scene.batches.at(-1)?.sync, true);
  });
});

test('what a person asks for meets what happened meanwhile, and is done once', async () => {
  await withScene([hourly], async (scene) => {
    const paused = async (): Promise<void> => {
      const event = { stream: 'schedule:a/s', actor: 'x', cause: null, labels: [], type: 'schedule.paused' } as const;
      await scene.store.commit({ events: [{ ...event, data: { schedule: 'a/s' } }], sync: true });
    };
    scene.meanwhile = paused;
    const task = await scene.schedules.run('a/s', 'person:ada');
    assert.equal((await scene.of('schedule.fired'))[0]?.data.task, task);
    assert.equal((await scene.of('schedule.fired')).length, 1);
    await scene.schedules.resume('a/s', 'person:ada');
    scene.meanwhile = paused;
    assert.equal(await scene.schedules.pause('a/s', 'person:ada'), true);
    assert.deepEqual(
      (await scene.of('schedule.paused')).map(({ actor }) => actor),
      ['x', 'x'],
      'somebody else has paused it',
    );
  });
});

test('a sleep ends when the next is due, and an edit ends it', async () => {
  await withScene([schedule({ every: 7_000 })], async (scene) => {
    assert.deepEqual(scene.clock.sleeps, [5_000]);
    await scene.clock.pass(5_000);
    assert.deepEqual(scene.clock.sleeps, [5_000, 2_000]);
    await scene.clock.pass(2_000);
    assert.deepEqual(scene.clock.sleeps, [5_000, 2_000, 5_000]);
    const head = await scene.store.head();
    await scene.edit([schedule({ every: 7_000 }), schedule({ every: 9_000 }, { name: 'other' })]);
    assert.equal((await scene.of('schedule.set')).length, 2);
    assert.equal(await scene.store.head(), head + 1);
    assert.ok(scene.clock.sleeps.every((ms) => ms >= 1));
  });
});

test('what cannot be read is told: in a file, and on record; it fires again once it can be', async () => {
  const broken = schedule({ cron: 'never s3cret' }, { name: 'broken' });
  await withScene([broken, hourly], async (scene) => {
    const warn = (id: string, message: string) => {
      const found = scene.told.told.filter((each) => each.message === message);
      assert.deepEqual(
        found.map(({ level, fields }) => [level, (fields as { schedule: string }).schedule]),
        [['warn', id]],
      );
      assert.match(JSON.stringify(found[0]?.fields), /"error":"[^"]/);
    };
    warn('a/broken', 'a schedule cannot be read and does not fire');
    assert.deepEqual(
      (await scene.schedules.list()).map(({ id }) => id),
      ['a/s'],
    );
    scene.kill();
    scene.told.told.length = 0;
    // What is on record was read by another version.
    scene.readCron = (pattern) => (pattern === '30 * * * *' ? { ok: false, error: 'unknown' } : readCron(pattern));
    await scene.edit([schedule({ cron: '15 * * * *' })]);
    await scene.start();
    warn('a/s', 'a schedule on record cannot be read');
    await scene.clock.pass(HOUR);
    assert.deepEqual(await scene.fired(), [at(15)]);
  });
});

test('what goes wrong is logged without secrets', async () => {
  await withScene([hourly], async (scene) => {
    scene.prepare = () => Promise.reject(new Error('no s3cret'));
    await scene.clock.pass(30 * MINUTE);
    assert.deepEqual(await scene.fired(), [at(30)]);
    assert.deepEqual(scene.told.told, [
      { level: 'warn', fields: { error: 'Error: no ***' }, message: 'the status could not be written' },
    ]);
    scene.told.told.length = 0;
    const { byKey } = scene.store;
    scene.store.byKey = () => Promise.reject(new Error('no s3cret'));
    await scene.clock.pass(HOUR);
    assert.deepEqual(scene.told.told, [
      { level: 'error', fields: { error: 'Error: no ***' }, message: 'the schedules could not be looked at' },
    ]);
    assert.equal(scene.clock.sleeps.at(-1), 1_000);
    scene.store.byKey = byKey;
    await scene.clock.pass(1_000);
    assert.deepEqual(await scene.fired(), [at(30), at(90)]);
  });
});

test('close waits for what is under way, and nothing wakes after it', async () => {
  const scene = new Scene([hourly]);
  await scene.start();
  const { byKey } = scene.store;
  let release = (): void => undefined;
  scene.store.byKey = (key) =>
    new Promise((resolve) => {
      release = () => resolve(byKey.call(scene.store, key));
    });
  const asked = scene.schedules.run('a/s', 'person:ada', 'once');
  await calm();
  let closed = false;
  const closing = scene.schedules.close().then(() => {
    closed = true;
  });
  await calm();
  assert.equal(closed, false);
  scene.store.byKey = byKey;
  release();
  await closing;
  assert.equal(scene.clock.sleeping, 0);
  assert.notEqual(await asked, null);
});

test('the list says what a firing that failed has said, and nothing of one that has not', async () => {
  const run = schedule({ cron: '30 * * * *' }, { work: { kind: 'run', command: 'scripts/x.sh' } });
  await withScene([run], async (scene) => {
    const last = async () => (await scene.schedules.list())[0]?.last;
    await scene.clock.pass(30 * MINUTE);
    const [task = ''] = await scene.open();
    assert.deepEqual(await last(), { at: at(30), task, status: 'queued' });
    await scene.store.claim({ worker: 'w', now: scene.clock.now(), leaseMs: 1_000 });
    const result = putJson(scene.store, { text: 'exit 1' }, 's');
    await scene.store.commit({
      events: [],
      queue: [{ op: 'settle', task, status: 'failed', result }],
      sync: true,
    });
    assert.deepEqual(await last(), { at: at(30), task, status: 'failed', why: 'exit 1' });
    await scene.clock.pass(HOUR);
    const [next = ''] = await scene.open();
    await scene.store.claim({ worker: 'w', now: scene.clock.now(), leaseMs: 1_000 });
    await scene.store.commit({
      events: [],
      queue: [{ op: 'settle', task: next, status: 'done', result }],
      sync: true,
    });
    assert.deepEqual(await last(), { at: at(90), task: next, status: 'done' });
  });
});

test('the next of an agent is the first of its own', async () => {
  await withScene([hourly, schedule({ cron: '10 * * * *' }, { name: 't' })], async (scene) => {
    assert.equal(scene.schedules.nextFiring('a'), at(10));
    assert.equal(scene.schedules.nextFiring('b'), null);
    await scene.schedules.pause('a/t', 'person:ada');
    assert.equal(scene.schedules.nextFiring('a'), at(30));
  });
});

test('whoever asks sees what is due fired first', async () => {
  await withScene([hourly], async (scene) => {
    scene.clock.time = at(30);
    assert.equal((await scene.schedules.list())[0]?.next, at(90));
    scene.clock.time = at(90);
    await scene.schedules.run('a/s', 'person:ada');
    assert.deepEqual(
      (await scene.of('schedule.fired')).map(({ data }) => data.by),
      [null, null, 'person:ada'],
    );
  });
});

test('files are read again only when they have changed; a zone of its own is on record', async () => {
  const paris = schedule({ cron: '30 * * * *' }, { name: 'p', timing: { zone: 'Europe/Paris' } });
  await withScene([hourly, paris], async (scene) => {
    assert.deepEqual(
      (await scene.of('schedule.set')).map(({ data }) => data.timing.zone),
      ['UTC', 'Europe/Paris'],
    );
    let reads = 0;
    scene.readCron = (pattern) => {
      reads += 1;
      return readCron(pattern);
    };
    for (let n = 0; n < 3; n++) await scene.clock.pass(5_000);
    assert.equal(reads, 0);
  });
});

test('resumed in the moment in which it was set, it is not set anew', async () => {
  await withScene([hourly], async (scene) => {
    await scene.schedules.pause('a/s', 'person:ada');
    await scene.schedules.resume('a/s', 'person:ada');
    assert.equal((await scene.of('schedule.set')).length, 1);
    scene.clock.time -= MINUTE;
    await scene.schedules.pause('a/s', 'person:ada');
    assert.equal((await scene.of('schedule.set')).length, 1);
    await scene.schedules.resume('a/s', 'person:ada');
    const [, anew] = await scene.of('schedule.set');
    assert.deepEqual([anew?.data.anchor, anew?.data.paused, anew?.actor], [START - MINUTE, false, 'runtime']);
  });
});

/** What the tasks of the firings say, in their order. */
const contents = async (scene: Scene) =>
  Promise.all(
    (await scene.of('task.queued')).map(async ({ data }) => {
      const bytes = await scene.store.getBlob(data.task.content ?? { hash: '' });
      return (JSON.parse(Buffer.from(bytes ?? []).toString()) as { late?: object }).late;
    }),
  );

/** A process that was away for some minutes. */
async function away(scene: Scene, minutes: number): Promise<void> {
  scene.kill();
  scene.clock.time += minutes * MINUTE;
  scene.batches.length = 0;
  scene.told.told.length = 0;
  await scene.start();
}

test('of what was missed, tasks know how late they are and how many they stand for', async () => {
  await withScene([hourly], async (scene) => {
    await scene.clock.pass(30 * MINUTE);
    await away(scene, 120);
    await away(scene, 90);
    assert.deepEqual(await contents(scene), [undefined, { at: at(150), missed: 1 }, { at: at(210), missed: 0 }]);
  });
  await withScene([{ ...hourly, missed: { mode: 'all', max: 2 } }], async (scene) => {
    await away(scene, 150);
    assert.deepEqual(await scene.fired(), [at(90), at(150)]);
    assert.deepEqual(await contents(scene), [{ at: at(90), missed: 0 }, undefined]);
    const [skipped] = await scene.of('schedule.skipped');
    assert.deepEqual(skipped?.data, { schedule: 'a/s', at: at(30), count: 1, why: 'missed', task: null });
    await away(scene, 90);
    assert.deepEqual((await contents(scene)).slice(2), [{ at: at(210), missed: 0 }]);
    assert.deepEqual(scene.told.told, []);
  });
});

test('what is skipped is on record at once, also outside its hours, and nothing is prepared for it', async () => {
  const hours = { from: 8 * 60, to: 13 * 60 };
  const strict = schedule({ cron: '30 * * * *' }, { missed: { mode: 'skip' }, timing: { activeHours: hours } });
  await withScene([strict], async (scene) => {
    let prepared = 0;
    scene.prepare = async () => void (prepared += 1);
    await away(scene, 300);
    const [skipped] = await scene.of('schedule.skipped');
    assert.deepEqual(skipped?.data, { schedule: 'a/s', at: at(30), count: 1, why: 'missed', task: null });
    assert.equal(prepared, 0);
  });
});

test('in the way of a task that has not ended are all that were due', async () => {
  const busy = { ...hourly, overlap: 'skip' as const, missed: { mode: 'all' as const, max: 2 } };
  await withScene([busy], async (scene) => {
    await scene.clock.pass(30 * MINUTE);
    const [task] = await scene.open();
    await away(scene, 180);
    const [skipped] = await scene.of('schedule.skipped');
    assert.deepEqual(skipped?.data, { schedule: 'a/s', at: at(210), count: 3, why: 'overlap', task });
    assert.equal((await scene.of('schedule.skipped')).length, 1);
  });
});

test('a task is cancelled in the name of the runtime', async () => {
  await withScene([{ ...hourly, overlap: 'cancel' }], async (scene) => {
    await scene.clock.pass(30 * MINUTE);
    await scene.clock.pass(HOUR);
    assert.deepEqual(scene.cancellers, ['runtime']);
  });
});

test('only its own tasks fill the queue of a schedule', async () => {
  await withScene([hourly], async (scene) => {
    const queue = Array.from({ length: 100 }, (_, n) => ({
      op: 'enqueue' as const,
      task: newTask(`tsk_other${n}`, { queue: 'a', agent: 'a', lane: `conv:a/${n}` }),
    }));
    await scene.store.commit({ events: [], queue, sync: true });
    await scene.clock.pass(30 * MINUTE);
    await scene.clock.pass(HOUR);
    assert.deepEqual(await scene.fired(), [at(30), at(90)]);
  });
});

test('a clock that was put back leads to no second firing, no commit and no error', async () => {
  await withScene([schedule({ every: MINUTE })], async (scene) => {
    for (let n = 0; n < 5; n++) await scene.clock.pass(MINUTE);
    scene.clock.time -= 3 * MINUTE;
    await scene.schedules.pause('a/s', 'owner');
    await scene.schedules.resume('a/s', 'owner');
    scene.batches.length = 0;
    // A real sleep goes by no clock on a wall; that of this one does, so somebody has to look.
    for (let n = 3; n <= 5; n++) {
      scene.clock.time = at(n);
      assert.equal((await scene.schedules.list())[0]?.next, at(n + 1));
    }
    assert.deepEqual([scene.batches, scene.told.told], [[], []]);
    scene.clock.time = at(6);
    await scene.schedules.list();
    assert.deepEqual(await scene.fired(), [1, 2, 3, 4, 5, 6].map(at));
  });
});

test('a task that is gone has an unknown fate', async () => {
  await withScene([hourly], async (scene) => {
    const [set] = await scene.of('schedule.set');
    const data = { schedule: 'a/s', at: START, task: 'tsk_gone', missed: 0, by: null };
    const event = { stream: 'schedule:a/s', actor: 'runtime', cause: set?.id ?? null, labels: [], data };
    scene.kill();
    await scene.store.commit({ events: [{ ...event, type: 'schedule.fired' }], sync: true });
    await scene.start();
    const [state] = await scene.schedules.list();
    assert.deepEqual(state?.last, { at: START, task: 'tsk_gone', status: 'unknown' });
    await scene.clock.pass(30 * MINUTE);
    assert.deepEqual(await scene.fired(), [START, at(30)]);
  });
});

test('a minute ahead is no clock that was wrong, nor is one that is behind what would come later anyway', async () => {
  const DAY = 24 * HOUR;
  const often = schedule({ every: 5_000 }, { name: 'often' });
  const rare = schedule({ every: 20 * DAY }, { name: 'rare' });
  await withScene([often], async (scene) => {
    await scene.clock.pass(60_000);
    const silent = async () =>
      (await scene.schedules.list()).flatMap(({ name, silentUntil }) => (silentUntil === undefined ? [] : [name]));
    scene.clock.time = START;
    assert.deepEqual(await silent(), []);
    scene.clock.time = START - 1;
    assert.deepEqual(await silent(), ['often']);
    scene.clock.time = START + 10 * DAY;
    await scene.edit([often, rare]);
    await scene.clock.pass(5_000);
    scene.clock.time = START;
    await scene.edit([often, rare]);
    assert.deepEqual(await silent(), ['often']);
    await scene.schedules.pause('a/often', 'person:ada');
    assert.deepEqual(await silent(), []);
  });
});

test('silent is what would fire before the time that a clock that was ahead has brought it to', async () => {
  const DAY = 24 * HOUR;
  const long = schedule({ every: 20 * DAY }, { name: 'long' });
  const late = schedule({ every: 7_000 }, { name: 'late' });
  const yearly = schedule({ cron: '0 0 1 1 *' }, { name: 'yearly' });
  await withScene([long], async (scene) => {
    scene.clock.time = START + 21 * DAY;
    await scene.schedules.list();
    await scene.edit([long, late, yearly]);
    scene.clock.time = START + 15 * DAY;
    const silent = (await scene.schedules.list()).flatMap(({ name, silentUntil }) =>
      silentUntil === undefined ? [] : [[name, silentUntil]],
    );
    assert.deepEqual(silent, [
      ['long', START + 20 * DAY],
      ['late', START + 21 * DAY],
    ]);
  });
});
