import type { Facts } from '../../core/trigger.ts';
import { isObject, readObject } from '../http/body.ts';
import { badRequest, unknownId } from '../http/errors.ts';
import { OWNER, type Face } from '../http/face.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** `GET /api/triggers`: every trigger with what came of it last. */
export async function getTriggers(face: Face, exchange: Exchange): Promise<void> {
  await sendJson(exchange, 200, { triggers: await face.runtime.triggers.list() });
}

/** `GET /api/triggers/:id`: one of them, with its last firings and what caused them. */
export async function getTrigger(face: Face, exchange: Exchange, id: string): Promise<void> {
  const found = await face.runtime.triggers.show(id);
  if (found === null) throw unknownId('trigger', id);
  await sendJson(exchange, 200, found);
}

/** `POST /api/triggers/:id/run` `{event?}`: fires with these facts; the task that was made. */
export async function runTrigger(face: Face, exchange: Exchange, id: string): Promise<void> {
  const { event = {} } = await readObject(exchange.incoming, face.limits);
  if (!isObject(event)) throw badRequest('"event" must be an object with the facts for the trigger.', 'event');
  const lacking = await face.runtime.triggers.lacking(id, event as Facts);
  if (lacking !== null) throw badRequest(lacking, 'event');
  const task = await face.runtime.triggers.run(id, OWNER, event as Facts);
  if (task === null) throw unknownId('trigger', id);
  await sendJson(exchange, 200, { task });
}

/** `POST /api/triggers/:id/pause|resume` `{}`. */
export async function pauseTrigger(
  face: Face,
  exchange: Exchange,
  id: string,
  verb: 'pause' | 'resume',
): Promise<void> {
  await readObject(exchange.incoming, face.limits);
  if (!(await face.runtime.triggers[verb](id, OWNER))) throw unknownId('trigger', id);
  await sendJson(exchange, 200, { id });
}
