import type { EventOf, Event, NewEvent } from '../../core/event.ts';
import {
  escalationStepKey,
  escalationStream,
  DENIED_AFTER_MS,
  DENY,
  DEFAULT_CHAIN,
  escalationId,
  escalationKey,
  isFromEscalation,
} from '../../core/escalation.ts';
import type { Store, Batch } from '../../core/ports/store.ts';
import { conversationId, taskStream, idIn } from '../../core/ids.ts';
import { putKey } from '../../core/records/reply.ts';
import { isEnded, type Task } from '../../core/task.ts';
import type { Governance, Settings } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { askedKey, matterId } from '../../core/records/matter.ts';
import type { Pending } from '../../core/api/runtime.ts';

/** An escalation as the journal tells it. */
export interface Escalation {
  id: string;
  started: EventOf<'escalation.started'>;
  reached: EventOf<'escalation.reached'>[];
  acknowledged: EventOf<'escalation.acknowledged'> | null;
  ended: EventOf<'escalation.ended'> | null;
  /** Of its stream when it was read. */
  version: number;
}

/** Null for one that never began. */
export async function readEscalation(store: Store, id: string): Promise<Escalation | null> {
  const stream = escalationStream(id);
  // Before the events: one that comes in between makes the next commit fail, and is seen on the next look.
  const version = await store.version(stream);
  let found: Escalation | null = null;
  for await (const event of store.read({ stream })) {
    if (event.type === 'escalation.started')
      found = { id, started: event, reached: [], acknowledged: null, ended: null, version };
    if (found === null) continue;
    if (event.type === 'escalation.reached') found.reached.push(event);
    if (event.type === 'escalation.acknowledged') found.acknowledged = event;
    if (event.type === 'escalation.ended') found.ended = event;
  }
  return found;
}

/** Ids of those that have begun, and whether they have ended, the newest first. */
export async function* knownEscalations(store: Store): AsyncIterable<{ id: string; open: boolean }> {
  for await (const event of store.read({ types: ['escalation.started'], reverse: true })) {
    if (event.type !== 'escalation.started') continue;
    const id = event.data.escalation;
    yield { id, open: (await store.byKey(escalationStepKey(id, 'end'))) === null };
  }
}

/** When an event was, by the clock as it goes now. */
export type TimeOf = (event: string, at: number) => number;

/**
 * A clock that was put back: what is ahead of it counts from the moment that is noticed, or it would be waited for. What was
 * noticed is kept in `noticed`, by event.
 */
export const timesUpTo =
  (now: number, noticed: Map<string, number> = new Map()): TimeOf =>
  (event, at) => {
    const time = Math.min(noticed.get(event) ?? at, now);
    if (time !== at) noticed.set(event, time);
    return time;
  };

export async function climbOf(store: Store, escalation: Escalation, timeOf: TimeOf): Promise<Climb> {
  const { started, reached, acknowledged } = escalation;
  const { from, levels } = started.data;
  const last = reached.at(-1);
  return {
    from: timeOf(started.id, from),
    levels,
    acknowledged: acknowledged !== null,
    // Only of the last one it matters: it may have gone wrong since.
    reached: await Promise.all(
      reached.map(async (each) => ({
        at: timeOf(each.id, each.at),
        failed: each === last && (await hasFailed(store, each, started.data.about)),
      })),
    ),
  };
}

/** Whether it has come to nothing: nobody could be told, the message was refused for good, or the agent's task broke off. */
async function hasFailed(store: Store, { data }: EventOf<'escalation.reached'>, about: string): Promise<boolean> {
  if (data.outcome !== 'told') return data.outcome === 'unreachable';
  if (data.task === null) return isRefused(store, about);
  const task = await store.task(data.task);
  return task !== null && isEnded(task.status) && task.status !== 'done';
}

/** Whether the message with which the run itself has asked was refused for good. */
async function isRefused(store: Store, about: string): Promise<boolean> {
  const put = await store.byKey(putKey(about));
  if (put?.type !== 'message.queued') return false;
  const stream = conversationId(put.data.agent, put.data.session);
  for await (const event of store.read({ stream, types: ['message.failed'], after: put.seq }))
    if (event.type === 'message.failed' && event.data.message === put.id && event.data.final) return true;
  return false;
}

/** Milliseconds that the last one who was told has at least, whatever the clock did or how long nobody was there: an answer may be under way. */
const FAIR_MS = 60_000;

interface PlannedLevel {
  after: number;
  to: string;
}

/** Where an escalation stands, as far as time decides on it. */
export interface Climb {
  /** What the levels are counted from. */
  from: number;
  levels: readonly PlannedLevel[];
  /** Those that were reached, in their order: when, and whether it has turned out that nobody was told. */
  reached: readonly { at: number; failed: boolean }[];
  acknowledged: boolean;
}

