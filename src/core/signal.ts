/** Something that happens, and those who want to hear of it. */
export class Signal<About = void> {
  readonly #listeners = new Set<(about: About) => void>();

  /** Calls `listener` each time from now on; returns how to stop that. */
  readonly on = (listener: (about: About) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  tell(about: About): void {
    for (const listener of this.#listeners) listener(about);
  }
}
