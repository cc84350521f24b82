import type { Event, EventOf } from '../../core/event.ts';
import { eventSeq } from '../../core/ids.ts';
import type { Reads } from '../../core/ports/store.ts';
import {
  type Facts,
  type Held,
  limitMatter,
  type ReadCondition,
  type Trigger,
  triggerStream,
  limitText,
  sourceText,
  type TriggerFiring,
  type TriggerState,
} from '../../core/trigger.ts';
import type { Burst } from './match.ts';
import { durationText } from '../../core/text/duration.ts';
import { describe } from '../../journal/words.ts';
import { hookSecrets, type ReadSecret } from './hooks.ts';
import { readJson, readText } from '../../core/records/json-blob.ts';

/** Outcomes of one trigger that are looked back at. */
const MAX_BACK = 1_000;

/** Where a trigger stands, as the journal tells. */
export interface Standing {
  id: string;
  agent: string;
  trigger: Trigger;
  holds: ((facts: Facts) => Held) | null;
  setBy: string;
  /** Only events with a greater seq count. */
  from: number;
  /** Causes up to here have had their outcome. */
  done: number;
  paused: boolean;
  /** A burst that has not come to rest, and when it fires. */
  waiting: { burst: Burst; due: number } | null;
  fired: number[];
  told: number | null;
  last: Outcome | null;
}

export type Outcome = EventOf<'trigger.fired'> | EventOf<'trigger.skipped'>;

export const CONTROL_TYPES = ['trigger.set', 'trigger.removed', 'trigger.paused', 'trigger.resumed'] as const;
export const OUTCOME_TYPES = ['trigger.fired', 'trigger.skipped'] as const;

/** What an earlier process has seen. */
interface Seen {
  upTo: number;
  /** All that landed up to this commit is past; null: nobody has looked yet. */
  main: string | null;
  /** Commits that some event has told of since, or shortly before, and which one. */
  told: [commit: string, seq: number][];
}

export async function readSeen(store: Reads): Promise<Seen> {
  const newest = async (type: Event['type']): Promise<Event | null> => {
    for await (const event of store.read({ types: [type], reverse: true, limit: 1 })) return event;
    return null;
  };
  const seen = await newest('triggers.seen');
  let upTo = seen?.type === 'triggers.seen' ? seen.data.upTo : null;
  if (upTo === null) {
    upTo = await store.head();
    for await (const event of store.read({ types: ['trigger.set'], limit: 1 })) upTo = event.seq - 1;
  }
  let main: string | null = null;
  let mainSeq = 0;
  for await (const event of store.read({ types: ['triggers.seen', 'main.moved', 'trigger.set'], reverse: true })) {
    const commit = event.type === 'main.moved' ? event.data.to : 'main' in event.data ? event.data.main : null;
    if (typeof commit !== 'string') continue;
    main = commit;
    mainSeq = event.seq;
    break;
  }
  return { upTo, main, told: main === null ? [] : await toldSince(store, mainSeq) };
}

/** Commits on record as a person's, after this event and some before it. */
async function toldSince(store: Reads, seq: number): Promise<Seen['told']> {
  const told: Seen['told'] = [];
  let before = 200;
  for await (const event of store.read({ types: ['person.committed', 'main.moved'], reverse: true })) {
    if (event.seq < seq && (before -= 1) < 0) break;
    if (event.type === 'person.committed') told.push([event.data.commit, event.seq]);
    if (event.type === 'main.moved') told.push([event.data.to, event.seq]);
  }
  return told;
}

/** A trigger from the moment it was set, with what has become of it before. */
export async function standingOf(
  store: Reads,
  set: EventOf<'trigger.set'>,
  readCondition: ReadCondition,
): Promise<Standing | null> {
  const { trigger: id, agent, rule } = set.data;
  const trigger = await readJson<Trigger>(store, rule);
  if (trigger === null) return null;
  const read = trigger.when === null ? null : readCondition(trigger.when, trigger.source.on);
  // On record since a Ruche that could read it: nothing is let through unseen.
  const unreadable = (error: string) => (): Held => ({ ok: false, error });
  const holds = read === null ? null : read.ok ? read.holds : unreadable(read.error);
  const standing: Standing = {
    id,
    agent,
    trigger,
    holds,
    setBy: set.id,
    from: set.seq,
    done: 0,
    paused: false,
    waiting: null,
    fired: [],
    told: null,
    last: null,
  };
  const back = { stream: triggerStream(id), types: OUTCOME_TYPES, reverse: true, limit: MAX_BACK };
  const outcomes: Outcome[] = [];
  for await (const event of store.read(back)) outcomes.push(event as Outcome);
  for (const event of outcomes.reverse()) tookPlace(standing, event);
  if (trigger.limit !== null) await lookBack(store, standing, trigger.limit.count);
  return standing;
}

