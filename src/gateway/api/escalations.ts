import { readObject } from '../http/body.ts';
import { unknownId } from '../http/errors.ts';
import { OWNER, type Face } from '../http/face.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** `GET /api/escalations`: those under way; with `?all` the newest that are over, too. */
export async function getEscalations(face: Face, exchange: Exchange, query: URLSearchParams): Promise<void> {
  const escalations = await face.runtime.escalations.list({ ended: query.has('all') });
  await sendJson(exchange, 200, { escalations });
}

/** `GET /api/escalations/:id`: by its own id, or that of what waits. */
export async function getEscalation(face: Face, exchange: Exchange, id: string): Promise<void> {
  const escalation = await face.runtime.escalations.get(id);
  if (escalation === null) throw unknownId('escalation', id);
  await sendJson(exchange, 200, escalation);
}

/** `POST /api/escalations/:id/ack` `{}`. False: it was acknowledged before, or is over. */
export async function acknowledgeEscalation(face: Face, exchange: Exchange, id: string): Promise<void> {
  await readObject(exchange.incoming, face.limits);
  const done = await face.runtime.escalations.acknowledge(id, OWNER);
  if (done === null) throw unknownId('escalation', id);
  await sendJson(exchange, 200, { acknowledged: done === 'done', ended: done === 'ended' });
}
