import { type Task, isEnded } from '../../core/task.ts';
import type { Governance } from '../../core/agent.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { NewEvent } from '../../core/event.ts';
import { type Firings, openFirings } from '../../core/time/firing.ts';
import { conversationId, type Ids } from '../../core/ids.ts';
import { canonicalJson } from '../../core/text/json.ts';
import { type Batch, type CommitResult, type Store, StoreUnavailable } from '../../core/ports/store.ts';
import type { Label } from '../../core/labels.ts';
import type { Log } from '../../core/ports/log.ts';
import {
  askedFiringKey,
  firingKey,
  type ReadCron,
  type Schedule,
  type ScheduleDesk,
  scheduleId,
  scheduleSession,
  type ScheduleState,
  scheduleStream,
  whenText,
} from '../../core/schedule.ts';
import { firingBatch } from './fire.ts';
import { planFirings, knownSchedules, readStanding, type Standing, standingAfter } from './standing.ts';
import { readText } from '../../core/records/json-blob.ts';
import { Mutex } from '../../core/time/mutex.ts';
import { Waker } from '../../core/time/waker.ts';

/** Milliseconds between looks at the clock: a machine that slept, or a clock that leapt, is noticed no later. */
const LOOK_MS = 5_000;
/** Milliseconds between tries while the store takes nothing. */
const UNAVAILABLE_MS = 1_000;
/** Milliseconds by which a clock may be put back without a word: those that follow the time of others are, by little. */
const AHEAD_MS = 60_000;
/** Tasks of one schedule that may wait. */
const MAX_WAITING = 100;

export interface SchedulesOptions {
  store: Store;
  clock: Clock;
  ids: Ids;
  log: Log;
  readCron: ReadCron;
  /** IANA name of the zone for schedules that name none. */
  zone: string;
  governance(): Governance;
  maxAttempts(): number;
  redact(text: string): string;
  /** Labels of the file the schedule stands in: what it makes has them too. */
  agentLabels(agent: string): Promise<Label[]>;
  /** Brings what the work will look at up to date, before something fires. */
  prepare(): Promise<void>;
  /** Ends a task for good, whatever it is doing; false if it had ended. */
  cancel(task: string, by: string): Promise<boolean>;
}

/** A schedule as its file has it, and where it stands. */
interface Entry {
  schedule: Schedule;
  standing: Standing;
  firings: Firings;
  /** When the next firing is due; null if none comes. Made when first asked for: finding it may cost milliseconds. */
  next?: number | null;
}

