import { isEnded } from '../../src/core/task.ts';
import type { TaskStatus } from '../../src/core/task.ts';

export interface ModelTask {
  id: string;
  lane: string;
  priority: number;
  notBefore: number;
  status: TaskStatus;
  attempt: number;
  absorbedBy: string | null;
  /** Tokens given out for it so far. */
  token: number;
  until: number;
}

/** The queue in the fewest words: a list in order of arrival, looked through from the start each time. */
export class QueueModel {
  readonly tasks: ModelTask[] = [];

  /** The tasks that hold their lanes. */
  heads(): ModelTask[] {
    const open = this.tasks.filter((task) => !isEnded(task.status) && task.absorbedBy === null);
    return open.filter((task) => open.find((other) => other.lane === task.lane) === task);
  }

  due(task: ModelTask): number {
    if (task.status === 'waiting') return Infinity;
    return task.status === 'running' ? task.until : task.notBefore;
  }

  next(now: number): ModelTask | null {
    const ready = this.heads().filter((task) => this.due(task) <= now);
    const best = Math.max(...ready.map((task) => task.priority));
    return ready.find((task) => task.priority === best) ?? null;
  }

  nextDue(now: number): number | null {
    const coming = this.heads()
      .map((task) => this.due(task))
      .filter((due) => due > now && due < Infinity);
    return coming.length > 0 ? Math.min(...coming) : null;
  }

  settle(task: ModelTask, status: TaskStatus): void {
    task.status = status;
    for (const guest of this.tasks) if (guest.absorbedBy === task.id && !isEnded(guest.status)) guest.status = status;
  }
}
