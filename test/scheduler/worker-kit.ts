import type { Clock } from '../../src/core/ports/clock.ts';
import type { Log } from '../../src/core/ports/log.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { Claim } from '../../src/core/task.ts';
import { taskStream } from '../../src/core/ids.ts';
import { Hub, observed } from '../../src/messages/hub.ts';
import { Worker, type WorkerOptions } from '../../src/scheduler/worker.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { random } from '../store/kit.ts';

/** Puts on record that somebody has cancelled a task. */
export async function cancel(store: Store, task: string): Promise<void> {
  const data = { task, run: null, status: 'cancelled', result: null } as const;
  const event = {
    type: 'task.finished',
    stream: taskStream(task),
    actor: 'test',
    cause: null,
    labels: [],
    data,
  } as const;
  await store.commit({ events: [event], sync: true });
}

/** Time that only the test moves. Who sleeps, and for how long, can be seen. */
export class HandClock implements Clock {
  time = 1_000_000;
  readonly sleeps: number[] = [];
  readonly #sleepers = new Set<{ until: number; wake: () => void }>();

  now(): number {
    return this.time;
  }

  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleeps.push(ms);
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper = {
        until: this.time + ms,
        wake: () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
      };
      if (signal?.aborted) return stop();
      signal?.addEventListener('abort', stop, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Time passes, what is due wakes, and everything that follows from it without more time happens. */
  async pass(ms: number): Promise<void> {
    this.time += ms;
    for (const sleeper of this.#sleepers)
      if (sleeper.until <= this.time && this.#sleepers.delete(sleeper)) sleeper.wake();
    await calm();
  }
}

/** Lets everything happen that can happen without time passing. */
export async function calm(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export interface Told {
  level: keyof Log;
  fields: object;
  message: string;
}

export function recorder(): { log: Log; told: Told[] } {
  const told: Told[] = [];
  const at = (level: keyof Log) => (fields: object, message: string) => void told.push({ level, fields, message });
  return { told, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

export interface Scene {
  clock: HandClock;
  worker: Worker;
  /** What the test sees: commits wake the worker. */
  store: Store;
  /** Commits here tell nobody. */
  silent: Store;
  hub: Hub;
  told: Told[];
  /** Work that has begun, by task, and how to end it. */
  begun: string[];
  finish(id: string): Promise<void>;
}

type SceneOptions = Partial<Pick<WorkerOptions, 'handle' | 'concurrency' | 'only' | 'except'>> & {
  /** Methods of the worker's own store that behave otherwise. */
  store?: (raw: Store) => Partial<Store>;
};

/** A worker on a memory store. Unless told otherwise, work goes on until `finish` settles it as done. */
export function openScene(options: SceneOptions = {}): Scene {
  const clock = new HandClock();
  const hub = new Hub();
  const silent = openMemoryStore({ clock, random });
  const other = options.store?.(silent) ?? {};
  const raw = new Proxy(silent, {
    get: (target, name) => {
      const value: unknown = Reflect.get(other, name) ?? Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const store = observed(raw, hub);
  const { log, told } = recorder();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const wait = async ({ task: { id }, lease }: Claim): Promise<void> => {
    begun.push(id);
    await new Promise<void>((resolve) => ends.set(id, resolve));
    const op = { op: 'settle', task: id, status: 'done', result: null } as const;
    await store.commit({ events: [], queue: [op], fence: lease, sync: true });
  };
  const worker = new Worker({
    store,
    clock,
    log,
    worker: 'wrk_test',
    concurrency: options.concurrency ?? (() => 5),
    ...(options.only ? { only: options.only } : {}),
    ...(options.except ? { except: options.except } : {}),
    onWork: (listener) => hub.onWork(listener),
    onCancelled: (listener) => hub.onCancelled(listener),
    handle: options.handle ?? wait,
  });
  const finish = async (id: string): Promise<void> => {
    const end = ends.get(id);
    if (!end) throw new Error(`${id} has not begun`);
    end();
    await calm();
  };
  return { clock, worker, store, silent, hub, told, begun, finish };
}
