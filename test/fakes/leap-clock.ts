import type { Clock } from '../../src/core/ports/clock.ts';
import { systemClock } from '../../src/platform/system.ts';

export interface LeapClock extends Clock {
  /** As a machine that slept for so long: what would have woken meanwhile wakes now. */
  leap(ms: number): void;
}

/** Time that goes on from `start` as it does on a wall, and leaps when told. */
export function leapClock(start: number): LeapClock {
  const begun = performance.now();
  let leapt = 0;
  const sleeping = new Set<{ until: number; wake(): void }>();
  const now = (): number => start + leapt + Math.round(performance.now() - begun);
  return {
    now,
    async sleep(ms, signal) {
      const woken = new AbortController();
      const sleeper = { until: now() + ms, wake: () => woken.abort() };
      sleeping.add(sleeper);
      try {
        await systemClock.sleep(ms, AbortSignal.any([woken.signal, ...(signal ? [signal] : [])]));
      } catch (error) {
        if (!woken.signal.aborted) throw error;
      } finally {
        sleeping.delete(sleeper);
      }
    },
    leap(ms) {
      leapt += ms;
      for (const sleeper of sleeping) if (sleeper.until <= now()) sleeper.wake();
    },
  };
}
