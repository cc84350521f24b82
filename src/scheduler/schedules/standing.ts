import type { Event, EventOf } from '../../core/event.ts';
import type { Store } from '../../core/ports/store.ts';
import { scheduleStream, type Missed } from '../../core/schedule.ts';
import type { Firings } from '../../core/time/firing.ts';

/** Where a schedule stands, as the journal tells. */
export interface Standing {
  id: string;
  set: EventOf<'schedule.set'>;
  /** Everything up to here has been decided on. */
  cursor: number;
  paused: boolean;
  /** When it fired last, and the task that came of it. */
  last: { at: number; task: string } | null;
  /** Of its stream when it was read. */
  version: number;
}

/** Ids of the schedules on record: set, and not removed since. There are as many such events as there were edits. */
export async function knownSchedules(store: Store): Promise<Set<string>> {
  const known = new Set<string>();
  for await (const event of store.read({ types: ['schedule.set', 'schedule.removed'] })) {
    if (event.type === 'schedule.set') known.add(event.data.schedule);
    if (event.type === 'schedule.removed') known.delete(event.data.schedule);
  }
  return known;
}

/**
 * Reads a stream backwards as far as it must, which is a few events: each names the setting it goes by as its cause. Null
 * for a schedule that was never set, or is removed.
 */
export async function readStanding(store: Store, id: string): Promise<Standing | null> {
  const found: Partial<Standing> = {};
  // Before the events: one that comes in between makes the next commit fail, and is seen on the next look.
  const stream = scheduleStream(id);
  const version = await store.version(stream);
  let cause: string | null = null;
  for await (const event of store.read({ stream, reverse: true })) {
    if (event.type === 'schedule.removed') break;
    cause ??= event.cause;
    take(found, event);
    // What says how far it is says whether it is paused, too.
    if (found.cursor !== undefined && found.last !== undefined) break;
  }
  if (found.set === undefined && cause !== null) {
    const set = await store.event(cause);
    if (set?.type === 'schedule.set') found.set = set;
  }
  const { set, cursor, paused, last = null } = found;
  if (set === undefined || cursor === undefined || paused === undefined) return null;
  return { id, set, cursor, paused, last, version };
}

/** The standing after events that its holder has committed. */
export function standingAfter(standing: Standing, events: readonly Event[]): Standing {
  const newer: Partial<Standing> = {};
  const own = events.filter((event) => event.stream === scheduleStream(standing.id));
  for (const event of own.toReversed()) take(newer, event);
  return { ...standing, ...newer, version: standing.version + own.length };
}

/** What an event says and no later one has said. */
function take(found: Partial<Standing>, event: Event): void {
  switch (event.type) {
    case 'schedule.set':
      found.set ??= event;
      found.cursor ??= event.data.anchor;
      found.paused ??= event.data.paused;
      return;
    case 'schedule.fired':
      found.last ??= { at: event.data.at, task: event.data.task };
      // One that a person had fire says nothing about the clock.
      if (event.data.by === null) {
        found.cursor ??= event.data.at;
        found.paused ??= false;
      }
      return;
    case 'schedule.skipped':
      found.cursor ??= event.data.at;
      found.paused ??= false;
      return;
    case 'schedule.paused':
      found.paused ??= true;
      return;
    case 'schedule.resumed':
      found.cursor ??= event.data.from;
      found.paused ??= false;
      return;
    default:
  }
}

/** Milliseconds after which a firing counts as missed. A restart, or a busy moment, is no reason to let one go. */
const GRACE_MS = 60_000;
/** Firings that are counted one by one. */
const MAX_COUNT = 1_000;

/** What is to be done about the firings that have become due. */
interface Plan {
  /** Times that fire now, oldest first. */
  fire: number[];
  /** Earlier ones that do not: how many (at most 1,000 are counted), and the last of them. */
  left: { count: number; at: number } | null;
  /** The newest is missed, too. */
  late?: true;
}

/**
 * Everything after `cursor` that is due. Null if nothing is: also where the clock was put back behind times that have
 * fired. Of several at once the newest may be in time; the others are missed, whether the process was gone, the machine
 * slept or the clock leapt.
 */
export function planFirings(firings: Firings, cursor: number, now: number, missed: Missed): Plan | null {
  let newest = firings.upTo(now);
  while (newest !== null && firings.due(newest) > now) newest = firings.upTo(newest - 1);
  if (newest === null || newest <= cursor) return null;
  const late = now - firings.due(newest) > GRACE_MS;
  const most = missed.mode === 'all' ? missed.max : missed.mode === 'skip' && late ? 0 : 1;
  const times: number[] = [];
  for (let time: number | null = newest; time !== null && time > cursor; time = firings.upTo(time - 1)) {
    times.push(time);
    if (times.length === most + MAX_COUNT) break;
  }
  const [at] = times.slice(most);
  const left = at === undefined ? null : { count: times.length - most, at };
  return { fire: times.slice(0, most).reverse(), left, ...(late ? { late } : {}) };
}
