import { Mortal } from '../fakes/mortal.ts';
import { NO_SCRIPTS } from '../../src/core/skill.ts';
import type { Agent, Governance } from '../../src/core/agent.ts';
import type { Event, EventOf, NewEvent } from '../../src/core/event.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { MainMove } from '../../src/core/ports/governance.ts';
import type { Task } from '../../src/core/task.ts';
import type { Trigger, TriggerSource } from '../../src/core/trigger.ts';
import { readCondition } from '../../src/config/conditions.ts';
import { Triggers } from '../../src/scheduler/triggers/triggers.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { newTask, random } from '../store/kit.ts';
import { calm, HandClock, recorder } from './worker-kit.ts';

/** A trigger as a file would have it. */
export const trigger = (source: TriggerSource, more: Partial<Trigger> = {}): Trigger => ({
  name: 't',
  source,
  when: null,
  debounce: 0,
  limit: null,
  work: { kind: 'task', text: 'Do it.' },
  ...more,
});

export const files = (...paths: string[]): TriggerSource => ({ on: 'file.landed', paths });
export const done: TriggerSource = { on: 'task.done', queue: null, agent: null };
export const hook = (secret = 'env:S'): TriggerSource => ({
  on: 'webhook',
  hook: 'h',
  auth: { kind: 'bearer', secret, windowMs: 300_000 },
});

const governing = (agents: Readonly<Record<string, readonly Trigger[]>>, limits: object): Governance => ({
  commit: 'c',
  settings: { ...SETTINGS, limits: { ...SETTINGS.limits, ...limits } },
  agents: new Map(
    Object.entries(agents).map(([name, triggers]): [string, Agent] => [
      name,
      {
        name,
        triggers,
        description: '',
        model: '',
        tools: [],
        rules: [],
        network: null,
        schedules: [],
        instructions: '',
      },
    ]),
  ),
  skills: [],
  scripts: NO_SCRIPTS,
  problems: [],
});

/** A journal, a `main`, and one process after another that listens to them. */
export class Scene extends Mortal {
  readonly clock = new HandClock();
  readonly store: Store;
  readonly told = recorder();
  /** What commits hold, and how `main` came where it is. */
  readonly commits = new Map<string, string[]>();
  /** Where files were before that a commit has moved. */
  readonly from = new Map<string, string>();
  readonly moves: MainMove[] = [];
  /** From which commits on it was asked how `main` has moved, and why that cannot be told. */
  readonly looked: string[] = [];
  blind: Error | null = null;
  secrets: Readonly<Record<string, string>> = { 'env:S': 'a-secret-of-the-tests' };
  redact = (text: string): string => text;
  governance: Governance;
  triggers!: Triggers;
  #limits: object;
  #ids = 0;
  #listeners = new Set<() => void>();

  constructor(triggers: readonly Trigger[], limits: object = {}) {
    super();
    this.store = openMemoryStore({ clock: this.clock, random });
    this.#limits = limits;
    this.governance = governing({ a: triggers }, limits);
  }

  async start(): Promise<void> {
    this.#listeners.clear();
    const { store } = this.begin(this.store);
    this.triggers = new Triggers({
      agentLabels: async () => [],
      store,
      clock: this.clock,
      ids: { next: (kind) => `${kind}_t${(this.#ids += 1)}` },
      log: this.told.log,
      readCondition,
      workspace: {
        head: async () => this.head,
        added: async (_from, to) =>
          this.commits.get(to)?.map((path) => ({ path, from: this.from.get(path) ?? null })) ?? null,
      },
      watch: {
        moves: async (since) => {
          this.looked.push(since);
          if (this.blind !== null) throw this.blind;
          const at = this.moves.findLastIndex((move) => move.to === since);
          return this.moves.slice(at + 1);
        },
      },
      governance: () => this.governance,
      redact: (text) => this.redact(text),
      secret: async (ref) => {
        const value = this.secrets[ref];
        if (value === undefined) throw new Error(`${ref} is not set`);
        return value;
      },
      accepting: () => true,
      onWork: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    });
    this.triggers.start();
    await calm();
  }

