import type { NewEvent } from '../core/event.ts';
import type { Store } from '../core/ports/store.ts';
import type { Paused } from '../core/api/runtime.ts';
import { putJson, readText } from '../core/records/json-blob.ts';

/** The stream, and the subject of the reasons people give. */
const STREAM = 'agents';
/** Characters of a reason. */
const MAX_REASON = 500;

/** Agents that take no work: their runs stop at the next step, and what is queued stays. In the journal, so over restarts. */
export class Pauses {
  readonly #store: Store;
  readonly #redact: (text: string) => string;
  readonly #onResume: () => void;
  readonly #paused = new Map<string, Paused>();

  private constructor(store: Store, redact: (text: string) => string, onResume: () => void) {
    this.#store = store;
    this.#redact = redact;
    this.#onResume = onResume;
  }

  /** `onResume` is called when there may be work again. */
  static async open(store: Store, redact: (text: string) => string, onResume: () => void): Promise<Pauses> {
    const pauses = new Pauses(store, redact, onResume);
    for await (const event of store.read({ stream: STREAM, types: ['agent.paused', 'agent.resumed'] })) {
      if (event.type === 'agent.resumed') pauses.#paused.delete(event.data.agent);
      if (event.type !== 'agent.paused') continue;
      const { agent, reason } = event.data;
      pauses.#paused.set(agent, {
        at: event.at,
        by: event.actor,
        reason: (reason && (await readText(store, reason))) ?? '',
      });
    }
    return pauses;
  }

  of(agent: string): Paused | null {
    return this.#paused.get(agent) ?? null;
  }

  names(): string[] {
    return [...this.#paused.keys()];
  }

  /** False if it is paused already; the first reason stays. */
  async pause(agent: string, by: string, reason: string): Promise<boolean> {
    if (this.#paused.has(agent)) return false;
    const said = this.#redact(reason.trim().slice(0, MAX_REASON).toWellFormed());
    const blob = said === '' ? null : putJson(this.#store, { text: said }, STREAM);
    const paused = { at: 0, by, reason: said };
    // At once: no step may begin while this is being written.
    this.#paused.set(agent, paused);
    try {
      paused.at = await this.#commit({ type: 'agent.paused', data: { agent, reason: blob } }, by);
    } catch (error) {
      this.#paused.delete(agent);
      throw error;
    }
    return true;
  }

  /** False if it was not paused. */
  async resume(agent: string, by: string): Promise<boolean> {
    if (!this.#paused.has(agent)) return false;
    await this.#commit({ type: 'agent.resumed', data: { agent } }, by);
    this.#paused.delete(agent);
    this.#onResume();
    return true;
  }

  async #commit(body: Pick<NewEvent, 'type' | 'data'>, actor: string): Promise<number> {
    const event = { ...body, stream: STREAM, actor, cause: null, labels: [] } as NewEvent;
    const result = await this.#store.commit({ events: [event], sync: true });
    if (!result.ok) throw new Error(`that an agent is paused or resumed could not be recorded: ${result.why}`);
    return result.events[0]?.at ?? 0;
  }
}
