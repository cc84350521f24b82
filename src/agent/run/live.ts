import { runKey, runStream } from '../../core/ids.ts';
import type { Store } from '../../core/ports/store.ts';

/** Keys of calls that may still be needed: begun, without receipt, of a task that has not ended. */
export async function liveKeys(store: Store): Promise<Set<string>> {
  const live = new Set<string>();
  for (const task of await store.tasks({ statuses: ['queued', 'running', 'waiting'] })) {
    const started = await store.byKey(runKey(task.id));
    if (started?.type !== 'run.started') continue;
    const types = ['tool.started', 'tool.returned'] as const;
    const keys = new Map<string, string>();
    for await (const event of store.read({ stream: runStream(started.data.run), types })) {
      if (event.type === 'tool.started') keys.set(event.data.call, event.data.key);
      if (event.type === 'tool.returned') keys.delete(event.data.call);
    }
    for (const key of keys.values()) live.add(key);
  }
  return live;
}
