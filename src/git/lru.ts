/** A map that forgets what was used longest ago once the weights exceed the bound. */
export class Lru<Value> {
  readonly #items = new Map<string, { value: Value; weight: number }>();
  readonly #bound: number;
  #weight = 0;

  constructor(bound: number) {
    this.#bound = bound;
  }

  get(key: string): Value | undefined {
    const item = this.#items.get(key);
    if (!item) return undefined;
    this.#items.delete(key);
    this.#items.set(key, item);
    return item.value;
  }

  set(key: string, value: Value, weight = 1): void {
    this.delete(key);
    this.#items.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#items.keys()) {
      if (this.#weight <= this.#bound || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#weight -= this.#items.get(key)?.weight ?? 0;
    this.#items.delete(key);
  }
}
