/** One job at a time, in the order in which they were asked for. A job that fails does not hold up the next. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(job);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves once every job asked for so far has ended. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
