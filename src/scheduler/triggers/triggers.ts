import { unionLabels } from '../../core/labels.ts';
import { askedFiringKey } from '../../core/schedule.ts';
import {
  type Facts,
  type Hook,
  hookAuth,
  type HookDelivery,
  type HookResult,
  type TriggerDesk,
  type TriggerFiring,
  triggerKey,
  type TriggerState,
  triggerStream,
} from '../../core/trigger.ts';
import type { Event } from '../../core/event.ts';
import { missingFacts } from '../../core/trigger-text.ts';
import { hookSecrets, receive } from './hooks.ts';
import { byHandBatch } from './fire.ts';
import { type FoldOptions, triggerEvent, TriggerFold } from './fold.ts';
import { OUTCOME_TYPES, tookPlace, type Outcome, firingOf, stateOf, unmatched } from './standing.ts';
import { errorText } from '../../core/text/sentence.ts';
import { Mutex } from '../../core/time/mutex.ts';
import { Waker } from '../../core/time/waker.ts';

/** Milliseconds between tries while the store takes nothing. */
const UNAVAILABLE_MS = 1_000;
/** Firings that are shown. */
const SHOWN = 20;

export interface TriggersOptions extends FoldOptions {
  secret(ref: string, forWhom: string): Promise<string>;
  /** False once the process is going down: nothing new is accepted. */
  accepting(): boolean;
  /** Calls back when something was committed that may be a cause; returns how to stop that. */
  onWork(listener: () => void): () => void;
}

/** Makes tasks of what happens: each cause once, and only causes since the trigger was there. */
export class Triggers implements TriggerDesk {
  readonly #options: TriggersOptions;
  readonly #fold: TriggerFold;
  readonly #stop = new AbortController();
  /** Hooks that answer nobody, with what was said of it. */
  readonly #told = new Map<string, string>();
  readonly #waker: Waker;
  readonly #turns = new Mutex();
  #loop: Promise<void> = Promise.resolve();
  #stopListening: () => void = () => undefined;

  constructor(options: TriggersOptions) {
    this.#options = options;
    this.#waker = new Waker(options.clock);
    this.#fold = new TriggerFold(options);
  }

  start(): void {
    this.#stopListening = this.#options.onWork(() => this.#waker.wake());
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#stop.abort();
    this.#waker.wake();
    await this.#loop;
    await this.#turns.run(() => this.#fold.recordSeen(1)).catch((error: unknown) => this.#report(error));
  }

  /** What governs has changed: an edit counts from now on. */
  changed(): void {
    this.#waker.wake();
  }

  /** `main` is somewhere else. */
  moved(): void {
    this.#fold.moved();
    this.#waker.wake();
  }

  /** Of the files that triggers wait for: of those that are set, so that whatever lands for one has its effect. */
  globs(): string[] {
    return [...this.#fold.standings.values()].flatMap(({ trigger: { source }, paused }) =>
      source.on === 'file.landed' && !paused ? source.paths : [],
    );
  }

  list(): Promise<TriggerState[]> {
    return this.#turns.run(async () => {
      await this.#fold.look();
      return Promise.all([...this.#fold.standings.values()].map((each) => stateOf(this.#options, each)));
    });
  }

  show(id: string): Promise<{ trigger: TriggerState; firings: TriggerFiring[] } | null> {
    return this.#turns.run(async () => {
      await this.#fold.look();
      const standing = this.#fold.standings.get(id);
      if (!standing) return null;
      const { store } = this.#options;
      const back = { stream: triggerStream(id), types: OUTCOME_TYPES, reverse: true, limit: SHOWN };
      const outcomes: Outcome[] = [];
      for await (const event of store.read(back)) outcomes.push(event as Outcome);
      const firings = await Promise.all(outcomes.map((event) => firingOf(store, event)));
      firings.push(...(await unmatched(store, standing, { outcomes, limit: SHOWN })));
      firings.sort((a, b) => b.at - a.at);
      return { trigger: await stateOf(this.#options, standing), firings: firings.slice(0, SHOWN) };
    });
  }

