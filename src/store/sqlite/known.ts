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
 * What is known of the database without asking it: the only writer need not look for what it has written itself. About
 * `limit` entries, those longest unused leave first; what is not known is asked for. A limit of 0 remembers nothing, for a
 * reader beside another process that writes.
 */
export class Known<K, V> implements Remembers {
  readonly #limit: number;
  /** Two ages, so that use need not be noted down each time: what is used again is young again, and the old leave together. */
  #young = new Map<K, V>();
  #old = new Map<K, V>();
  /** Since the first mark of the transaction under way; null outside of one. */
  #changes: Change<K, V>[] | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.#young.set(key, old);
    return old;
  }

  set(key: K, value: V): V {
    if (this.#limit === 0) return value;
    this.#note(key);
    this.#young.set(key, value);
    this.#age();
    return value;
  }

  forget(key: K): void {
    this.#note(key);
    this.#young.delete(key);
    this.#old.delete(key);
  }

  entries(): [K, V][] {
    return [...new Map([...this.#old, ...this.#young])];
  }

  clear(): void {
    for (const [key] of this.entries()) this.forget(key);
  }

  mark(): () => void {
    const changes = (this.#changes ??= []);
    const length = changes.length;
    return () => {
      while (changes.length > length) {
        const change = changes.pop();
        if (!change) return;
        this.#old.delete(change.key);
        if (change.before === undefined) this.#young.delete(change.key);
        else this.#young.set(change.key, change.before);
      }
    };
  }

  keep(): void {
    this.#changes = null;
    this.#age();
  }

  #note(key: K): void {
    this.#changes?.push({ key, before: this.get(key) });
  }

  /** Not within a transaction, which must find what it knew when it began. */
  #age(): void {
    if (this.#changes !== null || this.#young.size <= this.#limit / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
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
