import type { EventOf } from '../core/event.ts';
import type { EventLog } from '../core/ports/store.ts';

/**
 * What was put before the owner and nobody has answered; no run waits for it. Reads on from where it was, when it is asked:
 * of all matters there ever were few are open, and supervisors ask every few seconds.
 */
export class OpenMatters {
  readonly #store: EventLog;
  readonly #open = new Map<string, EventOf<'matter.raised'>>();
  #seq = 0;
  #reading: Promise<void> = Promise.resolve();

  constructor(store: EventLog) {
    this.#store = store;
  }

  /** The oldest first. */
  async list(): Promise<EventOf<'matter.raised'>[]> {
    // One after the other: a slower reader would put back what was settled meanwhile.
    const next = this.#reading.then(() => this.#read());
    this.#reading = next.catch(() => undefined);
    await next;
    return [...this.#open.values()];
  }

  async #read(): Promise<void> {
    const types = ['matter.raised', 'matter.settled'] as const;
    for await (const event of this.#store.read({ types, after: this.#seq })) {
      if (event.type === 'matter.raised') this.#open.set(event.data.matter, event);
      if (event.type === 'matter.settled') this.#open.delete(event.data.matter);
      this.#seq = event.seq;
    }
  }
}
