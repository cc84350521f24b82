import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, NewEvent } from '../../src/core/event.ts';
import { knownSchedules, readStanding, standingAfter } from '../../src/scheduler/schedules/standing.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { commit, random, TestClock } from '../store/kit.ts';
import { schedule } from './clock-kit.ts';

const timing = { ...schedule({ every: 60_000 }).timing, zone: 'UTC' };
const stream = 'schedule:a/s';
const about = (id: string) => ({ schedule: id, agent: 'a', name: id.slice(2), timing, anchor: 100, paused: false });

function scene() {
  const store = openMemoryStore({ clock: new TestClock(), random });
  let set: string | null = null;
  const put = async (body: Pick<NewEvent, 'type' | 'data'>, more: Partial<NewEvent> = {}): Promise<Event> => {
    const event = { stream, actor: 'x', cause: set, labels: [], ...body, ...more } as NewEvent;
    const result = await commit(store, [event]);
    assert.ok(result.ok && result.events[0]);
    if (body.type === 'schedule.set') set = result.events[0].id;
    return result.events[0];
  };
  const fired = (at: number, by: string | null = null) =>
    put({ type: 'schedule.fired', data: { schedule: 'a/s', at, task: `tsk_${at}`, missed: 0, by } });
  /** Where it stands, without the setting. */
  const stands = async () => {
    const found = await readStanding(store, 'a/s');
    if (found === null) return null;
    const { set: setting, ...rest } = found;
    return { ...rest, set: setting.id };
  };
  return { store, put, fired, stands };
}

test('schedules on record are those that were set and not removed since', async () => {
  const { store, put } = scene();
  for (const id of ['a/s', 'a/t', 'a/u']) await put({ type: 'schedule.set', data: about(id) });
  await put({ type: 'schedule.removed', data: { schedule: 'a/t' } });
  await put({ type: 'schedule.removed', data: { schedule: 'a/u' } });
  await put({ type: 'schedule.paused', data: { schedule: 'a/s' } });
  await put({ type: 'schedule.set', data: about('a/u') });
  assert.deepEqual([...(await knownSchedules(store))].toSorted(), ['a/s', 'a/u']);
});

test('where a schedule stands: by the newest word on each point, and no further back than needed', async () => {
  const { put, fired, stands, store } = scene();
  assert.equal(await stands(), null);
  const { id: set } = await put({ type: 'schedule.set', data: about('a/s') });
  const first = { id: 'a/s', set, cursor: 100, paused: false, last: null, version: 1 };
  assert.deepEqual(await stands(), first);
  await fired(160);
  const last = { at: 160, task: 'tsk_160' };
  assert.deepEqual(await stands(), { ...first, cursor: 160, last, version: 2 });
  await put({ type: 'schedule.paused', data: { schedule: 'a/s' } });
  assert.deepEqual(await stands(), { ...first, cursor: 160, last, paused: true, version: 3 });
  await fired(500, 'person:ada');
  const byHand = { at: 500, task: 'tsk_500' };
  assert.deepEqual(await stands(), { ...first, cursor: 160, last: byHand, paused: true, version: 4 });
  await put({ type: 'schedule.resumed', data: { schedule: 'a/s', from: 300 } });
  assert.deepEqual(await stands(), { ...first, cursor: 300, last: byHand, version: 5 });
  const skipped = { schedule: 'a/s', at: 400, count: 1, why: 'missed' as const, task: null };
  await put({ type: 'schedule.skipped', data: skipped });
  assert.deepEqual(await stands(), { ...first, cursor: 400, last: byHand, version: 6 });
  await put({ type: 'schedule.paused', data: { schedule: 'a/s' } });
  await put({ type: 'schedule.skipped', data: { ...skipped, at: 420 } });
  assert.deepEqual(await stands(), { ...first, cursor: 420, last: byHand, version: 8 }, 'who skips is not paused');
  await put({ type: 'schedule.paused', data: { schedule: 'a/s' } });
  await fired(460);
  const newest = { at: 460, task: 'tsk_460' };
  assert.deepEqual(await stands(), { ...first, cursor: 460, last: newest, version: 10 }, 'nor who fires');
  const { id: again } = await put({ type: 'schedule.set', data: { ...about('a/s'), anchor: 900, paused: true } });
  assert.deepEqual(await stands(), {
    ...first,
    set: again,
    cursor: 900,
    paused: true,
    last: newest,
    version: 11,
  });
  await put({ type: 'schedule.removed', data: { schedule: 'a/s' } });
  assert.equal(await stands(), null);
  await put({ type: 'schedule.paused', data: { schedule: 'a/s' } }, { cause: null });
  assert.equal(await stands(), null, 'a word without a setting');
  await put({ type: 'schedule.resumed', data: { schedule: 'a/s', from: 1 } }, { cause: 'evt_none' });
  assert.equal(await stands(), null, 'a setting that is not there');
  const other = await put({ type: 'gateway.stopped', data: { reason: 'x' } } as never, { stream: 'gateway' });
  await put({ type: 'schedule.resumed', data: { schedule: 'a/s', from: 1 } }, { cause: other.id });
  assert.equal(await stands(), null, 'a cause that is no setting');
  await put({ type: 'schedule.set', data: about('a/s') });
  assert.equal((await readStanding(store, 'a/s'))?.last, null, 'one that comes back is new');
});

test('a journal is not read to its beginning for what has fired a thousand times', async () => {
  const { put, fired, store } = scene();
  await put({ type: 'schedule.set', data: about('a/s') });
  for (let at = 200; at < 230; at++) await fired(at);
  let read = 0;
  const counting = new Proxy(store, {
    get: (target, name) => {
      if (name === 'read')
        return async function* (...given: Parameters<typeof store.read>) {
          for await (const event of target.read(...given)) {
            read += 1;
            yield event;
          }
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  assert.equal((await readStanding(counting, 'a/s'))?.cursor, 229);
  assert.equal(read, 1);
});

test('the standing after a commit is that before with what was committed to its own stream', async () => {
  const { put, fired, store } = scene();
  await put({ type: 'schedule.set', data: about('a/s') });
  const before = await readStanding(store, 'a/s');
  assert.ok(before);
  const events = [await fired(160), await put({ type: 'schedule.paused', data: { schedule: 'a/s' } })];
  const other = await put({ type: 'schedule.resumed', data: { schedule: 'a/t', from: 7 } }, { stream: 'schedule:a/t' });
  assert.deepEqual(standingAfter(before, [...events, other]), {
    ...before,
    cursor: 160,
    paused: true,
    last: { at: 160, task: 'tsk_160' },
    version: 3,
  });
});
