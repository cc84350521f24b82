import type { Clock } from '../../core/ports/clock.ts';
import type { DroppedFiles } from '../../core/ports/governance.ts';
import type { NewEvent } from '../../core/event.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Workspace } from '../../core/ports/workspace.ts';
import { errorText } from '../../core/text/sentence.ts';

/** Milliseconds between two looks. */
const LOOK_MS = 1_000;
/** Milliseconds to wait after one has failed. */
const FAILED_MS = 20_000;

export interface DroppedOptions {
  dropped: DroppedFiles;
  workspace: Pick<Workspace, 'commitPerson'>;
  store: Pick<Store, 'commit'>;
  clock: Clock;
  log: Log;
  /** What triggers wait for. */
  globs(): readonly string[];
}

/**
 * Commits, under the person's name, what people save where a trigger waits for it: a file that nobody names otherwise would
 * never land. The commit is what counts; that it fires is the triggers' own business, also after a crash in between.
 */
export class Dropped {
  readonly #options: DroppedOptions;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: DroppedOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let pause = LOOK_MS;
      try {
        await this.#look();
      } catch (error) {
        pause = FAILED_MS;
        const said = errorText(error);
        log.warn({ error: said }, 'files that triggers name could not be committed; it is tried again');
      }
      await clock.sleep(pause, signal).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { dropped, workspace, store, globs } = this.#options;
    const paths = await dropped.look(globs());
    const committed = paths.length === 0 ? null : await workspace.commitPerson(paths);
    if (committed === null) return;
    const { commit, author } = committed;
    const event: NewEvent = {
      type: 'person.committed',
      stream: 'workspace',
      actor: 'person:owner',
      cause: null,
      labels: [],
      data: { commit, author, paths: committed.paths.length },
    };
    await store.commit({ events: [event], sync: true });
  }
}
