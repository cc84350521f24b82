import type { EventOf } from '../../core/event.ts';
import { escalationStepKey, escalationStream } from '../../core/escalation.ts';
import type { Reads } from '../../core/ports/store.ts';
import { conversationId } from '../../core/ids.ts';
import { putKey } from '../../core/records/reply.ts';
import { isEnded } from '../../core/task.ts';
import type { Climb } from './plan.ts';

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
export async function readEscalation(store: Reads, id: string): Promise<Escalation | null> {
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
export async function* knownEscalations(store: Reads): AsyncIterable<{ id: string; open: boolean }> {
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

export async function climbOf(store: Reads, escalation: Escalation, timeOf: TimeOf): Promise<Climb> {
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
async function hasFailed(store: Reads, { data }: EventOf<'escalation.reached'>, about: string): Promise<boolean> {
  if (data.outcome !== 'told') return data.outcome === 'unreachable';
  if (data.task === null) return isRefused(store, about);
  const task = await store.task(data.task);
  return task !== null && isEnded(task.status) && task.status !== 'done';
}

/** Whether the message with which the run itself has asked was refused for good. */
async function isRefused(store: Reads, about: string): Promise<boolean> {
  const put = await store.byKey(putKey(about));
  if (put?.type !== 'message.queued') return false;
  const stream = conversationId(put.data.agent, put.data.session);
  for await (const event of store.read({ stream, types: ['message.failed'], after: put.seq }))
    if (event.type === 'message.failed' && event.data.message === put.id && event.data.final) return true;
  return false;
}
