import type { Delta } from '../../core/api/runtime.ts';
import type { ViewChange, Views } from '../../core/api/views.ts';
import { badRequest } from '../http/errors.ts';
import type { Face } from '../http/face.ts';
import { clientSignal, type Exchange } from '../http/reply.ts';
import { eventStream, heartbeat, type EventStream } from '../http/sse.ts';

/** Milliseconds in which changes of one thing count as one. */
const COALESCE_MS = 150;
/** Changes kept for a client that reads slowly; beyond it the client is told to look at everything. */
const MAX_CHANGES = 500;
/** Tasks whose pieces one stream carries. */
const MAX_TASKS = 20;

/**
 * `GET /api/live?task=…`: all that changes, over all agents, as `changed` events, and the `delta`s of the tasks that are
 * named. `resync`: what was missed cannot be told one by one, so the page reads its lists again.
 */
export async function streamLive(face: Face, views: Views, exchange: Exchange, query: URLSearchParams): Promise<void> {
  const tasks = [...new Set(query.getAll('task').filter(Boolean))];
  if (tasks.length > MAX_TASKS) throw badRequest(`"task" may be given at most ${MAX_TASKS} times.`, 'task');
  const stream = eventStream(exchange, face.limits.backlogBytes);
  const signal = clientSignal(exchange, face.closing);
  const changes = new Changes();
  // Before anything is read, so that nothing falls in between.
  const stops = [views.watch((change) => changes.add(change))];
  const tell = (delta: Delta): void => {
    if (delta.kind !== 'changed') stream.send(JSON.stringify(delta), { event: 'delta' });
  };
  for (const task of tasks) {
    stops.push(face.runtime.listen(task, tell));
    for (const delta of face.runtime.recent(task)) tell(delta);
  }
  let seen = await face.events.head();
  const beat = heartbeat(face.clock, face.limits.heartbeatMs, stream, signal, () => String(seen));
  try {
    stream.open();
    const last = exchange.incoming.headers['last-event-id'];
    if (last !== undefined && last !== String(seen)) stream.send('{}', { event: 'resync', id: String(seen) });
    else stream.keepAlive(String(seen));
    for (;;) {
      await changes.some(signal);
      if (signal.aborted) return;
      await face.clock.sleep(COALESCE_MS, signal);
      await stream.drained();
      seen = sendChanges(stream, changes, seen);
    }
  } catch (error) {
    if (!signal.aborted) face.log.error({ err: error }, 'the live stream broke; its client will reconnect');
  } finally {
    for (const stop of stops) stop();
    beat.abort();
    await stream.end();
  }
}

function sendChanges(stream: EventStream, changes: Changes, before: number): number {
  const { items, overflowed, seq } = changes.take();
  const id = String(Math.max(before, seq));
  if (overflowed) stream.send('{}', { event: 'resync', id });
  else
    for (const { task, run, agent, session } of items)
      stream.send(JSON.stringify({ task, run, agent, session }), { event: 'changed', id });
  return Number(id);
}

/** What has changed and was not told yet: each thing once. */
class Changes {
  #items = new Map<string, ViewChange>();
  #overflowed = false;
  #seq = 0;
  #wake: (() => void) | null = null;

  add(change: ViewChange): void {
    this.#seq = Math.max(this.#seq, change.seq);
    if (this.#items.size >= MAX_CHANGES) this.#overflowed = true;
    else this.#items.set(`${change.task} ${change.agent} ${change.session}`, change);
    this.#wake?.();
  }

  /** Resolves when there is something to tell, or on abort. */
  async some(signal: AbortSignal): Promise<void> {
    if (this.#items.size > 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    signal.removeEventListener('abort', wake);
    this.#wake = null;
  }

  take(): { items: ViewChange[]; overflowed: boolean; seq: number } {
    const taken = { items: [...this.#items.values()], overflowed: this.#overflowed, seq: this.#seq };
    this.#items = new Map();
    this.#overflowed = false;
    return taken;
  }
}
