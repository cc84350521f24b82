import { type Clock, OVER } from '../ports/clock.ts';

/** Lets a loop sleep until there is something to do. A wake that comes while the loop works counts: no change is slept through. */
export class Waker {
  readonly #clock: Pick<Clock, 'sleep'>;
  #woken = false;
  #end: () => void = () => undefined;

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock;
  }

  wake(): void {
    this.#woken = true;
    this.#end();
  }

  /** Forgets earlier wakes: what they were about is looked at from here on. */
  reset(): void {
    this.#woken = false;
  }

  /** Resolves after `ms`, or as soon as it is woken; at once if that happened since the last `reset`. */
  async sleep(ms: number): Promise<void> {
    if (this.#woken) return;
    const timer = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    await Promise.race([woken, this.#clock.sleep(ms, timer.signal).catch(() => undefined)]);
    timer.abort(OVER);
  }
}
