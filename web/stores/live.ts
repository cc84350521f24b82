import { signal } from '@preact/signals';
import type { Delta } from '../../src/core/api/runtime.ts';
import { query } from '../lib/query.ts';
import type { Change, Live } from './changes.ts';

/** Milliseconds between two attempts, the last for all that follow. */
const WAITS = [500, 1_000, 2_000, 4_000, 8_000];

/** `lost` is called when the stream breaks: only a request can tell whether we are logged out or the gateway is gone. */
export function createLive(lost: () => void): Live {
  const state = signal<'connecting' | 'open' | 'lost'>('connecting');
  const listeners = new Set<(change: Change | null) => void>();
  const watchers = new Map<string, Set<(delta: Delta | null) => void>>();
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let closed = false;

  const changed = (change: Change | null): void => {
    for (const listener of listeners) listener(change);
  };
  const tell = (delta: Delta): void => {
    for (const listener of watchers.get(delta.task) ?? []) listener(delta);
  };
  const connect = (): void => {
    clearTimeout(timer);
    source?.close();
    if (closed) return;
    const [task = ''] = [...watchers.keys()].slice(-1);
    const at = new EventSource(`/api/live?${query({ task })}`);
    source = at;
    at.addEventListener('open', () => {
      attempt = 0;
      state.value = 'open';
      for (const watching of watchers.values()) for (const listener of watching) listener(null);
      // Whatever happened while nobody listened.
      changed(null);
    });
    at.addEventListener('changed', (event) => changed(JSON.parse(event.data as string) as Change));
    at.addEventListener('resync', () => changed(null));
    at.addEventListener('delta', (event) => tell(JSON.parse(event.data as string) as Delta));
    at.addEventListener('error', () => {
      // The browser's own attempts stop for good at an answer that is no stream, such as 503.
      at.close();
      state.value = 'lost';
      lost();
      timer = setTimeout(connect, WAITS[Math.min(attempt, WAITS.length - 1)]);
      attempt += 1;
    });
  };
  addEventListener('online', connect);

  return {
    state,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    watch(task, listener) {
      const watching = watchers.get(task) ?? new Set();
      watchers.delete(task); // the latest comes last
      watchers.set(task, watching.add(listener));
      if (watching.size === 1) connect();
      return () => {
        watching.delete(listener);
        if (watching.size === 0 && watchers.get(task) === watching) watchers.delete(task);
      };
    },
    retry: connect,
    close() {
      closed = true;
      clearTimeout(timer);
      source?.close();
    },
  };
}
