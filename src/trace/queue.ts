import { createHash } from 'node:crypto';
import type { BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { eventSeq, taskStream } from '../core/ids.ts';
import type { EventLog, TaskQueue } from '../core/ports/store.ts';
import { OUTBOX } from '../core/records/reply.ts';
import { isEnded, type Task, type TaskStatus } from '../core/task.ts';
import { canonicalJson } from '../core/text/json.ts';
import { errorText } from '../core/text/sentence.ts';
import type { Report } from './finding.ts';

export type QueueStore = Pick<TaskQueue, 'task' | 'tasks'> & Pick<EventLog, 'read' | 'byKey'>;

/** What events say of tasks. */
class Told {
  /** The event that queued a task, and what of it never changes. */
  readonly queued = new Map<string, { seq: number; lasting: string }>();
  readonly ends = new Map<string, { status: TaskStatus; result: BlobRef | null }>();
  /** How the sending of a message ended, by the id of its event. */
  readonly sent = new Map<string, TaskStatus>();
  /** Messages of which nobody knows whether they arrived: the last try ends so, and any other is tried again. */
  readonly unsure = new Set<string>();

  add(event: Event): void {
    if (event.type === 'task.queued')
      this.queued.set(event.data.task.id, { seq: event.seq, lasting: lasting(event.data.task) });
    else if (event.type === 'task.finished') this.ends.set(event.data.task, event.data);
    else if (event.type === 'message.sent') this.sent.set(event.data.message, 'done');
    else if (event.type === 'message.failed' && event.data.final) this.sent.set(event.data.message, 'dead');
    if (event.type === 'message.unsure') this.unsure.add(event.data.message);
    else if (event.type === 'message.sending') this.unsure.delete(event.data.message);
  }
}

/** Holds the rows of the queue against the events: each is the task that was queued, and ended as the events say. */
export class QueueCheck {
  readonly #store: QueueStore;
  readonly #report: Report;
  readonly #told = new Told();

  constructor(store: QueueStore, report: Report) {
    this.#store = store;
    this.#report = report;
  }

  remember(event: Event): void {
    this.#told.add(event);
  }

  /** Call when all events have been seen. */
  async rows(): Promise<void> {
    try {
      await this.#rows();
    } catch (error) {
      this.#report.find(null, 'queue', `the rows of tasks cannot be read: ${errorText(error)}`);
    }
  }

  async #rows(): Promise<void> {
    const missing = new Map(this.#told.queued);
    for (const row of await this.#store.tasks({})) {
      missing.delete(row.id);
      if (misfit(row, this.#told) !== null) await this.#again(row.id);
    }
    for (const [id, { seq }] of missing)
      if ((await this.#store.task(id)) === null)
        this.#report.find(seq, 'queue', `it queued ${id}, which has no row: the task is lost`);
  }

  /** A gateway may be at work: what does not fit is looked at once more, with the events of now. */
  async #again(id: string): Promise<void> {
    const row = await this.#store.task(id);
    if (row === null) return;
    const now = new Told();
    for await (const event of this.#store.read({ stream: taskStream(id) })) now.add(event);
    const sent = await this.#store.byKey(`sent:${row.cause}`);
    if (sent !== null) now.add(sent);
    if (row.cause !== null && this.#told.unsure.has(row.cause)) now.unsure.add(row.cause);
    for (const [message, status] of this.#told.sent) if (message === row.cause) now.sent.set(message, status);
    const wrong = misfit(row, now);
    const seq = now.queued.get(id)?.seq ?? (row.cause === null ? null : eventSeq(row.cause));
    if (wrong !== null) this.#report.find(seq, 'queue', `the row of ${id} ${wrong}`);
  }
}

/** What is wrong with a row, as the end of a sentence about it; null if it fits. */
function misfit(row: Task, told: Told): string | null {
  const queued = told.queued.get(row.id);
  const sends = row.queue === OUTBOX;
  if (!queued && !sends) return 'belongs to no task that was queued';
  if (queued && queued.lasting !== lasting(row)) return 'is not the task that was queued';
  const end = told.ends.get(row.id);
  const status = end?.status ?? (sends ? told.sent.get(row.cause ?? '') : undefined) ?? null;
  if (status === null && sends && row.status === 'dead' && told.unsure.has(row.cause ?? '')) return null;
  if (status === null) return isEnded(row.status) ? `says ${row.status}, but no event says that it has ended` : null;
  if (row.status !== status) return `says ${row.status}, but it ended as ${status}`;
  if (end && row.result?.hash !== end.result?.hash) return 'has another result than the event of its end';
  return null;
}

/** What of a task never changes, in short: there may be a million. */
function lasting(task: Task): string {
  const { agent, session, queue, lane, from, content, priority, deadline, key, maxAttempts, labels, origin } = task;
  const kept = { agent, session, queue, lane, from, priority, deadline, key, maxAttempts, labels };
  const text = canonicalJson({ ...kept, content: content?.hash ?? null, origin: origin ?? null });
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
