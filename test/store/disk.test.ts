import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { BoundaryName } from '../../src/core/ports/boundary.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import { verifyJournal } from './chain-oracle.ts';
import { lockHome } from '../../src/store/sqlite/lock.ts';
import { apply, collect, commit, newTask, note, openAt, settle, tempDir } from './kit.ts';
import { cannotMount, cutPower, freeBytes, image, makeImage, tmpfs } from './mounted.ts';
import type { Mount } from './mounted.ts';

let dir = '';
let remove = async (): Promise<void> => {};
let mounts = 0;
let reason: string | false = false;

before(async () => {
  ({ dir, remove } = await tempDir());
  reason = cannotMount(dir);
});
after(() => remove());

/** A test on a mount of its own, skipped with the reason where nothing may be mounted. */
const onMount = (make: (at: string) => Mount, body: (mount: Mount) => Promise<void>) => async (t: TestContext) => {
  if (reason) return t.skip(reason);
  const mount = make(join(dir, `m${mounts++}`));
  try {
    await body(mount);
  } finally {
    mount.unmount();
  }
};

const tiny = (at: string): Mount => tmpfs(at, '2m');
const is = (code: StoreUnavailable['code']) => (error: unknown) => {
  assert.ok(error instanceof StoreUnavailable, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

describe('a full disk', () => {
  test(
    'refuses whole groups, loses nothing that was acknowledged or staged, and goes on when there is space',
    onMount(tiny, async (mount) => {
      const path = join(mount.dir, 'ruche.sqlite');
      const store = await openAt(path);
      let acknowledged = 0;
      let full: unknown = null;
      const text = 'x'.repeat(20_000);
      for (let i = 0; i < 400 && !full; i++) {
        const group = await Promise.allSettled(
          [0, 1, 2].map((n) =>
            commit(store, [note(`s${n}`, text)], [{ op: 'enqueue', task: newTask(`t${i}-${n}`) }], {
              sync: i % 2 === 0,
            }),
          ),
        );
        const refused = group.filter((result) => result.status === 'rejected');
        assert.ok(refused.length === 0 || refused.length === 3, 'all of the group or none');
        for (const { reason: why } of refused) is('full')(why);
        full = refused[0]?.reason;
        if (!full) acknowledged += 3;
      }
      assert.ok(full, 'the disk filled up');
      assert.ok(acknowledged > 20, String(acknowledged));
      assert.equal(await store.head(), acknowledged);
      assert.equal((await store.counts()).queued, acknowledged);
      const staged = store.putBlob(Buffer.alloc(200_000, 7), 'person:ann');
      for (let again = 0; again < 3; again++)
        await assert.rejects(commit(store, [note('a', text)], [], { sync: true }), is('full'));
      assert.equal(await store.head(), acknowledged);

      mount.remount('size=8m');
      assert.ok((await commit(store, [note('a', 'after')], [settle('t0-0')], { sync: true })).ok);
      assert.equal((await store.getBlob(staged))?.length, 200_000);
      await store.close();
      const again = await openAt(path);
      assert.equal((await again.getBlob(staged))?.[0], 7);
      const report = await verifyJournal(again);
      assert.deepEqual([report.events, report.misfit], [acknowledged + 1, null]);
      assert.deepEqual(again.integrity(), []);
      await again.close();
    }),
  );

  test(
    'is named when the store is opened, and opening works later',
    onMount(tiny, async (mount) => {
      const path = join(mount.dir, 'ruche.sqlite');
      const filler = join(mount.dir, 'filler');
      await writeFile(filler, Buffer.alloc(freeBytes(mount.dir)));
      await assert.rejects(openAt(path), is('full'));
      await rm(filler);
      const store = await openAt(path);
      assert.ok((await commit(store, [note('a', 'x')], [], { sync: true })).ok);
      await store.close();
    }),
  );
});

describe('a read-only disk', () => {
  test(
    'is named when the store is opened or locked; reading still works',
    onMount(tiny, async (mount) => {
      const path = join(mount.dir, 'ruche.sqlite');
      const store = await openAt(path);
      await commit(store, [note('a', 'x')], [], { sync: true });
      await store.close();
      mount.remount('ro');
      await assert.rejects(openAt(path), is('readonly'));
      await assert.rejects(openAt(join(mount.dir, 'other.sqlite')), is('readonly'));
      assert.throws(() => lockHome(mount.dir), is('readonly'));
      const reader = await openAt(path, { readOnly: true });
      assert.equal((await collect(reader.read({}))).length, 1);
      await reader.close();
    }),
  );
});

describe('a power cut', () => {
  test('what was acknowledged with sync survives at every boundary, and the database opens and verifies', async (t) => {
    if (reason) return t.skip(reason);
    const disk = join(dir, 'disk.img');
    makeImage(disk, '24M');
    const mount = image(disk, join(dir, 'disk'));
    const cuts: { at: BoundaryName; synced: number; head: number; copy: string }[] = [];
    let synced = 0;
    let head = 0;
    let calls = 0;
    const boundary = (at: BoundaryName): void => {
      if (++calls % 11 !== 0 || cuts.length >= 14) return;
      const copy = join(dir, `cut${cuts.length}.img`);
      cutPower(disk, copy);
      cuts.push({ at, synced, head, copy });
    };
    try {
      const store = await openAt(join(mount.dir, 'ruche.sqlite'), { boundary });
      for (let i = 0; i < 60; i++) {
        const sync = i % 3 === 0;
        const answer = store.putBlob(Buffer.from(`answer ${i}`), `person:p${i % 5}`);
        const asked = note('a', 'x', { type: 'question.answered', data: { question: 'q', by: 'p', answer } });
        const [result] = await Promise.all([
          commit(store, [asked], [{ op: 'enqueue', task: newTask(`t${i}`) }], { sync }),
          commit(store, [note('b', 'y'.repeat(3000))]),
        ]);
        assert.ok(result.ok);
        head = await store.head();
        if (sync) synced = head;
        await apply(store, settle(`t${i}`));
      }
      await store.close();
    } finally {
      mount.unmount();
    }
    assert.deepEqual([...new Set(cuts.map((cut) => cut.at))].sort(), [
      'store.commit.after',
      'store.commit.before',
      'store.sync.after',
      'store.sync.before',
    ]);
    let lost = 0;
    for (const { at, synced: promised, head: known, copy } of cuts) {
      const after = image(copy, join(dir, 'after'));
      try {
        const store = await openAt(join(after.dir, 'ruche.sqlite'));
        const found = await store.head();
        assert.ok(found >= promised, `${at}: ${found} events, ${promised} were promised`);
        if (found < known) lost++;
        const { events, misfit } = await verifyJournal(store);
        assert.deepEqual([events, misfit], [found, null], at);
        assert.deepEqual(store.integrity(), []);
        assert.ok((await commit(store, [note('a', 'goes on')], [], { sync: true })).ok);
        await store.close();
      } finally {
        after.unmount();
      }
      await rm(copy);
    }
    assert.equal(cuts.length, 14);
    assert.ok(lost > 0, 'a stage that never loses what was not synced would prove nothing');
  });
});
