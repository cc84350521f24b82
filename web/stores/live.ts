import { signal } from '@preact/signals';
import type { Delta } from '../../src/core/api/runtime.ts';
import { query } from '../lib/query.ts';
import type { Change, Live } from './changes.ts';
import type { Stream, Tabs, Told } from './tabs.ts';

/** Milliseconds between two attempts, the last for all that follow. */
const WAITS = [500, 1_000, 2_000, 4_000, 8_000];

/** Milliseconds without a word, such as after sleep, from which a stream counts as dead: the gateway says one each 15 s. */
const SILENCE = 40_000;
const LOOK = 5_000;

/**
 * What the gateway tells by itself. A browser has six connections for all its tabs, so one tab holds the stream and tells
 * the others. `lost` is called when the stream breaks: only a request can tell whether we are logged out or the gateway is
 * gone.
 */
export function createLive(tabs: Tabs, lost: () => void): Live {
  const state = signal<'connecting' | 'open' | 'lost'>('connecting');
  const listeners = new Set<(change: Change | null) => void>();
  const watchers = new Map<string, Set<(delta: Delta | null) => void>>();
  let closed = true;

  const changed = (change: Change | null): void => {
    for (const listener of listeners) listener(change);
  };
  const hear = (told: Told): void => {
    if (closed) return;
    switch (told.kind) {
      case 'open':
        state.value = 'open';
        for (const watching of watchers.values()) for (const listener of watching) listener(null);
        // Whatever happened while nobody listened.
        return changed(null);
      case 'lost':
        state.value = 'lost';
        return lost();
      case 'changed':
        return changed(told.change);
      case 'delta':
        for (const listener of watchers.get(told.delta.task) ?? []) listener(told.delta);
    }
  };
  const wanted = (): void => tabs.want([...watchers.keys()]);
  const retry = (): void => {
    if (closed) {
      closed = false;
      tabs.join(hear, openStream);
      wanted();
    } else tabs.retry();
  };
  addEventListener('online', () => {
    if (!closed) tabs.retry();
  });
  // A page that the browser keeps for going back must not hold the stream meanwhile.
  addEventListener('pagehide', () => tabs.leave());
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted || closed) return;
    closed = true;
    retry();
  });

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
      if (watching.size === 1 && !closed) wanted();
      return () => {
        watching.delete(listener);
        if (watching.size > 0 || watchers.get(task) !== watching) return;
        watchers.delete(task);
      };
    },
    retry,
    close() {
      closed = true;
      state.value = 'lost';
      tabs.leave();
    },
  };
}

/** The one connection, opened again after pauses that grow. */
function openStream(tell: (told: Told) => void): Stream {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let carried: readonly string[] = [];
  let heardAt = 0;
  let watch: ReturnType<typeof setInterval> | undefined;

  const stop = (): void => {
    clearTimeout(timer);
    clearInterval(watch);
    source?.close();
  };
  const connect = (): void => {
    stop();
    const at = new EventSource(`/api/live?${carried.map((task) => query({ task })).join('&')}`);
    source = at;
    const on = (name: string, hear: (data: string) => void): void =>
      at.addEventListener(name, (event) => {
        heardAt = Date.now();
        hear((event as MessageEvent<string>).data);
      });
    on('open', () => {
      attempt = 0;
      tell({ kind: 'open' });
    });
    on('alive', () => undefined);
    on('changed', (data) => tell({ kind: 'changed', change: JSON.parse(data) as Change }));
    on('resync', () => tell({ kind: 'changed', change: null }));
    on('delta', (data) => tell({ kind: 'delta', delta: JSON.parse(data) as Delta }));
    at.addEventListener('error', () => {
      // The browser's own attempts stop for good at an answer that is no stream, such as 503.
      stop();
      tell({ kind: 'lost' });
      timer = setTimeout(connect, WAITS[Math.min(attempt, WAITS.length - 1)]);
      attempt += 1;
    });
    heardAt = Date.now();
    // Looked at often, since a timer stands still while the machine sleeps.
    watch = setInterval(() => {
      if (Date.now() - heardAt < SILENCE) return;
      // A line that was good may have died unnoticed, which a new one mends. One that does not even open is lost.
      if (at.readyState === EventSource.CONNECTING) tell({ kind: 'lost' });
      connect();
    }, LOOK);
  };
  return {
    carry(tasks) {
      carried = [...tasks];
      connect();
    },
    retry: connect,
    close: stop,
  };
}
