import { NO_SCRIPTS } from '../../src/core/skill.ts';
import type { Agent, Governance } from '../../src/core/agent.ts';
import type { Event, EventOf } from '../../src/core/event.ts';
import type { Batch, Store } from '../../src/core/ports/store.ts';
import type { ReadCron, Schedule } from '../../src/core/schedule.ts';
import { isEnded } from '../../src/core/task.ts';
import { readCron } from '../../src/config/cron.ts';
import { Schedules } from '../../src/scheduler/schedules/schedules.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { random } from '../store/kit.ts';
import { calm, HandClock, recorder } from './worker-kit.ts';

export const START = Date.UTC(2026, 2, 1, 12);

type More = Partial<Omit<Schedule, 'timing'>> & { timing?: Partial<Schedule['timing']> };
type Kind = { cron: string } | { every: number } | { at: string };

/** A schedule as a file would have it. */
export function schedule(kind: Kind, more: More = {}): Schedule {
  const common = { zone: 'UTC', until: null, activeHours: null, jitter: 0 };
  const own =
    'cron' in kind
      ? ({ kind: 'cron', cron: kind.cron } as const)
      : 'every' in kind
        ? ({ kind: 'every', ms: kind.every } as const)
        : ({ kind: 'at', at: kind.at } as const);
  const timing = { ...own, ...common, ...more.timing } as Schedule['timing'];
  return {
    name: 's',
    missed: { mode: 'once' },
    overlap: 'queue',
    work: { kind: 'task', text: 'Do it.' },
    ...more,
    timing,
  };
}

export const governing = (schedules: Record<string, readonly Schedule[]>): Governance => ({
  commit: 'c',
  settings: SETTINGS,
  agents: new Map(
    Object.entries(schedules).map(([name, list]): [string, Agent] => [
      name,
      {
        name,
        description: '',
        model: 'standard',
        tools: [],
        rules: [],
        network: null,
        schedules: list,
        instructions: '',
      },
    ]),
  ),
  skills: [],
  scripts: NO_SCRIPTS,
  problems: [],
});

/** A clock, a journal, and one process after another on it. */
export class Scene {
  readonly clock = new HandClock();
  readonly store: Store;
  readonly cancelled: string[] = [];
  readonly batches: Batch[] = [];
  /** Happens once, just before the next commit. */
  meanwhile: (() => Promise<void>) | null = null;
  readCron: ReadCron = readCron;
  readonly told = recorder();
  governance: Governance;
  schedules!: Schedules;
  prepare = async (): Promise<void> => {};
  #ids = 0;
  /** Commits from now on until the process dies, before (-) or after (+) the last of them is on disk. */
  #fatal: { left: number; after: boolean } | null = null;
  dead = true;
  /** Of the process: what is dead does nothing more. */
  #life = new AbortController();

  constructor(schedules: readonly Schedule[]) {
    this.clock.time = START;
    this.store = openMemoryStore({ clock: this.clock, random });
    this.governance = governing({ a: schedules });
  }

  /** A process begins, and does what it can do at once. */
  async start(): Promise<void> {
    this.dead = false;
    const life = new AbortController();
    this.#life = life;
    this.#fatal = null;
    const store = new Proxy(this.store, {
      get: (target, name) => {
        if (name === 'commit') return (batch: Batch) => this.#commit(batch, life);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    this.schedules = new Schedules({
      store,
      clock: this.clock,
      ids: { next: (kind) => `${kind}_${(this.#ids += 1)}` },
      log: this.told.log,
      readCron: (pattern) => this.readCron(pattern),
      zone: 'UTC',
      governance: () => this.governance,
      maxAttempts: () => 3,
      redact: (text) => text.replaceAll('s3cret', '***'),
      prepare: () => this.prepare(),
      cancel: async (task) => {
        if (life.signal.aborted) return new Promise(() => undefined);
        this.cancelled.push(task);
        await this.settle(task, 'cancelled');
        return true;
      },
    });
    this.schedules.start();
    await calm();
  }

  async #commit(batch: Batch, life: AbortController): ReturnType<Store['commit']> {
    if (life.signal.aborted) return new Promise(() => undefined);
    const { meanwhile } = this;
    this.meanwhile = null;
    await meanwhile?.();
    this.batches.push(batch);
    if (this.#fatal === null || --this.#fatal.left > 0) return this.store.commit(batch);
    const { after } = this.#fatal;
    this.#fatal = null;
    this.dead = true;
    life.abort();
    if (after) await this.store.commit(batch);
    // A dead process goes on with nothing.
    return new Promise(() => undefined);
  }

  /** The process dies at one of its next commits. */
  dieAt(left: number, after: boolean): void {
    this.#fatal = { left, after };
  }

  /** The process is no more, at once. Whatever it was doing. */
  kill(): void {
    this.#life.abort();
    this.dead = true;
  }

  async settle(task: string, status: 'done' | 'cancelled' = 'done'): Promise<void> {
    const queue = [{ op: 'settle', task, status, result: null }] as const;
    await this.store.commit({ events: [], queue, sync: true });
  }

  async edit(schedules: readonly Schedule[]): Promise<void> {
    this.governance = governing({ a: schedules });
    if (!this.dead) this.schedules.changed();
    await calm();
  }

  events = (): Promise<Event[]> => Array.fromAsync(this.store.read({}));

  async of<T extends Event['type']>(type: T): Promise<EventOf<T>[]> {
    return (await this.events()).filter((event): event is EventOf<T> => event.type === type);
  }

  /** Times that have fired, by the clock, in the order they did. */
  async fired(): Promise<number[]> {
    return (await this.of('schedule.fired')).filter(({ data }) => data.by === null).map(({ data }) => data.at);
  }

  async open(): Promise<string[]> {
    return (await this.store.tasks({})).filter((task) => !isEnded(task.status)).map((task) => task.id);
  }
}

export async function withScene(schedules: readonly Schedule[], body: (scene: Scene) => Promise<void>): Promise<void> {
  const scene = new Scene(schedules);
  await scene.start();
  try {
    await body(scene);
  } finally {
    if (!scene.dead) await scene.schedules.close();
  }
}
