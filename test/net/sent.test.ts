import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewEvent } from '../../src/core/event.ts';
import { type Sent, TrafficCounts } from '../../src/core/net/sent.ts';
import type { Batch, CommitResult } from '../../src/core/ports/store.ts';
import { openSentLog } from '../../src/net/sent.ts';
import { keptLog } from './support.ts';

const sent = (changes: Partial<Sent> = {}): Sent => ({
  who: 'tool:fetch',
  agent: 'ada',
  run: 'run_1',
  host: 'x.org',
  port: 443,
  kind: 'request',
  method: 'GET',
  bytesOut: 10,
  bytesIn: 20,
  outcome: 'ok',
  started: 5,
  ms: 1,
  ...changes,
});

/** A log whose waits the test ends, over a store that may refuse. */
function openLab() {
  const batches: { events: readonly NewEvent[]; sync: boolean }[] = [];
  const waits: { ms: number; over: () => void }[] = [];
  const lab = { batches, waits, broken: false, kept: keptLog() };
  const log = openSentLog({
    log: lab.kept,
    store: {
      commit: async ({ events, sync }: Batch): Promise<CommitResult> => {
        if (lab.broken) throw new Error('the disk is full');
        batches.push({ events, sync });
        return { ok: true, events: [] };
      },
    },
    clock: {
      now: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          waits.push({ ms, over: resolve });
          signal?.addEventListener('abort', () => reject(new Error('over')));
        }),
    },
  });
  return Object.assign(lab, { log });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what is sent within a moment is one commit, beside the runs, and nobody waits for the disk', async () => {
  const { log, batches, waits } = openLab();
  log.record(sent());
  log.record(sent({ agent: null, run: null, who: 'channel:mail', kind: 'dial' }));
  assert.deepEqual([batches.length, waits.length], [0, 1]);
  assert.ok((waits[0]?.ms ?? 0) <= 1000);
  waits[0]?.over();
  await turn();
  assert.deepEqual(
    batches.map(({ sync, events }) => [sync, ...events.map(({ type, stream }) => `${type} ${stream}`)]),
    [[false, 'net.sent net:ada', 'net.sent net']],
  );
  await turn();
  assert.equal(waits.length, 1, 'nothing is awaited while nothing is sent');
  log.record(sent());
  await log.close();
  assert.deepEqual(
    batches.map(({ sync }) => sync),
    [false, true],
  );
  await log.close();
  assert.equal(batches.length, 2);
});

test('writing at the end while a group is being written puts nothing on record twice', async () => {
  const { log, batches, waits } = openLab();
  for (const started of [1, 2, 3]) log.record(sent({ started }));
  waits[0]?.over();
  await Promise.all([log.flush(), log.flush(), log.close()]);
  const events = batches.flatMap((batch) => batch.events);
  assert.deepEqual(
    events.map(({ data }) => (data as Sent).started),
    [1, 2, 3],
  );
});

test('a store that refuses is tried again, and the order stays', async () => {
  const lab = openLab();
  const { log, batches, waits } = lab;
  lab.broken = true;
  log.record(sent({ started: 1 }));
  waits[0]?.over();
  await turn();
  assert.equal(waits.length, 2);
  log.record(sent({ started: 2 }));
  lab.broken = false;
  waits[1]?.over();
  await turn();
  const events = batches[0]?.events ?? [];
  assert.deepEqual(
    events.map(({ data }) => (data as Sent).started),
    [1, 2],
  );
  assert.equal(lab.kept.lines.filter((line) => line.includes('not on record yet')).length, 1);
});

test('a command that does nothing but call does not fill the disk with its record, and the sums hold each call', async () => {
  const { log, batches } = openLab();
  for (let n = 0; n < 5000; n++) log.record(sent({ kind: 'proxy' }));
  log.record(sent({ kind: 'proxy', host: 'y.org' }));
  await log.close();
  const kept = batches.flatMap(({ events }) => events.map(({ data }) => data as Sent));
  assert.deepEqual(
    kept.map(({ host, calls = 1 }) => `${host} ${calls}`),
    [...Array.from({ length: 19 }, () => 'x.org 1'), 'x.org 4981', 'y.org 1'],
  );
  assert.equal(
    kept.reduce((sum, { bytesOut }) => sum + bytesOut, 0),
    50_010,
  );
});

test('what comes while a group is written waits for the next one, so that a flood is joined', async () => {
  const { log, batches, waits } = openLab();
  log.record(sent({ started: 1 }));
  const commit = batches.push.bind(batches);
  batches.push = (batch) => {
    if (batches.length === 0) log.record(sent({ started: 2 }));
    return commit(batch);
  };
  waits[0]?.over();
  await turn();
  assert.deepEqual([batches.length, waits.length], [1, 2]);
  waits[1]?.over();
  await turn();
  assert.deepEqual(
    batches.map(({ events }) => events.map(({ data }) => (data as Sent).started)),
    [[1], [2]],
  );
});

test('what the runtime itself sends again and again is one record in ten minutes, and a few calls of agents never are', async () => {
  const { log, batches } = openLab();
  const poll = (minute: number): Sent =>
    sent({ agent: null, run: null, who: 'channel:telegram', started: minute * 60_000 });
  for (let minute = 0; minute < 25; minute++) log.record(poll(minute));
  log.record({ ...poll(25), outcome: 'timeout' });
  log.record(sent());
  log.record(sent());
  await log.close();
  const kept = batches.flatMap(({ events }) => events.map(({ data }) => data as Sent));
  const calls = (of: (each: Sent) => boolean): number[] => kept.filter(of).map((each) => each.calls ?? 1);
  const polls = calls(({ who, outcome }) => who === 'channel:telegram' && outcome === 'ok');
  assert.deepEqual(
    polls.toSorted((a, b) => a - b),
    [1, 1, 1, 4, 9, 9],
  );
  assert.equal(
    kept.filter(({ agent }) => agent === null).reduce((sum, { bytesOut }) => sum + bytesOut, 0),
    260,
  );
  assert.deepEqual(
    [calls(({ outcome }) => outcome === 'timeout'), calls(({ agent }) => agent === 'ada')],
    [[1], [1, 1]],
  );
});

test('sums have a bounded number of labels', () => {
  const counts = new TrafficCounts();
  for (let index = 0; index < 500; index++)
    counts.add(sent({ agent: `a${index}`, outcome: index % 2 ? 'ok' : 'blocked' }));
  counts.add(sent({ agent: 'a0' }));
  const all = counts.all();
  assert.equal(all.length, 201);
  assert.deepEqual(all[0], { who: 'tool:fetch', agent: 'a0', calls: 2, failed: 1, bytesOut: 20, bytesIn: 40 });
  assert.equal(
    all.reduce((sum, { calls }) => sum + calls, 0),
    501,
  );
  assert.equal(all.at(-1)?.agent, 'other');
});
