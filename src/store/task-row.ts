import type { BlobRef } from '../core/blob.ts';
import type { Label } from '../core/labels.ts';
import type { Origin, Task, TaskStatus } from '../core/task.ts';

/** A row of the task table: the task's fields, and what the queue itself needs. */
export interface TaskRow {
  ord: number;
  id: string;
  queue: string;
  lane: string;
  agent: string;
  session: string;
  sender: string;
  content: string | null;
  priority: number;
  not_before: number | null;
  deadline: number | null;
  key: string | null;
  attempt: number;
  max_attempts: number;
  status: TaskStatus;
  labels: string;
  cause: string | null;
  absorbed_by: string | null;
  result: string | null;
  origin: string | null;
  token: number;
  worker: string | null;
  due: number | null;
}

/** The columns a new task is written to, in the order of `taskValues`. */
export const TASK_COLUMNS =
  'id, queue, lane, agent, session, sender, content, priority, not_before, deadline, key, attempt, max_attempts, status, labels, cause, origin';

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

export const taskValues = (task: Task, cause: string | null): (string | number | null)[] => [
  task.id,
  task.queue,
  task.lane,
  task.agent,
  task.session,
  task.from,
  json(task.content),
  task.priority,
  task.notBefore,
  task.deadline,
  task.key,
  task.attempt,
  task.maxAttempts,
  'queued',
  JSON.stringify(task.labels),
  cause,
  json(task.origin ?? null),
];

export const taskOf = (row: TaskRow): Task => ({
  id: row.id,
  queue: row.queue,
  lane: row.lane,
  agent: row.agent,
  session: row.session,
  from: row.sender,
  content: row.content === null ? null : (JSON.parse(row.content) as BlobRef),
  priority: row.priority,
  notBefore: row.not_before,
  deadline: row.deadline,
  key: row.key,
  attempt: row.attempt,
  maxAttempts: row.max_attempts,
  status: row.status,
  labels: JSON.parse(row.labels) as Label[],
  cause: row.cause,
  absorbedBy: row.absorbed_by,
  result: row.result === null ? null : (JSON.parse(row.result) as BlobRef),
  ...(row.origin === null ? {} : { origin: JSON.parse(row.origin) as Origin }),
});

/** A task enters the queue queued and on its own; anything else is a bug of the caller. */
export function checkNew(task: Task): void {
  if (task.status !== 'queued' || task.absorbedBy !== null)
    throw new TypeError(
      `task ${task.id} cannot be enqueued: it is ${task.status}, absorbed by ${task.absorbedBy ?? 'none'}`,
    );
}
