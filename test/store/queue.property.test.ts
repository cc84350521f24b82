import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { QueueOp, Store } from '../../src/core/ports/store.ts';
import { isEnded } from '../../src/core/task.ts';
import type { Lease, TaskStatus } from '../../src/core/task.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { apply, claimAt, commit, enqueue, newTask, note, openAt, random, settle, tempDir, TestClock } from './kit.ts';
import { QueueModel } from './queue-model.ts';
import type { ModelTask } from './queue-model.ts';
import { tries } from '../fakes/effort.ts';

const LEASE = 100;

const ENDS: Extract<TaskStatus, 'done' | 'failed' | 'dead' | 'cancelled'>[] = ['done', 'failed', 'dead', 'cancelled'];

/** `pick` and `other` choose among what there is, so that every list of steps means something. */
const step = fc.record({
  act: fc.constantFrom(
    ...(['enqueue', 'enqueue', 'enqueue', 'claim', 'claim', 'claim', 'renew', 'tick', 'expire'] as const),
    ...(['park', 'wake', 'retry', 'absorb', 'absorb', 'settle', 'settle', 'stale', 'crash', 'burst'] as const),
  ),
  pick: fc.nat({ max: 1000 }),
  other: fc.nat({ max: 1000 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Walk {
  readonly model = new QueueModel();
  store: Store;
  readonly #reopen: () => Promise<Store>;
  #now = 1_000_000;
  /** Every lease ever given, oldest first. */
  readonly #leases: Lease[] = [];
  readonly done = new Map<string, number>();

  constructor(store: Store, reopen: () => Promise<Store>) {
    this.store = store;
    this.#reopen = reopen;
  }

  async take({ act, pick, other }: Step): Promise<void> {
    const task = this.#pick(act, pick);
    this.#count(act);
    if (act === 'enqueue') await this.#enqueue(pick, other);
    else if (act === 'claim') await this.claim();
    else if (act === 'burst') await this.#burst();
    else if (act === 'tick') this.#now += pick % 40;
    else if (act === 'expire') this.#now += LEASE;
    else if (act === 'crash') await this.#crash();
    else if (act === 'renew' || act === 'stale') await this.#useLease(act, pick);
    else if (task) await this.#operate(act, task, other);
    await this.compare();
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  /** Any task one time in four, else one that the step is likely to fit. */
  #pick(act: string, pick: number): ModelTask | undefined {
    const { tasks } = this.model;
    const likely = tasks.filter(({ status, lane, absorbedBy }) => {
      if (act === 'park' || act === 'retry') return status === 'running';
      if (act === 'wake') return status === 'waiting';
      if (act !== 'absorb') return !isEnded(status);
      return status === 'queued' && absorbedBy === null && tasks.some((t) => t.lane === lane && t.status === 'running');
    });
    const from = pick % 4 === 0 || likely.length === 0 ? tasks : likely;
    return from[pick % Math.max(from.length, 1)];
  }

  async #enqueue(pick: number, other: number): Promise<void> {
    const id = `t${this.model.tasks.length}`;
    const task = {
      id,
      lane: `l${pick % 4}`,
      priority: other % 3,
      notBefore: other % 5 === 0 ? this.#now + (pick % 90) : 0,
    };
    await enqueue(this.store, newTask(id, { ...task, notBefore: task.notBefore || null }));
    this.model.tasks.push({ ...task, status: 'queued', attempt: 1, absorbedBy: null, token: 0, until: 0 });
  }

  async claim(): Promise<ModelTask | null> {
    const expected = this.model.next(this.#now);
    const claim = await claimAt(this.store, this.#now, LEASE);
    assert.equal(claim?.task.id, expected?.id);
    if (claim && expected) this.#took(expected, claim.lease);
    return expected;
  }

  #took(task: ModelTask, lease: Lease): void {
    assert.equal(lease.token, task.token + 1, 'tokens grow with every claim');
    Object.assign(task, { status: 'running', token: lease.token, until: lease.until });
    this.#leases.push(lease);
  }

  /** Several claims and a settle at once, as concurrent workers make them. */
  async #burst(): Promise<void> {
    const claims = await Promise.all([1, 2, 3].map(() => claimAt(this.store, this.#now, LEASE)));
    for (const claim of claims) {
      const expected = this.model.next(this.#now);
      assert.equal(claim?.task.id, expected?.id);
      if (claim && expected) this.#took(expected, claim.lease);
    }
  }

  async #crash(): Promise<void> {
    this.store = await this.#reopen();
    const running = this.model.tasks.filter((task) => task.status === 'running');
    assert.equal(await this.store.releaseAll(), running.length);
    for (const task of running) task.status = 'queued';
  }

  async #useLease(act: 'renew' | 'stale', pick: number): Promise<void> {
    const lease = this.#leases[pick % Math.max(this.#leases.length, 1)];
    if (!lease) return;
    const task = this.model.tasks.find(({ id }) => id === lease.task);
    const current = task?.status === 'running' && task.token === lease.token;
    if (act === 'renew') {
      assert.equal(await this.store.renew(lease, this.#now + LEASE), current);
      if (task && current) task.until = this.#now + LEASE;
    } else {
      const result = await commit(this.store, [note('run', 'x')], [], { fence: lease });
      assert.equal(result.ok, current);
      if (!result.ok) assert.equal(result.why, 'lease-lost');
    }
  }

  async #operate(act: 'park' | 'wake' | 'retry' | 'absorb' | 'settle', task: ModelTask, other: number): Promise<void> {
    const { tasks } = this.model;
    const running = tasks.find((t) => t.lane === task.lane && t.status === 'running');
    const host = (other % 4 === 0 ? tasks[other % tasks.length] : running) ?? task;
    const status = ENDS[other % ENDS.length] ?? 'done';
    const [op, fits, change] = ((): [QueueOp, boolean, () => void] => {
      switch (act) {
        case 'park':
          return [{ op: act, task: task.id }, task.status === 'running', () => (task.status = 'waiting')];
        case 'wake':
          return [{ op: act, task: task.id }, true, () => task.status === 'waiting' && (task.status = 'queued')];
        case 'retry': {
          const notBefore = this.#now + (other % 50);
          const change = (): unknown => Object.assign(task, { status: 'queued', attempt: task.attempt + 1, notBefore });
          return [{ op: act, task: task.id, notBefore }, task.status === 'running', change];
        }
        case 'absorb': {
          const free = task.status === 'queued' && task.absorbedBy === null;
          const fits = free && host.status === 'running' && host.lane === task.lane;
          return [{ op: act, task: task.id, into: host.id }, fits, () => (task.absorbedBy = host.id)];
        }
        case 'settle':
          return [settle(task.id, status), !isEnded(task.status), () => this.model.settle(task, status)];
      }
    })();
    const result = await apply(this.store, op);
    assert.equal(result.ok, fits, `${act} ${task.id}`);
    this.#count(`${act} ${fits ? 'fitted' : 'refused'}`);
    if (fits) change();
    else assert.ok(!result.ok && result.why === 'state');
  }

  async compare(): Promise<void> {
    const found = (await this.store.tasks({})).map(({ id, status, attempt, absorbedBy }) => [
      id,
      status,
      attempt,
      absorbedBy,
    ]);
    const expected = this.model.tasks.map(({ id, status, attempt, absorbedBy }) => [id, status, attempt, absorbedBy]);
    assert.deepEqual(found, expected);
    assert.equal(await this.store.nextDue(this.#now), this.model.nextDue(this.#now));
    const counts = await this.store.counts();
    const counted = Object.fromEntries(Object.keys(counts).map((status) => [status, 0]));
    for (const { status } of this.model.tasks) counted[status] = (counted[status] ?? 0) + 1;
    assert.deepEqual(counts, counted);
    const held = this.model.tasks.filter((task) => task.status === 'running').map((task) => task.lane);
    assert.equal(new Set(held).size, held.length, 'one running task a lane');
  }

  /** Wakes and ends everything: what was enqueued and not ended is claimed, each lane in its order. */
  async drain(): Promise<number> {
    const { tasks } = this.model;
    for (const task of tasks) if (task.status === 'waiting') await this.#operate('wake', task, 0);
    this.#now += 10_000;
    const left = tasks.filter((task) => !isEnded(task.status) && task.absorbedBy === null).map((task) => task.id);
    const order: string[] = [];
    for (let task = await this.claim(); task; task = await this.claim()) {
      order.push(task.id);
      await this.#operate('settle', task, 0);
    }
    assert.deepEqual(order.toSorted(), left.toSorted());
    for (const lane of ['l0', 'l1', 'l2', 'l3']) {
      const ofLane = (ids: string[]): string[] =>
        ids.filter((id) => tasks.find((task) => task.id === id)?.lane === lane);
      assert.deepEqual(ofLane(order), ofLane(left));
    }
    assert.ok(tasks.every((task) => isEnded(task.status)));
    return order.length;
  }
}

async function walkAll(
  runs: { numRuns: number; seed?: number },
  open: () => Promise<{ walk: Walk; dispose(): Promise<void> }>,
): Promise<void> {
  const walks = runs.numRuns;
  const done = new Map<string, number>();
  let drained = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 90, size: 'max' }), async (steps) => {
      const { walk, dispose } = await open();
      try {
        for (const each of steps) await walk.take(each);
        drained += await walk.drain();
      } finally {
        await dispose();
      }
      for (const [act, count] of walk.done) done.set(act, (done.get(act) ?? 0) + count);
    }),
    runs,
  );
  // 13 kinds of step; four of the five operations can also be refused.
  assert.equal(done.size, 13 + 5 + 4, [...done.keys()].join());
  for (const [act, count] of done) assert.ok(count >= walks / 6, `${act} ${count}`);
  assert.ok(drained >= walks, String(drained));
}

describe('the queue against a model, over random interleavings', () => {
  test('memory', () =>
    walkAll(tries(40, 120), async () => {
      const store = openMemoryStore({ clock: new TestClock(), random });
      return { walk: new Walk(store, async () => store), dispose: () => store.close() };
    }));

  test('sqlite, closed and opened again at each crash', async () => {
    await walkAll(tries(25, 60), async () => {
      const { dir, remove } = await tempDir();
      const path = join(dir, 'ruche.sqlite');
      let store = await openAt(path);
      const reopen = async (): Promise<Store> => {
        await store.close();
        store = await openAt(path);
        return store;
      };
      const dispose = async (): Promise<void> => {
        await store.close();
        await remove();
      };
      return { walk: new Walk(store, reopen), dispose };
    });
  });
});
