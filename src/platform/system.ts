import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';

/** The longest timer Node can set; a longer sleep is several. */
const MAX_TIMER = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    signal?.throwIfAborted();
    for (let left = ms; left > 0; left -= MAX_TIMER) await timer(Math.min(left, MAX_TIMER), signal);
  },
};

/** Nearly every wait is ended by its signal, so that way costs no more than the other: Node's own makes two errors with stacks. */
function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(running);
      reject(signal?.reason as Error);
    };
    const running = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** 96 random bits behind the kind. */
export const systemIds: Ids = { next: (kind) => `${kind}_${randomBytes(12).toString('base64url')}` };

export const systemRandom = {
  bytes: (length: number): Uint8Array => randomBytes(length),
  /** In [0, 1). */
  number: (): number => randomBytes(4).readUInt32BE() / 2 ** 32,
};

/** IANA name of the zone the machine's clock is set to. */
export const machineZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;
