import type { Clock } from '../core/ports/clock.ts';
import type { DataOf, Event } from '../core/event.ts';
import { runStream, runOfStream } from '../core/ids.ts';
import type { EventLog } from '../core/ports/store.ts';
import type { LastRun } from '../core/api/runtime.ts';
import { Mutex } from '../core/time/mutex.ts';
import { dayBegan } from '../core/time/wall.ts';

const TYPES = ['run.started', 'model.answered', 'model.failed', 'run.finished'] as const;
/** Events that are looked back at for the last run of agents that have rested. */
const MAX_BACK = 20_000;

/** Agents with the models that have answered them, at most; what is beyond that is told together. */
const MAX_PAIRS = 200;
const OTHERS = 'other';

/** What the answers of one model to one agent came to. */
export interface ModelUse {
  agent: string;
  /** `provider/model`. */
  model: string;
  answers: number;
  /** Of them, those whose price is unknown. */
  unpriced: number;
  input: number;
  output: number;
  costUsd: number;
  ms: number;
}

/** What each agent did last, and what it has cost since midnight in its zone. Reads on from where it was, when it is asked. */
export class Days {
  readonly #store: EventLog;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #zone: () => string;
  readonly #agents = new Map<string, string>();
  readonly #last = new Map<string, LastRun>();
  readonly #cost = new Map<string, number>();
  readonly #unpriced = new Set<string>();
  readonly #uses = new Map<string, ModelUse>();
  #midnight = 0;
  #seq: number | null = null;
  readonly #reading = new Mutex();

  constructor(store: EventLog, clock: Pick<Clock, 'now'>, zone: () => string) {
    this.#store = store;
    this.#clock = clock;
    this.#zone = zone;
  }

  /** Brings it up to date; one after the other. */
  look(): Promise<void> {
    return this.#reading.run(() => this.#look());
  }

  of(agent: string): { lastRun: LastRun | null; costTodayUsd: number; unpricedToday: boolean } {
    const costTodayUsd = this.#cost.get(agent) ?? 0;
    return { lastRun: this.#last.get(agent) ?? null, costTodayUsd, unpricedToday: this.#unpriced.has(agent) };
  }

  /** Since the midnight before the first look, or some time before it; never less than it said before. */
  uses(): ModelUse[] {
    return [...this.#uses.values()];
  }

  async #look(): Promise<void> {
    const midnight = dayBegan(this.#zone(), this.#clock.now());
    if (midnight !== this.#midnight) {
      this.#cost.clear();
      this.#unpriced.clear();
    }
    this.#midnight = midnight;
    this.#seq ??= await this.#begin(midnight);
    for await (const event of this.#store.read({ after: this.#seq, types: TYPES })) {
      await this.#fold(event);
      this.#seq = event.seq;
    }
  }

  /** Where the day began, or a good deal before it. */
  async #begin(midnight: number): Promise<number> {
    let [seq, count] = [0, 0];
    for await (const event of this.#store.read({ types: TYPES, reverse: true })) {
      count += 1;
      seq = event.seq - 1;
      if (event.at < midnight && count >= MAX_BACK) break;
    }
    return Math.max(0, seq);
  }

  async #fold(event: Event): Promise<void> {
    if (event.type === 'run.started') {
      const { run, task, agent } = event.data;
      this.#agents.set(run, agent);
      this.#last.set(agent, { run, task, at: event.at, status: 'running' });
    }
    if (event.type === 'run.finished') {
      const agent = await this.#agentOf(event.data.run);
      const last = this.#last.get(agent);
      if (last?.run === event.data.run) last.status = event.data.status;
      this.#agents.delete(event.data.run);
    }
    if (event.type !== 'model.answered' && event.type !== 'model.failed') return;
    const agent = await this.#agentOf(runOfStream(event.stream) ?? '');
    const costUsd = event.type === 'model.failed' ? (event.data.cost?.usd ?? 0) : event.data.costUsd;
    if (event.at >= this.#midnight) this.#cost.set(agent, (this.#cost.get(agent) ?? 0) + costUsd);
    if (event.type === 'model.failed') return;
    this.#count(agent, event.data);
    if (event.data.unpriced && event.at >= this.#midnight) this.#unpriced.add(agent);
  }

  #count(agent: string, { provider, model, usage, costUsd, unpriced, ms }: DataOf<'model.answered'>): void {
    const own = JSON.stringify([agent, provider, model]);
    const key = this.#uses.has(own) || this.#uses.size < MAX_PAIRS ? own : OTHERS;
    const names = key === OTHERS ? { agent: OTHERS, model: OTHERS } : { agent, model: `${provider}/${model}` };
    const use = this.#uses.get(key) ?? { ...names, answers: 0, unpriced: 0, input: 0, output: 0, costUsd: 0, ms: 0 };
    this.#uses.set(key, {
      ...use,
      answers: use.answers + 1,
      unpriced: use.unpriced + (unpriced ? 1 : 0),
      input: use.input + usage.input,
      output: use.output + usage.output,
      costUsd: use.costUsd + costUsd,
      ms: use.ms + ms,
    });
  }

  /** Of a run that began before what was read, from its own stream. */
  async #agentOf(run: string): Promise<string> {
    const known = this.#agents.get(run);
    if (known !== undefined) return known;
    for await (const event of this.#store.read({ stream: runStream(run), types: ['run.started'], limit: 1 }))
      if (event.type === 'run.started') return event.data.agent;
    return '';
  }
}
