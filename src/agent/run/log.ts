import type { BlobRef } from '../../core/blob.ts';
import type { Body, Event, EventOf, NewEvent } from '../../core/event.ts';
import { conversationId, runStream, runKey, agentActor, idIn } from '../../core/ids.ts';
import { redactedJson } from '../../core/text/json.ts';
import type { Label } from '../../core/labels.ts';
import type { Blobs, EventLog, QueueOp, Store } from '../../core/ports/store.ts';
import type { Claim, Task } from '../../core/task.ts';
import { placeOf, zoneOfPlace } from '../../core/recipient.ts';
import { scheduleId } from '../../core/schedule.ts';
import type { AskedAbout } from '../../core/standing.ts';
import type { Governance } from '../../core/agent.ts';
import { evolve, type RunState, startState } from './state.ts';
import { readJson } from '../../core/records/json-blob.ts';
import { matterRaised } from '../../core/records/matter.ts';

/** Another worker owns the task now, or a person ended it: this run must not write another word. */
export class LeaseLost extends Error {
  constructor() {
    super('the lease of this task is lost');
    this.name = 'LeaseLost';
  }
}

/** A task this commit concerns has just ended, or was made by another: nothing of the commit holds, and the run goes on from its record. */
export class Overtaken extends Error {
  constructor() {
    super('someone else was first');
    this.name = 'Overtaken';
  }
}

/** An event whose id is known once it has been committed. */
interface Pending {
  event: NewEvent;
  cause: Pending | string | null;
  id: string | null;
}

interface EmitOptions {
  /** Default: the run's own stream. */
  stream?: string;
  /** Default: the run's agent. */
  actor?: string;
  key?: string;
  labels?: readonly Label[];
}

/**
 * The run's hand on the journal. `emit` applies an event to the state at once and keeps it until `flush`, which must
 * come before any effect: so one transaction carries the receipt of a step and the intent of the next.
 */
export class RunLog {
  readonly state: RunState;
  readonly claim: Claim;
  /** Who asked for all that this task is part of. */
  readonly asker: string;
  readonly subject: string;
  readonly #store: Store;
  readonly #redact: (text: string) => string;
  #pending: Pending[] = [];
  #queue: QueueOp[] = [];
  /** Last event of each call, so that a receipt names its intent and an intent its decision. */
  #callEvents = new Map<string, Pending | string>();
  #last: Pending | string | null;

  constructor(options: {
    store: Store;
    redact: (text: string) => string;
    claim: Claim;
    state: RunState;
    last: string | null;
    asker?: string;
  }) {
    this.#store = options.store;
    this.#redact = options.redact;
    this.claim = options.claim;
    this.asker = options.asker ?? options.claim.task.from;
    this.state = options.state;
    this.subject = conversationId(options.state.agent, options.state.session);
    this.#last = options.last;
  }

  /** Stores a value as canonical JSON, without secrets, readable as long as the conversation's key exists. */
  put(value: unknown): BlobRef {
    return this.#store.putBlob(Buffer.from(redactedJson(value, this.#redact)), this.subject);
  }

  /**
   * The same for what every conversation of the agent is told alike, and nobody has said in one: kept once, under a key of the
   * agent's.
   */
  putCommon(value: unknown): BlobRef {
    return this.#store.putBlob(Buffer.from(redactedJson(value, this.#redact)), `agent:${this.state.agent}`);
  }

