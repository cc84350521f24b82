import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { verifyJournal } from '../store/chain-oracle.ts';
import { collect, commit, note } from '../store/kit.ts';
import type { WithStore } from './store.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

export function blobContract(withStore: WithStore): void {
  test(
    'equal bytes of one subject are one blob; of two subjects two',
    withStore(async (store) => {
      const one = store.putBlob(bytes('yes'), 'person:ann');
      assert.deepEqual(store.putBlob(bytes('yes'), 'person:ann'), one);
      await commit(store, [note('a', 'x')]);
      assert.deepEqual(store.putBlob(bytes('yes'), 'person:ann'), one);
      const two = store.putBlob(bytes('yes'), 'person:bob');
      assert.notEqual(two.hash, one.hash);
      assert.match(one.hash, /^[A-Za-z0-9_-]{43}$/);
      assert.deepEqual([one.size, one.subject], [3, 'person:ann']);
      await commit(store, [note('a', 'y')]);
      assert.deepEqual(await store.getBlob(one), bytes('yes'));
      assert.deepEqual(await collect(store.checkBlobs()), [
        { hash: one.hash, erased: false, problem: null },
        { hash: two.hash, erased: false, problem: null },
      ]);
    }),
  );

  test(
    'any bytes come back, before and after the commit that keeps them',
    withStore(async (store) => {
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 300 }),
          fc.string({ unit: 'binary', maxLength: 6 }),
          async (data, subject) => {
            const ref = store.putBlob(data, subject);
            assert.deepEqual(await store.getBlob(ref), Buffer.from(data));
            if (runs++ % 3 === 0) await commit(store, [note('a', 'x')]);
            assert.deepEqual(await store.getBlob(ref), Buffer.from(data));
          },
        ),
        { numRuns: 60 },
      );
      assert.ok(runs >= 60);
      const large = store.putBlob(Buffer.alloc(3_000_000, 'x'), 'big');
      await commit(store, [note('a', 'x')]);
      assert.equal((await store.getBlob(large))?.length, 3_000_000);
    }),
  );

  test(
    'a blob nobody put is an error, and so is one that is too large',
    withStore(async (store) => {
      await assert.rejects(store.getBlob({ hash: 'nothing' }), /blob nothing is not in/);
      assert.throws(() => store.putBlob(new Uint8Array(64 * 1024 * 1024 + 1), 's'), RangeError);
    }),
  );

  test(
    'erasing a subject takes its blobs and no others, permanently, and the chain still verifies',
    withStore(async (store) => {
      const mine = store.putBlob(bytes('my secret'), 'person:ann');
      const other = store.putBlob(bytes('other'), 'person:bob');
      await commit(store, [
        note('a', 'x', {
          type: 'approval.answered',
          data: { approval: 'a', verdict: 'deny', by: 'ann', reason: mine },
        }),
        note('a', 'y', { type: 'question.answered', data: { question: 'q', by: 'bob', answer: other } }),
      ]);
      const staged = store.putBlob(bytes('never committed'), 'person:ann');
      await store.erase('person:ann');
      assert.equal(await store.getBlob(mine), null);
      assert.equal(await store.getBlob(staged), null);
      assert.deepEqual(await store.getBlob(other), bytes('other'));
      const again = store.putBlob(bytes('my secret'), 'person:ann');
      assert.notEqual(again.hash, mine.hash);
      await commit(store, [note('a', 'z')]);
      assert.deepEqual(await store.getBlob(again), bytes('my secret'));
      assert.equal(await store.getBlob(mine), null);
      await store.erase('person:nobody');
      const { misfit, ...counts } = await verifyJournal(store);
      assert.equal(misfit, null);
      assert.deepEqual([counts.events, counts.blobs, counts.erased], [3, 1, 1]);
      const checked = (await collect(store.checkBlobs())).map((blob) => `${blob.erased} ${blob.problem}`);
      assert.deepEqual(checked.sort(), ['false null', 'false null', 'true null', 'true null']);
    }),
  );

  test(
    'what is put while an erasure ends is under a key that lasts',
    withStore(async (store) => {
      await commit(store, [note('a', 'x')]);
      store.putBlob(bytes('old'), 'person:ann');
      // Answered in the same transaction, and heard of just before the erasure is.
      const lease = { task: 'tsk_none', token: 1, worker: 'w', until: 0 };
      const put = store.renew(lease, 1).then(() => store.putBlob(bytes('new'), 'person:ann'));
      await store.erase('person:ann');
      const ref = await put;
      await commit(store, [note('a', 'y')]);
      assert.deepEqual(await store.getBlob(ref), bytes('new'));
      const checked = (await collect(store.checkBlobs())).map((blob) => `${blob.erased} ${blob.problem}`);
      assert.deepEqual(checked.sort(), ['false null', 'true null']);
    }),
  );

  test(
    'a blob that an event names and nobody has is a misfit at that event',
    withStore(async (store) => {
      const answer = { hash: 'gone', size: 1, subject: 's' };
      await commit(store, [
        note('a', 'x'),
        note('a', 'y', { type: 'question.answered', data: { question: 'q', by: 'bob', answer } }),
        note('a', 'z'),
      ]);
      const report = await verifyJournal(store);
      assert.equal(report.misfit?.event, 'evt_2');
      assert.match(report.misfit?.why ?? '', /blob gone/);
    }),
  );
}
