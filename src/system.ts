import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from './core/clock.ts';
import type { Ids } from './core/ids.ts';

/** The longest timer Node can set; a longer sleep is several. */
const MAX_TIMER = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    signal?.throwIfAborted();
    for (let left = ms; left > 0; left -= MAX_TIMER)
      await delay(Math.min(left, MAX_TIMER), undefined, { signal }).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw error;
      });
  },
};

/** 96 random bits behind the kind. */
export const systemIds: Ids = { next: (kind) => `${kind}_${randomBytes(12).toString('base64url')}` };

export const systemRandom = {
  bytes: (length: number): Uint8Array => randomBytes(length),
  /** In [0, 1). */
  number: (): number => randomBytes(4).readUInt32BE() / 2 ** 32,
};
