import { DatabaseSync } from 'node:sqlite';
import type { Channel } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Batch, QueueOp, Store } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { NewEvent } from '../core/event.ts';
import type { Invariant } from './invariants.ts';
import { SHARED } from './orders.ts';
import type { World } from './world.ts';

/** Bugs that can be planted, each in a port that the app is given; and what must notice each. */
export const BREAKS = {
  'lost-result': { caughtBy: 'results', what: 'a run that waited goes on without the result of one of its tasks' },
  'double-firing': { caughtBy: 'firing-once', what: 'one firing is put on record a second time, with another task' },
  'early-firing': { caughtBy: 'firing-early', what: 'the clock of the runtime is two minutes ahead of the true one' },
  'skipped-receipt': { caughtBy: 'receipts', what: 'the receipt of one landing is not written' },
  'lost-update': { caughtBy: 'line-kept', what: 'one landing overwrites what another run has landed meanwhile' },
  'lost-message': { caughtBy: 'message-once', what: 'one message is acknowledged and then forgotten' },
  'forgotten-task': { caughtBy: 'task-ended', what: 'one task is never taken up again after a restart' },
  'tampered-journal': { caughtBy: 'verify', what: 'one event is changed behind the journal’s back' },
} as const satisfies Record<string, { caughtBy: Invariant; what: string }>;

export type Broken = keyof typeof BREAKS;
export const isBroken = (name: string): name is Broken => name in BREAKS;

const AHEAD = 120_000;

export interface Wrappers {
  store(store: Store): Store;
  workspace<T extends Workspace>(workspace: T): T;
  channel(channel: Channel): Channel;
  clock(clock: Clock): Clock;
}

/** What stands in front of the ports. Once a bug has struck it is in the world, and no later process plants it again. */
export function breakIn(broken: Broken | null, world: World): Wrappers {
  const sound: Wrappers = {
    store: (store) => store,
    workspace: (workspace) => workspace,
    channel: (channel) => channel,
    clock: (clock) => clock,
  };
  /** True for the one chance that is taken. */
  const strike = (about: string): boolean => {
    if (world.of('broke').length > 0) return false;
    world.note({ kind: 'broke', about });
    return true;
  };
  switch (broken) {
    case 'lost-result':
      return { ...sound, store: (store) => lostResult(store, world) };
    case 'double-firing':
      return { ...sound, store: (store) => doubleFiring(store, strike) };
    case 'early-firing':
      world.note({ kind: 'broke', about: 'the clock' });
      return { ...sound, clock: (clock) => ({ now: () => clock.now() + AHEAD, sleep: clock.sleep.bind(clock) }) };
    case 'skipped-receipt':
      return { ...sound, store: (store) => skippedReceipt(store, strike) };
    case 'lost-update':
      return { ...sound, workspace: (workspace) => lostUpdate(workspace, strike) };
    case 'lost-message':
      return { ...sound, channel: (channel) => lostMessage(channel, world, strike) };
    case 'forgotten-task':
      return { ...sound, store: (store) => forgottenTask(store, world) };
    default:
      return sound;
  }
}

type Strike = (about: string) => boolean;

/** One of several tasks is not there when their results are put together. */
function lostResult(store: Store, world: World): Store {
  let lost: string | null = null;
  return over(store, {
    commit: async (batch) => {
      for (const op of batch.queue ?? [])
        if (op.op === 'park' && (op.until?.length ?? 0) > 1 && world.of('broke').length === 0) {
          lost = op.until?.at(-1) ?? null;
          world.note({ kind: 'broke', about: lost ?? '' });
        }
      return store.commit(batch);
    },
    task: async (id) => {
      const task = await store.task(id);
      return task !== null && id === lost && task.status === 'done' ? null : task;
    },
  });
}

function doubleFiring(store: Store, strike: Strike): Store {
  return over(store, {
    commit: async (batch) => {
      const result = await store.commit(batch);
      const fired = batch.events.find((event) => event.type === 'schedule.fired');
      if (!result.ok || fired?.type !== 'schedule.fired' || !strike(fired.data.task)) return result;
      const id = `${fired.data.task}x`;
      const again = (event: NewEvent): NewEvent => {
        const { key: _, ...rest } = event;
        if (rest.type === 'schedule.fired') return { ...rest, data: { ...rest.data, task: id } };
        if (rest.type !== 'task.queued') return rest;
        return { ...rest, stream: `task:${id}`, data: { task: { ...rest.data.task, id, key: null } } };
      };
      const queue = (batch.queue ?? []).map((op): QueueOp =>
        op.op === 'enqueue' ? { ...op, task: { ...op.task, id, key: null } } : op,
      );
      await store.commit({ events: batch.events.map(again), queue, sync: true });
      return result;
    },
  });
}

