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

export type Interrupted = NonNullable<EventOf<'gateway.started'>['data']['interrupted']>;

const WHY = `Ruche ended without a stop ${MOST} times while this was under way (killed, frozen or out of memory), and it got no further in between. It may be the cause, so it was set aside.`;

/**
 * Call before what the last process left is free again. Counts, for each task that was under way, the ends of the process
 * without a stop, and ends the task at the third: what freezes or kills the process would do so after every start. Gives
 * the counts, which the record of this start has to keep. A stop in order counts nothing and forgets nothing. The work of a
 * task that is ended is kept before by `keep`, which says where: the end of a run releases what it holds.
 */
export async function countInterrupted(deps: EndDeps, keep: (task: Task) => Promise<string>): Promise<Interrupted> {
  const { store } = deps;
  const last = await lastStart(store);
  if (last === null) return [];
  const before = new Map((last.data.interrupted ?? []).map((each) => [each.task, each.deaths]));
  const under = new Set<string>();
  if (!(await stoppedAfter(store, last.seq)))
    for (const { id } of await store.tasks({ statuses: ['running'] })) under.add(id);
  const counts: Interrupted = [];
  for (const id of new Set([...before.keys(), ...under])) {
    const task = await store.task(id);
    if (task === null || isEnded(task.status)) continue;
    const stuck = (await gotFurther(store, task, last.seq)) ? 0 : (before.get(id) ?? 0);
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

/** Whether the task's run got further in the life that began with this event. */
async function gotFurther(store: Store, task: Task, start: number): Promise<boolean> {
  const run = await runOf(store, task);
  if (run === null) return false;
  for await (const _ of store.read({ stream: runStream(run), types: PROGRESS, after: start, limit: 1 })) return true;
  return false;
}
