import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Checkouts, Workspace } from '../../src/core/ports/workspace.ts';

export interface OpenedCheckouts {
  workspace: Workspace;
  checkouts: Checkouts;
  /** The same folder, opened by the next process. */
  reopen(): Promise<Checkouts>;
  dispose(): Promise<void>;
}

/** What every pool of checkouts must do. `open` gives one over a workspace that holds exactly the files. */
export function checkoutsContract(
  name: string,
  open: (files: Record<string, string>) => Promise<OpenedCheckouts>,
): void {
  const FILES = { 'a.txt': 'a\n', 'd/b.txt': 'b\n', '.gitignore': '*.log\n' };
  const using = (body: (opened: OpenedCheckouts, base: string) => Promise<void>) => async (): Promise<void> => {
    const opened = await open(FILES);
    try {
      await body(opened, await opened.workspace.head());
    } finally {
      await opened.dispose();
    }
  };
  const listing = async (dir: string): Promise<string[]> => {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory());
    return files.map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1)).toSorted();
  };

  describe(`checkouts contract: ${name}`, () => {
    test(
      'a directory holds base and overlay, and what a command did there is found',
      using(async ({ workspace, checkouts }, base) => {
        const files = workspace.files(base, []);
        await files.write('over.txt', Buffer.from('overlay\n'));
        await files.remove('a.txt');
        const checkout = await checkouts.take(base, files.changes(), 'call_1');
        assert.deepEqual(await listing(checkout.dir), ['.gitignore', 'd/b.txt', 'over.txt']);
        assert.deepEqual(await checkouts.collect(checkout), { changes: [], dropped: [], refused: null });
        await writeFile(join(checkout.dir, 'over.txt'), 'again\n');
        await writeFile(join(checkout.dir, 'made.txt'), 'made\n');
        await writeFile(join(checkout.dir, 'made.log'), 'noise\n');
        await rm(join(checkout.dir, 'd'), { recursive: true });
        const collected = await checkouts.collect(checkout);
        assert.deepEqual(
          collected.changes.map(({ path, oid, was }) => [path, oid !== null, was !== null]),
          [
            ['d/b.txt', false, true],
            ['made.txt', true, false],
            ['over.txt', true, false],
          ],
        );
        assert.deepEqual(collected.dropped, ['made.log']);
        assert.deepEqual(await checkouts.collect(checkout), collected);
        files.apply(collected.changes);
        assert.equal(Buffer.from((await files.read('made.txt'))?.bytes ?? []).toString(), 'made\n');
        await checkouts.release(checkout);
      }),
    );

    test(
      'nothing of one command reaches the next',
      using(async ({ checkouts }, base) => {
        const seen = new Set<string>();
        for (const key of ['call_1', 'call_2', 'call_3']) {
          const checkout = await checkouts.take(base, [], key);
          seen.add(checkout.id);
          assert.deepEqual(await listing(checkout.dir), ['.gitignore', 'a.txt', 'd/b.txt']);
          assert.equal(await readFile(join(checkout.dir, 'a.txt'), 'utf8'), 'a\n');
          await writeFile(join(checkout.dir, 'a.txt'), 'secret\n');
          await mkdir(join(checkout.dir, 'left/.git'), { recursive: true });
          await writeFile(join(checkout.dir, 'left/behind.log'), 'secret\n');
          await checkouts.release(checkout);
        }
        assert.ok(seen.size > 0);
      }),
    );

    test(
      'after a crash a call finds its directory as the command left it; others do not',
      using(async ({ checkouts, reopen }, base) => {
        const checkout = await checkouts.take(base, [], 'call_1');
        const other = await checkouts.take(base, [], 'call_2');
        await writeFile(join(checkout.dir, 'half.txt'), 'half\n');
        await checkouts.release(other);
        const next = await reopen();
        assert.deepEqual(await next.held(), ['call_1']);
        assert.equal(await next.adopt('call_2'), null);
        const adopted = await next.adopt('call_1');
        assert.deepEqual(adopted, checkout);
        assert.ok(adopted);
        assert.deepEqual(
          (await next.collect(adopted)).changes.map((change) => change.path),
          ['half.txt'],
        );
        await next.release(adopted);
        assert.deepEqual(await next.held(), []);
        assert.equal(await next.adopt('call_1'), null);
      }),
    );

    test(
      'a nested repository is refused',
      using(async ({ checkouts }, base) => {
        for (const place of ['sub/.git', 'd/.git']) {
          const checkout = await checkouts.take(base, [], 'call_1');
          await mkdir(join(checkout.dir, place), { recursive: true });
          await writeFile(join(checkout.dir, place, 'HEAD'), 'ref: refs/heads/main\n');
          await mkdir(join(checkout.dir, place, 'objects'));
          await mkdir(join(checkout.dir, place, 'refs'));
          await writeFile(join(checkout.dir, place, '../file.txt'), 'x\n');
          const collected = await checkouts.collect(checkout);
          assert.match(collected.refused ?? '', /repository of its own/, place);
          assert.deepEqual(collected.changes, []);
          await checkouts.release(checkout);
        }
      }),
    );
  });
}
