import { noFiles } from '../fakes/no-standing.ts';
import { Mortal, never } from '../fakes/mortal.ts';
import assert from 'node:assert/strict';
import type { Agent, Governance } from '../../src/core/agent.ts';
import type { EscalationLevel } from '../../src/core/escalation.ts';
import type { Event, EventOf, MatterKind } from '../../src/core/event.ts';
import { runKey, runStream, taskStream } from '../../src/core/ids.ts';
import type { Label } from '../../src/core/labels.ts';
import { matterRaised } from '../../src/core/records/matter.ts';
import { type Batch, type Store, StoreUnavailable } from '../../src/core/ports/store.ts';
import { OUTBOX, putKey } from '../../src/core/records/reply.ts';
import type { Task } from '../../src/core/task.ts';
import { momentText, openWall } from '../../src/core/time/wall.ts';
import { Standing } from '../../src/pending/standing.ts';
import { quiet } from '../fakes/loop.ts';
import { approve, expire } from '../../src/pending/approve.ts';
import { allPending, answer, pendingById } from '../../src/pending/pending.ts';
import { Escalations } from '../../src/scheduler/escalations/escalations.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { newTask, random } from '../store/kit.ts';
import { calm, HandClock, recorder } from './worker-kit.ts';
import { putJson } from '../../src/core/records/json-blob.ts';

export const START = Date.UTC(2026, 10, 22, 8);
export const MINUTE = 60_000;

const UTC = openWall('UTC');
/** As the clock of a network in UTC shows it. */
export const inUtc = (at: number): string => (UTC === null ? '' : momentText(at, 'UTC', UTC));

type Chains = Record<string, readonly EscalationLevel[]>;

/** A clock, a journal, things that wait for a person, and one process after another that looks after them. */
export class World extends Mortal {
  readonly clock = new HandClock();
  readonly store: Store;
  readonly told = recorder();
  governance: Governance;
  /** Channels over which nothing can be sent. */
  readonly closed = new Set<string>(['gone']);
  escalations!: Escalations;
  #next = 0;
  /** The store takes nothing, as on a full disk. */
  full = false;
  /** Where the journal was followed from, and what was asked of what waits. */
  readonly follows: number[] = [];
  readonly looked: string[] = [];
  /** What cannot be read, under these ids. */
  readonly broken = new Set<string>();

  constructor(chains: Chains, agents: readonly Agent[] = [anAgent({ name: 'a' }), anAgent({ name: 'b' })]) {
    super();
    this.clock.time = START;
    this.store = openMemoryStore({ clock: this.clock, random });
    this.governance = this.#governing(chains, agents);
  }

  static agent = (name: string, more: Partial<Agent> = {}): Agent => anAgent({ name, ...more });

