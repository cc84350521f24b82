import type { Governance } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Body, Event, EventOf, NewEvent } from '../../core/event.ts';
import { canonicalJson } from '../../core/text/json.ts';
import type { Batch } from '../../core/ports/store.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Workspace } from '../../core/ports/workspace.ts';
import type { WorkspaceWatch } from '../../core/ports/governance.ts';
import { type ReadCondition, type Trigger, triggerId, type TriggerOn, triggerStream } from '../../core/trigger.ts';
import { recordMoves, type Cause, CAUSE_TYPES, type CauseDeps, causeOf, commitOf, mayBe } from './causes.ts';
import { type FireDeps, outcomeBatch, skippedEvent } from './fire.ts';
import { type Burst, burstWith, heard, holding } from './match.ts';
import { CONTROL_TYPES, OUTCOME_TYPES, readSeen, type Standing, standingOf, tookPlace } from './standing.ts';
import { noRoom } from '../../core/records/new-task.ts';
import { putJson } from '../../core/records/json-blob.ts';

/** Milliseconds between looks where nothing announces itself. */
const LOOK_MS = 5_000;
/** Milliseconds between tries while too much is queued. */
const FULL_MS = 1_000;
/** A burst that never comes to rest fires after so many times its quiet. */
const LONGEST_BURST = 10;
/** Causes after which it is put on record how far they were seen, so that a start need not look at all again. */
const SEEN_EVERY = 60;
/** Commits that are remembered, so that one that two events tell of counts once. */
const MAX_TOLD = 10_000;
const FAILURES: readonly TriggerOn[] = ['run.failed', 'task.failed', 'task.dead'];

export interface FoldOptions extends Omit<FireDeps, 'settings'>, CauseDeps {
  workspace: Pick<Workspace, 'head' | 'added'>;
  watch: Pick<WorkspaceWatch, 'moves'>;
  clock: Clock;
  log: Log;
  readCondition: ReadCondition;
  governance(): Governance;
}

/** So much is queued that more would help nobody: the causes wait in the journal. */
class Full extends Error {}

/**
 * Where triggers stand, as a fold over the journal: what was set, what happened, what came of it, in the order of the
 * record. After a crash it stands where it stood, and what has no outcome yet gets it then. One look at a time.
 */
export class TriggerFold {
  readonly #options: FoldOptions;
  readonly #fire: FireDeps;
  readonly #standings = new Map<string, Standing>();
  /** Commits that events tell of, each with the first that did. */
  readonly #told = new Map<string, number>();
  #ready = false;
  /** Every event up to here has been looked at. */
  #cursor = 0;
  #since = 0;
  #main: string | null = null;
  #moved = true;
  #governed: Governance | null = null;

  constructor(options: FoldOptions) {
    this.#options = options;
    this.#fire = { ...options, settings: () => options.governance().settings };
  }

  get standings(): ReadonlyMap<string, Standing> {
    return this.#standings;
  }

  get fire(): FireDeps {
    return this.#fire;
  }

  /** `main` may be somewhere else. */
  moved(): void {
    this.#moved = true;
  }

