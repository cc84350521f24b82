import type { Event } from '../core/event.ts';
import type { Batch, CommitResult, Store } from '../core/ports/store.ts';
import type { Delta } from '../core/api/runtime.ts';
import { Signal } from '../core/signal.ts';

/** Carries pieces of runs to their watchers. They are kept only while a task is under way: the journal has the whole. */
export class Hub {
  readonly #listeners = new Map<string, Set<(delta: Delta) => void>>();
  readonly #work = new Signal();
  readonly #cancelled = new Signal<string>();
  readonly #runEnded = new Signal<string>();
  readonly #answered = new Signal<string>();
  readonly #committed = new Signal<readonly Event[]>();
  readonly recent = new Recent();

  emit(delta: Delta): void {
    this.recent.add(delta);
    for (const listener of this.#listeners.get(delta.task) ?? []) listener(delta);
  }

  listen(task: string, listener: (delta: Delta) => void): () => void {
    const listeners = this.#listeners.get(task) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(task, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(task);
    };
  }

  /** Calls `listener` after each commit that changed the queue. */
  onWork(listener: () => void): () => void {
    return this.#work.on(listener);
  }

  /** Calls `listener` with each task that is cancelled: what works on it stops. */
  onCancelled(listener: (task: string) => void): () => void {
    return this.#cancelled.on(listener);
  }

  /** Calls `listener` with each run that has ended, however it did. */
  onRunEnded(listener: (run: string) => void): () => void {
    return this.#runEnded.on(listener);
  }

  /** Calls `listener` with each approval that is given or refused, wherever that was. */
  onAnswered(listener: (approval: string) => void): () => void {
    return this.#answered.on(listener);
  }

  /** Calls `listener` with the events of each commit, before the code that committed them goes on. */
  onCommitted(listener: (events: readonly Event[]) => void): () => void {
    return this.#committed.on(listener);
  }

  /** There may be work although nothing was queued. */
  work(): void {
    this.#work.tell();
  }

  /** Tells the listeners of every task that the events concern, and the workers if there may be work. */
  committed(events: readonly Event[], queued: boolean): void {
    this.#committed.tell(events);
    for (const event of events) {
      if (event.type === 'task.finished') {
        this.recent.drop(event.data.task);
        if (event.data.status === 'cancelled') this.#cancelled.tell(event.data.task);
      }
      if (event.type === 'approval.answered') this.#answered.tell(event.data.approval);
      if (event.type === 'run.finished') this.#runEnded.tell(event.data.run);
      const task = taskOf(event);
      if (task !== null) this.emit({ kind: 'changed', task });
    }
    if (queued) this.#work.tell();
  }
}

function taskOf(event: Event): string | null {
  switch (event.type) {
    case 'task.queued':
      return event.data.task.id;
    case 'task.finished':
    case 'task.retried':
    case 'message.received':
      return event.data.task;
    default:
      return null;
  }
}

/** The same store, which tells the hub of what has been committed. */
export function observed(store: Store, hub: Hub): Store {
  const commit = async (batch: Batch): Promise<CommitResult> => {
    const result = await store.commit(batch);
    if (result.ok) {
      hub.committed(result.events, (batch.queue?.length ?? 0) > 0);
      // A task that is parked, woken or taken in has no event of its own that names it.
      for (const op of batch.queue ?? [])
        if (op.op === 'park' || op.op === 'wake' || op.op === 'absorb') hub.emit({ kind: 'changed', task: op.task });
    }
    return result;
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'commit') return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Characters kept of one task's pieces; beyond it the oldest go, and a late listener sees that something is missing. */
const KEPT = 200_000;
/** Tasks whose pieces are kept; the oldest go first. More are never under way, but one that was cancelled may still say a word. */
const TASKS = 1_000;

interface Pieces {
  list: Delta[];
  /** Characters of all of them: counted as they come and go, because a run has thousands. */
  size: number;
}

/** The pieces of the work on tasks under way, so that who comes in the middle sees what others saw. */
class Recent {
  readonly #tasks = new Map<string, Pieces>();

  of(task: string): readonly Delta[] {
    return this.#tasks.get(task)?.list ?? [];
  }

  add(delta: Delta): void {
    if (delta.kind === 'changed') return;
    const pieces = this.#tasks.get(delta.task) ?? { list: [], size: 0 };
    const { list } = pieces;
    if (delta.kind === 'discard') while (isSaid(list.at(-1))) pieces.size -= sizeOf(list.pop());
    else {
      const joined = join(list.at(-1), delta);
      if (joined) pieces.size -= sizeOf(list.pop());
      list.push(joined ?? delta);
      pieces.size += sizeOf(list.at(-1));
    }
    while (pieces.size > KEPT && list.length > 1) pieces.size -= sizeOf(list.shift());
    this.#tasks.set(delta.task, pieces);
    const [oldest] = this.#tasks.keys();
    if (this.#tasks.size > TASKS && oldest !== undefined) this.#tasks.delete(oldest);
  }

  /** The journal has the whole now. */
  drop(task: string): void {
    this.#tasks.delete(task);
  }
}

/** The last piece with what goes on from it; null for a piece of its own. */
function join(last: Delta | undefined, delta: Delta): Delta | null {
  if (delta.kind === 'text' && last?.kind === 'text' && last.step === delta.step && delta.offset >= last.offset)
    return { ...last, text: last.text.slice(0, delta.offset - last.offset) + delta.text };
  if (delta.kind === 'reasoning' && last?.kind === 'reasoning') return { ...last, text: last.text + delta.text };
  return null;
}

const isSaid = (delta: Delta | undefined): boolean => delta?.kind === 'text' || delta?.kind === 'reasoning';

const sizeOf = (delta: Delta | undefined): number => (delta && 'text' in delta ? delta.text.length : 50);
