import type { AgentDeps } from './deps.ts';
import { type Trouble, WorkspaceUnavailable } from '../../core/ports/workspace.ts';
import type { Stops } from '../../core/task.ts';
import type { Failure } from './state.ts';
import { sentence } from '../../core/text/sentence.ts';

const FIRST_WAIT = 1_000;
const MAX_WAIT = 30_000;
/** Faults one after the other of which no cause is seen: then the run has failed. With these waits, after two minutes. */
const UNEXPLAINED_MAX = 8;
/** Milliseconds without a fault after which the next one is the first again. */
const CALM = 60_000;

/** Waits, longer and longer, while the workspace cannot be used: a disk that is away for a moment costs nobody's work. */
export class Faults {
  readonly #deps: AgentDeps;
  readonly #task: string;
  readonly #stop: AbortSignal;
  #unexplained = 0;
  #last = 0;

  constructor(deps: AgentDeps, task: string, { cancel, shutdown }: Stops) {
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
