import { signal, type ReadonlySignal } from '@preact/signals';
import { ApiError, messageOf } from '../lib/api.ts';

/** Loading, empty and failed are three things, and never look alike. */
export type Loaded<T> =
  | { kind: 'loading' }
  /** `trouble`: why it could not be brought up to date since. */
  | { kind: 'ready'; value: T; trouble: string | null }
  /** `status`: of the answer; 0 for none. */
  | { kind: 'failed'; message: string; status: number };

export interface Resource<T> {
  state: ReadonlySignal<Loaded<T>>;
  /** Asks at once, or right after the request under way. Resolves with an answer that was asked for after the call. */
  refresh(): Promise<void>;
  /** Asks again; what changes during a request is asked for after a pause, however much it is. */
  changed(): void;
}

/** Something the gateway knows. `pause`: milliseconds before the request for what changed during another one. */
export function resource<T>(fetch: () => Promise<T>, pause = 300): Resource<T> {
  const state = signal<Loaded<T>>({ kind: 'loading' });
  /** The request under way, and the one after it, which all who call meanwhile share. */
  let current: Promise<void> | null = null;
  let next: { done: Promise<void>; hurry: () => void } | null = null;
  const once = async (): Promise<void> => {
    try {
      state.value = { kind: 'ready', value: await fetch(), trouble: null };
    } catch (error) {
      const message = messageOf(error);
      const old = state.value;
      state.value =
        old.kind === 'ready'
          ? { ...old, trouble: message }
          : { kind: 'failed', message, status: error instanceof ApiError ? error.status : 0 };
    }
  };
  const start = (): Promise<void> => {
    next = null;
    current = once().then(() => void (current = null));
    return current;
  };
  const follow = (): NonNullable<typeof next> => {
    const { promise: over, resolve: hurry } = Promise.withResolvers<void>();
    const done = Promise.resolve(current).then(async () => {
      const timer = setTimeout(hurry, pause);
      await over;
      clearTimeout(timer);
      await start();
    });
    return { done, hurry };
  };
  const ask = (hurried: boolean): Promise<void> => {
    if (current === null && next === null) return start();
    next ??= follow();
    if (hurried) next.hurry();
    return next.done;
  };
  return { state, refresh: () => ask(true), changed: () => void ask(false) };
}

export const valueOf = <T>(loaded: Loaded<T>): T | null => (loaded.kind === 'ready' ? loaded.value : null);
