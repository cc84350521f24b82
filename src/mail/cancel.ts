import type { NewEvent } from '../core/event.ts';
import { conversationId, runStream, taskStream } from '../core/ids.ts';
import { NO_USAGE } from '../core/model.ts';
import type { Store } from '../core/ports.ts';
import { isEnded } from '../core/task.ts';
import { runOf } from './waits.ts';

/** Ends a task for good, whatever it was doing. False if it had ended already, or never was. */
export async function cancelTask(store: Store, id: string, by: string): Promise<boolean> {
  const task = await store.task(id);
  if (task === null || isEnded(task.status) || task.absorbedBy !== null) return false;
  const common = { actor: by, cause: task.cause, labels: [] } as const;
  const status = 'cancelled';
  const run = await runOf(store, task);
  const events: NewEvent[] = [];
  if (run !== null) {
    const data = { run, status, error: 'cancelled', detail: null, usage: NO_USAGE, costUsd: 0, steps: 0 } as const;
    events.push({ ...common, type: 'run.finished', stream: runStream(run), key: `end:${run}`, data });
  }
  const message = task.cause === null ? null : await store.event(task.cause);
  if (message?.type === 'message.received') {
    // The conversation goes on knowing what was asked, and that it was called off.
    const stream = conversationId(task.agent, task.session);
    const end = { role: 'assistant', parts: [{ type: 'text', text: '[cancelled]' }] };
    const messages = [message.data.content, store.putBlob(Buffer.from(JSON.stringify(end)), stream)];
    events.push({ ...common, type: 'turn.ended', stream, data: { run: run ?? '', task: id, status, messages } });
  }
  const stream = taskStream(id);
  events.push({ ...common, type: 'task.finished', stream, data: { task: id, run, status, result: null } });
  const queue = [{ op: 'settle', task: id, status, result: null } as const];
  const result = await store.commit({ events, queue, sync: true });
  return result.ok;
}
