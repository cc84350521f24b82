import type { NewEvent } from '../../core/event.ts';
import { conversationId, type Ids, taskStream } from '../../core/ids.ts';
import type { Label } from '../../core/labels.ts';
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
  /** When it was due, and how many before it were left out for it; absent for one in time that stands for itself. */
  late?: { at: number; missed: number };
}

export interface Firing {
  at: number;
  missed: number;
  by: string | null;
  /** It was due a while ago. */
  late?: boolean;
  /** Names one that a person asked for. */
  key?: string;
}

type Skipped = Extract<NewEvent, { type: 'schedule.skipped' }>['data'];

/** One commit: what is let go, and each firing with its task. It holds only if nothing else has happened to the schedule. */
export function firingBatch(
  deps: { store: Blobs; ids: Ids; redact(text: string): string; maxAttempts(): number },
  standing: Standing,
  schedule: Schedule,
  what: { skipped: Omit<Skipped, 'schedule'> | null; fire: readonly Firing[]; labels?: readonly Label[] },
): Batch & { tasks: Task[] } {
  const { id, set } = standing;
  const stream = scheduleStream(id);
  const { labels = [] } = what;
  const common = { stream, labels, cause: set.id } as const;
  const events: NewEvent[] = [];
  const queue: QueueOp[] = [];
  const tasks: Task[] = [];
  if (what.skipped !== null) {
    const data = { schedule: id, ...what.skipped };
    events.push({ ...common, type: 'schedule.skipped', actor: 'runtime', key: firingKey(id, data.at), data });
  }
  for (const firing of what.fire) {
    const { at, missed, by, key: asked } = firing;
    const task = taskOf(deps, standing, schedule, { ...firing, labels });
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
  { at, missed, by, late = false, labels }: Firing & { labels: readonly Label[] },
): Task {
  const { agent } = set.data;
  const session = scheduleSession(name);
  const told = {
    ...(to === undefined ? {} : { to }),
    ...(late || missed > 0 ? { late: { at, missed } } : {}),
  };
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
    key: by === null ? firingKey(id, at) : null,
    maxAttempts: maxAttempts(),
    labels,
  });
}