  #governing(chains: Chains, agents: readonly Agent[]): Governance {
    return governing(agents, { settings: { ...SETTINGS, escalation: chains } });
  }

  /** Other chains are saved. */
  async edit(chains: Chains): Promise<void> {
    this.governance = this.#governing(chains, [...this.governance.agents.values()]);
    const applied = { type: 'config.applied' as const, data: { commit: 'c' } };
    await this.commit({
      events: [{ ...applied, stream: 'workspace', actor: 'runtime', cause: null, labels: [] }],
      sync: true,
    });
    if (!this.dead) this.escalations.changed();
    await calm();
  }

  id = (kind: string): string => `${kind}_${(this.#next += 1)}`;

  async start(): Promise<void> {
    const { store, alive } = this.begin(this.store, (alive) => ({
      follow: (after, signal) => {
        if (!alive.aborted) this.follows.push(after);
        return this.store.follow(after, AbortSignal.any([signal, alive]));
      },
    }));
    const answerHeld = never;
    this.escalations = new Escalations({
      store,
      clock: this.clock,
      timeText: inUtc,
      log: this.told.log,
      ids: { next: this.id },
      redact: (text) => text.replaceAll('s3cret', '***'),
      governance: () => this.governance,
      pending: async (id) => {
        if (alive.aborted) return never();
        this.looked.push(id);
        if (this.broken.has(id)) throw new Error('this cannot be read');
        return pendingById(this.store, id);
      },
      waiting: () => allPending(this.store),
      deny: (id, reason) => expire({ store, answerHeld }, id, reason),
      unreachable: (channel) => (this.closed.has(channel) ? `the channel ${channel} is not configured` : null),
    });
    this.escalations.start();
    await calm();
  }

  protected override refuse(): void {
    if (this.full) throw new StoreUnavailable('full', 'the disk is full');
  }

  async commit(batch: Batch): Promise<void> {
    const result = await this.store.commit(batch);
    assert.ok(result.ok, JSON.stringify(result));
  }

  async #task(more: Partial<Task>): Promise<Task> {
    const id = this.id('tsk');
    const task = newTask(id, { queue: `of-${id}`, agent: 'a', lane: `conv:a/${id}`, session: id, ...more });
    const queued = { type: 'task.queued' as const, data: { task }, stream: taskStream(id) };
    const events = [{ ...queued, actor: 'runtime', cause: null, labels: task.labels }];
    await this.commit({ events, queue: [{ op: 'enqueue', task, causeOf: 0 }], sync: true });
    return task;
  }

  /** A run asks, and parks; gives the id of what waits. `put`: somebody has been asked on a channel. */
  async ask(
    kind: 'approval' | 'question',
    more: Partial<Task> & { put?: { channel: string; to: string }; text?: string } = {},
  ): Promise<string> {
    const { put, text: said = 'fetch\nurl: x', ...rest } = more;
    const task = await this.#task(rest);
    const claim = await this.store.claim({ worker: 'w', now: this.clock.now(), leaseMs: 1e12, only: [task.queue] });
    assert.equal(claim?.task.id, task.id);
    const run = `run_${task.id}`;
    const id = this.id(kind === 'approval' ? 'apr' : 'qst');
    const text = this.store.putBlob(Buffer.from(JSON.stringify({ text: said, reason: 'the rule' })), task.lane);
    const common = { stream: runStream(run), actor: 'agent:a', cause: null, labels: task.labels };
    const started = {
      run,
      task: task.id,
      agent: task.agent,
      session: task.session,
      attempt: 1,
      config: 'c',
      base: 'b',
    };
    const asked =
      kind === 'approval'
        ? ({ type: 'approval.asked', data: { approval: id, call: 'c', tool: 'fetch', shown: text } } as const)
        : ({ type: 'question.asked', data: { question: id, call: 'c', doubt: false, text } } as const);
    const message = { agent: task.agent, session: task.session, task: task.id, run, content: text };
    const told = {
      type: 'message.queued' as const,
      data: { ...message, channel: put?.channel ?? '', to: put?.to ?? '' },
    };
    await this.commit({
      events: [
        { ...common, type: 'run.started', key: runKey(task.id), data: started },
        { ...common, ...asked, key: `asked:${id}` },
        ...(put === undefined ? [] : [{ ...common, ...told, key: putKey(id) }]),
        { ...common, type: 'run.parked', data: { waits: [{ kind, id }] } },
      ],
      queue: [{ op: 'park', task: task.id }],
      sync: true,
    });
    await calm();
    return id;
  }

  async raise(kind: MatterKind = 'deadline', more: Partial<Task> = {}): Promise<string> {
    const task = await this.#task(more);
    const shown = { text: 'It is late.', reason: 'A deadline.' };
    const raised = matterRaised({ kind, about: task.id, shown }, (value) => putJson(this.store, value, task.lane));
    await this.commit({ events: [{ ...raised, actor: 'runtime', cause: null, labels: task.labels }], sync: true });
    await calm();
    return `mat_${kind}_${task.id}`;
  }

  async answer(id: string): Promise<boolean> {
    const deps = {
      store: this.store,
      clock: this.clock,
      ids: { next: (kind: string) => `${kind}_x` },
      redact: (text: string) => text,
      answerHeld: () => Promise.reject(new Error('none is held')),
      standing: await Standing.open({
        store: this.store,
        workspace: noFiles,
        clock: this.clock,
        ids: { next: (kind) => `${kind}_x` },
        log: quiet,
        redact: (text) => text,
        onCommitted: () => () => undefined,
        onRunEnded: () => () => undefined,
      }),
      person: () => 'owner',
      boundary: () => undefined,
    };
    const result = id.startsWith('apr')
      ? await approve(deps, id, 'approve', 'owner')
      : await answer({ ...deps, pushes: () => false }, id, 'so be it', 'owner');
    await calm();
    return result.ok;
  }

  /** The task of what waits ends, whatever it was doing. */
  async end(id: string): Promise<void> {
    const pending = await pendingById(this.store, id);
    const task = pending?.task ?? '';
    const data = { task, run: null, status: 'cancelled' as const, result: null };
    const event = { type: 'task.finished' as const, data, stream: taskStream(task) };
    await this.commit({
      events: [{ ...event, actor: 'owner', cause: null, labels: [] }],
      queue: [{ op: 'settle', task, status: 'cancelled', result: null }],
      sync: true,
    });
    await calm();
  }

  /** The last message that was queued is refused by its platform for good, or the task that an agent was given dies. */
  async fail(task: string): Promise<void> {
    const found = await this.store.task(task);
    const failed = { message: found?.cause ?? '', channel: 'chat', error: 'no such chat', final: true };
    const finished = { task, run: null, status: 'dead' as const, result: null };
    const body =
      found?.queue === OUTBOX
        ? ({ type: 'message.failed', data: failed } as const)
        : ({ type: 'task.finished', data: finished } as const);
    await this.commit({
      events: [{ ...body, stream: taskStream(task), actor: 'runtime', cause: null, labels: [] }],
      queue: [{ op: 'settle', task, status: 'dead', result: null }],
      sync: true,
    });
    await calm();
  }

  events = (): Promise<Event[]> => Array.fromAsync(this.store.read({}));

  async of<T extends Event['type']>(type: T): Promise<EventOf<T>[]> {
    return (await this.events()).filter((event): event is EventOf<T> => event.type === type);
  }

  /** `level outcome minute` of each level that was reached, in order. */
  async reached(about: string): Promise<string[]> {
    return (await this.of('escalation.reached'))
      .filter(({ data }) => data.escalation === `esc_${about}`)
      .map(({ data, at }) => `${data.level} ${data.to} ${data.outcome} ${(at - START) / MINUTE}`);
  }

  async ended(about: string): Promise<string | null> {
    const all = await this.of('escalation.ended');
    return all.find(({ data }) => data.escalation === `esc_${about}`)?.data.why ?? null;
  }

  /** Text of what was queued for a channel, the oldest first. */
  async said(channel: string): Promise<{ to: string; text: string; buttons: string[]; labels: readonly Label[] }[]> {
    const found = (await this.of('message.queued')).filter(
      ({ data }) => data.channel === channel && data.task === null,
    );
    return Promise.all(
      found.map(async ({ data, labels }) => {
        const bytes = await this.store.getBlob(data.content);
        const content = JSON.parse(Buffer.from(bytes ?? []).toString()) as {
          text: string;
          buttons?: { action: string }[];
        };
        return {
          to: data.to,
          text: content.text,
          buttons: (content.buttons ?? []).map(({ action }) => action),
          labels,
        };
      }),
    );
  }
}

export async function withWorld(
  chains: Chains,
  body: (world: World) => Promise<void>,
  agents?: readonly Agent[],
): Promise<void> {
  const world = new World(chains, agents);
  await world.start();
  try {
    await body(world);
  } finally {
    if (!world.dead) await world.escalations.close();
    world.kill();
    await world.store.close();
  }
}
