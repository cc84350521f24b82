import type { EventOf, EventType } from '../core/event.ts';
import { runStream } from '../core/ids.ts';
import type { Store } from '../core/ports/store.ts';
import { isEnded, type Task } from '../core/task.ts';
import { runOf } from '../pending/pending.ts';
import { type EndDeps, setTaskAside } from './end.ts';

/** Unclean ends of the process under one run that gets no further in between, until the run is set aside. */
const MOST = 3;

/** What shows that a run got further: it has something new that the next life does not have to do again. */
const PROGRESS = [
  'model.answered',
  'tool.returned',
  'approval.answered',
  'question.answered',
  'landing.finished',
  'landing.conflicted',
  'run.parked',
] as const satisfies readonly EventType[];

/** What shows when the work began that was under way at the end. */
const BEGUN = [...PROGRESS, 'run.started', 'run.resumed', 'tool.started'] as const satisfies readonly EventType[];

/**
 * Milliseconds after which the end of a process is not taken to come of the work under way: what freezes or kills it does
 * so soon, and a power cut during a long command says nothing of the command.
 */
const SOON = 600_000;

export type Interrupted = NonNullable<EventOf<'gateway.started'>['data']['interrupted']>;

const WHY = `Ruche ended without a stop ${MOST} times while this was under way (killed, frozen or out of memory), and it got no further in between. It may be the cause, so it was set aside.`;

/**
 * Call before what the last process left is free again. Counts, for each task that was under way, the ends of the process
 * without a stop, and ends the task at the third: what freezes or kills the process would do so after every start. Gives
 * the counts, which the record of this start has to keep. A stop in order counts nothing and forgets nothing, and
 * neither does an end long after the work began. A task without a run, such as one that sends a reply, is not counted. The
 * work of a task that is ended is kept before by `keep`, which says where: the end of a run releases what it holds.
 */
export async function countInterrupted(deps: EndDeps, keep: (task: Task) => Promise<string>): Promise<Interrupted> {
  const { store } = deps;
  const last = await lastStart(store);
  if (last === null) return [];
  const before = new Map((last.data.interrupted ?? []).map((each) => [each.task, each.deaths]));
  const under = new Set<string>();
  if (!(await stoppedAfter(store, last.seq)))
    for (const task of await store.tasks({ statuses: ['running'] }))
      if (await endedSoon(store, task, last)) under.add(task.id);
  const counts: Interrupted = [];
  for (const id of new Set([...before.keys(), ...under])) {
    const task = await store.task(id);
    if (task === null || isEnded(task.status)) continue;
    const stuck = (await lastOf(store, task, PROGRESS, last.seq)) !== null ? 0 : (before.get(id) ?? 0);
    const deaths = stuck + (under.has(id) ? 1 : 0);
    if (deaths >= MOST) await setTaskAside(deps, id, 'interrupted', `${WHY}${await keep(task)}`);
    else if (deaths > 0) counts.push({ task: id, deaths });
  }
  return counts;
}

async function lastStart(store: Store): Promise<EventOf<'gateway.started'> | null> {
  for await (const event of store.read({ stream: 'gateway', types: ['gateway.started'], reverse: true, limit: 1 }))
    if (event.type === 'gateway.started') return event;
  return null;
}

async function stoppedAfter(store: Store, start: number): Promise<boolean> {
  for await (const _ of store.read({ stream: 'gateway', types: ['gateway.stopped'], after: start, limit: 1 }))
    return true;
  return false;
}

/** Whether the process ended soon after it had begun what the task's run was at. */
async function endedSoon(store: Store, task: Task, start: { seq: number; at: number }): Promise<boolean> {
  if ((await runOf(store, task)) === null) return false;
  // Leases are renewed every few seconds, so the end of this one tells how long the process was alive.
  const alive = await store.leaseEnd(task.id);
  const since = (await lastOf(store, task, BEGUN, start.seq)) ?? start.at;
  return alive !== null && alive - since < SOON;
}

/** When the task's run had one of these events last, in the life that began with this one; null if it had none. */
async function lastOf(store: Store, task: Task, types: readonly EventType[], after: number): Promise<number | null> {
  const run = await runOf(store, task);
  if (run === null) return null;
  for await (const { at } of store.read({ stream: runStream(run), types, after, reverse: true, limit: 1 })) return at;
  return null;
}
