import { eventId } from '../../core/ids.ts';
import type { ClaimOptions, QueueOp, TaskFilter } from '../../core/ports/store.ts';
import { isEnded } from '../../core/task.ts';
import type { Claim, Lease, Task, TaskStatus } from '../../core/task.ts';
import { type Misfit, waitsForItself } from '../commit.ts';
import { checkNew } from '../task-row.ts';

interface Entry {
  task: Task;
  token: number;
  /** End of the lease while the task runs. */
  until: number;
  /** Tasks it waits for. */
  awaits: readonly string[];
}

/** The queue as a plain map in order of arrival. Entries are replaced, never changed, so that a copy of the map undoes. */
export class MemoryQueue {
  #entries = new Map<string, Entry>();

  /** Gives what puts everything back as it is now. */
  savepoint(): () => void {
    const saved = new Map(this.#entries);
    return () => {
      this.#entries = saved;
    };
  }

  task(id: string): Task | null {
    const entry = this.#entries.get(id);
    return entry ? structuredClone(entry.task) : null;
  }

  byKey(key: string): Task | null {
    for (const { task } of this.#entries.values()) if (task.key === key) return structuredClone(task);
    return null;
  }

  holds(lease: Lease): boolean {
    const entry = this.#entries.get(lease.task);
    return entry?.task.status === 'running' && entry.token === lease.token;
  }

  claim({ worker, now, leaseMs, except = [], only }: ClaimOptions): Claim | null {
    let best: Entry | null = null;
    for (const entry of this.#heads()) {
      const { queue, priority } = entry.task;
      const due = dueOf(entry);
      if (due === null || due > now || except.includes(queue) || (only && !only.includes(queue))) continue;
      if (!best || priority > best.task.priority) best = entry;
    }
    if (!best) return null;
    const until = now + leaseMs;
    const token = best.token + 1;
    const task: Task = { ...best.task, status: 'running' };
    this.#entries.set(task.id, { ...best, task, token, until });
    return { task: structuredClone(task), lease: { task: task.id, token, worker, until } };
  }

  renew(lease: Lease, until: number): boolean {
    const entry = this.#entries.get(lease.task);
    if (!entry || !this.holds(lease)) return false;
    this.#entries.set(lease.task, { ...entry, until });
    return true;
  }

  releaseAll(): number {
    let released = 0;
    for (const entry of this.#entries.values()) {
      if (entry.task.status !== 'running') continue;
      this.#change(entry, { status: 'queued' });
      released++;
    }
    return released;
  }

  leaseEnd(task: string): number | null {
    const entry = this.#entries.get(task);
    return entry?.task.status === 'running' ? entry.until : null;
  }

  nextDue(now: number): number | null {
    const coming = this.#heads()
      .map(dueOf)
      .filter((due) => due !== null && due > now);
    return coming.length > 0 ? Math.min(...(coming as number[])) : null;
  }

  counts(): Record<TaskStatus, number> {
    const counts = { queued: 0, running: 0, waiting: 0, done: 0, failed: 0, dead: 0, cancelled: 0 };
    for (const { task } of this.#entries.values()) counts[task.status]++;
    return counts;
  }

  awaited(task: string): string[] {
    return [...(this.#entries.get(task)?.awaits ?? [])];
  }

  tasks({ statuses, lane, queue, absorbedBy, parent, root, deadlineBy, limit = Infinity }: TaskFilter): Task[] {
    const fits = ({ task }: Entry): boolean =>
      (!statuses || statuses.includes(task.status)) &&
      (lane === undefined || task.lane === lane) &&
      (queue === undefined || task.queue === queue) &&
      (absorbedBy === undefined || task.absorbedBy === absorbedBy) &&
      (parent === undefined || task.origin?.parent === parent) &&
      (root === undefined || task.origin?.root === root) &&
      (deadlineBy === undefined || (task.deadline !== null && task.deadline <= deadlineBy));
    return [...this.#entries.values()]
      .filter(fits)
      .slice(0, limit)
      .map(({ task }) => structuredClone(task));
  }

  apply(op: QueueOp, seqs: readonly number[]): Misfit | null {
    if (op.op === 'enqueue') return this.#enqueue(op, seqs);
    const entry = this.#entries.get(op.task);
    const misfit = { task: op.task, status: entry?.task.status ?? null };
    if (!entry) return misfit;
    const { status, attempt } = entry.task;
    switch (op.op) {
      case 'absorb':
        return this.#absorb(entry, op.into);
      case 'park':
        if (status !== 'running') return misfit;
        return this.#park(entry, op.until);
      case 'wake':
        if (status === 'waiting') this.#change(entry, { status: 'queued' }, []);
        return null;
      case 'retry':
        if (status !== 'running') return misfit;
        this.#change(entry, {
          status: 'queued',
          attempt: op.uncounted ? attempt : attempt + 1,
          notBefore: op.notBefore,
        });
        return null;
      case 'settle':
        if (isEnded(status)) return misfit;
        this.#change(entry, { status: op.status, result: op.result }, []);
        for (const other of this.#entries.values())
          if (other.task.absorbedBy === op.task && !isEnded(other.task.status)) {
            this.#change(other, { status: op.status, result: op.result }, []);
            this.#release(other.task.id);
          }
        this.#release(op.task);
        return null;
    }
  }

  /** Of these tasks, those that have not ended. */
  #open(tasks: readonly string[] = []): string[] {
    return [...new Set(tasks)].filter((id) => {
      const known = this.#entries.get(id);
      return known !== undefined && !isEnded(known.task.status);
    });
  }

  #park(entry: Entry, until?: readonly string[]): Misfit | null {
    const awaits = this.#open(until);
    const { id, status } = entry.task;
    if (waitsForItself(id, awaits, (task) => this.awaited(task))) return { task: id, status };
    this.#change(entry, { status: until !== undefined && awaits.length === 0 ? 'queued' : 'waiting' }, awaits);
    return null;
  }

  /** Lets those go on that waited for this task and for nothing else. */
  #release(ended: string): void {
    for (const entry of this.#entries.values()) {
      if (!entry.awaits.includes(ended)) continue;
      const awaits = entry.awaits.filter((id) => id !== ended);
      const woken = awaits.length === 0 && entry.task.status === 'waiting';
      this.#change(entry, woken ? { status: 'queued' } : {}, awaits);
    }
  }

  #enqueue({ task, causeOf, after }: Extract<QueueOp, { op: 'enqueue' }>, seqs: readonly number[]): Misfit | null {
    checkNew(task);
    const known = this.#entries.get(task.id);
    if (known) return { task: task.id, status: known.task.status };
    const seq = causeOf === undefined ? undefined : seqs[causeOf];
    if (causeOf !== undefined && seq === undefined) throw new RangeError(`causeOf ${causeOf} is no event of the batch`);
    const cause = seq === undefined ? task.cause : eventId(seq);
    const fresh = structuredClone({ ...task, result: null, cause });
    this.#entries.set(task.id, { task: fresh, token: 0, until: 0, awaits: this.#open(after) });
    return null;
  }

  #absorb(entry: Entry, into: string): Misfit | null {
    const { id, status, absorbedBy, lane } = entry.task;
    if (status !== 'queued' || absorbedBy !== null) return { task: id, status };
    const host = this.#entries.get(into)?.task;
    if (host?.status !== 'running' || host.lane !== lane) return { task: into, status: host?.status ?? null };
    this.#change(entry, { absorbedBy: into });
    return null;
  }

  /** The first open task of each lane, oldest first. */
  #heads(): Entry[] {
    const heads = new Map<string, Entry>();
    for (const entry of this.#entries.values()) {
      const { lane, status, absorbedBy } = entry.task;
      if (!isEnded(status) && absorbedBy === null && !heads.has(lane)) heads.set(lane, entry);
    }
    return [...heads.values()];
  }

  #change(entry: Entry, change: Partial<Task>, awaits = entry.awaits): void {
    this.#entries.set(entry.task.id, { ...entry, task: { ...entry.task, ...change }, awaits });
  }
}

/** When the first task of a lane can be claimed; null while it waits for a person or another task. */
function dueOf({ task, until, awaits }: Entry): number | null {
  if (task.status === 'waiting' || (task.status === 'queued' && awaits.length > 0)) return null;
  return task.status === 'running' ? until : (task.notBefore ?? 0);
}
