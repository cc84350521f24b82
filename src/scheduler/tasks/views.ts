import type { Event } from '../../core/event.ts';
import type { Reads } from '../../core/ports/store.ts';
import type { Log } from '../../core/ports/log.ts';
import type { TaskFiles } from '../../core/ports/task-files.ts';
import { OUTBOX } from '../../core/records/reply.ts';
import { isEnded, type Task, type TaskContent } from '../../core/task.ts';
import { errorText } from '../../core/text/sentence.ts';
import { visibleLine } from '../../core/text/untrusted.ts';
import { readText, readJson } from '../../core/records/json-blob.ts';

/** Ended tasks whose files stay, by queue. */
const KEPT = 50;
/** Ends that are looked at on a start. */
const MAX_BACK = 1_000;

type Text = Record<string, unknown>;

/** Keeps `tasks/<queue>/<id>.json` as the queue is. Files of what ended long ago leave. */
export class TaskViews {
  readonly #store: Reads;
  readonly #files: TaskFiles;
  readonly #log: Log;
  /** Tasks shown, the oldest first, and what their files hold. */
  readonly #shown = new Map<string, { queue: string; json: string; ended: boolean }>();
  readonly #contents = new Map<string, Text>();
  /** Queues whose files cannot be written, told once each. */
  readonly #told = new Set<string>();
  /** Ends up to here have been seen; null before the first look. */
  #seq: number | null = null;

  constructor(store: Reads, files: TaskFiles, log: Log) {
    this.#store = store;
    this.#files = files;
    this.#log = log;
  }

  /** Brings the files in line with the queue; the first time it takes up those that an earlier process left. */
  async update(): Promise<void> {
    const head = await this.#store.head();
    const ended = await this.#endedBy(head);
    const late = new Set(ended.map(({ id }) => id));
    if (this.#seq === null)
      for (const { queue, task: id } of this.#files.shown()) {
        const task = await this.#store.task(id);
        if (task === null || task.queue !== queue) await this.#write(queue, id, null);
        else if (!late.has(id)) await this.#show(task);
      }
    const open = await this.#store.tasks({ statuses: ['queued', 'running', 'waiting'] });
    for (const task of open) if (task.queue !== OUTBOX) await this.#show(task);
    for (const task of ended) await this.#show(task);
    const still = new Set(open.map(({ id }) => id));
    for (const [id, shown] of this.#shown) {
      const task = still.has(id) || shown.ended ? null : await this.#store.task(id);
      if (task !== null) await this.#show(task);
    }
    this.#seq = head;
    await this.#forget();
  }

  /** Tasks that have ended since the last look, in that order: one may begin and end between two. */
  async #endedBy(head: number): Promise<Task[]> {
    const types = ['task.finished'] as const;
    const from = this.#seq === null ? { limit: MAX_BACK } : { after: this.#seq };
    const found: Task[] = [];
    const count = new Map<string, number>();
    for await (const event of this.#store.read({ ...from, types, before: head + 1, reverse: true })) {
      const task = event.type === 'task.finished' ? await this.#store.task(event.data.task) : null;
      if (task === null || task.queue === OUTBOX || !isEnded(task.status)) continue;
      const before = count.get(task.queue) ?? 0;
      count.set(task.queue, before + 1);
      // More of them would leave again at once.
      if (before < KEPT) found.push(task);
    }
    return found.reverse();
  }

  /** Puts back what somebody has changed. Gives the tasks. */
  async restore(): Promise<string[]> {
    const restored: string[] = [];
    for (const id of this.#files.touched()) {
      const shown = this.#shown.get(id);
      if (shown && (await this.#write(shown.queue, id, shown.json))) restored.push(id);
    }
    return restored;
  }

  async #show(task: Task): Promise<void> {
    const json = `${JSON.stringify(await this.#view(task), null, 2)}\n`;
    if (this.#shown.get(task.id)?.json === json) return;
    if (!(await this.#write(task.queue, task.id, json))) return;
    // In the order in which they ended.
    this.#shown.delete(task.id);
    this.#shown.set(task.id, { queue: task.queue, json, ended: isEnded(task.status) });
    if (isEnded(task.status)) this.#contents.delete(task.id);
  }

  async #forget(): Promise<void> {
    const kept = new Map<string, number>();
    for (const [id, { queue, ended }] of [...this.#shown].toReversed()) {
      if (!ended) continue;
      kept.set(queue, (kept.get(queue) ?? 0) + 1);
      if ((kept.get(queue) ?? 0) <= KEPT) continue;
      this.#shown.delete(id);
      await this.#write(queue, id, null);
    }
  }

  /** False if it could not be: a folder that cannot be written keeps no other queue from being shown. */
  async #write(queue: string, id: string, json: string | null): Promise<boolean> {
    try {
      await this.#files.show(queue, id, json);
      this.#told.delete(queue);
      return true;
    } catch (error) {
      const about = { queue: visibleLine(queue), error: errorText(error) };
      if (!this.#told.has(queue)) this.#log.warn(about, 'the files of the tasks of a queue cannot be written');
      this.#told.add(queue);
      return false;
    }
  }

  async #view(task: Task): Promise<object> {
    const { id, queue, from, priority, attempt, maxAttempts, status, labels, cause, origin } = task;
    const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
    const { title = null, text = null, input = null, artefacts = [], key } = await this.#content(task);
    const result = isEnded(status) && task.result !== null ? (await this.#read(task.result.hash))['text'] : null;
    return {
      id,
      queue,
      from,
      title,
      text,
      input,
      artefacts,
      priority,
      notBefore: time(task.notBefore),
      deadline: time(task.deadline),
      key: key ?? task.key,
      attempt,
      maxAttempts,
      status,
      result: result ?? null,
      labels,
      cause,
      parent: origin?.parent ?? null,
    };
  }

  async #content(task: Task): Promise<Partial<TaskContent>> {
    const known = this.#contents.get(task.id);
    if (known) return known;
    const content = task.content === null ? await this.#message(task) : await this.#read(task.content.hash);
    this.#contents.set(task.id, content);
    return content;
  }

  /** What the message says that the task answers. */
  async #message({ cause }: Task): Promise<Text> {
    const event: Event | null = cause === null ? null : await this.#store.event(cause);
    return event?.type === 'message.received' ? { text: await readText(this.#store, event.data.content) } : {};
  }

  async #read(hash: string): Promise<Text> {
    return (await readJson<Text>(this.#store, { hash })) ?? { text: '(erased)' };
  }
}
