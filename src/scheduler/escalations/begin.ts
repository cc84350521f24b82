import type { Governance } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import {
  DEFAULT_CHAIN,
  escalationId,
  escalationKey,
  escalationStream,
  isFromEscalation,
} from '../../core/escalation.ts';
import type { Event, NewEvent } from '../../core/event.ts';
import { taskStream } from '../../core/ids.ts';
import { askedKey, matterId } from '../../core/records/matter.ts';
import type { Batch, Reads } from '../../core/ports/store.ts';
import type { Pending } from '../../core/api/runtime.ts';
import type { Task } from '../../core/task.ts';
import { levelsFor } from './plan.ts';

/** Tasks between one and the escalation that may have led to it. */
const MAX_CLIMB = 100;

interface BeginDeps {
  store: Reads;
  clock: Clock;
  governance(): Governance;
}

/** What starts the escalation of something that waits; null if no chain is there for it. */
export async function beginning(
  deps: BeginDeps,
  { id: about, task: taskId, agent, at }: Pending,
): Promise<Batch | null> {
  const { store, clock, governance } = deps;
  const { settings, agents } = governance();
  const task = taskId === null ? null : await store.task(taskId);
  const own = await isOwnWork(store, task);
  // What an escalation has led to, and has died, would only lead to more of the same.
  if (own && task !== null && about === matterId('dead', task.id)) return null;
  const named = (task === null ? null : await chainOfTask(store, task)) ?? agents.get(agent ?? '')?.escalation;
  const chain = named !== undefined && settings.escalation?.[named] ? named : DEFAULT_CHAIN;
  const asked = await store.byKey(askedKey(about));
  const kind = kindOf(asked);
  const levels = levelsFor(settings.escalation?.[chain] ?? [], { approval: kind === 'approval', ofEscalation: own });
  if (levels.length === 0) return null;
  const id = escalationId(about);
  const from = Math.min(Math.max(at, await ruledSince(store)), clock.now());
  const data = { escalation: id, about, kind, task: taskId, agent, chain, from, levels };
  const event: NewEvent = {
    type: 'escalation.started',
    stream: escalationStream(id),
    actor: 'runtime',
    cause: asked?.id ?? null,
    labels: asked?.labels ?? [],
    key: escalationKey(id),
    data,
  };
  return { events: [event], sync: true };
}

function kindOf(asked: Event | null): 'approval' | 'question' | 'matter' {
  if (asked?.type === 'matter.raised') return 'matter';
  return asked?.type === 'question.asked' ? 'question' : 'approval';
}

/** Since when the rules of today hold: a chain is not counted from before it was written. */
async function ruledSince(store: Reads): Promise<number> {
  for await (const event of store.read({ types: ['config.applied'], reverse: true, limit: 1 })) return event.at;
  return 0;
}

/** The chain that the task itself names. */
async function chainOfTask(store: Reads, { id }: Task): Promise<string | undefined> {
  for await (const event of store.read({ stream: taskStream(id), types: ['task.queued'], limit: 1 }))
    if (event.type === 'task.queued') return event.data.task.escalation;
  return undefined;
}

/** Whether an escalation has led to the task. */
async function isOwnWork(store: Reads, task: Task | null): Promise<boolean> {
  let each = task;
  for (let tries = 0; each !== null && tries < MAX_CLIMB; tries++) {
    if (isFromEscalation(each.from)) return true;
    each = each.origin === undefined ? null : await store.task(each.origin.parent);
  }
  return false;
}