/** Makes tasks by the clock: each firing once, none early, none for a time before the schedule was there. */
export class Schedules implements ScheduleDesk {
  readonly #options: SchedulesOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #stop = new AbortController();
  #seen: Governance | null = null;
  /** Ids on record, also of schedules that no file has any more. */
  #known: Set<string> | null = null;
  readonly #waker: Waker;
  readonly #turns = new Mutex();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: SchedulesOptions) {
    this.#options = options;
    this.#waker = new Waker(options.clock);
  }

  start(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#waker.wake();
    await this.#loop;
    await this.#turns.settled();
  }

  /** What governs has changed: an edit counts from now on. */
  changed(): void {
    this.#waker.wake();
  }

  list(): Promise<ScheduleState[]> {
    return this.#turns.run(async () => {
      await this.#look();
      return Promise.all([...this.#entries.values()].map((entry) => this.#stateOf(entry)));
    });
  }

  nextFiring(agent: string): number | null {
    const times = [...this.#entries.values()]
      .filter((entry) => entry.standing.set.data.agent === agent)
      .flatMap((entry) => nextOf(entry) ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  run(id: string, by: string, request?: string): Promise<string | null> {
    const key = request === undefined ? undefined : askedFiringKey(scheduleStream(id), request);
    return this.#changing(id, async (entry) => {
      const known = key === undefined ? null : await this.#options.store.byKey(key);
      if (known?.type === 'schedule.fired') return known.data.task;
      const firing = { at: this.#options.clock.now(), missed: 0, by, ...(key === undefined ? {} : { key }) };
      const labels = await this.#options.agentLabels(entry.standing.set.data.agent);
      const what = { skipped: null, fire: [firing], labels };
      const batch = firingBatch(this.#options, entry.standing, entry.schedule, what);
      return (await this.#commit(entry, batch)) ? (batch.tasks[0]?.id ?? null) : 'again';
    });
  }

  async pause(id: string, by: string): Promise<boolean> {
    return (await this.#setPaused(id, by, true)) !== null;
  }

  async resume(id: string, by: string): Promise<boolean> {
    return (await this.#setPaused(id, by, false)) !== null;
  }

  #setPaused(id: string, by: string, paused: boolean): Promise<true | null> {
    return this.#changing(id, async (entry) => {
      const { standing } = entry;
      if (standing.paused === paused) return true;
      const from = this.#options.clock.now();
      const body = paused
        ? ({ type: 'schedule.paused', data: { schedule: id } } as const)
        : ({ type: 'schedule.resumed', data: { schedule: id, from } } as const);
      const event = { ...body, stream: scheduleStream(id), actor: by, cause: standing.set.id, labels: [] };
      const { data } = standing.set;
      // Set by a clock that was ahead, it would count from there for as long.
      const anew: NewEvent = {
        ...this.#about(id),
        type: 'schedule.set',
        data: { ...data, anchor: from, paused: false },
      };
      const events = !paused && data.anchor > from ? [event, anew] : [event];
      const batch = { events, expect: { [scheduleStream(id)]: standing.version }, sync: true };
      if (!(await this.#commit(entry, batch))) return 'again';
      const renewed = events.includes(anew) ? this.#entryOf(entry.standing, entry.schedule) : null;
      if (renewed !== null) this.#entries.set(id, renewed);
      return true;
    });
  }

  /** Does something with a schedule as it stands after everything due has fired. */
  #changing<T>(id: string, change: (entry: Entry) => Promise<T | 'again'>): Promise<T | null> {
    return this.#turns.run(async () => {
      for (;;) {
        await this.#look();
        const entry = this.#entries.get(id);
        if (!entry) return null;
        const result = await change(entry);
        if (result !== 'again') return result;
      }
    });
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.#waker.reset();
      let wait = UNAVAILABLE_MS;
      try {
        wait = await this.#turns.run(() => this.#look());
      } catch (error) {
        const said = error instanceof StoreUnavailable ? error.message : String(error);
        log.error({ error: this.#options.redact(said) }, 'the schedules could not be looked at');
      }
      await this.#waker.sleep(wait);
    }
  }

  /** Fires what is due; gives the milliseconds until it is worth looking again. */
  async #look(): Promise<number> {
    await this.#sync();
    for (const id of this.#entries.keys()) await this.#fireDue(id);
    const now = this.#options.clock.now();
    const waits = [...this.#entries.values()].flatMap((entry) => nextOf(entry) ?? []).map((due) => due - now);
    return Math.max(1, Math.min(LOOK_MS, ...waits));
  }

  /** Brings what is on record in line with the files. */
  async #sync(): Promise<void> {
    const { store, governance } = this.#options;
    const current = governance();
    if (current === this.#seen) return;
    const known = (this.#known ??= await knownSchedules(store));
    const wanted = new Map(
      [...current.agents.values()].flatMap((agent) =>
        agent.schedules.map(
          (schedule) => [scheduleId(agent.name, schedule.name), { agent: agent.name, schedule }] as const,
        ),
      ),
    );
    for (const id of known) {
      if (wanted.has(id)) continue;
      const event: NewEvent = { ...this.#about(id), type: 'schedule.removed', data: { schedule: id } };
      await store.commit({ events: [event], sync: true });
      this.#entries.delete(id);
      known.delete(id);
    }
    for (const [id, { agent, schedule }] of wanted) {
      await this.#arm(id, agent, schedule);
      known.add(id);
    }
    this.#seen = current;
  }

  #about(id: string): Pick<NewEvent, 'stream' | 'actor' | 'cause' | 'labels'> {
    return { stream: scheduleStream(id), actor: 'runtime', cause: null, labels: [] };
  }

  /** Takes a schedule of a file up where it stands. Another timing counts from now on; what was due by the old one fires first. */
  async #arm(id: string, agent: string, schedule: Schedule): Promise<void> {
    const { store, clock, zone, readCron, log } = this.#options;
    const timing = { ...schedule.timing, zone: schedule.timing.zone ?? zone };
    const opened = openFirings({ id, timing, anchor: 0, readCron });
    if (!opened.ok)
      return log.warn({ schedule: id, error: opened.error }, 'a schedule cannot be read and does not fire');
    for (;;) {
      const standing = await readStanding(store, id);
      const before = standing === null ? null : this.#entryOf(standing, schedule);
      if (before !== null) {
        this.#entries.set(id, before);
        if (canonicalJson(before.standing.set.data.timing) === canonicalJson(timing)) return;
        await this.#fireDue(id);
      }
      const { paused = false, version = await store.version(scheduleStream(id)) } =
        this.#entries.get(id)?.standing ?? {};
      const data = { schedule: id, agent, name: schedule.name, timing, anchor: clock.now(), paused };
      const event: NewEvent = { ...this.#about(id), type: 'schedule.set', data };
      await store.commit({ events: [event], expect: { [scheduleStream(id)]: version }, sync: true });
    }
  }

  #entryOf(standing: Standing, schedule: Schedule): Entry | null {
    const { timing, anchor } = standing.set.data;
    const opened = openFirings({ id: standing.id, timing, anchor, readCron: this.#options.readCron });
    if (opened.ok) return { schedule, standing, firings: opened.firings };
    // On record since a Ruche, or a Node, that could read it.
    this.#options.log.warn({ schedule: standing.id, error: opened.error }, 'a schedule on record cannot be read');
    return null;
  }

  async #fireDue(id: string): Promise<void> {
    for (;;) {
      const entry = this.#entries.get(id);
      if (!entry) return;
      const { standing, schedule, firings } = entry;
      const now = this.#options.clock.now();
      const due = nextOf(entry);
      if (due === null || due > now) return;
      const plan = planFirings(firings, standing.cursor, now, schedule.missed);
      if (plan === null) return;
      // What is made up for keeps the hours as what is in time does.
      const opens = plan.late === true && plan.fire.length > 0 ? firings.opens(now) : now;
      if (opens > now) {
        entry.next = opens;
        return;
      }
      const newest = plan.fire.at(-1) ?? plan.left?.at ?? now;
      const open = await this.#undecided(id, plan);
      if (open.fire.length > 0) await this.#prepare();
      const batch = await this.#batchOf(entry, open);
      // Every one of them has had its fate before the clock, or a person, went back behind it.
      if (batch === null) entry.standing = { ...standing, cursor: newest };
      else await this.#commit(entry, batch);
      delete entry.next;
    }
  }

  async #prepare(): Promise<void> {
    try {
      await this.#options.prepare();
    } catch (error) {
      // It fires all the same.
      this.#options.log.warn({ error: this.#options.redact(String(error)) }, 'the status could not be written');
    }
  }

  /** Without the firings whose fate is on record already. */
  async #undecided(id: string, plan: NonNullable<ReturnType<typeof planFirings>>): Promise<typeof plan> {
    const isOpen = async (at: number): Promise<boolean> =>
      (await this.#options.store.byKey(firingKey(id, at))) === null;
    const fire: number[] = [];
    for (const at of plan.fire) if (await isOpen(at)) fire.push(at);
    const left = plan.left !== null && (await isOpen(plan.left.at)) ? plan.left : null;
    return { ...plan, fire, left };
  }

  async #batchOf(
    { standing, schedule }: Entry,
    { fire, left, late }: NonNullable<ReturnType<typeof planFirings>>,
  ): Promise<Batch | null> {
    const labels = await this.#options.agentLabels(standing.set.data.agent);
    const make = (what: Omit<Parameters<typeof firingBatch>[3], 'labels'>): Batch =>
      firingBatch(this.#options, standing, schedule, { ...what, labels });
    const newest = fire.at(-1);
    if (newest === undefined && left === null) return null;
    const missed = left === null ? null : { ...left, why: 'missed' as const, task: null };
    if (newest === undefined) return make({ skipped: missed, fire: [] });
    const inTheWay = await this.#inTheWay(standing, schedule);
    if (inTheWay !== null) {
      const count = fire.length + (left?.count ?? 0);
      return make({ skipped: { at: newest, count, ...inTheWay }, fire: [] });
    }
    // One task stands for all of them.
    if (schedule.missed.mode === 'once')
      return make({ skipped: null, fire: [{ at: newest, missed: left?.count ?? 0, by: null, late: late === true }] });
    return make({
      skipped: missed,
      fire: fire.map((at) => ({ at, missed: 0, by: null, late: late === true || at !== newest })),
    });
  }

  /** Why no task can be made now, by the schedule's own rule. */
  async #inTheWay(
    { last, set }: Standing,
    { name, overlap }: Schedule,
  ): Promise<{ why: 'overlap' | 'full'; task: string } | null> {
    const { store, cancel } = this.#options;
    const task = last === null ? null : await store.task(last.task);
    if (task === null || isEnded(task.status)) return null;
    if (overlap === 'skip') return { why: 'overlap', task: task.id };
    if (overlap === 'cancel') {
      await cancel(task.id, 'runtime');
      return null;
    }
    const lane = conversationId(set.data.agent, scheduleSession(name));
    const waiting = await store.tasks({ lane, statuses: ['queued'], limit: MAX_WAITING });
    return waiting.length >= MAX_WAITING ? { why: 'full', task: task.id } : null;
  }

  /** False if something else has happened to the schedule meanwhile; either way it is read anew. */
  async #commit(entry: Entry, batch: Batch): Promise<boolean> {
    const { store } = this.#options;
    const { events, queue, expect, sync } = batch;
    const result: CommitResult = await store.commit({
      events,
      sync,
      ...(queue && { queue }),
      ...(expect && { expect }),
    });
    const { standing } = entry;
    entry.standing = result.ok
      ? standingAfter(standing, result.events)
      : ((await readStanding(store, standing.id)) ?? standing);
    delete entry.next;
    return result.ok;
  }

  async #stateOf(entry: Entry): Promise<ScheduleState> {
    const { standing, schedule } = entry;
    const { id, last, paused, set } = standing;
    const { agent, name, timing } = set.data;
    const task = last === null ? null : await this.#options.store.task(last.task);
    return {
      id,
      agent,
      name,
      when: whenText(timing),
      zone: timing.zone,
      does: schedule.work.kind === 'run' ? `run: ${schedule.work.command}` : schedule.work.text,
      paused,
      next: nextOf(entry),
      ...silence(entry, this.#options.clock.now()),
      last: last === null ? null : { ...last, status: task?.status ?? 'unknown', ...(await this.#whyOf(task)) },
    };
  }

  /** What a firing that failed has said of it. */
  async #whyOf(task: Task | null): Promise<{ why?: string }> {
    const why =
      task?.status === 'failed' && task.result !== null ? await readText(this.#options.store, task.result) : null;
    return why === null ? {} : { why };
  }
}

/** Where a clock that was ahead has brought a schedule to, if something would fire before it gets there. */
function silence({ standing: { paused, cursor, set }, firings }: Entry, now: number): { silentUntil?: number } {
  const { timing, anchor } = set.data;
  // One moment that has fired is over, whatever the clock said then.
  if (paused || timing.kind === 'at' || cursor <= now + AHEAD_MS) return {};
  const due = timing.kind === 'every' && anchor > now ? now + timing.ms : firings.after(now);
  return due === null || due > cursor ? {} : { silentUntil: cursor };
}

function nextOf(entry: Entry): number | null {
  if (entry.next === undefined) {
    const { firings, standing } = entry;
    const time = standing.paused ? null : firings.after(standing.cursor);
    entry.next = time === null ? null : firings.due(time);
  }
  return entry.next;
}