export type Step =
  | { do: 'reach'; level: number }
  /** The last level is reached, and nobody has answered. */
  | { do: 'deny' }
  /** `until`: when the next level is due; null if time alone changes nothing. */
  | { do: 'wait'; until: number | null };

/** What is to be done now about something that still waits. `since`: when the process that looks began. Pure. */
export function planEscalation(climb: Climb, { now, since }: { now: number; since: number }): Step {
  const { levels, reached, acknowledged } = climb;
  const level = reached.length;
  // Decided, and not on record yet: its run may not have waited in that moment.
  if (levels[level - 1]?.to === DENY && !acknowledged) return { do: 'deny' };
  const due = nextDue(climb, { now, since });
  if (due === null) return { do: 'wait', until: null };
  return due <= now ? { do: 'reach', level } : { do: 'wait', until: due };
}

/** When the next level is due; null if none comes. */
export function nextDue(
  { from, levels, reached, acknowledged }: Climb,
  { now, since }: { now: number; since: number },
): number | null {
  const next = levels[reached.length];
  if (next === undefined || acknowledged) return null;
  const due = from + next.after;
  const last = reached.at(-1);
  if (next.to !== DENY) return last?.failed === true ? Math.min(due, now) : due;
  const before = levels[reached.length - 1]?.after ?? 0;
  return Math.max(due, Math.max(last?.at ?? from, since) + Math.min(FAIR_MS, next.after - before));
}

/**
 * The levels that an escalation of this kind has. Only an approval can end by being denied, and always does. What a task is
 * stuck with that an escalation made goes to people, and to no further agent.
 */
export function levelsFor(
  chain: readonly PlannedLevel[],
  { approval, ofEscalation }: { approval: boolean; ofEscalation: boolean },
): PlannedLevel[] {
  const levels = chain
    .filter(({ to }) => (to === DENY ? approval : !ofEscalation || idIn('agent', to) === null))
    .map(({ after, to }) => ({ after, to }));
  const last = chain.at(-1);
  if (approval && last !== undefined && last.to !== DENY)
    levels.push({ after: last.after + DENIED_AFTER_MS, to: DENY });
  return levels;
}

/** Tasks between one and the escalation that may have led to it. */
const MAX_CLIMB = 100;

interface BeginDeps {
  store: Store;
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
  const planned = levelsFor(settings.escalation?.[chain] ?? [], { approval: kind === 'approval', ofEscalation: own });
  const expires = expiry(settings, asked);
  const late = planned.length === 0 && expires !== null && expires <= clock.now() - at;
  const levels = late ? [{ after: expires, to: DENY }] : planned;
  if (levels.length === 0) return null;
  const id = escalationId(about);
  const from = late ? at : Math.min(Math.max(at, await ruledSince(store)), clock.now());
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

/** Milliseconds after which an approval is denied that no chain takes up; null: never. A change from outside keeps nobody waiting. */
function expiry({ approvalMs = DENIED_AFTER_MS }: Pick<Settings, 'approvalMs'>, asked: Event | null): number | null {
  return asked?.type === 'approval.asked' ? approvalMs : null;
}

/** When something is denied for which there is no chain; null: never. Until then a chain may be written for it. */
export async function expiryOf({ store, governance }: BeginDeps, { id, at }: Pending): Promise<number | null> {
  const expires = expiry(governance().settings, await store.byKey(askedKey(id)));
  return expires === null ? null : at + expires;
}

function kindOf(asked: Event | null): 'approval' | 'question' | 'matter' {
  if (asked?.type === 'matter.raised') return 'matter';
  return asked?.type === 'question.asked' ? 'question' : 'approval';
}

/** Since when the rules of today hold: a chain is not counted from before it was written. */
async function ruledSince(store: Store): Promise<number> {
  for await (const event of store.read({ types: ['config.applied'], reverse: true, limit: 1 })) return event.at;
  return 0;
}

/** The chain that the task itself names. */
async function chainOfTask(store: Store, { id }: Task): Promise<string | undefined> {
  for await (const event of store.read({ stream: taskStream(id), types: ['task.queued'], limit: 1 }))
    if (event.type === 'task.queued') return event.data.task.escalation;
  return undefined;
}

/** Whether an escalation has led to the task. */
async function isOwnWork(store: Store, task: Task | null): Promise<boolean> {
  let each = task;
  for (let tries = 0; each !== null && tries < MAX_CLIMB; tries++) {
    if (isFromEscalation(each.from)) return true;
    each = each.origin === undefined ? null : await store.task(each.origin.parent);
  }
  return false;
}
