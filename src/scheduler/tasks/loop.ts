import type { Clock } from '../../core/ports/clock.ts';
import { takeInbox, type InboxDeps } from './inbox.ts';
import { TaskViews } from './views.ts';
import { taskStream } from '../../core/ids.ts';

/** Milliseconds between two looks. */
const LOOK_MS = 250;

export interface TaskFilesDeps extends InboxDeps {
  clock: Clock;
  onWork(listener: () => void): () => void;
}

/** Keeps the queues as files: views are written, inboxes are read, and what somebody does to a view is undone. */
export function startTaskFiles(deps: TaskFilesDeps): { close(): Promise<void> } {
  const { store, files, clock, log } = deps;
  const stopping = new AbortController();
  const views = new TaskViews(store, files);
  const opened = new Set<string>();
  let changed = true;
  const unlisten = deps.onWork(() => void (changed = true));
  const look = async (): Promise<void> => {
    for (const queue of deps.governance().agents.keys()) {
      if (opened.has(queue)) continue;
      // Once each: whoever removes one does not find it there again a moment later.
      opened.add(queue);
      await files.open(queue);
    }
    await takeInbox(deps);
    if (changed) {
      changed = false;
      await views.update();
    }
    for (const task of await views.restore()) {
      const event = {
        type: 'task.restored' as const,
        stream: taskStream(task),
        actor: 'runtime',
        cause: null,
        labels: [],
      };
      await store.commit({ events: [{ ...event, data: { task } }], sync: false });
    }
  };
  const loop = async (): Promise<void> => {
    const { signal } = stopping;
    let ready = false;
    while (!signal.aborted) {
      try {
        if (!ready) await views.open();
        ready = true;
        await look();
      } catch (error) {
        changed = true;
        const why = error instanceof Error ? error.message : String(error);
        log.warn({ error: why }, 'the task files could not be looked after; it is tried again');
      }
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    close: () => {
      unlisten();
      stopping.abort();
      return running;
    },
  };
}
