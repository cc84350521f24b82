import type { ServerResponse } from 'node:http';
import { type Clock, OVER } from '../../core/ports/clock.ts';

/** Milliseconds between two looks at what opened the requests that are under way. */
const LOOK_MS = 1_000;

/**
 * Requests that wait or stream, each for as long as the token or session that opened it is good: a session that has ended
 * must read nothing more.
 */
export class Passes {
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #held = new Map<AbortController, () => boolean>();
  #looking = false;

  constructor(clock: Clock, closing: AbortSignal) {
    this.#clock = clock;
    this.#closing = closing;
  }

  /** Aborts when `holds` is true no more; looked at until the answer has gone. */
  hold(holds: () => boolean, outgoing: ServerResponse): AbortSignal {
    // No `close` comes after it has closed, so it would be held from then on.
    if (outgoing.destroyed) return AbortSignal.abort(OVER);
    const ended = new AbortController();
    this.#held.set(ended, holds);
    outgoing.once('close', () => this.#held.delete(ended));
    if (!this.#looking) void this.#run();
    return ended.signal;
  }

  /** To be called where a session has ended or the token was changed, so that it counts at once. */
  look(): void {
    for (const [ended, holds] of this.#held) {
      if (holds()) continue;
      this.#held.delete(ended);
      ended.abort(OVER);
    }
  }

  async #run(): Promise<void> {
    this.#looking = true;
    while (this.#held.size > 0 && !this.#closing.aborted) {
      await this.#clock.sleep(LOOK_MS, this.#closing).catch(() => undefined);
      this.look();
    }
    this.#looking = false;
  }
}
