import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import type { CommitResult, QueueOp, ReadFrom, Store } from '../../src/core/ports/store.ts';
import type { Claim } from '../../src/core/task.ts';
import { verifyJournal } from './chain-oracle.ts';
import { Known } from '../../src/store/sqlite/known.ts';
import type { SqliteStore } from '../../src/store/sqlite/store.ts';
import { tries } from '../fakes/effort.ts';
import { claimAt, collect, newTask, note, openAt, tempDir, TestClock } from './kit.ts';

const STREAMS = ['a', 'b', 'c'];
const TASKS = ['t0', 't1', 't2', 't3', 't4', 't5'];
const LANES = ['l0', 'l1'];

/** One batch. Few names, so that they meet: keys that stand, versions that are old, operations that do not fit, bugs. */
const batch = fc.record({
  events: fc.array(
    fc.record({
      stream: fc.constantFrom(...STREAMS),
      key: fc.option(fc.nat({ max: 25 }), { nil: undefined }),
      cause: fc.constantFrom(null, null, null, 0),
    }),
    { maxLength: 3 },
  ),
  expect: fc.option(fc.constantFrom('right', 'wrong'), { nil: undefined }),
  queue: fc.array(
    fc.record({
      op: fc.constantFrom('enqueue', 'enqueue', 'settle', 'park', 'wake', 'retry', 'absorb', 'fresh'),
      task: fc.constantFrom(...TASKS),
      other: fc.constantFrom(...TASKS),
      lane: fc.constantFrom(...LANES),
    }),
    { maxLength: 3 },
  ),
  fence: fc.constantFrom(null, null, 'current', 'stale'),
  blob: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined }),
});
type Wanted = typeof batch extends fc.Arbitrary<infer T> ? T : never;

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ act: fc.constant('commit' as const), batches: fc.array(batch, { maxLength: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('claim' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('renew' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('release' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('reopen' as const) }) },
  // The disk takes nothing at the next transaction, whatever was done in it.
  { weight: 2, arbitrary: fc.record({ act: fc.constant('fail' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Walk {
  readonly done = new Map<string, number>();
  readonly #path: string;
  readonly #clock = new TestClock();
  #store: SqliteStore | null = null;
  #failing = false;
  #claims: Claim[] = [];
  #made = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<SqliteStore> {
    const boundary = (name: string): void => {
      if (name === 'store.commit.before' && this.#failing) throw new StoreUnavailable('io', 'the disk is gone');
    };
    this.#store = await openAt(this.#path, { clock: this.#clock, boundary });
    return this.#store;
  }

  get store(): SqliteStore {
    return this.#store ?? assert.fail('not open');
  }

  count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  async take(given: Step): Promise<void> {
    this.#clock.time += 7;
    this.count(given.act);
    if (given.act === 'fail') {
      this.#failing = true;
      return;
    }
    if (given.act === 'commit') {
      const results = await Promise.allSettled(given.batches.map((each) => this.#commit(each)));
      for (const result of results) this.count(resultOf(result));
    } else await this.#act(given.act).catch(unavailable);
    this.#failing = false;
  }

  async #act(act: Exclude<Step['act'], 'commit' | 'fail'>): Promise<void> {
    const last = this.#claims.at(-1);
    const now = this.#clock.time;
    if (act === 'claim') {
      const claim = await claimAt(this.store, now, 50);
      if (claim) this.#claims.push(claim);
    }
    if (act === 'renew' && last) await this.store.renew(last.lease, now + 50);
    if (act === 'release') await this.store.releaseAll();
    if (act !== 'reopen') return;
    await this.store.close();
    await this.open();
  }

  async #commit({ events, expect, queue, fence: which, blob }: Wanted): Promise<CommitResult> {
    const lease = which === null ? undefined : this.#claims.at(-1)?.lease;
    const fence = lease && which === 'stale' ? { ...lease, token: lease.token - 1 } : lease;
    if (blob !== undefined) this.store.putBlob(Buffer.from(blob), 'person:ann');
    const stream = events[0]?.stream ?? 'a';
    const version = await this.store.version(stream);
    return this.store.commit({
      events: events.map(({ stream: name, key, cause }) =>
        note(name, `n${this.#made++}`, { cause, ...(key === undefined ? {} : { key: `k${key}` }) }),
      ),
      queue: queue.map(({ op, task, other, lane }): QueueOp => {
        switch (op) {
          case 'fresh':
            return { op: 'enqueue', task: newTask(`n${this.#made++}`, { lane }), after: [other] };
          case 'enqueue':
            return { op, task: newTask(task, { lane, notBefore: this.#clock.time + 10 }) };
          case 'settle':
            return { op, task, status: 'done', result: null };
          case 'retry':
            return { op, task, notBefore: this.#clock.time + 20 };
          case 'absorb':
            return { op, task, into: other };
          case 'park':
            return { op, task, until: [other] };
          case 'wake':
            return { op, task };
        }
      }),
      ...(expect === undefined ? {} : { expect: { [stream]: expect === 'right' ? version : version + 3 } }),
      ...(fence === undefined ? {} : { fence }),
      sync: false,
    });
  }

  /** All that the writer says stands in the database, and nothing else: another connection knows nothing by heart. */
  async compare(): Promise<void> {
    const oracle = await openAt(this.#path, { clock: this.#clock, readOnly: true });
    try {
      assert.deepEqual(await told(this.store, this.#clock.time), await told(oracle, this.#clock.time));
    } finally {
      await oracle.close();
    }
  }

  async end(): Promise<void> {
    await this.store.close();
    const oracle = await openAt(this.#path, { readOnly: true });
    assert.equal((await verifyJournal(oracle)).misfit, null);
    assert.ok((await collect(oracle.checkBlobs())).every(({ problem }) => problem === null));
    await oracle.close();
  }
}

const unavailable = (error: unknown): void => assert.ok(error instanceof StoreUnavailable, String(error));

const resultOf = (result: PromiseSettledResult<CommitResult>): string =>
  result.status === 'rejected'
    ? result.reason instanceof StoreUnavailable
      ? 'unavailable'
      : 'bug'
    : result.value.ok
      ? 'ok'
      : result.value.why;

/** Everything that can be asked, of the last events in many ways. */
async function told(store: Store, now: number): Promise<unknown> {
  const head = await store.head();
  const reads: ReadFrom[] = [{}, { reverse: true, limit: 3 }, { after: head - 2 }, { after: head }];
  for (const stream of [...STREAMS, 'none'])
    reads.push({ stream }, { stream, after: head - 3 }, { stream, reverse: true, limit: 1 }, { stream, before: head });
  reads.push({ types: ['gateway.stopped'], after: head - 4 }, { types: ['config.applied'] });
  const tasks = await store.tasks({});
  return {
    head,
    versions: await Promise.all(STREAMS.map((stream) => store.version(stream))),
    reads: await Promise.all(reads.map((from) => collect(store.read(from)))),
    keys: await Promise.all(Array.from({ length: 26 }, (_, key) => store.byKey(`k${key}`))),
    events: await Promise.all([head, head - 1, head - 30].map((seq) => store.event(`evt_${seq}`))),
    tasks,
    byId: await Promise.all(tasks.map(({ id }) => store.task(id))),
    awaited: await Promise.all(tasks.map(({ id }) => store.awaited(id))),
    lanes: await Promise.all(LANES.map((lane) => store.tasks({ lane, statuses: ['queued', 'running', 'waiting'] }))),
    waiting: await Promise.all(LANES.map((lane) => store.tasks({ lane, statuses: ['waiting'], limit: 1 }))),
    counts: await store.counts(),
    next: [await store.nextDue(now), await store.nextDue(now + 15), await store.nextDue(now - 15)],
  };
}

describe('what the writer knows without asking', () => {
  test('agrees with the database after conflicts, doubles, bugs, refusals, failures and new starts', async () => {
    const done = new Map<string, number>();
    const { dir, remove } = await tempDir();
    let walks = 0;
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 30, size: 'max' }), async (steps) => {
          const walk = new Walk(join(dir, `${walks++}.sqlite`));
          await walk.open();
          try {
            for (const each of steps) {
              await walk.take(each);
              await walk.compare();
            }
          } finally {
            await walk.end();
          }
          for (const [what, count] of walk.done) done.set(what, (done.get(what) ?? 0) + count);
        }),
        tries(15, 60),
      );
    } finally {
      await remove();
    }
    for (const what of [
      'ok',
      'bug',
      'duplicate',
      'conflict',
      'state',
      'lease-lost',
      'unavailable',
      'reopen',
      'release',
    ])
      assert.ok((done.get(what) ?? 0) >= 3, `${what}: ${done.get(what) ?? 0}`);
  });

  test('a claim that must find nothing asks nothing, and finds what has come meanwhile', async () => {
    const { dir, remove } = await tempDir();
    const store = await openAt(join(dir, 'ruche.sqlite'));
    const ask = (now: number, options: object = {}) => store.claim({ worker: 'w', now, leaseMs: 50, ...options });
    const put = (id: string, rest: object = {}) =>
      store.commit({ events: [], queue: [{ op: 'enqueue', task: newTask(id, rest) }], sync: false });
    try {
      assert.equal(await ask(100), null);
      await put('soon', { notBefore: 120 });
      assert.equal(await ask(110), null);
      assert.equal((await ask(120))?.task.id, 'soon');
      assert.equal(await ask(130, { only: ['other'] }), null);
      await put('mine');
      // Queued in the same moment as it is asked for.
      const [, claim] = await Promise.all([put('theirs', { queue: 'other' }), ask(131, { only: ['other'] })]);
      assert.equal(claim?.task.id, 'theirs');
      assert.equal((await ask(132))?.task.id, 'mine');
      assert.equal(await ask(133), null);
      assert.equal((await ask(171))?.task.id, 'soon', 'its lease has run out');
      assert.equal(await ask(50), null, 'a clock that was put back');
    } finally {
      await store.close();
      await remove();
    }
  });

  test('forgets what is longest unused, but never what a transaction under way may have to take back', () => {
    const known = new Known<string, number>(4);
    for (const [at, key] of ['a', 'b', 'c', 'd', 'e'].entries()) known.set(key, at);
    assert.deepEqual([known.get('a'), known.get('b')], [0, 1], 'used, and so young again');
    for (const [at, key] of ['f', 'g', 'h', 'i'].entries()) known.set(key, at + 5);
    assert.deepEqual([known.get('c'), known.get('d')], [undefined, undefined]);
    const before = known.entries().toSorted(([a], [b]) => a.localeCompare(b));
    const undo = known.mark();
    for (const [at, key] of ['a', 'h', 'x', 'y', 'z'].entries()) known.set(key, at + 100);
    const during = known.entries().toSorted(([a], [b]) => a.localeCompare(b));
    const inner = known.mark();
    known.forget('h');
    known.set('u', 5);
    known.clear();
    assert.deepEqual(known.entries(), []);
    inner();
    assert.deepEqual(
      known.entries().toSorted(([a], [b]) => a.localeCompare(b)),
      during,
    );
    undo();
    assert.deepEqual(
      known.entries().toSorted(([a], [b]) => a.localeCompare(b)),
      before,
    );
    known.keep();
    for (let at = 0; at < 50; at++) known.set(`k${at}`, at);
    assert.ok(known.entries().length <= 6);
    const none = new Known<string, number>(0);
    assert.equal(none.set('a', 1), 1);
    assert.equal(none.get('a'), undefined);
  });
});
