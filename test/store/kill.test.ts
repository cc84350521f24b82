import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { verifyJournal } from './chain-oracle.ts';
import { HomeLocked, lockHome } from '../../src/store/sqlite/lock.ts';
import { collect, openAt, tempDir } from './kit.ts';

/** Runs a script beside this file, and kills it once `enough` says so. Gives its lines. */
async function killed(
  script: string,
  argument: string,
  enough: (lines: string[]) => boolean | Promise<boolean>,
): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  });
  const exit = once(child, 'exit');
  const lines: string[] = [];
  let stopping = false;
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (!stopping && (stopping = await enough(lines))) child.kill('SIGKILL');
  }
  assert.equal((await exit)[1], 'SIGKILL');
  return lines;
}

describe('SIGKILL', () => {
  test('in the middle of commits loses nothing that was acknowledged and leaves nothing half done', async () => {
    const { dir, remove } = await tempDir();
    const path = join(dir, 'ruche.sqlite');
    let kills = 0;
    let last = 0;
    try {
      for (const count of [3, 40, 171, 260, 500]) {
        const lines = await killed('committer.ts', path, (seen) => seen.length >= count);
        const acknowledged = Math.max(...lines.map(Number));
        assert.ok(acknowledged > last);
        const store = await openAt(path);
        last = await store.head();
        assert.ok(last >= acknowledged, `${last} events, ${acknowledged} were acknowledged`);
        const report = await verifyJournal(store);
        assert.equal(report.misfit, null);
        assert.deepEqual([report.events, report.blobs], [last, last / 2]);
        assert.equal((await collect(store.checkBlobs())).filter((blob) => blob.problem !== null).length, 0);
        const tasks = await store.tasks({});
        assert.equal(tasks.length, last / 2, 'events and tasks together or not at all');
        for (const { cause, id } of tasks) assert.deepEqual((await store.event(cause ?? ''))?.data, { reason: id });
        assert.deepEqual(store.integrity(), []);
        await store.close();
        kills++;
      }
      assert.equal(kills, 5);
    } finally {
      await remove();
    }
  });

  test('gives up the lock of a home at once; before that a second process is refused clearly', async () => {
    const { dir, remove } = await tempDir();
    const refused = (error: unknown): boolean => {
      assert.ok(error instanceof HomeLocked, String(error));
      assert.equal(error.home, dir);
      assert.match(error.message, /another ruche is running on .*--home/);
      return true;
    };
    try {
      await killed('locker.ts', dir, () => {
        assert.throws(() => lockHome(dir), refused);
        return true;
      });
      const lock = lockHome(dir);
      assert.throws(() => lockHome(dir), refused);
      lock.release();
      lockHome(dir).release();
      assert.throws(() => lockHome(join(dir, 'missing')), /no such folder/);
    } finally {
      await remove();
    }
  });
});
