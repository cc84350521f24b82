import { queryNumber } from '../http/body.ts';
import { badRequest } from '../http/errors.ts';
import type { Face } from '../http/face.ts';
import { clientSignal, type Exchange } from '../http/reply.ts';
import { eventStream, heartbeat } from '../http/sse.ts';

/**
 * `GET /api/events`: the journal as it grows, `id:` being the event's seq. Starts after `Last-Event-ID` (which a
 * browser sends by itself when it reconnects, so it beats `?after=`), or now. A slow client is read for no faster than
 * it takes events; it misses none.
 */
export async function streamEvents(face: Face, exchange: Exchange, query: URLSearchParams): Promise<void> {
  const newest = await face.events.head();
  const header = exchange.incoming.headers['last-event-id'];
  const given = (Array.isArray(header) ? header[0] : header) || (query.get('after') ?? undefined);
  const after = queryNumber(given, 'after', 0, Number.MAX_SAFE_INTEGER, newest);
  // A journal that was put back from a copy is behind its clients; waiting in silence would look like no news.
  if (after > newest) throw badRequest(`The journal ends at event ${newest}. Start there.`, 'after');
  const types = typesOf(query.get('types'));

  const stream = eventStream(exchange, face.limits.backlogBytes);
  const signal = clientSignal(exchange, face.closing);
  let seen = after;
  stream.open();
  stream.keepAlive(String(seen));
  const beat = heartbeat(face.clock, face.limits.heartbeatMs, stream, signal, () => String(seen));
  try {
    for await (const event of face.events.follow(after, signal)) {
      if (signal.aborted) break;
      seen = event.seq;
      if (types && !types.has(event.type)) continue;
      stream.send(JSON.stringify(event), { id: String(event.seq) });
      await stream.drained();
    }
  } catch (error) {
    if (!signal.aborted) face.log.error({ err: error }, 'the event stream broke; its client will reconnect');
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