  run(id: string, by: string, facts: Facts, request?: string): Promise<string | null> {
    const key = request === undefined ? null : askedFiringKey(triggerStream(id), request);
    return this.#turns.run(async () => {
      await this.#fold.look();
      const standing = this.#fold.standings.get(id);
      if (!standing) return null;
      const known = key === null ? null : await this.#options.store.byKey(key);
      if (known?.type === 'trigger.fired') return known.data.task;
      const { on } = standing.trigger.source;
      const outside = on === 'webhook' || on === 'message' ? (['untrusted'] as const) : [];
      const labels = unionLabels(outside, await this.#fold.fire.agentLabels(standing.agent));
      const events = await this.#fold.commit(byHandBatch(this.#fold.fire, standing, { by, facts, labels, key }));
      const fired = events?.find((event) => event.type === 'trigger.fired');
      if (fired) tookPlace(standing, fired);
      return fired?.data.task ?? null;
    });
  }

  lacking(id: string, facts: Facts): Promise<string | null> {
    return this.#turns.run(async () => {
      await this.#fold.look();
      const work = this.#fold.standings.get(id)?.trigger.work;
      const missing = work?.kind === 'task' ? missingFacts(work.text, facts) : [];
      if (missing.length === 0) return null;
      const given = Object.keys(facts);
      return `This trigger needs ${missing.join(', ')}; you gave ${given.length === 0 ? 'nothing' : given.join(', ')}.`;
    });
  }

  pause = (id: string, by: string): Promise<boolean> => this.#setPaused(id, by, true);
  resume = (id: string, by: string): Promise<boolean> => this.#setPaused(id, by, false);

  async hook(name: string): Promise<Hook | null> {
    const { governance, secret } = this.#options;
    const triggers = [...governance().agents.values()].flatMap((agent) => agent.triggers ?? []);
    const auth = hookAuth(triggers, name);
    if (auth === null || auth === 'ambiguous') return null;
    const { values: secrets, lacking } = await hookSecrets(auth, name, secret);
    if (lacking === null) this.#told.delete(name);
    // Said once each: strangers must not be able to fill the log.
    else if (this.#told.get(name) !== lacking) {
      this.#options.log.warn({ hook: name }, lacking);
      this.#told.set(name, lacking);
    }
    return secrets.length === 0 ? null : { name, auth, secrets };
  }

  deliver(delivery: HookDelivery): Promise<HookResult> {
    const { ids, accepting } = this.#options;
    return this.#turns.run(async () => {
      if (!accepting())
        return { ok: false, why: 'stopping', message: 'Ruche accepts nothing right now. Send it again.' };
      // A trigger that was saved a moment ago listens to what comes now.
      await this.#fold.look();
      // What is on disk is never let go of, so there must be an end to what is taken.
      if (await this.#fold.isFull())
        return { ok: false, why: 'full', message: 'Too many tasks are queued. Send it again later.' };
      const received = await receive(this.#options, {
        ...delivery,
        id: delivery.id ?? delivery.seal ?? ids.next('msg'),
      });
      if (!received.ok) return { ok: false, why: 'conflict', message: received.message };
      await this.#fold.look();
      const { event, known } = received;
      return { ok: true, event: event.id, tasks: await this.#tasksOf(event), known };
    });
  }

  async #tasksOf({ id }: Event): Promise<string[]> {
    const tasks: string[] = [];
    for (const trigger of this.#fold.standings.keys()) {
      const fired = await this.#options.store.byKey(triggerKey(trigger, id));
      if (fired?.type === 'trigger.fired') tasks.push(fired.data.task);
    }
    return tasks;
  }

  #setPaused(id: string, by: string, paused: boolean): Promise<boolean> {
    return this.#turns.run(async () => {
      // What has happened before is not lost to the pause.
      await this.#fold.look();
      const standing = this.#fold.standings.get(id);
      if (!standing) return false;
      if (standing.paused === paused) return true;
      const data = { trigger: id };
      const body = paused ? ({ type: 'trigger.paused', data } as const) : ({ type: 'trigger.resumed', data } as const);
      await this.#fold.commit({ events: [triggerEvent(body, by, standing.setBy)], sync: true });
      await this.#fold.look();
      return true;
    });
  }

  #report(error: unknown): void {
    const said = errorText(error);
    this.#options.log.error({ error: this.#options.redact(said) }, 'the triggers could not be looked at');
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#waker.reset();
      let wait = UNAVAILABLE_MS;
      try {
        wait = await this.#turns.run(() => this.#fold.look());
      } catch (error) {
        this.#report(error);
        this.#waker.reset();
      }
      await this.#waker.sleep(wait);
    }
  }
}
