import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import { type Trouble, type Workspace, WorkspaceUnavailable } from '../../core/ports/workspace.ts';
import type { Stops } from '../../core/task.ts';
import type { Failure } from './state.ts';
import { sentence } from '../../core/text/sentence.ts';

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

const FIRST_WAIT = 1_000;
const MAX_WAIT = 30_000;
/** Faults one after the other of which no cause is seen: then the run has failed. With these waits, after two minutes. */
const UNEXPLAINED_MAX = 8;
/** Milliseconds without a fault after which the next one is the first again. */
const CALM = 60_000;

interface FaultDeps {
  clock: Clock;
  log: Log;
  hindrances: Hindrances;
  workspace: Pick<Workspace, 'troubles'>;
}

/** Waits, longer and longer, while the workspace cannot be used: a disk that is away for a moment costs nobody's work. */
export class Faults {
  readonly #deps: FaultDeps;
  readonly #task: string;
  readonly #stop: AbortSignal;
  #unexplained = 0;
  #last = 0;

  constructor(deps: FaultDeps, task: string, { cancel, shutdown }: Stops) {
    this.#deps = deps;
    this.#task = task;
    this.#stop = AbortSignal.any([cancel, shutdown]);
  }

  /** Resolves when the run may go on, or with its failure where that does not help. Rejects when the run is to stop. */
  async wait(error: WorkspaceUnavailable): Promise<Failure | null> {
    const { clock, log, hindrances } = this.#deps;
    log.warn({ task: this.#task, error: error.message, cause: String(error.cause) }, 'the workspace cannot be used');
    if (clock.now() - this.#last > CALM) this.#unexplained = 0;
    this.#unexplained += 1;
    if (this.#unexplained > UNEXPLAINED_MAX) {
      const message = `The workspace could not be used: ${sentence(error.message)}`;
      return { code: 'workspace.unavailable', message, retryable: true };
    }
    let ms = Math.min(MAX_WAIT, FIRST_WAIT * 2 ** (this.#unexplained - 1));
    for (let why: string | null = error.message; why !== null; ms = Math.min(MAX_WAIT, ms * 2)) {
      hindrances.set(this.#task, why, { now: clock.now(), until: clock.now() + ms });
      await clock.sleep(ms, this.#stop);
      why = await this.#stillWrong();
      // What is seen is waited for as long as it lasts.
      if (why !== null) this.#unexplained = 0;
    }
    this.#last = clock.now();
    hindrances.clear(this.#task);
    return null;
  }

  async #stillWrong(): Promise<string | null> {
    const found: Trouble[] = await this.#deps.workspace.troubles().catch(() => []);
    return found.find(({ stops }) => stops === 'work')?.what ?? null;
  }
}
