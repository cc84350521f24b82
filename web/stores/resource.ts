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
  /** Asks again; calls during a request lead to one more, not to many. */
  refresh(): Promise<void>;
  /** What is known before the next answer. */
  set(value: T): void;
}

/** Something the gateway knows. `pause`: milliseconds between two requests at least, however much changes. */
export function resource<T>(fetch: () => Promise<T>, pause = 300): Resource<T> {
  const state = signal<Loaded<T>>({ kind: 'loading' });
  let running: Promise<void> | null = null;
  let again = false;
  /** Told by `set` meanwhile: what was asked before that is older. */
  let told = false;
  const once = async (): Promise<void> => {
    told = false;
    try {
      const value = await fetch();
      if (!told) state.value = { kind: 'ready', value, trouble: null };
    } catch (error) {
      const message = messageOf(error);
      const old = state.value;
      state.value =
        old.kind === 'ready'
          ? { ...old, trouble: message }
          : { kind: 'failed', message, status: error instanceof ApiError ? error.status : 0 };
    }
  };
  const loop = async (): Promise<void> => {
    do {
      again = false;
      await once();
      if (again) await new Promise((resolve) => setTimeout(resolve, pause));
    } while (again);
    running = null;
  };
  return {
    state,
    refresh() {
      if (running) again = true;
      else running = loop();
      return running;
    },
    set(value) {
      told = true;
      if (running) again = true;
      state.value = { kind: 'ready', value, trouble: null };
    },
  };
}

export const valueOf = <T>(loaded: Loaded<T>): T | null => (loaded.kind === 'ready' ? loaded.value : null);
