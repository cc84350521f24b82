import type { Clock } from '../../core/ports/clock.ts';

/** Milliseconds without any move after which the run that others wait for has had its turn. */
const TURN_MAX = 120_000;

interface Slot {
  run: string;
  paths: Set<string>;
}

/**
 * Who lands next where changes have conflicted. A run that conflicts gets a turn at those paths: until it has landed,
 * given up, parked or taken too long, later ones do not land there, so that quicker ones cannot make it conflict again and
 * again. A run waits only for earlier turns: nobody starves, and no two wait for each other. This is fairness alone, and
 * lost with the process: what may land is decided by the merge.
 */
export class LandingOrder {
  /** In the order in which they were asked for. */
  #turns: Slot[] = [];
  #moved = Promise.withResolvers<void>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits until no earlier run has a turn at any of the paths. True if there was one. */
  async pass(run: string, paths: readonly string[], signal: AbortSignal): Promise<boolean> {
    let waited = false;
    for (let first = this.#before(run, paths); first; first = this.#before(run, paths)) {
      waited = true;
      if (!(await this.#move(signal))) this.leave(first.run);
    }
    return waited;
  }

  /** Asks for a turn at these paths, beside those it has, and waits for it. True if it had to wait. */
  take(run: string, paths: readonly string[], signal: AbortSignal): Promise<boolean> {
    const mine = this.#turns.find((turn) => turn.run === run);
    for (const path of paths) mine?.paths.add(path);
    if (!mine) this.#turns.push({ run, paths: new Set(paths) });
    return this.pass(run, paths, signal);
  }

  /** Its turn is over. */
  leave(run: string): void {
    const left = this.#turns.filter((turn) => turn.run !== run);
    if (left.length === this.#turns.length) return;
    this.#turns = left;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  #before(run: string, paths: readonly string[]): Slot | null {
    for (const turn of this.#turns) {
      if (turn.run === run) return null;
      if (paths.some((path) => turn.paths.has(path))) return turn;
    }
    return null;
  }

  /** True when a turn ends, false if none does for too long. */
  async #move(signal: AbortSignal): Promise<boolean> {
    const over = new AbortController();
    const moved = this.#moved.promise.then(() => true);
    const late = this.#clock.sleep(TURN_MAX, AbortSignal.any([signal, over.signal])).then(() => false);
    try {
      return await Promise.race([moved, late]);
    } finally {
      over.abort();
    }
  }
}
