import type { Delta } from '../../core/api/runtime.ts';
import type { ViewChange, Views } from '../../core/api/views.ts';
import { queryNumber } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { badRequest, clientSignal, type ApiRequest } from '../http/reply.ts';
import { eventStream, heartbeat, type EventStream } from '../http/sse.ts';

/**
 * `GET /api/events`: the journal as it grows, `id:` being the event's seq. Starts after `Last-Event-ID` (which a
 * browser sends by itself when it reconnects, so it beats `?after=`), or now. A slow client is read for no faster than
 * it takes events; it misses none.
 */
export async function streamEvents(context: GatewayContext, request: ApiRequest): Promise<void> {
  const newest = await context.events.head();
  const header = request.incoming.headers['last-event-id'];
  const given = (Array.isArray(header) ? header[0] : header) || (request.query.get('after') ?? undefined);
  const after = queryNumber(given, 'after', 0, Number.MAX_SAFE_INTEGER, newest);
  // A journal that was put back from a copy is behind its clients; waiting in silence would look like no news.
  if (after > newest) throw badRequest(`The journal ends at event ${newest}. Start there.`, 'after');
  const types = typesOf(request.query.get('types'));

  const stream = eventStream(request, context.limits.backlogBytes);
  const signal = clientSignal(request, context.closing);
  let seen = after;
  stream.open();
  stream.keepAlive(String(seen));
  const beat = heartbeat(context.clock, context.limits.heartbeatMs, stream, signal, () => String(seen));
  try {
    for await (const event of context.events.follow(after, signal)) {
      if (signal.aborted) break;
      seen = event.seq;
      if (types && !types.has(event.type)) continue;
      stream.send(JSON.stringify(event), { id: String(event.seq) });
      await stream.drained();
    }
  } catch (error) {
    if (!signal.aborted) context.log.error({ err: error }, 'the event stream broke; its client will reconnect');
  } finally {
    beat.abort();
    await stream.end();
  }
}

function typesOf(value: string | null): Set<string> | null {
  if (value === null || value === '') return null;
  const types = value.split(',').map((type) => type.trim());
  if (types.every((type) => /^[a-z]+\.[a-z]+$/.test(type))) return new Set(types);
  throw badRequest('"types" must be a list of event types such as run.started,run.finished.', 'types');
}

/** Milliseconds in which changes of one thing count as one. */
const COALESCE_MS = 150;
/** Changes kept for a client that reads slowly; beyond it the client is told to look at everything. */
const MAX_CHANGES = 500;
/** Tasks whose pieces one stream carries. */
const MAX_TASKS = 20;

/**
 * `GET /api/live?task=…`: all that changes, over all agents, as `changed` events, and the `delta`s of the tasks that are
 * named. `resync`: what was missed cannot be told one by one, so the page reads its lists again. `alive`: nothing has
 * happened. It is an event, since a browser hides comments from its page, which could not tell silence from a dead line.
 */
export async function streamLive(context: GatewayContext, views: Views, request: ApiRequest): Promise<void> {
  const tasks = [...new Set(request.query.getAll('task').filter(Boolean))];
  if (tasks.length > MAX_TASKS) throw badRequest(`"task" may be given at most ${MAX_TASKS} times.`, 'task');
  const stream = eventStream(request, context.limits.backlogBytes);
  const signal = clientSignal(request, context.closing);
  const changes = new Changes();
  // Before anything is read, so that nothing falls in between.
  const stops = [views.watch((change) => changes.add(change))];
  const tell = (delta: Delta): void => {
    if (delta.kind !== 'changed') stream.send(JSON.stringify(delta), { event: 'delta' });
  };
  for (const task of tasks) {
    stops.push(context.runtime.listen(task, tell));
    for (const delta of context.runtime.recent(task)) tell(delta);
  }
  let seen = await context.events.head();
  const alive = { keepAlive: (id?: string): void => stream.send('{}', { event: 'alive', id }) };
  const beat = heartbeat(context.clock, context.limits.heartbeatMs, alive, signal, () => String(seen));
  try {
    stream.open();
    const last = request.incoming.headers['last-event-id'];
    if (last !== undefined && last !== String(seen)) stream.send('{}', { event: 'resync', id: String(seen) });
    else stream.keepAlive(String(seen));
    for (;;) {
      await changes.some(signal);
      if (signal.aborted) return;
      await context.clock.sleep(COALESCE_MS, signal);
      await stream.drained();
      seen = sendChanges(stream, changes, seen);
    }
  } catch (error) {
    if (!signal.aborted) context.log.error({ err: error }, 'the live stream broke; its client will reconnect');
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
