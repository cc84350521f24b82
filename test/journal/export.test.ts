import assert from 'node:assert/strict';
import { chmod, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JournalRepository } from '../../src/core/ports/journal.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { startExport } from '../../src/journal/export.ts';
import { eventJson } from '../../src/journal/format.ts';
import { quiet } from '../workspace/govern-kit.ts';
import { makeJournal } from './export-kit.ts';
import type { Journal } from './export-kit.ts';
import { effort, tries } from '../fakes/effort.ts';
import { until } from '../fakes/until.ts';

async function journal(t: { after(done: () => Promise<void>): void }): Promise<Journal> {
  const made = await makeJournal();
  t.after(() => made.remove());
  return made;
}

/** Lines are events exactly: none missing, none twice, all equal, in order. Gives their number. */
async function assertEqualRecord(made: Journal, repository: JournalRepository): Promise<number> {
  const lines = repository.lines()[Symbol.asyncIterator]();
  let count = 0;
  for await (const event of made.store.read({})) {
    const next = await lines.next();
    assert.equal(next.done, false, `no line for event ${event.seq}`);
    assert.equal(next.value.json, await eventJson(event, made.store));
    count += 1;
  }
  assert.equal((await lines.next()).done, true);
  return count;
}

test('what is committed reaches the repository within two seconds, and close brings over the rest', async (t) => {
  const made = await journal(t);
  const repository = await made.open();
  await made.turn('run_0');
  const exporter = await startExport({ store: made.store, repository, clock: made.clock, log: quiet });
  await exporter.reached(5);
  assert.equal(exporter.exported(), 5);
  await made.clock.sleeping(1);
  for (let run = 1; run <= 20; run += 1) {
    await made.turn(`run_${run}`);
    const start = made.clock.now();
    const head = await made.store.head();
    while (exporter.exported() < head) await made.clock.step(100);
    assert.ok(made.clock.now() - start < 2000);
  }
  await made.turn('run_last');
  await exporter.close();
  assert.equal(exporter.exported(), 22 * 5);
  assert.equal(await assertEqualRecord(made, repository), 22 * 5);
});

test('a disk that fails is reported in plain words and tried again, ever more slowly, and nothing is lost', async (t) => {
  const made = await journal(t);
  const repository = await made.open();
  const told: string[] = [];
  const log: Log = {
    ...quiet,
    warn: (_f, message) => void told.push(message),
    info: (_f, message) => void told.push(message),
  };
  let failures = 3;
  const failing: JournalRepository = {
    tip: () => repository.tip(),
    lines: () => repository.lines(),
    maintain: () => repository.maintain(),
    check: (signal) => repository.check(signal),
    anew: () => repository.anew(),
    append(lines) {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error('ENOSPC: no space left on device')) : repository.append(lines);
    },
  };
  await made.turn('run_1');
  const exporter = await startExport({ store: made.store, repository: failing, clock: made.clock, log });
  const start = made.clock.now();
  while (exporter.exported() < 5 && made.clock.now() - start < 60_000) {
    await made.clock.asleep();
    await made.clock.step(500);
  }
  assert.equal(exporter.exported(), 5);
  assert.ok(made.clock.now() - start >= 7000, 'it waited 1, 2 and 4 seconds');
  assert.equal(told.filter((line) => line.includes('could not be written; it is tried again')).length, 3);
  await exporter.close();
  assert.equal(await assertEqualRecord(made, repository), 5);
});

test('a repository ahead of the database is left alone', async (t) => {
  const made = await journal(t);
  const other = await journal(t);
  const repository = await made.open();
  await other.turn('run_1');
  const first = await startExport({ store: other.store, repository, clock: other.clock, log: quiet });
  await first.close();
  const told: object[] = [];
  const log: Log = { ...quiet, warn: (fields) => void told.push(fields) };
  const exporter = await startExport({ store: made.store, repository, clock: made.clock, log });
  await exporter.close();
  assert.equal(await repository.tip(), 5);
  assert.match(JSON.stringify(told), /holds event 5, but the database ends at 0/);
});

