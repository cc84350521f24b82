import { readObject } from '../http/body.ts';
import { unknownId } from '../http/errors.ts';
import { OWNER, type Face } from '../http/face.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** `GET /api/schedules`: every schedule with its next and its last firing. */
export async function getSchedules(face: Face, exchange: Exchange): Promise<void> {
  await sendJson(exchange, 200, { schedules: await face.runtime.schedules.list() });
}

/** `POST /api/schedules/:id/run|pause|resume` `{}`: the task that was made, or null. */
export async function changeSchedule(
  face: Face,
  exchange: Exchange,
  id: string,
  verb: 'run' | 'pause' | 'resume',
): Promise<void> {
  await readObject(exchange.incoming, face.limits);
  const { schedules } = face.runtime;
  const task = verb === 'run' ? await schedules.run(id, OWNER) : null;
  const done = verb === 'run' ? task !== null : await schedules[verb](id, OWNER);
  if (!done) throw unknownId('schedule', id);
  await sendJson(exchange, 200, { task });
}
