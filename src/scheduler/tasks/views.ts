import type { Event } from '../../core/event.ts';
import type { Reads } from '../../core/ports/store.ts';
import type { TaskFiles } from '../../core/ports/task-files.ts';
import { OUTBOX } from '../../core/records/reply.ts';
import type { TaskContent } from '../../core/task-call.ts';
import { isEnded, type Task } from '../../core/task.ts';
import { readText, readJson } from '../../core/records/json-blob.ts';

/** Ended tasks whose files stay, by queue. */
const KEPT = 50;

type Text = Record<string, unknown>;

/** Keeps `tasks/<queue>/<id>.json` as the queue is. Files of what ended long ago leave. */
export class TaskViews {
  readonly #store: Reads;
  readonly #files: TaskFiles;
  /** Tasks shown, the oldest first, and what their files hold. */
  readonly #shown = new Map<string, { queue: string; json: string; ended: boolean }>();
  readonly #contents = new Map<string, Text>();

  constructor(store: Reads, files: TaskFiles) {
    this.#store = store;
    this.#files = files;
  }

  /** Takes up the files an earlier process left. */
  async open(): Promise<void> {
    for (const { queue, task: id } of this.#files.shown()) {
      const task = await this.#store.task(id);
      if (task === null || task.queue !== queue) await this.#files.show(queue, id, null);
      else await this.#show(task);
    }
    await this.update();
  }

  async update(): Promise<void> {
    const open = await this.#store.tasks({ statuses: ['queued', 'running', 'waiting'] });
    const now = new Set(open.map((task) => task.id));
    for (const task of open) if (task.queue !== OUTBOX) await this.#show(task);
    for (const [id, shown] of this.#shown) {
      const task = now.has(id) || shown.ended ? null : await this.#store.task(id);
      if (task !== null) await this.#show(task);
    }
    await this.#forget();
  }

  /** Puts back what somebody has changed. Gives the tasks. */
  async restore(): Promise<string[]> {
    const touched = this.#files.touched();
    for (const id of touched) {
      const shown = this.#shown.get(id);
      if (shown) await this.#files.show(shown.queue, id, shown.json);
    }
    return touched;
  }

  async #show(task: Task): Promise<void> {
    const json = `${JSON.stringify(await this.#view(task), null, 2)}\n`;
    if (this.#shown.get(task.id)?.json === json) return;
    await this.#files.show(task.queue, task.id, json);
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
      await this.#files.show(queue, id, null);
    }
  }

  async #view(task: Task): Promise<object> {
    const { id, queue, from, priority, attempt, maxAttempts, status, labels, cause, origin } = task;
    const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
    const { title = null, text = null, input = null, artefacts = [] } = await this.#content(task);
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
      key: task.key,
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
