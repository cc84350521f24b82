import { Mortal, never } from '../fakes/mortal.ts';
import { NO_SCRIPTS } from '../../src/core/skill.ts';
import type { Agent, Governance } from '../../src/core/agent.ts';
import type { Event, EventOf } from '../../src/core/event.ts';
import type { Store } from '../../src/core/ports/store.ts';
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
export class Scene extends Mortal {
  readonly clock = new HandClock();
  readonly store: Store;
  readonly cancelled: string[] = [];
  readonly cancellers: string[] = [];
  readCron: ReadCron = readCron;
  readonly told = recorder();
  governance: Governance;
  schedules!: Schedules;
  prepare = async (): Promise<void> => {};
  #ids = 0;

  constructor(schedules: readonly Schedule[]) {
    super();
    this.clock.time = START;
    this.store = openMemoryStore({ clock: this.clock, random });
    this.governance = governing({ a: schedules });
  }

  /** A process begins, and does what it can do at once. */
  async start(): Promise<void> {
    const { store, alive } = this.begin(this.store);
    this.schedules = new Schedules({
      agentLabels: async () => [],
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
      cancel: async (task, by) => {
        if (alive.aborted) return never();
        this.cancelled.push(task);
        this.cancellers.push(by);
        await this.settle(task, 'cancelled');
        return true;
      },
    });
    this.schedules.start();
    await calm();
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
