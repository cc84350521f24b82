import type { Json } from '../core/json.ts';
import type { Hook } from '../core/trigger.ts';
import { jsonDepth, readBytes } from './body.ts';
import { badRequest, HttpError, shuttingDown } from './errors.ts';
import type { FailureLimit } from './failures.ts';
import type { Face } from './faces.ts';
import { prove } from './hook-auth.ts';
import { sendJson, type Exchange } from './reply.ts';

/** Where webhooks come in, each with a proof of its own in the place of the token. */
export const HOOKS = '/hooks/';

/** Wrong proofs by address, and right ones by hook. */
export interface HookLimits {
  failures: FailureLimit;
  rate: FailureLimit;
}

/** Stands in for a hook that is not there, so that looking for one takes as long. */
const NOBODY: Hook = { name: '', auth: { kind: 'github', windowMs: 0 }, secret: 'nobody knows this one either' };

/** `POST /hooks/:name`: 202 with the tasks it has led to, 200 if it has come before. */
export async function receiveHook(face: Face, limits: HookLimits, exchange: Exchange, name: string): Promise<void> {
  const { incoming } = exchange;
  const now = face.clock.now();
  const peer = incoming.socket.remoteAddress ?? '';
  const late = limits.failures.pay(peer, now);
  if (late > 0) throw tooMany('Too many requests without a right signature from this address.', late);
  const body = await readBytes(incoming, face.limits.hookBytes);
  const hook = await face.runtime.triggers.hook(name);
  const proved = prove(hook ?? NOBODY, { headers: incoming.headers, body }, now);
  // One answer for all of it: a stranger learns neither which hooks there are, nor what was wrong.
  if (hook === null || proved === null)
    throw new HttpError(401, 'unauthorised', 'There is no such hook, or the request is not signed as it asks for.');
  limits.failures.refund(peer);
  const wait = limits.rate.pay(name, now);
  if (wait > 0) throw tooMany('Too many requests to this hook.', wait);
  if (proved.id !== null && !/^[\x21-\x7e]{1,255}$/.test(proved.id))
    throw badRequest('The idempotency key must have 1 to 255 characters, and no spaces.');
  const value = parsed(face, incoming.headers, body);
  const result = await face.runtime.triggers.deliver({ hook: name, ...proved, body: value });
  if (!result.ok && result.why === 'stopping') throw shuttingDown(result.message, true);
  if (!result.ok) throw new HttpError(409, 'conflict', result.message);
  const { event, tasks, known } = result;
  await sendJson(exchange, known ? 200 : 202, { event, task: tasks[0] ?? null, tasks });
}

const tooMany = (message: string, wait: number): HttpError =>
  new HttpError(429, 'too_many_requests', message, { headers: { 'retry-after': String(Math.ceil(wait / 1000)) } });

/** Only what is signed is read: nothing of a stranger's bytes is parsed. */
function parsed(face: Face, headers: Exchange['incoming']['headers'], body: Uint8Array): Json {
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' || headers['content-encoding'] !== undefined)
    throw new HttpError(415, 'unsupported_media_type', 'Send JSON with the header Content-Type: application/json.');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw badRequest('The body is not valid UTF-8.');
  }
  if (jsonDepth(text, face.limits.jsonDepth) > face.limits.jsonDepth)
    throw badRequest(`The JSON is nested deeper than ${face.limits.jsonDepth} levels.`);
  try {
    return wellFormed(JSON.parse(text) as Json);
  } catch (error) {
    throw badRequest(`The body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'unreadable'}`);
  }
}

/** Lone surrogates cannot be stored. */
function wellFormed(value: Json): Json {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.toWellFormed(), wellFormed(each)]));
}