  get head(): string {
    return this.moves.at(-1)?.to ?? 'c0';
  }

  async close(): Promise<void> {
    if (!this.dead) await this.triggers.close();
  }

  async edit(agents: readonly Trigger[] | Readonly<Record<string, readonly Trigger[]>>): Promise<void> {
    this.governance = governing(
      Array.isArray(agents) ? { a: agents as Trigger[] } : (agents as Record<string, Trigger[]>),
      this.#limits,
    );
    if (!this.dead) this.triggers.changed();
    await calm();
  }

  /** Something happens, whichever process runs. */
  async happen(...events: readonly NewEvent[]): Promise<Event[]> {
    const result = await this.store.commit({ events, sync: true });
    if (!result.ok) throw new Error(JSON.stringify(result));
    for (const listener of this.#listeners) listener();
    await calm();
    return result.events;
  }

  /** A person's commit, with or without a word of the runtime's. */
  async lands(commit: string, paths: readonly string[], by: 'word' | 'hand' | 'pull' = 'word'): Promise<void> {
    this.commits.set(commit, [...paths]);
    this.moves.push({ from: this.head, to: commit, by: by === 'pull' ? 'foreign' : 'person' });
    const data = { commit, author: 'Ann', paths: paths.length };
    if (by === 'word') await this.happen(event({ type: 'person.committed', data }, 'workspace'));
    if (!this.dead) this.triggers.moved();
    await calm();
  }

  /** A task that is done, with what it came of. */
  async ends(id: string, more: Partial<Task> = {}, status: 'done' | 'failed' | 'dead' = 'done'): Promise<void> {
    if ((await this.store.task(id)) === null) {
      const task = { ...newTask(id), ...more };
      await this.store.commit({ events: [], queue: [{ op: 'enqueue', task }], sync: true });
    }
    const data = { task: id, run: null, status, result: null };
    const queue = [{ op: 'settle', task: id, status, result: null }] as const;
    const events = [event({ type: 'task.finished', data }, `task:${id}`)];
    const result = await this.store.commit({ events, queue, sync: true });
    if (!result.ok) throw new Error(JSON.stringify(result));
    for (const listener of this.#listeners) listener();
    await calm();
  }

  events = (): Promise<Event[]> => Array.fromAsync(this.store.read({}));

  async of<T extends Event['type']>(type: T): Promise<EventOf<T>[]> {
    return (await this.events()).filter((each): each is EventOf<T> => each.type === type);
  }

  /** What the tasks say that triggers made, in order. */
  texts = async (): Promise<string[]> => (await this.contents()).map(({ text }) => text);

  async contents(): Promise<{ text: string; input: unknown }[]> {
    const said: { text: string; input: unknown }[] = [];
    for (const task of await this.tasks()) {
      const bytes = await this.store.getBlob(task.content ?? { hash: '' });
      said.push(JSON.parse(Buffer.from(bytes ?? []).toString()) as { text: string; input: unknown });
    }
    return said;
  }

  tasks = async (): Promise<Task[]> => (await this.store.tasks({})).filter(({ from }) => from.startsWith('trigger:'));
}

export const event = (body: Pick<NewEvent, 'type' | 'data'>, stream: string, more: Partial<NewEvent> = {}): NewEvent =>
  ({ stream, actor: 'test', cause: null, labels: [], ...body, ...more }) as NewEvent;

export async function withScene(
  triggers: readonly Trigger[],
  body: (scene: Scene) => Promise<void>,
  limits: object = {},
): Promise<void> {
  const scene = new Scene(triggers, limits);
  await scene.start();
  try {
    await body(scene);
  } finally {
    await scene.close();
  }
}
