import type { Batch, Store } from '../../src/core/ports/store.ts';

/** One process after another on the same store. What is dead does nothing more: its commits never return. */
export class Mortal {
  dead = true;
  /** What was committed, or died with it. */
  readonly batches: Batch[] = [];
  /** Happens once, just before the next commit. */
  meanwhile: (() => Promise<void>) | null = null;
  #life = new AbortController();
  /** Commits from now on until the process dies, before or after the last of them is on disk. */
  #fatal: { left: number; after: boolean } | null = null;

  /** A process begins; gives the store as it sees it. `methods`: in place of the store's. */
  begin(
    store: Store,
    methods: (alive: AbortSignal) => Partial<Store> = () => ({}),
  ): { store: Store; alive: AbortSignal } {
    this.dead = false;
    this.#fatal = null;
    this.#life = new AbortController();
    const alive = this.#life.signal;
    const seen: Partial<Store> = { ...methods(alive), commit: (batch) => this.#commit(store, batch, alive) };
    const mortal = new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(seen, name) ?? Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    return { store: mortal, alive };
  }

  async #commit(store: Store, batch: Batch, alive: AbortSignal): ReturnType<Store['commit']> {
    if (alive.aborted) return never();
    this.refuse();
    const { meanwhile } = this;
    this.meanwhile = null;
    await meanwhile?.();
    this.batches.push(batch);
    if (this.#fatal === null || --this.#fatal.left > 0) return store.commit(batch);
    const { after } = this.#fatal;
    this.kill();
    if (after) await store.commit(batch);
    return never();
  }

  /** Throws where the store takes nothing. */
  protected refuse(): void {}

  /** The process dies at one of its next commits. */
  dieAt(left: number, after: boolean): void {
    this.#fatal = { left, after };
  }

  /** The process is no more, at once, whatever it was doing. */
  kill(): void {
    this.#fatal = null;
    this.dead = true;
    this.#life.abort();
  }
}

export const never = (): Promise<never> => new Promise(() => undefined);