  /** Brings everything up to date; gives the milliseconds until it is worth looking again. */
  async look(): Promise<number> {
    if (!this.#ready) await this.#begin();
    try {
      await this.#lookAtMain();
      await this.#scan();
      if (await this.#sync()) await this.#scan();
      const wait = await this.#fireRested();
      await this.recordSeen(SEEN_EVERY);
      return wait;
    } catch (error) {
      if (!(error instanceof Full)) throw error;
      this.#options.log.warn({}, 'triggers wait: there is no room for more tasks');
      return FULL_MS;
    }
  }

  async #begin(): Promise<void> {
    const { store } = this.#options;
    const { upTo, main, told } = await readSeen(store);
    this.#standings.clear();
    for (const [commit, seq] of told) this.#told.set(commit, seq);
    for await (const event of store.read({ types: CONTROL_TYPES, before: upTo + 1 })) await this.#control(event);
    this.#cursor = upTo;
    this.#main = main;
    this.#ready = true;
  }

  #listensToFiles(): boolean {
    return [...this.#standings.values()].some(({ trigger }) => trigger.source.on === 'file.landed');
  }

  async #lookAtMain(): Promise<void> {
    if (!this.#moved || this.#main === null || !this.#listensToFiles()) return;
    this.#moved = false;
    try {
      // What is on record is looked at first, so that no commit is reported twice.
      await this.#scan();
      this.#main = await recordMoves(this.#options, this.#main, (commit) => this.#told.has(commit));
    } catch (error) {
      this.#moved = true;
      throw error;
    }
  }

  /** Takes in what the journal says since the last time. */
  async #scan(): Promise<void> {
    const { store } = this.#options;
    const causes = this.#standings.size === 0 ? [] : CAUSE_TYPES;
    const head = await store.head();
    for await (const event of store.read({
      after: this.#cursor,
      types: [...CONTROL_TYPES, ...OUTCOME_TYPES, ...causes],
    })) {
      await this.#takeIn(event);
      this.#cursor = event.seq;
      // Now there is somebody who listens: what comes next must be read with what has happened.
      if (causes.length === 0 && this.#standings.size > 0) return this.#scan();
    }
    // Anything committed meanwhile is behind the head that was there before.
    this.#cursor = Math.max(this.#cursor, head);
  }

  async #takeIn(event: Event): Promise<void> {
    if (event.type === 'trigger.fired' || event.type === 'trigger.skipped') {
      const standing = this.#standings.get(event.data.trigger);
      if (standing) tookPlace(standing, event);
      return;
    }
    if ((CONTROL_TYPES as readonly string[]).includes(event.type)) return this.#control(event);
    this.#since += 1;
    const commit = commitOf(event);
    if (commit !== null && this.#firstWord(commit, event.seq) < event.seq) return;
    const kinds = mayBe(event);
    const listening = [...this.#standings.values()].filter(
      ({ trigger, paused, from, done, waiting }) =>
        kinds.includes(trigger.source.on) && !paused && event.seq > Math.max(from, done, waiting?.burst.last.seq ?? 0),
    );
    const cause = listening.length === 0 ? null : await causeOf(this.#options, event);
    if (cause !== null) for (const standing of listening) await this.#happened(standing, cause);
  }

  /** Where a commit was told of first. */
  #firstWord(commit: string, seq: number): number {
    const first = this.#told.get(commit) ?? seq;
    this.#told.set(commit, first);
    if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.keys().next().value ?? '');
    return first;
  }

