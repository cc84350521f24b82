import { type Clock, OVER } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';

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

/** Does a job of upkeep every `everyMs`, the first time after that; a failure is logged and the next time comes. */
export function startHousekeeping(options: { job(): Promise<void>; everyMs: number; clock: Clock; log: Log }): {
  close(): Promise<void>;
} {
  const stopping = new AbortController();
  const { signal } = stopping;
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      await options.clock.sleep(options.everyMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await options.job().catch((error: unknown) => options.log.warn({ error: String(error) }, 'upkeep failed'));
    }
  };
  const running = loop();
  return {
    close: () => {
      stopping.abort();
      return running;
    },
  };
}
