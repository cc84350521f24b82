import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalLine, JournalRepository } from '../../src/core/ports/journal.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { startExport, type ExportOptions, type JournalExport } from '../../src/journal/export.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { commit, note, random } from '../store/kit.ts';
import { HandClock, calm, recorder, type Told } from '../scheduler/worker-kit.ts';

interface Scene {
  store: Store;
  clock: HandClock;
  told: Told[];
  batches: JournalLine[][];
  maintained(): number;
  /** From now on appends are refused with this, or wait for it if it is a promise; null: they work again. */
  refuse(error: unknown): void;
  add(count: number, reason?: string): Promise<void>;
  start(options?: Partial<ExportOptions>): Promise<JournalExport>;
}

/** The exporter on a repository that is a list. */
function scene(): Scene {
  const clock = new HandClock();
  const store = openMemoryStore({ clock, random });
  const { log, told } = recorder();
  const batches: JournalLine[][] = [];
  let maintained = 0;
  let refusal: unknown = null;
  const repository: JournalRepository = {
    tip: () => Promise.resolve(batches.at(-1)?.at(-1)?.seq ?? 0),
    append: async (lines) => {
      if (refusal instanceof Promise) await refusal;
      else if (refusal !== null) throw refusal;
      batches.push([...lines]);
    },
    maintain: async () => void (maintained += 1),
    check: async () => true,
    anew: async () => {
      batches.length = 0;
      return 'kept';
    },
    lines: () => {
      throw new Error('not in this test');
    },
  };
  return {
    store,
    clock,
    told,
    batches,
    maintained: () => maintained,
    refuse: (error) => {
      refusal = error;
    },
    add: async (count, reason = 'asked') => {
      await commit(
        store,
        Array.from({ length: count }, () => note('gateway', reason)),
      );
    },
    start: async (options = {}) => {
      const exporter = await startExport({ store, repository, clock, log, ...options });
      await calm();
      return exporter;
    },
  };
}

const sizes = ({ batches }: Scene): number[] => batches.map((lines) => lines.length);