  async #control(event: Event): Promise<void> {
    if (event.type === 'trigger.set') return this.#arm(event);
    if (event.type === 'trigger.removed') this.#standings.delete(event.data.trigger);
    const standing = 'trigger' in event.data ? this.#standings.get(event.data.trigger) : undefined;
    if (!standing) return;
    if (event.type === 'trigger.paused') Object.assign(standing, { paused: true, waiting: null });
    if (event.type === 'trigger.resumed') Object.assign(standing, { paused: false, from: event.seq });
  }

  async #arm(event: EventOf<'trigger.set'>): Promise<void> {
    const { store, readCondition } = this.#options;
    const before = this.#standings.get(event.data.trigger);
    const standing = await standingOf(store, event, readCondition);
    if (standing === null) return;
    // A pause outlives an edit.
    if (before) standing.paused = before.paused;
    this.#standings.set(standing.id, standing);
    if (event.data.main !== null) this.#main = event.data.main;
  }

  /** One trigger and one cause. */
  async #happened(standing: Standing, cause: Cause): Promise<void> {
    const { trigger, holds, id } = standing;
    // A task that is to look after a failure, and fails, would be looked after without end.
    const own = cause.task?.from === `trigger:${id}` && FAILURES.includes(cause.on);
    const held = own ? null : holding(heard(trigger.source, cause), holds);
    if (held === null) return;
    if ('error' in held) {
      const burst = { first: cause, last: cause, count: 1, labels: cause.labels };
      const why = { why: 'condition', text: held.error, matter: null } as const;
      this.#options.log.warn(
        { trigger: id, cause: cause.id },
        'the condition of a trigger could not be told: it does not fire',
      );
      return this.#come(standing, { events: [skippedEvent(this.#fire, id, burst, why)], sync: true });
    }
    const burst = burstWith(standing.waiting?.burst ?? null, cause, held.facts);
    if (trigger.debounce === 0 && standing.waiting === null) return this.#fireNow(standing, burst);
    const rest = Math.max(trigger.debounce, 1);
    standing.waiting = { burst, due: Math.min(cause.at + rest, burst.first.at + LONGEST_BURST * rest) };
  }

  /** Fires the bursts that have come to rest; gives the milliseconds until the next one has. */
  async #fireRested(): Promise<number> {
    const { clock } = this.#options;
    let wait = LOOK_MS;
    for (const standing of this.#standings.values()) {
      const { waiting } = standing;
      if (waiting === null) continue;
      const now = clock.now();
      // A clock that was put back must not hold a burst for as long as it was ahead.
      waiting.due = Math.min(waiting.due, now + Math.max(standing.trigger.debounce, 1));
      if (waiting.due <= now) await this.#fireNow(standing, waiting.burst);
      else wait = Math.min(wait, waiting.due - now);
    }
    return Math.max(1, wait);
  }

  async #fireNow(standing: Standing, burst: Burst): Promise<void> {
    const { clock } = this.#options;
    if (await this.isFull()) throw new Full();
    await this.#come(standing, await outcomeBatch(this.#fire, standing, burst, clock.now()));
  }

  async isFull(): Promise<boolean> {
    return (await noRoom(this.#options.store)) !== null;
  }

  /** Commits an outcome; one that is there already, of another process, counts. */
  async #come(standing: Standing, batch: Batch): Promise<void> {
    const events = await this.commit(batch);
    const key = batch.events[0]?.key;
    const known = events !== null || key === undefined ? null : await this.#options.store.byKey(key);
    for (const outcome of events ?? [known])
      if (outcome?.type === 'trigger.fired' || outcome?.type === 'trigger.skipped') tookPlace(standing, outcome);
    // A burst whose first cause had its outcome elsewhere is over.
    if (events === null && standing.waiting?.burst.first.key === key?.split('@').at(-1)) standing.waiting = null;
  }

  /** Null if what was to be recorded is on record already. */
  async commit(batch: Batch): Promise<Event[] | null> {
    const result = await this.#options.store.commit(batch);
    if (result.ok) return result.events;
    if (result.why === 'duplicate') return null;
    throw new Error(`what a trigger does could not be recorded: ${JSON.stringify(result)}`);
  }

  /** Brings what is on record in line with the files. True if anything was recorded. */
  async #sync(): Promise<boolean> {
    const current = this.#options.governance();
    if (current === this.#governed) return false;
    const wanted = new Map<string, { agent: string; trigger: Trigger }>();
    for (const { name, triggers = [] } of current.agents.values())
      for (const trigger of triggers) wanted.set(triggerId(name, trigger.name), { agent: name, trigger });
    const events: NewEvent[] = [];
    for (const [id, { trigger, waiting }] of this.#standings) {
      if (canonicalJson(wanted.get(id)?.trigger) === canonicalJson(trigger)) {
        wanted.delete(id);
        continue;
      }
      // What began by the old rule ends by it.
      const standing = this.#standings.get(id);
      if (waiting !== null && standing) await this.#fireNow(standing, waiting.burst);
      if (!wanted.has(id)) events.push(triggerEvent({ type: 'trigger.removed', data: { trigger: id } }));
    }
    for (const [id, { agent, trigger }] of wanted) events.push(await this.#setEvent(id, agent, trigger));
    if (events.length > 0) await this.commit({ events, sync: true });
    this.#governed = current;
    return events.length > 0;
  }

  async #setEvent(id: string, agent: string, trigger: Trigger): Promise<NewEvent> {
    const { store, workspace } = this.#options;
    const rule = putJson(store, trigger, triggerStream(id));
    const files = trigger.source.on === 'file.landed';
    // Nobody has watched until now: what has landed is past.
    if (files && !this.#listensToFiles()) this.#main = await workspace.head();
    const main = files ? this.#main : null;
    return triggerEvent({ type: 'trigger.set', data: { trigger: id, agent, name: trigger.name, rule, main } });
  }

  /** Puts on record how far all has been seen, if it is worth it: an open burst must be seen again. */
  async recordSeen(every: number): Promise<void> {
    if (!this.#ready || this.#since < every || this.#standings.size === 0) return;
    const open = [...this.#standings.values()].flatMap(({ waiting }) => waiting?.burst.first.seq ?? []);
    const upTo = Math.min(this.#cursor, ...open.map((seq) => seq - 1));
    const data = { upTo, main: this.#main };
    this.#since = 0;
    await this.commit({ events: [triggerEvent({ type: 'triggers.seen', data })], sync: false });
  }
}

/** An event of one trigger, or of all of them. */
export function triggerEvent(body: Body, actor = 'runtime', cause: string | null = null): NewEvent {
  const stream = 'trigger' in body.data ? triggerStream(body.data.trigger) : 'triggers';
  return { ...body, stream, actor, cause, labels: [] };
}
