import { watch, type FSWatcher } from 'node:fs';

import type { Clock } from '../core/ports/clock.ts';

/** How often to look when the machine can watch no more files, and how often to look anyway. */
const POLL_MS = 200;
const WATCHED_POLL_MS = 2000;

/** Calls `look` whenever the folder changes, until `over`. Does not poll faster than a person could notice. */
export async function followUntil(options: {
  dir: string;
  over: Promise<unknown>;
  clock: Clock;
  look: () => Promise<void>;
  enough: () => boolean;
}): Promise<void> {
  const { dir, clock, look, enough } = options;
  let wake = (): void => undefined;
  let pending = false;
  let finished = false;
  const nudge = (): void => {
    pending = true;
    wake();
  };
  const over = options.over.finally(() => {
    finished = true;
    nudge();
  });
  // The failure is the caller's; here it only ends the waiting.
  over.catch(() => undefined);
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(dir, { persistent: false }, nudge);
    watcher.on('error', () => watcher?.close());
  } catch {
    // No inotify watch left: the clock wakes us instead.
    watcher = null;
  }
  try {
    while (!finished) {
      await look();
      if (enough()) break;
      if (pending) {
        pending = false;
        continue;
      }
      const pause = new AbortController();
      await Promise.race([
        new Promise<void>((resolve) => (wake = resolve)),
        clock.sleep(watcher === null ? POLL_MS : WATCHED_POLL_MS, pause.signal).catch(() => undefined),
      ]);
      pause.abort();
      pending = false;
    }
  } finally {
    watcher?.close();
  }
  await over;
}
