import type { Clock } from '../../core/ports/clock.ts';
import {
  type EscalationDesk,
  type EscalationEnd,
  escalationId,
  type EscalationState,
  escalationStepKey,
  escalationStream,
} from '../../core/escalation.ts';
import type { DataOf, Event, NewEvent } from '../../core/event.ts';
import { answeredKey, askedKey } from '../../core/records/matter.ts';
import { type Batch, StoreUnavailable } from '../../core/ports/store.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Pending } from '../../core/api/runtime.ts';
import {
  beginning,
  expiryOf,
  climbOf,
  type Escalation,
  knownEscalations,
  readEscalation,
  timesUpTo,
  planEscalation,
} from './standing.ts';
import { type About, reachBatch, type ReachDeps } from './reach.ts';
import { stateOf } from './words.ts';
import { Mutex } from '../../core/time/mutex.ts';
import { Waker } from '../../core/time/waker.ts';

/** Milliseconds between looks at the clock: a machine that slept, or a clock that leapt, is noticed no later. */
const LOOK_MS = 5_000;
/** Milliseconds between tries while the store takes nothing. */
const UNAVAILABLE_MS = 1_000;
/** Ended escalations that are listed. */
const LISTED = 50;

export interface EscalationsOptions extends ReachDeps {
  clock: Clock;
  log: Log;
  /** What waits for a person under this id; null once it is answered, or gone with its task. */
  pending(id: string): Promise<Pending | null>;
  /** All of it. */
  waiting(): Promise<Pending[]>;
  /** Denies an approval for good, if nobody has answered it. */
  deny(approval: string, reason: string): Promise<void>;
}

/** Something that waits for a person. */
interface Entry {
  /** Null until it is looked at, and while there is no chain for it. */
  escalation: Escalation | null;
  /** The one it is about, once that is known. */
  task: string | null;
  /** Something has happened to it. */
  dirty: boolean;
  /** When time alone changes something. */
  next: number | null;
  /** Times that lay ahead of a clock that was put back. */
  noticed: Map<string, number>;
}

/** Takes what waits for a person up the chains of `ruche.yaml`: each level once, in their order, whatever crashes in between. */
export class Escalations implements EscalationDesk {
  readonly #options: EscalationsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #stop = new AbortController();
  /** When this process began to look. */
  #since = 0;
  /** The last time the clock was looked at. */
  #seen = 0;
  /** Everything up to here has been taken in; null before the first look. */
  #head: number | null = null;
  readonly #waker: Waker;
  readonly #turns = new Mutex();
  #loops: Promise<void>[] = [];

  constructor(options: EscalationsOptions) {
    this.#options = options;
    this.#waker = new Waker(options.clock);
  }

  start(): void {
    this.#since = this.#options.clock.now();
    this.#loops = [this.#run()];
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#waker.wake();
    await Promise.all(this.#loops);
    await this.#turns.settled();
  }

  /** What governs has changed: what had no chain may have one. */
  changed(): void {
    for (const entry of this.#entries.values()) entry.dirty ||= entry.escalation === null;
    this.#waker.wake();
  }

  list({ ended = false }: { ended?: boolean } = {}): Promise<EscalationState[]> {
    return this.#turns.run(async () => {
      await this.#look();
      const open = [...this.#entries.values()].flatMap(({ escalation }) => escalation ?? []);
      const found = ended ? [...(await this.#newest()), ...open] : open;
      const states = await Promise.all(found.map((each) => this.#stateOf(each)));
      return states.sort((a, b) => a.from - b.from);
    });
  }

  get(id: string): Promise<EscalationState | null> {
    return this.#turns.run(async () => {
      await this.#look();
      const escalation = await this.#find(id);
      return escalation === null ? null : this.#stateOf(escalation);
    });
  }

  acknowledge(given: string, by: string): Promise<'done' | 'again' | 'ended' | null> {
    return this.#turns.run(async () => {
      for (;;) {
        await this.#look();
        const escalation = await this.#find(given);
        if (escalation === null) return null;
        if (escalation.ended !== null) return 'ended';
        if (escalation.acknowledged !== null) return 'again';
        const { id, started } = escalation;
        const data = { escalation: id };
        const body = { type: 'escalation.acknowledged' as const, data };
        const done = await this.#commit(started.data.about, {
          events: [{ ...this.#event(escalation, body, 'ack'), actor: by }],
          expect: { [escalationStream(id)]: escalation.version },
          sync: true,
        });
        if (done) return 'done';
      }
    });
  }

  async #newest(): Promise<Escalation[]> {
    const { store } = this.#options;
    const newest: Escalation[] = [];
    for await (const { id, open } of knownEscalations(store)) {
      if (open) continue;
      const escalation = await readEscalation(store, id);
      if (escalation !== null) newest.push(escalation);
      if (newest.length >= LISTED) break;
    }
    return newest;
  }

