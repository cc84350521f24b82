import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../core/ports/clock.ts';

interface Sleeper {
  due: number;
  ms: number;
  /** Of the scripted world: never leapt over. */
  world: boolean;
  wake(): void;
}

export interface VirtualClockOptions {
  /** Milliseconds since the epoch that have truly come. */
  time: number;
  /** What clocks show beyond that. */
  ahead: number;
  /** Real milliseconds, for waiting while processes and the disk work. */
  pause(): Promise<void>;
  /** When the queue has something to do, by what clocks show; null if nothing is coming. 'now' while something runs. */
  work(): Promise<number | 'now' | null>;
}

/** Resources of the event loop that are there while nothing is under way. */
const AT_REST: ReadonlySet<string> = new Set(['TCPServerWrap', 'Immediate', 'PipeWrap', 'TTYWrap']);
/** Turns of the event loop without anything under way after which all is at rest. */
const TURNS = 4;
/** Turns of waiting for the disk before real time is waited for. */
const SPINS = 30;
/** Milliseconds after something has happened in which no sleeper is leapt over: what polls sees it in time. */
const AWAKE = 1_600;
/** Sleeps that are leapt over while only a slow model is waited for. */
const POLL = 1_000;

/** Time that stands while anything is under way, and leaps to the next sleeper when all is at rest. */
export class VirtualClock implements Clock {
  readonly #options: VirtualClockOptions;
  readonly #sleepers = new Set<Sleeper>();
  #time: number;
  #ahead: number;
  #awake = 0;
  #stopped = false;

  constructor(options: VirtualClockOptions) {
    this.#options = options;
    this.#time = options.time;
    this.#ahead = options.ahead;
  }

  /** What truly has come. */
  get time(): number {
    return this.#time;
  }

  now(): number {
    return this.#time + this.#ahead;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#sleep(ms, false, signal);
  }

  /** For the world outside: time stops there exactly. */
  until(time: number, signal?: AbortSignal): Promise<void> {
    return this.#sleep(Math.max(0, time - this.#time), true, signal);
  }

  /** Clocks are put. */
  jump(ms: number): void {
    this.#ahead += ms;
    this.stir();
  }

  /** The machine sleeps for so long: time goes by, and what is due meanwhile wakes at its end. */
  leap(ms: number): void {
    this.#time += ms;
    this.stir();
  }

  /** Something has happened. */
  stir(): void {
    this.#awake = Math.max(this.#awake, this.#time + AWAKE);
  }

  stop(): void {
    this.#stopped = true;
  }

  #sleep(ms: number, world: boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper = { due: this.#time + Math.max(0, ms), ms, world, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.#rest();
      const target = await this.#next();
      if (target === Infinity) {
        // Nobody sleeps: something is under way that no list shows.
        await this.#options.pause();
        continue;
      }
      this.#time = Math.max(this.#time, target);
      const due = [...this.#sleepers].filter((sleeper) => sleeper.due <= this.#time);
      for (const sleeper of due.sort((a, b) => a.due - b.due)) {
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
    }
  }

  /** Resolves when neither the disk nor a process nor a promise is being waited for. */
  async #rest(): Promise<void> {
    for (let calm = 0, spins = 0; calm < TURNS && !this.#stopped;) {
      await turn();
      const busy = process.getActiveResourcesInfo().some((name) => !AT_REST.has(name));
      calm = busy ? 0 : calm + 1;
      if (busy && (spins += 1) > SPINS) await this.#options.pause();
    }
  }

  async #next(): Promise<number> {
    const sleepers = [...this.#sleepers];
    const first = (of: (sleeper: Sleeper) => boolean): number => Math.min(...sleepers.filter(of).map(({ due }) => due));
    if (this.#time < this.#awake) return first(() => true);
    const work = await this.#options.work();
    if (work === 'now') return first(({ world, ms }) => world || ms > POLL);
    const due = work === null ? Infinity : work - this.#ahead;
    const next = Math.min(
      due,
      first(({ world }) => world),
    );
    // What comes next is seen by what polls for it.
    this.#awake = next + AWAKE;
    return Math.max(this.#time, next);
  }
}