test('batches follow each other without a pause while there is more, and every half second otherwise', async () => {
  const it = scene();
  await it.add(7);
  const exporter = await it.start({ batch: 3 });
  assert.deepEqual(sizes(it), [3, 3, 1]);
  assert.deepEqual(it.clock.sleeps, [500]);
  assert.equal(exporter.exported(), 7);
  await it.add(1);
  await it.clock.pass(499);
  assert.deepEqual(sizes(it), [3, 3, 1]);
  await it.clock.pass(1);
  assert.deepEqual(sizes(it), [3, 3, 1, 1]);
  assert.deepEqual(
    it.batches.flat().map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  await exporter.close();
  assert.deepEqual(it.told, []);
});

test('the pace can be set', async () => {
  const it = scene();
  const exporter = await it.start({ everyMs: 70 });
  assert.deepEqual(it.clock.sleeps, [70]);
  await exporter.close();
});

test('a batch ends at two thousand lines, or where their text is eight million characters', async () => {
  const it = scene();
  await it.add(2_001);
  const exporter = await it.start();
  await exporter.reached(2_001);
  assert.deepEqual(sizes(it), [2_000, 1]);
  await exporter.close();
  const other = scene();
  await other.add(3, 'x'.repeat(4_500_000));
  const second = await other.start();
  await second.reached(3);
  assert.deepEqual(sizes(other), [2, 1]);
  await second.close();
});

test('others run while a batch is made', async () => {
  const it = scene();
  await it.add(200);
  let turns = 0;
  const tick = (): void => {
    if (it.batches.length > 0) return;
    turns += 1;
    setImmediate(tick);
  };
  setImmediate(tick);
  const exporter = await it.start();
  await exporter.reached(200);
  assert.ok(turns >= 9 && turns <= 12, `${turns} turns for 200 lines`);
  await exporter.close();
});

test('packs are looked at after every twentieth import, and not when there was none', async () => {
  const it = scene();
  const exporter = await it.start({ batch: 1 });
  await it.clock.pass(500);
  for (let round = 1; round <= 45; round++) {
    await it.add(1);
    await it.clock.pass(500);
    assert.equal(it.maintained(), Math.floor(round / 20), `after ${round}`);
  }
  await it.clock.pass(500);
  assert.equal(it.maintained(), 2);
  await exporter.close();
});

test('it waits until a certain event has arrived, and no longer', async () => {
  const it = scene();
  await it.add(2);
  const exporter = await it.start();
  await exporter.reached(2);
  const order: number[] = [];
  const later = [3, 4].map((seq) => exporter.reached(seq).then(() => order.push(seq)));
  await calm();
  assert.deepEqual(order, []);
  await it.add(1);
  await it.clock.pass(500);
  assert.deepEqual(order, [3]);
  await it.add(1);
  await exporter.close();
  await Promise.all(later);
  assert.deepEqual(order, [3, 4]);
  assert.equal(exporter.exported(), 4);
});

test('what cannot be written is tried after 1, 2, 4 … at most 60 seconds, and its end is reported once', async () => {
  const it = scene();
  await it.add(1);
  it.refuse(new Error('disk full'));
  const exporter = await it.start();
  const waits = [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000);
  for (const wait of waits) {
    const { level, fields, message } = it.told.at(-1) ?? assert.fail();
    assert.equal(level, 'warn');
    assert.deepEqual(fields, { error: 'disk full', exported: 0, retryInMs: wait });
    assert.match(message, /^the readable journal \(journal\.git\) could not be written; it is tried again/);
    assert.equal(it.clock.sleeps.at(-1), wait);
    await it.clock.pass(wait);
  }
  assert.equal(it.told.length, waits.length + 1);
  it.refuse(null);
  await it.clock.pass(60_000);
  assert.deepEqual(it.told.at(-1), {
    level: 'info',
    fields: { exported: 1 },
    message: 'the readable journal is written again',
  });
  await it.clock.pass(500);
  assert.equal(it.told.length, waits.length + 2);
  it.refuse('odd');
  await it.add(1);
  await it.clock.pass(500);
  assert.deepEqual(it.told.at(-1)?.fields, { error: 'odd', exported: 1, retryInMs: 1_000 });
  it.refuse(null);
  await exporter.close();
  assert.equal(exporter.exported(), 2);
});

test('close brings over what is left, batch by batch, wakes at once, and lets nobody wait for what cannot come', async () => {
  const it = scene();
  const exporter = await it.start({ batch: 2 });
  await it.add(5);
  await exporter.close();
  assert.deepEqual(sizes(it), [2, 2, 1]);
  assert.equal(it.clock.sleeping, 0);
  const broken = scene();
  const second = await broken.start();
  await broken.add(1);
  broken.refuse(new Error('disk full'));
  const waiting = second.reached(1);
  await second.close();
  await waiting;
  assert.deepEqual(
    broken.told.map(({ fields }) => (fields as { error: string }).error),
    ['disk full'],
  );
});

test('close waits for the batch that is being written, and does not write it again', async () => {
  const it = scene();
  const gate = Promise.withResolvers<void>();
  it.refuse(gate.promise);
  await it.add(2);
  const exporter = await it.start();
  const closing = exporter.close();
  await calm();
  gate.resolve();
  await closing;
  assert.deepEqual(sizes(it), [2]);
});

test('a repository that is ahead of its database is not written to', async () => {
  const it = scene();
  it.batches.push([{ seq: 9 } as JournalLine]);
  await it.add(1);
  const exporter = await it.start();
  assert.deepEqual(
    it.told.map(({ fields }) => (fields as { error: string }).error),
    ['journal.git holds event 9, but the database ends at 1'],
  );
  await exporter.close();
  assert.equal(it.batches.length, 1);
});