function skippedReceipt(store: Store, strike: Strike): Store {
  return over(store, {
    commit: (batch) => {
      const at = batch.events.findIndex((event) => event.type === 'landing.finished' && event.data.commit !== null);
      return store.commit(at >= 0 && strike(batch.events[at]?.stream ?? '') ? without(batch, at) : batch);
    },
  });
}

/** The batch without one of its events; what names later ones by their place still does. */
function without(batch: Batch, at: number): Batch {
  const moved = (index: number): number => (index > at ? index - 1 : index);
  const events = batch.events
    .filter((_, index) => index !== at)
    .map((event) => (typeof event.cause === 'number' ? { ...event, cause: moved(event.cause) } : event));
  const queue = (batch.queue ?? []).map((op): QueueOp =>
    op.op === 'enqueue' && op.causeOf !== undefined ? { ...op, causeOf: moved(op.causeOf) } : op,
  );
  return { ...batch, events, queue };
}

/** The file as the run had it takes the place of what is on `main` by now. */
function lostUpdate<T extends Workspace>(workspace: T, strike: Strike): T {
  return {
    ...workspace,
    land: async (request: Parameters<Workspace['land']>[0]) => {
      const head = await workspace.head();
      const { base } = request;
      const change = request.changes.find(({ path }) => path === SHARED);
      if (change === undefined || (await workspace.untouched(base, head, [SHARED])) || !strike(request.provenance.run))
        return workspace.land(request);
      const now = await workspace.files(head, []).stat(SHARED);
      const changes = request.changes.map((each) => (each === change ? { ...each, was: now?.oid ?? null } : each));
      return workspace.land({ ...request, base: head, changes });
    },
  };
}

function lostMessage(channel: Channel, world: World, strike: Strike): Channel {
  const isLost = (id: string): boolean => {
    if (world.of('broke').some(({ about }) => about === id)) return true;
    // One that has arrived before could not be lost any more; an answer is no message of the plan.
    const known = id.startsWith('a-') || world.of('taken').some(({ message }) => message === id);
    return !known && strike(id);
  };
  return {
    ...channel,
    start: (host, signal) =>
      channel.start(
        {
          ...host,
          deliver: (message) => (isLost(message.externalId) ? Promise.resolve() : host.deliver(message)),
          press: (press) => host.press(press),
        },
        signal,
      ),
  };
}

/** A task that a restart finds unfinished is claimed, and nobody ever works on it. */
function forgottenTask(store: Store, world: World): Store {
  const found = new Set<string>();
  return over(store, {
    releaseAll: async () => {
      for (const task of await store.tasks({ statuses: ['queued', 'running'] }))
        if (task.queue !== 'outbox') found.add(task.id);
      return store.releaseAll();
    },
    claim: async (options) => {
      const claim = await store.claim(options);
      const lost = world.of('broke').at(-1)?.about;
      if (claim === null || (claim.task.id !== lost && (lost !== undefined || !found.has(claim.task.id)))) return claim;
      if (lost === undefined) world.note({ kind: 'broke', about: claim.task.id });
      await store.renew(claim.lease, Number.MAX_SAFE_INTEGER);
      return store.claim(options);
    },
  });
}

/** Done while nobody holds the database: the triggers that guard it are taken away and put back. */
export function tamper(path: string): void {
  const db = new DatabaseSync(path);
  try {
    const triggers = db
      .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'")
      .all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${String(name)}`);
    db.exec('UPDATE event SET at = at + 1 WHERE seq = (SELECT max(seq) / 2 FROM event)');
    for (const { sql } of triggers) db.exec(String(sql));
  } finally {
    db.close();
  }
}

/** A store of which some methods are others. */
export function over(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name, target);
      // The store is a class with private parts: its methods belong to it, and not to the proxy.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
