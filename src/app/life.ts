/** Where the process is between its start and its end; made first, and given to all that may act only in between. */
export class Life {
  #state: 'starting' | 'ready' | 'stopping' = 'starting';

  /** False before everything stands, and once the process goes down. */
  readonly accepting = (): boolean => this.#state === 'ready';

  /** Why nothing is accepted, in plain words; null if it is. */
  get notReady(): string | null {
    return this.accepting() ? null : `It is ${this.#state}.`;
  }

  begin(): void {
    this.#state = 'ready';
  }

  end(): void {
    this.#state = 'stopping';
  }
}
