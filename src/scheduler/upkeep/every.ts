import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';

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
