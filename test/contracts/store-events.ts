import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { EVENT_SCHEMA, type Event, type NewEvent } from '../../src/core/event.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import type { CommitResult, ReadFrom } from '../../src/core/ports/store.ts';
import { verifyChain } from '../store/chain-oracle.ts';
import { upcast } from '../../src/journal/upcast.ts';
import { apply, claimAt, collect, commit, enqueue, newTask, note, settle, take } from '../store/kit.ts';
import type { WithStore } from './store.ts';

const events = (result: CommitResult): Event[] => {
  assert.ok(result.ok, JSON.stringify(result));
  return result.events;
};

export function eventContract(withStore: WithStore): void {
  test(
    'numbers events without a gap, versions each stream, and reads back what it said',
    withStore(async (store, clock) => {
      const first = events(
        await commit(store, [
          note('a', 'one', { labels: ['private', 'untrusted'], actor: 'person:ann', key: 'k1' }),
          note('b', 'two', { cause: 0 }),
          note('a', 'three', { cause: 'evt_1' }),
        ]),
      );
      clock.time += 5;
      const second = events(await commit(store, [note('a', 'four')], [], { sync: true }));
      assert.deepEqual(
        [...first, ...second].map(({ seq, id, stream, version, cause, at, schema }) => [
          seq,
          id,
          stream,
          version,
          cause,
          at,
          schema,
        ]),
        [
          [1, 'evt_1', 'a', 1, null, clock.time - 5, EVENT_SCHEMA],
          [2, 'evt_2', 'b', 1, 'evt_1', clock.time - 5, EVENT_SCHEMA],
          [3, 'evt_3', 'a', 2, 'evt_1', clock.time - 5, EVENT_SCHEMA],
          [4, 'evt_4', 'a', 3, null, clock.time, EVENT_SCHEMA],
        ],
      );
      assert.deepEqual(await collect(store.read({})), [...first, ...second]);
      assert.deepEqual(await store.event('evt_2'), first[1]);
      assert.deepEqual(await store.byKey('k1'), first[0]);
      assert.deepEqual(
        [await store.event('evt_9'), await store.event('x'), await store.byKey('no')],
        [null, null, null],
      );
      assert.deepEqual([await store.head(), await store.version('a'), await store.version('none')], [4, 3, 0]);
    }),
  );

  test(
    'a wrong expected version is a conflict and writes nothing',
    withStore(async (store) => {
      await commit(store, [note('a', 'one')]);
      const result = await commit(store, [note('a', 'x'), note('c', 'y')], [{ op: 'enqueue', task: newTask('t') }], {
        expect: { c: 0, a: 0 },
      });
      assert.deepEqual(result, { ok: false, why: 'conflict', stream: 'a', version: 1 });
      assert.deepEqual([await store.head(), await store.version('c'), await store.task('t')], [1, 0, null]);
      assert.ok((await commit(store, [note('a', 'two')], [], { expect: { a: 1, c: 0 } })).ok);
    }),
  );

  test(
    'of many writers that expect the same version exactly one wins',
    withStore(async (store) => {
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          commit(store, [note('s', `w${i}`)], [], { expect: { s: 0 }, sync: i % 2 === 0 }),
        ),
      );
      assert.equal(results.filter((r) => r.ok).length, 1);
      assert.equal(results.filter((r) => !r.ok && r.why === 'conflict' && r.version === 1).length, 39);
      assert.equal(await store.head(), 1);
    }),
  );

  test(
    'a key stands once: a second event with it is a Duplicate that shows the first',
    withStore(async (store) => {
      const [first] = events(
        await commit(store, [note('a', 'one', { key: 'm1' })], [{ op: 'enqueue', task: newTask('t1') }]),
      );
      const again = await commit(
        store,
        [note('z', 'zero'), note('a', 'again', { key: 'm1' })],
        [{ op: 'enqueue', task: newTask('t2') }],
        { expect: { a: 0 } },
      );
      assert.deepEqual(again, { ok: false, why: 'duplicate', key: 'm1', existing: first });
      assert.deepEqual([await store.head(), await store.task('t2')], [1, null]);
      const burst = await Promise.all([1, 2, 3].map(() => commit(store, [note('a', 'x', { key: 'm2' })])));
      assert.deepEqual(
        burst.map((r) => r.ok),
        [true, false, false],
      );
      await assert.rejects(commit(store, [note('a', 'x', { key: 'm3' }), note('a', 'y', { key: 'm3' })]), TypeError);
      assert.equal(await store.head(), 2);
    }),
  );

  test(
    "a task's key stands once and leads to the event that made it",
    withStore(async (store) => {
      const [made] = events(
        await commit(
          store,
          [note('a', 'one')],
          [{ op: 'enqueue', task: newTask('t1', { key: 'weekly' }), causeOf: 0 }],
        ),
      );
      await apply(store, settle('t1'));
      const again = await commit(
        store,
        [note('a', 'two')],
        [{ op: 'enqueue', task: newTask('t2', { key: 'weekly' }) }],
      );
      assert.deepEqual(again, { ok: false, why: 'duplicate', key: 'weekly', existing: made });
      assert.equal(await store.head(), 1);
    }),
  );

  test(
    'a queue operation that does not fit takes the events back',
    withStore(async (store) => {
      await enqueue(store, newTask('t'));
      const result = await commit(store, [note('a', 'one', { key: 'k' })], [settle('t'), { op: 'park', task: 't' }]);
      assert.deepEqual(result, { ok: false, why: 'state', task: 't', status: 'done' });
      assert.deepEqual(
        [await store.head(), await store.byKey('k'), (await store.task('t'))?.status],
        [0, null, 'queued'],
      );
      assert.equal(events(await commit(store, [note('a', 'one', { key: 'k' })]))[0]?.seq, 1);
    }),
  );

  test(
    'a bug in one batch of a turn does not hurt the others',
    withStore(async (store) => {
      const results = await Promise.allSettled([
        commit(store, [note('a', 'one')]),
        commit(store, [note('a', 'bug', { cause: 0 })]),
        commit(store, [note('a', 'two')], [{ op: 'enqueue', task: newTask('t', { status: 'running' }) }]),
        commit(store, [note('a', 'three')], [{ op: 'enqueue', task: newTask('t'), causeOf: 3 }]),
        commit(store, [note('b', 'four')]),
      ]);
      assert.deepEqual(
        results.map((r) => r.status),
        ['fulfilled', 'rejected', 'rejected', 'rejected', 'fulfilled'],
      );
      assert.deepEqual(
        (await collect(store.read({}))).map((e) => [e.seq, e.stream, e.version]),
        [
          [1, 'a', 1],
          [2, 'b', 1],
        ],
      );
      assert.equal((await verifyChain(store.rows())).misfit, null);
    }),
  );

  test(
    'a fence that is not the current lease is refused',
    withStore(async (store, clock) => {
      await enqueue(store, newTask('t'));
      const first = await claimAt(store, clock.time, 10);
      const second = await claimAt(store, clock.time + 10, 10);
      assert.ok(first && second);
      const write = (fence: typeof first.lease) => commit(store, [note('a', 'x')], [], { fence });
      assert.deepEqual(await write(first.lease), { ok: false, why: 'lease-lost' });
      assert.ok((await write(second.lease)).ok);
      await apply(store, { op: 'park', task: 't' });
      assert.deepEqual(await write(second.lease), { ok: false, why: 'lease-lost' });
      assert.deepEqual(await write({ ...second.lease, task: 'none' }), { ok: false, why: 'lease-lost' });
      assert.equal(await store.head(), 1);
    }),
  );

  test(
    'an empty batch is allowed, and syncs what came before',
    withStore(async (store) => {
      await commit(store, [note('a', 'one')]);
      assert.deepEqual(await commit(store, [], [], { sync: true }), { ok: true, events: [] });
      assert.equal(await store.head(), 1);
    }),
  );

  test(
    'reads by stream, type, position, direction and limit as a plain filter would',
    withStore(async (store) => {
      const types = ['gateway.stopped', 'config.applied', 'person.committed'] as const;
      const batch: NewEvent[] = Array.from({ length: 700 }, (_, i) =>
        note(`s${(i * 7) % 5}`, String(i), { type: types[(i * i) % 3] }),
      );
      const all = events(await commit(store, batch));
      const query = fc.record(
        {
          after: fc.integer({ min: 0, max: 710 }),
          before: fc.integer({ min: 0, max: 710 }),
          stream: fc.constantFrom('s0', 's3', 'none'),
          types: fc.array(fc.constantFrom(...types), { maxLength: 4 }),
          limit: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(256, 257, 600)),
          reverse: fc.boolean(),
        },
        { requiredKeys: [] },
      );
      const plain = ({
        after = 0,
        before = Infinity,
        stream,
        types: only,
        limit = Infinity,
        reverse,
      }: ReadFrom): number[] => {
        const found = all.filter(
          (e) =>
            e.seq > after &&
            e.seq < before &&
            (stream === undefined || e.stream === stream) &&
            (!only || only.includes(e.type)),
        );
        return (reverse ? found.toReversed() : found).slice(0, limit).map((e) => e.seq);
      };
      let checked = 0;
      await fc.assert(
        fc.asyncProperty(query, async (from) => {
          assert.deepEqual(
            (await collect(store.read(from))).map((e) => e.seq),
            plain(from),
          );
          checked++;
        }),
        { numRuns: 80 },
      );
      assert.ok(checked >= 80);
    }),
  );

  test(
    'a read ends where the journal ended when it began',
    withStore(async (store) => {
      await commit(
        store,
        Array.from({ length: 300 }, (_, i) => note('a', String(i))),
      );
      const seen: number[] = [];
      for await (const event of store.read({})) {
        seen.push(event.seq);
        if (event.seq % 50 === 0) await commit(store, [note('a', 'more')]);
      }
      assert.equal(seen.length, 300);
      assert.equal(await store.head(), 306);
    }),
  );

  test(
    'follows without a gap or a double while others commit',
    withStore(async (store) => {
      let runs = 0;
      const plan = fc.record({
        before: fc.integer({ min: 0, max: 300 }),
        after: fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 4 }),
        sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
        slow: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(plan, async ({ before, after, sizes, slow }) => {
          const start = await store.head();
          if (before > 0)
            await commit(
              store,
              Array.from({ length: before }, () => note('f', 'old')),
            );
          const end = start + before + sizes.reduce((sum, size) => sum + size, 0);
          const abort = new AbortController();
          const followers = after.map(async (offset) => {
            const from = Math.min(start + offset, end);
            const seqs: number[] = [];
            if (from === end) return { from, seqs };
            for await (const event of store.follow(from, abort.signal)) {
              seqs.push(event.seq);
              if (slow && event.seq % 16 === 0) await turn();
              if (event.seq === end) break;
            }
            return { from, seqs };
          });
          await Promise.all(
            sizes.map(async (size, i) => {
              for (let wait = 0; wait < i % 4; wait++) await turn();
              // Every third batch is refused after its events were tried: nobody may ever see those.
              if (i % 3 === 0) await commit(store, [note('f', 'never')], [{ op: 'park', task: 'none' }]);
              return commit(
                store,
                Array.from({ length: size }, () => note('f', 'new')),
              );
            }),
          );
          for (const { from, seqs } of await Promise.all(followers))
            assert.deepEqual(
              seqs,
              Array.from({ length: end - from }, (_, i) => from + 1 + i),
            );
          abort.abort();
          runs++;
        }),
        { numRuns: 25 },
      );
      assert.ok(runs >= 25);
      assert.equal((await collect(store.read({}))).filter((e) => JSON.stringify(e.data).includes('never')).length, 0);
    }),
  );

  test(
    'a follower stops on abort, before, during and between events, and on close',
    withStore(async (store) => {
      await commit(store, [note('a', 'one'), note('a', 'two')]);
      assert.deepEqual(await collect(store.follow(0, AbortSignal.abort())), []);
      const abort = new AbortController();
      const seen: number[] = [];
      for await (const event of store.follow(0, abort.signal)) {
        seen.push(event.seq);
        abort.abort();
      }
      assert.deepEqual(seen, [1]);
      const idle = new AbortController();
      const waiting = collect(store.follow(2, idle.signal));
      const closing = collect(store.follow(1, new AbortController().signal));
      await turn();
      idle.abort();
      assert.deepEqual(await waiting, []);
      await turn();
      await store.close();
      assert.deepEqual(
        (await closing).map((e) => e.seq),
        [2],
      );
      await assert.rejects(commit(store, [note('a', 'late')]), StoreUnavailable);
    }),
  );

  test(
    'names and texts of any kind come back, and the chain holds',
    withStore(async (store) => {
      let runs = 0;
      const text = fc.string({ unit: 'binary', maxLength: 12 });
      const odd = fc.constantFrom('a\0b', '\ud800', 'x\udfffy', '\n', '"', 'é', 'e\u0301', '\u2028');
      const word = fc.oneof(text, odd);
      await fc.assert(
        fc.asyncProperty(word, word, word, async (stream, key, reason) => {
          const name = `${runs++}${key}`;
          const [made] = events(await commit(store, [note(stream, reason, { key: name, actor: key })]));
          assert.ok(made);
          assert.deepEqual(await store.byKey(name), made);
          assert.equal(made.version, await store.version(stream));
          assert.deepEqual(await collect(store.read({ stream, after: made.seq - 1 })), [made]);
          assert.deepEqual(made.data, { reason });
        }),
        { numRuns: 60 },
      );
      const report = await verifyChain(store.rows());
      assert.equal(report.misfit, null);
      assert.ok(report.events >= 60);
    }),
  );

  test(
    'the chain verifies from any point, and names the first event that was changed',
    withStore(async (store) => {
      const made = events(
        await commit(
          store,
          Array.from({ length: 20 }, (_, i) => note('a', `n${i}`, { key: `k${i}` })),
        ),
      );
      const rows = await collect(store.rows());
      assert.deepEqual(await verifyChain(rows), { events: 20, head: made[19]?.hash, misfit: null });
      assert.equal((await verifyChain(store.rows(7), made[6]?.hash, 7)).events, 13);
      for (const column of Object.keys(rows[0] ?? {}) as (keyof (typeof rows)[0])[]) {
        const forged = rows.map((row) => ({ ...row }));
        Object.assign(forged[9] ?? {}, { [column]: typeof rows[9]?.[column] === 'number' ? 77 : 'forged' });
        assert.equal((await verifyChain(forged)).misfit?.event, 'evt_10', column);
      }
      assert.equal((await verifyChain(rows.toSpliced(4, 1))).misfit?.event, 'evt_5');
      const swapped = rows.with(4, rows[5] ?? assert.fail()).with(5, rows[4] ?? assert.fail());
      assert.equal((await verifyChain(swapped)).misfit?.event, 'evt_5');
    }),
  );

  test(
    'events of an older schema are read as today’s, and stored as they were',
    withStore(
      async (store) => {
        const [made] = events(
          await commit(store, [note('a', 'old', { key: 'k' }), note('b', 'x', { type: 'config.applied' })]),
        );
        const [read, other] = await collect(store.read({}));
        assert.deepEqual(read?.data, { reason: 'old, then told twice' });
        assert.deepEqual([read?.schema, other?.schema, read?.hash], [EVENT_SCHEMA + 2, EVENT_SCHEMA + 2, made?.hash]);
        assert.deepEqual(await store.byKey('k'), read);
        assert.deepEqual(await store.event('evt_1'), read);
        assert.deepEqual(await take(store.follow(0, new AbortController().signal), 1), [read]);
        assert.equal((await collect(store.rows()))[0]?.data, '{"reason":"old"}');
        assert.equal((await verifyChain(store.rows())).misfit, null);
      },
      {
        upcast: (event) =>
          upcast(
            event,
            {
              'gateway.stopped': {
                [EVENT_SCHEMA]: (data: { reason: string }) => ({ reason: `${data.reason}, then told` }),
                [EVENT_SCHEMA + 1]: (data: { reason: string }) => ({ reason: `${data.reason} twice` }),
              },
            },
            EVENT_SCHEMA + 2,
          ),
      },
    ),
  );
}
