import type { NewEvent } from '../../core/event.ts';
import { conversationId, type Ids, taskStream } from '../../core/ids.ts';
import type { Batch, QueueOp, Blobs } from '../../core/ports/store.ts';
import { firingKey, type Schedule, scheduleSession, scheduleStream } from '../../core/schedule.ts';
import type { Task } from '../../core/task.ts';
import type { Standing } from './standing.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { newTask } from '../../core/records/new-task.ts';

/** The content of a task that a schedule made. */
interface ScheduledContent {
  title: string;
  /** Command line of a script to run in the place of a model. */
  run?: string;
  /** Who gets the answer. */
  to?: string;
}

export interface Firing {
  at: number;
  missed: number;
  by: string | null;
  /** Names one that a person asked for. */
  key?: string;
}

type Skipped = Extract<NewEvent, { type: 'schedule.skipped' }>['data'];

/** One commit: what is let go, and each firing with its task. It holds only if nothing else has happened to the schedule. */
export function firingBatch(
  deps: { store: Blobs; ids: Ids; redact(text: string): string; maxAttempts(): number },
  standing: Standing,
  schedule: Schedule,
  what: { skipped: Omit<Skipped, 'schedule'> | null; fire: readonly Firing[] },
): Batch & { tasks: Task[] } {
  const { id, set } = standing;
  const stream = scheduleStream(id);
  const common = { stream, labels: [], cause: set.id } as const;
  const events: NewEvent[] = [];
  const queue: QueueOp[] = [];
  const tasks: Task[] = [];
  if (what.skipped !== null) {
    const data = { schedule: id, ...what.skipped };
    events.push({ ...common, type: 'schedule.skipped', actor: 'runtime', key: firingKey(id, data.at), data });
  }
  for (const { at, missed, by, key: asked } of what.fire) {
    const task = taskOf(deps, standing, schedule, by === null ? at : null);
    const fired = events.length;
    const data = { schedule: id, at, task: task.id, missed, by };
    const key = by === null ? firingKey(id, at) : asked;
    const named = key === undefined ? {} : { key };
    events.push({ ...common, type: 'schedule.fired', actor: by ?? 'runtime', data, ...named });
    events.push({
      ...common,
      type: 'task.queued',
      stream: taskStream(task.id),
      actor: 'runtime',
      cause: fired,
      data: { task },
    });
    queue.push({ op: 'enqueue', task, causeOf: fired });
    tasks.push(task);
  }
  return { events, queue, tasks, expect: { [stream]: standing.version }, sync: true };
}

function taskOf(
  { store, ids, redact, maxAttempts }: Parameters<typeof firingBatch>[0],
  { id, set }: Standing,
  { name, work, to }: Schedule,
  at: number | null,
): Task {
  const { agent } = set.data;
  const session = scheduleSession(name);
  const told = to === undefined ? {} : { to };
  const content: ScheduledContent =
    work.kind === 'run'
      ? { title: `run: ./${work.command}`, run: `./${work.command}`, ...told }
      : { title: work.text, ...told };
  return newTask({
    id: ids.next('tsk'),
    agent,
    session,
    from: `schedule:${id}`,
    content: putJson(store, content, conversationId(agent, session), redact),
    key: at === null ? null : firingKey(id, at),
    maxAttempts: maxAttempts(),
  });
}
