import type { Clock } from '../core/ports/clock.ts';
import type { Body, NewEvent } from '../core/event.ts';
import { taskStream } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import { type Store, StoreUnavailable } from '../core/ports/store.ts';
import type { Claim, Lease, Stops } from '../core/task.ts';
import { errorText } from '../core/text/sentence.ts';
import { Waker } from '../core/time/waker.ts';

/** Milliseconds a lease lasts. A lost process's tasks are free after that; our own restart does not wait for it. */
const LEASE_MS = 30_000;
/** Milliseconds between looks at the queue when nothing announces itself. */
const IDLE_MS = 5_000;
/** Milliseconds between tries while the store takes nothing. */
const UNAVAILABLE_MS = 1_000;

export interface WorkerOptions {
  store: Store;
  clock: Clock;
  log: Log;
  worker: string;
  /** Tasks at once. */
  concurrency(): number;
  only?: readonly string[];
  /** Queues that are not claimed from, as they are at each claim. */
  except?: readonly string[] | (() => readonly string[]);
  /** Queues of which nothing more may be begun now, given how many tasks of each run. */
  held?(running: ReadonlyMap<string, number>): readonly string[];
  /** Does the task: settles, parks or retries it. Rejects with the shutdown reason, StoreUnavailable, or for a bug. */
  handle(claim: Claim, stops: Stops): Promise<void>;
  /** The last resort for a task that breaks its handler: ends it, so that it blocks its lane no longer. */
  bury?(claim: Claim, error: unknown): Promise<void>;
  /** Calls back when there may be work; returns how to stop that. */
  onWork(listener: () => void): () => void;
  /** Calls back with each task that somebody has cancelled; returns how to stop that. */
  onCancelled(listener: (task: string) => void): () => void;
}

/** Puts a turn of the process's own life on record. */
export async function record(store: Store, body: Extract<Body, { type: `gateway.${string}` }>): Promise<void> {
  await store.commit({
    events: [{ ...body, stream: 'gateway', actor: 'runtime', cause: null, labels: [] }],
    sync: true,
  });
}

interface Running {
  queue: string;
  lease: Lease;
  cancel: AbortController;
  done: Promise<void>;
}

