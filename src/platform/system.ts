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

/** Random bytes by the piece: asking the machine costs the same for four thousand as for twelve, and a turn takes ten pieces. */
function takeRandom(): (length: number) => Buffer {
  let pool = Buffer.alloc(0);
  let used = 0;
  return (length) => {
    if (length > 64) return randomBytes(length);
    if (used + length > pool.length) {
      pool = randomBytes(4096);
      used = 0;
    }
    const taken = Buffer.from(pool.subarray(used, used + length));
    // They may become a key, which must not stand in memory twice.
    pool.fill(0, used, used + length);
    used += length;
    return taken;
  };
}

const randomPiece = takeRandom();

/** 96 random bits behind the kind. */
export const systemIds: Ids = { next: (kind) => `${kind}_${randomPiece(12).toString('base64url')}` };

export const systemRandom = {
  bytes: (length: number): Uint8Array => randomPiece(length),
  /** In [0, 1). */
  number: (): number => randomPiece(4).readUInt32BE() / 2 ** 32,
};

/** IANA name of the zone the machine's clock is set to. */
export const machineZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;
