/** What keeps a run from going on, and since when. */
export interface Hindrance {
  why: string;
  since: number;
}

/** Milliseconds after which a hindrance that is not told again is over: its run has been cancelled. */
const STALE = 15_000;

/**
 * What keeps runs from going on now, in words with the mend: `status` and the standing of each task tell it. It is lost with
 * the process, and the next one meets it anew.
 */
export class Hindrances {
  readonly #tasks = new Map<string, Hindrance & { until: number }>();

  /** `until`: when the run tries again, at the latest. */
  set(task: string, why: string, { now, until = now }: { now: number; until?: number }): Hindrance {
    const since = this.of(task, now)?.since ?? now;
    this.#tasks.set(task, { why, since, until: until + STALE });
    return { why, since };
  }

  clear(task: string): void {
    this.#tasks.delete(task);
  }

  of(task: string, now: number): Hindrance | null {
    const found = this.#tasks.get(task);
    if (found !== undefined && found.until < now) this.#tasks.delete(task);
    return found === undefined || found.until < now ? null : { why: found.why, since: found.since };
  }

  /** Each reason once, with the number of runs that wait for it. */
  all(now: number): Map<string, number> {
    const counts = new Map<string, number>();
    for (const task of this.#tasks.keys()) {
      const why = this.of(task, now)?.why;
      if (why !== undefined) counts.set(why, (counts.get(why) ?? 0) + 1);
    }
    return counts;
  }
}
