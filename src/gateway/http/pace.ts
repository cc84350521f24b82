import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/ports/clock.ts';

interface Coming {
  /** What opened it is good: it may take its time while it keeps coming. */
  proved: boolean;
  /** Bytes that the connection had brought when it began, and at the last look. */
  from: number;
  seen: number;
  /** Milliseconds since it began, and since the last byte. Counted by looks, so that a clock that jumps ends nothing. */
  age: number;
  quiet: number;
  late: () => void;
}

interface PaceLimits {
  requestMs: number;
  uploadBytesPerSecond: number;
}

/** Milliseconds between two looks. */
const LOOK_MS = 1_000;

/**
 * Request bodies under way. A large file over a slow line takes minutes: what is let in is bounded by silence, and by a pace
 * that no honest line falls short of. What has proved nothing has the time of one silence in all.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #closing: AbortSignal;
  readonly #coming = new Map<IncomingMessage, Coming>();
  #looking = false;

  constructor(clock: Clock, limits: PaceLimits, closing: AbortSignal) {
    this.#clock = clock;
    this.#limits = limits;
    this.#closing = closing;
  }

  /** Calls `late` if the body is not there in its time. */
  watch(incoming: IncomingMessage, proved: boolean, late: () => void): void {
    const { 'content-length': length, 'transfer-encoding': coding } = incoming.headers;
    if (coding === undefined && (length === undefined || length === '0')) return;
    const from = incoming.socket.bytesRead;
    this.#coming.set(incoming, { proved, from, seen: from, age: 0, quiet: 0, late });
    incoming.once('close', () => this.#coming.delete(incoming));
    if (!this.#looking) void this.#run();
  }

  async #run(): Promise<void> {
    const { requestMs } = this.#limits;
    const pause = Math.min(LOOK_MS, requestMs / 2);
    this.#looking = true;
    while (this.#coming.size > 0 && !this.#closing.aborted) {
      await this.#clock.sleep(pause, this.#closing).catch(() => undefined);
      for (const [incoming, coming] of this.#coming) this.#look(incoming, coming, pause);
    }
    this.#looking = false;
  }

  #look(incoming: IncomingMessage, coming: Coming, passed: number): void {
    const { requestMs, uploadBytesPerSecond } = this.#limits;
    const { bytesRead } = incoming.socket;
    coming.age += passed;
    coming.quiet = bytesRead > coming.seen ? 0 : coming.quiet + passed;
    coming.seen = bytesRead;
    const earned = coming.proved ? ((bytesRead - coming.from) / uploadBytesPerSecond) * 1_000 : 0;
    const late = coming.quiet >= requestMs || coming.age >= requestMs + earned;
    if (!late && !incoming.complete) return;
    this.#coming.delete(incoming);
    if (!incoming.complete) coming.late();
  }
}