  async #find(id: string): Promise<Escalation | null> {
    const { store } = this.#options;
    return (await readEscalation(store, id)) ?? readEscalation(store, escalationId(id));
  }

  #stateOf(escalation: Escalation): Promise<EscalationState> {
    const { clock } = this.#options;
    const now = clock.now();
    const timeOf = timesUpTo(now, this.#entries.get(escalation.started.data.about)?.noticed);
    return stateOf(this.#options, escalation, { timeOf, now, since: this.#since });
  }

  async #run(): Promise<void> {
    const { log, redact } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.#waker.reset();
      let wait = UNAVAILABLE_MS;
      try {
        wait = await this.#turns.run(() => this.#look());
        // Only once what stood before is taken in: nothing falls between the two.
        if (this.#loops.length === 1) this.#loops.push(this.#follow());
      } catch (error) {
        const said = error instanceof StoreUnavailable ? error.message : String(error);
        log.error({ error: redact(said) }, 'the escalations could not be looked at');
      }
      await this.#waker.sleep(wait);
    }
  }

  async #follow(): Promise<void> {
    const { store, clock, log, redact } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for await (const event of store.follow(this.#head ?? 0, signal)) {
          this.#head = event.seq;
          if (this.#notes(event)) this.#waker.wake();
        }
      } catch (error) {
        if (!signal.aborted) log.error({ error: redact(String(error)) }, 'the journal could not be followed');
      }
      await clock.sleep(UNAVAILABLE_MS, signal).catch(() => undefined);
    }
  }

  /** Marks what an event is about; false if it is about nothing here. */
  #notes(event: Event): boolean {
    switch (event.type) {
      case 'run.parked':
        return event.data.waits.filter(({ kind }) => kind !== 'task').map(({ id }) => this.#mark(id)).length > 0;
      case 'matter.raised':
        return this.#mark(event.data.matter);
      case 'config.held':
        return this.#mark(event.data.approval);
      case 'approval.answered':
        return this.#touch(event.data.approval);
      case 'question.answered':
        return this.#touch(event.data.question);
      case 'matter.settled':
        return this.#touch(event.data.matter);
      case 'task.finished':
        return this.#touchTask(event.data.task);
      case 'message.failed':
        return event.data.final && this.#touchTask(null);
      default:
        return false;
    }
  }

  #mark(id: string): true {
    const entry = this.#entries.get(id) ?? {
      escalation: null,
      task: null,
      dirty: true,
      next: null,
      noticed: new Map<string, number>(),
    };
    entry.dirty = true;
    this.#entries.set(id, entry);
    return true;
  }

  #touch(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry) entry.dirty = true;
    return entry !== undefined;
  }

  /** Those that are about a task, or wait for what becomes of it. Null: any that somebody was told of. */
  #touchTask(task: string | null): boolean {
    let any = false;
    for (const entry of this.#entries.values()) {
      const last = entry.escalation?.reached.at(-1)?.data;
      if (task === null ? last === undefined : entry.task !== task && last?.task !== task) continue;
      entry.dirty = true;
      any = true;
    }
    return any;
  }

  /** Does what is due; gives the milliseconds until it is worth looking again. */
  async #look(): Promise<number> {
    const now = this.#options.clock.now();
    if (this.#head === null) await this.#takeUp();
    if (now < this.#seen) {
      // The clock was put back: all that is counted is counted anew.
      this.#since = Math.min(this.#since, now);
      for (const entry of this.#entries.values()) entry.dirty = true;
    }
    this.#seen = now;
    for (const [about, entry] of this.#entries)
      if (entry.dirty || (entry.next !== null && entry.next <= now)) await this.#tryAdvance(about, entry);
    const waits = [...this.#entries.values()].flatMap(({ next }) => next ?? []).map((due) => due - now);
    return Math.max(1, Math.min(LOOK_MS, ...waits));
  }

  /** What waits, and what was under way when the last process ended. */
  async #takeUp(): Promise<void> {
    const { store, waiting } = this.#options;
    const head = await store.head();
    for (const { id } of await waiting()) this.#mark(id);
    for await (const { id, open } of knownEscalations(store)) {
      const escalation = open ? await readEscalation(store, id) : null;
      if (escalation !== null) this.#mark(escalation.started.data.about);
    }
    this.#head = head;
  }

  /** What could not be done is due still; one that cannot be read keeps no other waiting. */
  async #tryAdvance(about: string, entry: Entry): Promise<void> {
    try {
      await this.#advance(about, entry);
    } catch (error) {
      entry.dirty = true;
      if (error instanceof StoreUnavailable) throw error;
      const { log, redact } = this.#options;
      log.error({ about, error: redact(String(error)) }, 'an escalation could not be looked at');
    }
  }

  async #advance(about: string, entry: Entry): Promise<void> {
    for (;;) {
      entry.dirty = false;
      const pending = await this.#options.pending(about);
      entry.escalation ??= await readEscalation(this.#options.store, escalationId(about));
      const { escalation } = entry;
      entry.task = pending?.task ?? entry.task;
      if (escalation?.ended) return void this.#entries.delete(about);
      if (escalation === null) {
        if (pending === null) return void this.#entries.delete(about);
        if (await this.#begin(pending)) continue;
        entry.next = await expiryOf(this.#options, pending);
        return;
      }
      if (pending === null) {
        await this.#end(escalation);
        continue;
      }
      if (!(await this.#step(entry, escalation, pending))) return;
    }
  }

  /** Takes one step that is due. False if none is. */
  async #step(entry: Entry, escalation: Escalation, pending: Pending): Promise<boolean> {
    const { store, clock, deny } = this.#options;
    const now = clock.now();
    const climb = await climbOf(store, escalation, timesUpTo(now, entry.noticed));
    const step = planEscalation(climb, { now, since: this.#since });
    entry.next = step.do === 'wait' ? step.until : null;
    if (step.do === 'wait') return false;
    const { about, chain } = escalation.started.data;
    if (step.do === 'deny') {
      await deny(about, `Nobody answered in the time that the chain ${chain} gives (${escalation.id}).`);
      // Should it still be open, that was refused for a reason that looking again at once does not mend.
      return (await this.#options.pending(about)) === null;
    }
    await this.#commit(about, await reachBatch(this.#options, escalation, step.level, await this.#aboutOf(pending)));
    return true;
  }

  async #aboutOf(pending: Pending): Promise<About> {
    const { store } = this.#options;
    const asked = await store.byKey(askedKey(pending.id));
    const task = pending.task === null ? null : await store.task(pending.task);
    const outside = asked?.type === 'config.held' ? (['untrusted'] as const) : [];
    return { pending, labels: [...(asked?.labels ?? []), ...outside], subject: subjectOf(asked), task };
  }

  /** Starts the escalation of what waits. False if no chain is there for it. */
  async #begin(pending: Pending): Promise<boolean> {
    const batch = await beginning(this.#options, pending);
    if (batch !== null) await this.#commit(pending.id, batch);
    return batch !== null;
  }

  /** Nothing waits any more. */
  async #end(escalation: Escalation): Promise<void> {
    const { id, started, version } = escalation;
    const { about } = started.data;
    const answered = await this.#options.store.byKey(answeredKey(about));
    const denies = escalation.reached.at(-1)?.data.outcome === 'denies';
    const by = answered?.type === 'approval.answered' ? answered.data.by : null;
    const why: EscalationEnd = answered === null ? 'gone' : denies && by === 'runtime' ? 'denied' : 'answered';
    const event = this.#event(escalation, { type: 'escalation.ended', data: { escalation: id, why } }, 'end');
    await this.#commit(about, { events: [event], expect: { [escalationStream(id)]: version }, sync: true });
  }

  #event(
    { id, started }: Escalation,
    body:
      | { type: 'escalation.acknowledged'; data: DataOf<'escalation.acknowledged'> }
      | { type: 'escalation.ended'; data: DataOf<'escalation.ended'> },
    step: 'ack' | 'end',
  ): NewEvent {
    const about = { stream: escalationStream(id), actor: 'runtime', cause: started.id, labels: [] };
    return { ...body, ...about, key: escalationStepKey(id, step) };
  }

  /** False if something else has happened to it; either way it is read anew. */
  async #commit(about: string, batch: Batch): Promise<boolean> {
    const { store } = this.#options;
    const result = await store.commit(batch);
    const entry = this.#entries.get(about);
    if (entry) {
      entry.escalation = await readEscalation(store, escalationId(about));
      entry.dirty = true;
    }
    return result.ok;
  }
}

/** Whose key the words of the event are kept under. */
function subjectOf(asked: Event | null): string {
  switch (asked?.type) {
    case 'approval.asked':
    case 'config.held':
      return asked.data.shown.subject;
    case 'question.asked':
    case 'matter.raised':
      return asked.data.text.subject;
    default:
      return 'escalations';
  }
}