test('a journal.git that is deleted while Ruche runs is written again, whole, and is a problem until then', async (t) => {
  const made = await journal(t);
  const repository = await made.open();
  const { store, clock } = made;
  const exporter = await startExport({ store, repository, clock, log: quiet, everyMs: 1000 });
  const goOn = async (): Promise<void> => {
    await clock.asleep();
    await clock.step(1000);
    await clock.asleep();
  };
  await made.turn('run_1');
  await goOn();
  assert.equal(exporter.exported(), 5);
  for (const gone of ['', 'objects', 'refs']) {
    await rm(join(made.dir, gone), { recursive: true });
    await made.turn(`run_without_${gone}`);
    const said = new Set<string | null>();
    for (let tries = 0; tries < 5 && exporter.exported() < (await store.head()); tries += 1) {
      await goOn();
      said.add(exporter.problem());
    }
    assert.equal(exporter.exported(), await store.head(), `without ${gone}`);
    assert.ok(said.size === 2 && said.has(null), `a problem that ends: ${[...said].join(', ')}`);
  }
  await exporter.close();
  assert.equal(await assertEqualRecord(made, repository), 20);
});

test('damage below the tip is found after the start: journal.git is put aside and made anew from the database', async (t) => {
  const made = await journal(t);
  const first = await made.open();
  for (const run of ['run_1', 'run_2', 'run_3']) {
    await made.turn(run);
    await (await startExport({ store: made.store, repository: first, clock: made.clock, log: quiet })).close();
  }
  first.close();
  const packs = join(made.dir, 'objects', 'pack');
  const names = (await readdir(packs)).filter((name) => name.endsWith('.pack'));
  const ages = await Promise.all(names.map(async (name) => (await stat(join(packs, name))).mtimeMs));
  const pack = join(packs, names[ages.indexOf(Math.min(...ages))] ?? assert.fail('no pack'));
  const bytes = await readFile(pack);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  await chmod(pack, 0o644);
  await writeFile(pack, bytes);

  const second = await made.open();
  assert.equal(await second.tip(), 15, 'its tip is whole');
  const exporter = await startExport({ store: made.store, repository: second, clock: made.clock, log: quiet });
  await until(async () => (await readdir(made.root)).includes('journal.git.damaged-1'), 'the damage is found');
  await exporter.close();
  assert.equal(await assertEqualRecord(made, second), 15);
});

class Killed extends Error {}

test('killed at any import, once or often, the lines are the events exactly', async (t) => {
  const made = await journal(t);
  let runs = 0;
  let kills = 0;
  const life = fc.record({
    turns: fc.integer({ min: 0, max: 6 }),
    batch: fc.integer({ min: 1, max: 12 }),
    /** At which call of the boundary the process dies; the boundary is called before and after each import. */
    diesAt: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 5, size: 'max' }), async (lives) => {
      for (const { turns, batch, diesAt } of lives) {
        for (let turn = 0; turn < turns; turn += 1) await made.turn(`run_${(runs += 1)}`);
        let calls = 0;
        const repository = await made.open(() => {
          calls += 1;
          if (diesAt === calls) throw new Killed();
        });
        // A process that died does nothing further: each life goes on until its kill, as the exporter's loop would.
        const head = await made.store.head();
        const exporter = await startExport({
          store: made.store,
          repository: {
            tip: () => repository.tip(),
            lines: () => repository.lines(),
            maintain: () => repository.maintain(),
            check: (signal) => repository.check(signal),
            anew: () => repository.anew(),
            async append(lines) {
              if (diesAt !== null && calls >= diesAt) throw new Killed();
              await repository.append(lines);
            },
          },
          clock: made.clock,
          log: quiet,
          batch,
        });
        await exporter.close();
        if (diesAt !== null && calls >= diesAt) kills += 1;
        else assert.equal(await repository.tip(), head);
        repository.close();
      }
      const last = await made.open();
      const exporter = await startExport({ store: made.store, repository: last, clock: made.clock, log: quiet });
      await exporter.close();
      assert.equal(await assertEqualRecord(made, last), await made.store.head());
      last.close();
    }),
    // The first case dies at each call in turn, whatever chance brings later.
    { ...tries(1, 6), examples: [[[1, 2, 3, 4, 5, 6].map((diesAt) => ({ turns: 4, batch: 3, diesAt }))]] },
  );
  assert.ok(kills >= 5, `${kills} kills`);
  assert.ok(runs >= effort(7, 20), `${runs} runs`);
});
