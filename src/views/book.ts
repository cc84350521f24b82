import type { Event } from '../core/event.ts';
import { type Entry, foldEntry, hasEnded, newEntry } from './entry.ts';
import { runOfStream, retriedBy, kindOf } from '../core/ids.ts';

/** A conversation as lists show it. */
interface ConversationRow {
  agent: string;
  session: string;
  /** Blob of its first message that is known here. */
  first: string;
  channel: string;
  lastAt: number;
  lastTask: string;
  messages: number;
}

/** The events that say what became of a task once it has ended. Of the others there are many more. */
export const COARSE = [
  'message.received',
  'task.queued',
  'task.retried',
  'task.finished',
  'task.dismissed',
  'run.started',
  'message.taken',
  'model.answered',
  'landing.finished',
  'run.finished',
  'gateway.started',
  'gateway.stopped',
] as const;

const conversationKey = (agent: string, session: string): string => `${agent}/${session}`;

/** Entries of the newest tasks and rows of their conversations, folded event by event. The oldest leave at the bound. */
export class Book {
  readonly entries = new Map<string, Entry>();
  readonly conversations = new Map<string, ConversationRow>();
  /** Oldest first; those that have left are skipped. */
  order: Entry[] = [];
  /** Seq of the last start of the gateway: what was at work before it was interrupted. */
  startedAt = 0;
  /** Why nothing works now, since the gateway has stopped; null while it runs. */
  stopped: string | null = null;
  readonly #runs = new Map<string, string>();
  /** The last message: its task is queued in the same commit. */
  #last: { task: string; message: NonNullable<Entry['message']> } | null = null;
  readonly #limit: number;
  #seen = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The task a run belongs to, if it is known here. */
  taskOf(run: string): string | null {
    return this.#runs.get(run) ?? null;
  }

  /** Folds one event; gives the entry it concerns. Events come in their order, except those of an entry that was renewed. */
  apply(event: Event): Entry | null {
    const fresh = event.seq > this.#seen;
    if (fresh) this.#seen = event.seq;
    switch (event.type) {
      case 'gateway.started':
        this.startedAt = event.seq;
        this.stopped = null;
        return null;
      case 'gateway.stopped':
        this.stopped = event.data.reason;
        return null;
      case 'message.received':
        return fresh ? this.#received(event) : null;
      case 'task.queued':
        return this.#queued(event);
      case 'message.taken':
        return this.#taken(runOfStream(event.stream) ?? '', event.data.task);
      default:
        return this.#fold(event);
    }
  }

  #received(event: Extract<Event, { type: 'message.received' }>): Entry | null {
    const { agent, session, channel, content, task } = event.data;
    const key = conversationKey(agent, session);
    const known = this.conversations.get(key);
    // Newest last.
    this.conversations.delete(key);
    this.conversations.set(key, {
      agent,
      session,
      first: known?.first ?? content.hash,
      channel,
      lastAt: event.at,
      lastTask: task,
      messages: (known?.messages ?? 0) + 1,
    });
    // An answer to a question as old as its task adds a row that no task takes along when it leaves.
    for (const oldest of this.conversations.keys()) {
      if (this.conversations.size <= this.#limit) break;
      this.conversations.delete(oldest);
    }
    const entry = this.entries.get(task);
    if (entry === undefined)
      this.#last = { task, message: { id: event.id, channel, content: content.hash, at: event.at } };
    const again = this.entries.get(retriedBy(event.key) ?? '');
    if (again) again.retriedAs = task;
    return entry ?? null;
  }

  #queued(event: Extract<Event, { type: 'task.queued' }>): Entry {
    const { task } = event.data;
    const known = this.entries.get(task.id);
    if (known) return known;
    const entry = newEntry(event, task, this.#last?.task === task.id ? this.#last.message : null);
    this.#last = null;
    const again = this.entries.get(retriedBy(event.key) ?? '');
    if (again) again.retriedAs = task.id;
    this.entries.set(task.id, entry);
    this.order.push(entry);
    if (this.entries.size > this.#limit) this.#evict();
    return entry;
  }

  #evict(): void {
    // Many at once, so that the list is not moved up for each.
    const out = this.order.splice(0, Math.max(1, Math.floor(this.#limit / 20)));
    for (const entry of out) {
      this.entries.delete(entry.task);
      if (entry.run !== null) this.#runs.delete(entry.run);
      const key = conversationKey(entry.agent, entry.session);
      if (this.conversations.get(key)?.lastTask === entry.task) this.conversations.delete(key);
    }
  }

  #taken(run: string, task: string): Entry | null {
    const entry = this.entries.get(task);
    if (entry) entry.absorbedBy = this.taskOf(run);
    return entry ?? null;
  }

  #fold(event: Event): Entry | null {
    const { data } = event;
    const task = 'task' in data && typeof data.task === 'string' ? data.task : this.#ofRun(event.stream);
    const entry = task === null ? undefined : this.entries.get(task);
    if (!entry) return null;
    if (event.type === 'run.started') this.#runs.set(event.data.run, entry.task);
    if (['run', 'task'].includes(kindOf(event.stream))) foldEntry(entry, event);
    return entry;
  }

  #ofRun(stream: string): string | null {
    const run = runOfStream(stream);
    return run === null ? null : this.taskOf(run);
  }

  /** The entry as another book has it, read event by event. */
  renew(entry: Entry): void {
    const known = this.entries.get(entry.task);
    if (known) Object.assign(known, { ...entry, retriedAs: entry.retriedAs ?? known.retriedAs });
    if (known && entry.run !== null) this.#runs.set(entry.run, entry.task);
  }

  /** How a task stands by the record alone. */
  status(entry: Entry): Entry['status'] {
    const worker = entry.absorbedBy === null || hasEnded(entry) ? entry : (this.entries.get(entry.absorbedBy) ?? entry);
    return worker.status === 'running' && worker.seen < this.startedAt ? 'queued' : worker.status;
  }
}
