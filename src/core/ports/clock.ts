/** What ends a wait that is not needed any more: without a reason, Node would make an error with a stack each time. */
export const OVER = 'over';

/** Time enters here and nowhere else, so that tests and replay can set it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
