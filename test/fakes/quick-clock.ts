import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/core/ports/clock.ts';

/** Time that runs `factor` times as fast, for waits of seconds between real sockets. Keeps how long was slept. */
export function quickClock(factor = 100): Clock & { slept: number[] } {
  const start = performance.now();
  const slept: number[] = [];
  return {
    slept,
    now: () => 1_800_000_000_000 + Math.round((performance.now() - start) * factor),
    async sleep(ms, signal) {
      slept.push(ms);
      await delay(ms / factor, undefined, { signal });
    },
  };
}