/** Claims tasks and has them done, as many at once as allowed. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #running = new Map<string, Running>();
  readonly #shutdown = new AbortController();
  readonly #waker: Waker;
  #loops: Promise<void>[] = [];
  #stopListening: () => void = () => undefined;
  #stopCancelling: () => void = () => undefined;
  #problem: string | null = null;
  /** When all leases were renewed last. */
  #renewed = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#waker = new Waker(options.clock);
  }

  /** Why no task is taken, in plain words; null if tasks are taken. */
  get problem(): string | null {
    return this.#problem;
  }

  get running(): number {
    return this.#running.size;
  }

  start(): void {
    this.#stopListening = this.#options.onWork(() => this.#waker.wake());
    this.#stopCancelling = this.#options.onCancelled((task) => this.#cancel(task));
    this.#renewed = this.#options.clock.now();
    this.#loops = [this.#claimLoop(), this.#renewLoop()];
  }

  /** Stops claiming, and waits at most `graceMs` for steps to end; what is left is resumed after the next start. */
  async stop(graceMs: number): Promise<void> {
    this.#stopListening();
    this.#shutdown.abort(new Error('the runtime is shutting down'));
    this.#waker.wake();
    const { clock } = this.#options;
    const grace = new AbortController();
    const all = Promise.all([...this.#loops, ...[...this.#running.values()].map((run) => run.done)]);
    await Promise.race([all, clock.sleep(graceMs, grace.signal).catch(() => undefined)]);
    grace.abort();
    this.#stopCancelling();
  }

  /** Ends the work on a task whose end somebody else has recorded. */
  #cancel(task: string): void {
    this.#running.get(task)?.cancel.abort(new Error('the task was cancelled'));
  }

  async #claimLoop(): Promise<void> {
    const { store, clock, worker, only, except: given } = this.#options;
    while (!this.#shutdown.signal.aborted) {
      this.#waker.reset();
      try {
        if (this.#running.size >= this.#options.concurrency()) {
          await this.#waker.sleep(IDLE_MS);
          continue;
        }
        // The machine has slept, or its clock has jumped: what runs here must not look abandoned.
        if (Math.abs(clock.now() - this.#renewed) > LEASE_MS / 2 && !(await this.#renewAll())) {
          await this.#waker.sleep(UNAVAILABLE_MS);
          continue;
        }
        const always = typeof given === 'function' ? given() : (given ?? []);
        const except = [...always, ...(this.#options.held?.(this.#byQueue()) ?? [])];
        const claim = await store.claim({ worker, now: clock.now(), leaseMs: LEASE_MS, only, except });
        this.#problem = null;
        if (claim) {
          // One that came as the shutdown began is left for the next start.
          if (!this.#shutdown.signal.aborted) this.#begin(claim);
          continue;
        }
        const due = await store.nextDue(clock.now());
        await this.#waker.sleep(due === null ? IDLE_MS : Math.min(IDLE_MS, Math.max(1, due - clock.now())));
      } catch (error) {
        this.#report(error);
        this.#waker.reset();
        await this.#waker.sleep(UNAVAILABLE_MS);
      }
    }
  }

  #byQueue(): Map<string, number> {
    const count = new Map<string, number>();
    for (const { queue } of this.#running.values()) count.set(queue, (count.get(queue) ?? 0) + 1);
    return count;
  }

  #begin(claim: Claim): void {
    const cancel = new AbortController();
    const stops = { cancel: cancel.signal, shutdown: this.#shutdown.signal };
    const id = claim.task.id;
    // A run that has just parked may not be out of the house yet when its task comes again.
    const running: Running = { queue: claim.task.queue, lease: claim.lease, cancel, done: Promise.resolve() };
    this.#running.set(id, running);
    running.done = this.#work(claim, stops).finally(() => {
      if (this.#running.get(id) === running) this.#running.delete(id);
      this.#waker.wake();
    });
  }

  async #work(claim: Claim, stops: Stops): Promise<void> {
    for (;;) {
      try {
        await this.#options.handle(claim, stops);
        return;
      } catch (error) {
        if (stops.shutdown.aborted) return;
        this.#report(error);
        if (error instanceof StoreUnavailable) {
          await this.#options.clock.sleep(UNAVAILABLE_MS, stops.shutdown).catch(() => undefined);
          continue;
        }
        return this.#bury(claim, error);
      }
    }
  }

  async #bury(claim: Claim, error: unknown): Promise<void> {
    const { task } = claim;
    try {
      await (this.#options.bury ?? this.#end)(claim, error);
    } catch (second) {
      this.#report(second);
    }
    this.#options.log.error({ task: task.id, error: String(error) }, 'a task broke its handler and is dead');
  }

  #end = async ({ task: { id, cause }, lease }: Claim): Promise<void> => {
    const body: Body = { type: 'task.finished', data: { task: id, run: null, status: 'dead', result: null } };
    const event: NewEvent = { ...body, stream: taskStream(id), actor: 'runtime', cause, labels: [] };
    const op = { op: 'settle', task: id, status: 'dead', result: null } as const;
    await this.#options.store.commit({ events: [event], queue: [op], fence: lease, sync: true });
  };

  #report(error: unknown): void {
    if (error instanceof StoreUnavailable) this.#problem = error.message;
    this.#options.log.error({ error: errorText(error) }, 'the worker met an error');
  }

  async #renewLoop(): Promise<void> {
    const { signal } = this.#shutdown;
    while (!signal.aborted) {
      await this.#options.clock.sleep(LEASE_MS / 3, signal).catch(() => undefined);
      await this.#renewAll();
    }
  }

  /** False if the store took not all of it. */
  async #renewAll(): Promise<boolean> {
    const { store, clock } = this.#options;
    const now = clock.now();
    let whole = true;
    for (const { lease, cancel } of this.#running.values()) {
      try {
        if (!(await store.renew(lease, now + LEASE_MS))) cancel.abort(new Error('the lease is lost'));
      } catch (error) {
        whole = false;
        this.#report(error);
      }
    }
    if (whole) this.#renewed = now;
    return whole;
  }
}
