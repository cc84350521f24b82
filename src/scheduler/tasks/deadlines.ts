import type { QueueSettings } from '../../core/agent.ts';
import { taskStream } from '../../core/ids.ts';
import { matterRaised } from '../../core/records/matter.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Task } from '../../core/task.ts';
import { putJson } from '../../core/records/json-blob.ts';

/** Queues of which nothing more may be begun now: paused, or with as many runs as they may have. */
export function heldQueues(
  queues: Readonly<Record<string, QueueSettings>>,
  running: ReadonlyMap<string, number>,
): string[] {
  return Object.entries(queues)
    .filter(
      ([name, { state, concurrency }]) =>
        state === 'paused' || (concurrency !== null && (running.get(name) ?? 0) >= concurrency),
    )
    .map(([name]) => name);
}

interface Deadlines {
  store: Store;
  clock: Clock;
  /** By the clock of the network's zone, which it names. */
  timeText(at: number): string;
}

/** Puts each task whose deadline has gone by on record, once, and before the owner. */
export async function noteMissedDeadlines(deps: Deadlines): Promise<void> {
  const { store, clock } = deps;
  const statuses = ['queued', 'running', 'waiting'] as const;
  for (const task of await store.tasks({ statuses, deadlineBy: clock.now() })) {
    if ((await store.byKey(lateKey(task.id))) === null) await noteLate(deps, task);
  }
}

const lateKey = (task: string): string => `late:${task}`;

async function noteLate({ store, timeText }: Deadlines, task: Task): Promise<void> {
  const { id, queue, cause, labels, deadline } = task;
  if (deadline === null) return;
  const by = { actor: 'runtime', cause, labels };
  const shown = {
    text: `The task ${id} of ${queue} was due at ${timeText(deadline)} and is still ${task.status}.`,
    reason: 'A deadline was missed.',
  };
  const matter = matterRaised({ kind: 'deadline', about: id, shown }, (text) => putJson(store, text, task.lane));
  const data = { task: id, deadline };
  const late = { type: 'task.late' as const, stream: taskStream(id), ...by, key: lateKey(id), data };
  const result = await store.commit({
    events: [late, { ...matter, ...by }],
    sync: true,
  });
  if (!result.ok && result.why !== 'duplicate')
    throw new Error(`a missed deadline was refused: ${JSON.stringify(result)}`);
}