  emit(body: Body, content: unknown = null, options: EmitOptions = {}): void {
    const call = 'call' in body.data ? body.data.call : null;
    const cause = (call === null ? undefined : this.#callEvents.get(call)) ?? this.#last;
    const stream = options.stream ?? runStream(this.state.run);
    const labels = options.labels ?? this.state.labels;
    const actor = options.actor ?? agentActor(this.state.agent);
    const event: NewEvent = { ...body, stream, actor, cause: null, labels };
    if (options.key !== undefined) event.key = options.key;
    const pending: Pending = { event, cause, id: null };
    this.#pending.push(pending);
    if (call !== null) this.#callEvents.set(call, pending);
    if (stream === runStream(this.state.run)) {
      this.#last = pending;
      evolve(this.state, event as Event, content);
    }
  }

  /** Puts something before the owner. */
  raise(matter: Parameters<typeof matterRaised>[0]): void {
    const { type, data, stream, key } = matterRaised(matter, (shown) => this.put(shown));
    this.emit({ type, data }, null, { stream, key });
  }

  /** A change of the queue that is committed with the events emitted so far. */
  queue(op: QueueOp): void {
    this.#queue.push(op);
  }

  /** Index the next emitted event will have in its batch, for `QueueOp.causeOf`. */
  get nextIndex(): number {
    return this.#pending.length;
  }

  /** Commits what was emitted. `sync` where nothing may be lost even by a power cut. */
  async flush(sync: boolean): Promise<void> {
    if (this.#pending.length === 0 && this.#queue.length === 0) return;
    const pending = this.#pending;
    const events = pending.map(({ event, cause }) => ({
      ...event,
      cause: cause === null || typeof cause === 'string' ? cause : (cause.id ?? pending.indexOf(cause)),
    }));
    const queue = this.#queue;
    this.#pending = [];
    this.#queue = [];
    const result = await this.#store.commit({ events, queue, fence: this.claim.lease, sync });
    if (!result.ok) {
      if (result.why === 'lease-lost') throw new LeaseLost();
      // Somebody was first: a task of this key, or this matter, is there, or this use of a grant is taken.
      const first = result.why === 'duplicate' && /^(?:given|asked:mat_|used:)/.test(result.key);
      if (result.why === 'state' || first) throw new Overtaken();
      throw new Error(`the run's events were refused: ${JSON.stringify(result)}`);
    }
    result.events.forEach((event, index) => {
      const entry = pending[index];
      if (entry) entry.id = event.id;
    });
  }
}

/** The blob an event's meaning depends on, if it does. */
function contentOf(event: Event): BlobRef | null {
  switch (event.type) {
    case 'model.called':
      return event.data.request;
    case 'model.answered':
      return event.data.answer;
    case 'run.started':
      return event.data.foreign ?? null;
    case 'tool.returned':
      return event.data.result;
    case 'approval.answered':
      return event.data.reason;
    case 'question.answered':
      return event.data.answer;
    case 'landing.conflicted':
    case 'files.placed':
      return event.data.detail;
    default:
      return null;
  }
}

/** Reads the blob an event's meaning depends on. Null if its key has been erased. */
export async function loadContent(store: Pick<Blobs, 'getBlob'>, event: Event): Promise<unknown> {
  const ref = contentOf(event);
  return ref === null ? null : loadJson(store, ref);
}

/** What a blob of the run's conversation holds; without it the run cannot go on. */
export async function loadJson<T>(store: Pick<Blobs, 'getBlob'>, ref: Pick<BlobRef, 'hash'>): Promise<T> {
  const value = await readJson<T>(store, ref);
  if (value === null) throw new Error('the content of this conversation has been erased');
  return value;
}

/** The message a task answers; null for a task that came otherwise. */
export async function messageOf(
  store: Pick<EventLog, 'event'>,
  task: Task,
): Promise<EventOf<'message.received'> | null> {
  const cause = task.cause === null ? null : await store.event(task.cause);
  return cause?.type === 'message.received' ? cause : null;
}

/** A run as its events tell it, each of which `each` is shown. `first`: what its task was given. */
export async function foldRun(
  store: Pick<Store, 'read' | 'getBlob'>,
  started: EventOf<'run.started'>,
  first: BlobRef[],
  each: (event: Event) => void = () => undefined,
): Promise<RunState> {
  const state = startState(started, first);
  for await (const event of store.read({ stream: started.stream })) {
    evolve(state, event, await loadContent(store, event));
    each(event);
  }
  return state;
}

/** Keys of calls that may still be needed: begun, without receipt, of a task that has not ended. */
export async function liveKeys(store: Store): Promise<Set<string>> {
  const live = new Set<string>();
  for (const task of await store.tasks({ statuses: ['queued', 'running', 'waiting'] })) {
    const started = await store.byKey(runKey(task.id));
    if (started?.type !== 'run.started') continue;
    const types = ['tool.started', 'tool.returned'] as const;
    const keys = new Map<string, string>();
    for await (const event of store.read({ stream: runStream(started.data.run), types })) {
      if (event.type === 'tool.started') keys.set(event.data.call, event.data.key);
      if (event.type === 'tool.returned') keys.delete(event.data.call);
    }
    for (const key of keys.values()) live.add(key);
  }
  return live;
}

/** Whether one of the tasks can only end after `goal` has. */
export async function waitsFor(
  { store }: { store: Pick<Store, 'awaited'> },
  tasks: readonly string[],
  goal: string,
): Promise<boolean> {
  const open = [...tasks];
  const seen = new Set<string>();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === goal) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...(await store.awaited(next)));
  }
  return false;
}

/** The blob of `approval.asked`: the exact call a person answers for. */
export interface ShownCall {
  /** For people, with nothing in it that can hide. */
  text: string;
  /** What the approval binds: tool, arguments, and the files the call would see. */
  bound: string;
  /** Where `text` ends in a difference: the blobs by path that it is against. */
  was?: Record<string, string | null>;
  /** What stands behind it; earlier versions kept nothing of that. */
  about?: AskedAbout;
}

/** The time zone of the work: that of the person or chat that asks for it, else of its schedule, else of the network. */
export async function zoneOf(
  { store, governance, zone }: { store: Store; governance(): Governance; zone(): string },
  task: Task,
): Promise<string> {
  const { agent, from } = task;
  const { settings, agents } = governance();
  const asked = settings.zones === undefined ? null : await messageOf(store, task);
  if (asked !== null) {
    const { channel, from: sender, replyTo, chat = replyTo } = asked.data;
    const places = [placeOf(sender, settings.channels), { channel, to: chat }];
    const own = places.map((place) => place && zoneOfPlace(settings, place)).find((found) => found !== null);
    return own ?? zone();
  }
  const id = idIn('schedule', from);
  const found = agents.get(agent)?.schedules.find(({ name }) => scheduleId(agent, name) === id);
  return found?.timing.zone ?? zone();
}
