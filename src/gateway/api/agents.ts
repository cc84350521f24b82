import { optionalText, readObject } from '../http/body.ts';
import { unknownId } from '../http/errors.ts';
import { OWNER, type Face } from '../http/face.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** `POST /api/agents/:name/pause` `{reason?}`. False: it was paused already. */
export async function pauseAgent(face: Face, exchange: Exchange, name: string): Promise<void> {
  const fields = await readObject(exchange.incoming, face.limits);
  const reason = optionalText(fields, 'reason') ?? '';
  await answer(exchange, name, await face.runtime.pauseAgent(name, OWNER, reason));
}

/** `POST /api/agents/:name/resume` `{}`. False: it was not paused. */
export async function resumeAgent(face: Face, exchange: Exchange, name: string): Promise<void> {
  await readObject(exchange.incoming, face.limits);
  await answer(exchange, name, await face.runtime.resumeAgent(name, OWNER));
}

async function answer(exchange: Exchange, name: string, changed: boolean | null): Promise<void> {
  if (changed === null) throw unknownId('agent', name);
  await sendJson(exchange, 200, { agent: name, changed });
}
