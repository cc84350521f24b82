/** What takes part in a transaction beside the database: it must never know what was rolled back. */
export interface Remembers {
  /** Gives what takes back all that is remembered from now on. */
  mark(): () => void;
  /** The transaction has ended, and what is remembered stands. */
  keep(): void;
}

interface Change<K, V> {
  key: K;
  before: V | undefined;
}

/**
 * What is known of the database without asking it: the only writer need not look for what it has written itself. At most
 * `limit` entries, the least recently used leave first; what is not known is asked for. A limit of 0 remembers nothing,
 * for a reader beside another process that writes.
 */
export class Known<K, V> implements Remembers {
  readonly #limit: number;
  readonly #values = new Map<K, V>();
  /** Since the first mark of the transaction under way; null outside of one. */
  #changes: Change<K, V>[] | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: K): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: K, value: V): V {
    if (this.#limit === 0) return value;
    this.#note(key);
    this.#values.delete(key);
    this.#values.set(key, value);
    this.#trim();
    return value;
  }

  forget(key: K): void {
    this.#note(key);
    this.#values.delete(key);
  }

  entries(): [K, V][] {
    return [...this.#values];
  }

  clear(): void {
    for (const key of this.#values.keys()) this.forget(key);
  }

  mark(): () => void {
    const changes = (this.#changes ??= []);
    const length = changes.length;
    return () => {
      while (changes.length > length) {
        const change = changes.pop();
        if (!change) return;
        if (change.before === undefined) this.#values.delete(change.key);
        else this.#values.set(change.key, change.before);
      }
    };
  }

  keep(): void {
    this.#changes = null;
    this.#trim();
  }

  #note(key: K): void {
    this.#changes?.push({ key, before: this.#values.get(key) });
  }

  /** Not within a transaction, which must find what it knew when it began. */
  #trim(): void {
    if (this.#changes !== null) return;
    for (const key of this.#values.keys()) {
      if (this.#values.size <= this.#limit) return;
      this.#values.delete(key);
    }
  }
}

/** Several as one. */
export const together = (all: readonly Remembers[]): Remembers => ({
  mark() {
    const undo = all.map((each) => each.mark());
    return () => undo.forEach((each) => each());
  },
  keep: () => all.forEach((each) => each.keep()),
});