/** What a limit goes by: a thousand causes that were let go must not hide what has fired, nor that the owner was told. */
async function lookBack(store: Reads, standing: Standing, count: number): Promise<void> {
  const { id } = standing;
  standing.fired = [];
  for await (const event of store.read({ stream: triggerStream(id), types: ['trigger.fired'], reverse: true })) {
    if (event.type === 'trigger.fired' && event.data.by === null) standing.fired.unshift(event.at);
    if (standing.fired.length >= count) break;
  }
  for await (const event of store.read({ types: ['matter.raised'], reverse: true, limit: MAX_BACK }))
    if (
      event.type === 'matter.raised' &&
      event.data.kind === 'limit' &&
      event.data.about.startsWith(limitMatter(id, ''))
    ) {
      standing.told = event.at;
      break;
    }
}

/** The standing after one more outcome; the same one again changes nothing. */
export function tookPlace(standing: Standing, event: Outcome): void {
  if (standing.last !== null && event.seq <= standing.last.seq) return;
  standing.last = event;
  const { last } = event.data;
  if (event.type === 'trigger.fired' && event.data.by === null) {
    const { limit } = standing.trigger;
    standing.fired.push(event.at);
    if (limit === null || standing.fired.length > limit.count) standing.fired.shift();
  }
  if (event.type === 'trigger.skipped' && event.data.why === 'limit' && event.data.matter !== null)
    standing.told = event.at;
  // One whose condition could not be told says nothing of a burst that is open.
  if (last === null || (event.type === 'trigger.skipped' && event.data.why === 'condition')) return;
  standing.done = Math.max(standing.done, eventSeq(last) ?? 0);
  if (standing.waiting !== null && standing.waiting.burst.last.seq <= standing.done) standing.waiting = null;
}

/** How a trigger stands, in words. */
export async function stateOf(
  { store, secret }: { store: Reads; secret: ReadSecret },
  standing: Standing,
): Promise<TriggerState> {
  const { id, agent, trigger, paused, waiting, last } = standing;
  const { name, source, when, debounce, each, limit, work } = trigger;
  const known = source.on === 'webhook' ? await hookSecrets(source.auth, source.hook, secret) : null;
  return {
    id,
    agent,
    name,
    ...(known === null || known.lacking === null ? {} : { note: known.lacking }),
    on: `${sourceText(source)}${each === true ? ', each file' : ''}`,
    ...(source.on === 'webhook' ? { hook: source.hook } : {}),
    when,
    debounce: debounce === 0 ? null : durationText(debounce),
    limit: limit === null ? null : limitText(limit),
    does: work.kind === 'run' ? `run: ${work.command}` : work.text,
    paused,
    waiting: waiting === null ? null : { count: waiting.burst.count, due: waiting.due },
    last: last === null ? null : await firingOf(store, last),
  };
}

/** What came of one cause, or a burst of them. */
export async function firingOf(store: Reads, event: Outcome): Promise<TriggerFiring> {
  const { first, count } = event.data;
  const cause = first === null ? null : await store.event(first);
  const common = { at: event.at, cause: first, count };
  const what = cause === null ? '' : `${cause.actor.replace(/^person:/, '')} ${describe(cause, new Map())}`;
  if (event.type === 'trigger.skipped') {
    const { detail } = event.data;
    const why = detail === null ? null : await readText(store, detail);
    return { ...common, what, task: null, status: event.data.why, why, by: null };
  }
  const task = await store.task(event.data.task);
  const status = task?.status ?? 'unknown';
  return { ...common, what, task: event.data.task, status, why: null, by: event.data.by };
}

/** Deliveries to its hook that came to nothing: no condition held. `outcomes`: what is on record of the others. */
export async function unmatched(
  store: Reads,
  { trigger: { source }, from, waiting, paused }: Standing,
  { outcomes, limit }: { outcomes: readonly Outcome[]; limit: number },
): Promise<TriggerFiring[]> {
  if (source.on !== 'webhook' || paused) return [];
  const spans = outcomes.map(({ data: { first, last } }) => [eventSeq(first ?? '') ?? 0, eventSeq(last ?? '') ?? 0]);
  if (waiting !== null) spans.push([waiting.burst.first.seq, waiting.burst.last.seq]);
  // Of what is older than the outcomes that were read nobody knows here what became of it.
  const oldest = outcomes.length < limit ? from : Math.min(...spans.map(([first = 0]) => first));
  const found: TriggerFiring[] = [];
  for await (const event of store.read({ types: ['webhook.received'], after: oldest, reverse: true })) {
    if (event.type !== 'webhook.received' || event.data.hook !== source.hook) continue;
    if (found.length >= limit) break;
    if (spans.some(([first = 0, last = 0]) => event.seq >= first && event.seq <= last)) continue;
    const what = `${event.actor} ${describe(event, new Map())}`;
    const common = { at: event.at, cause: event.id, what, count: 1, task: null, by: null };
    found.push({ ...common, status: 'no match', why: 'its condition does not hold' });
  }
  return found;
}
