import type { Json } from '../../core/text/json.ts';
import type { Hook } from '../../core/trigger.ts';
import { jsonDepth, readBytes } from '../http/body.ts';
import { badRequest, HttpError, shuttingDown } from '../http/errors.ts';
import type { FailureLimit } from '../http/rate-limit.ts';
import type { Face } from '../http/face.ts';
import { prove } from './hook-auth.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** Where webhooks come in, each with a proof of its own in the place of the token. */
export const HOOKS = '/hooks/';

/** Wrong proofs by address, right ones by hook, and requests whose sender is still to be known. */
export interface HookLimits {
  failures: FailureLimit;
  rate: FailureLimit;
  unproved: number;
}

/** Stands in for a hook that is not there, so that looking for one takes as long. */
const NOBODY: Hook = { name: '', auth: { kind: 'github', windowMs: 0 }, secret: 'nobody knows this one either' };

/** `POST /hooks/:name`: 202 with the tasks it has led to, 200 if it has come before. */
export async function receiveHook(face: Face, limits: HookLimits, exchange: Exchange, name: string): Promise<void> {
  const { incoming } = exchange;
  const now = face.clock.now();
  const body = await bounded(limits, face, () => readBytes(incoming, face.limits.hookBytes));
  const hook = await face.runtime.triggers.hook(name);
  const proved = prove(hook ?? NOBODY, { headers: incoming.headers, body }, now);
  // One answer for all of it: a stranger learns neither which hooks there are, nor what was wrong.
  if (hook === null || proved === null) throw refused(limits.failures.pay(incoming.socket.remoteAddress ?? '', now));
  const wait = limits.rate.pay(name, now);
  if (wait > 0) throw tooMany('Too many requests to this hook. Send it again later.', wait);
  if (proved.id !== null && !/^[\x21-\x7e]{1,255}$/.test(proved.id))
    throw badRequest('The idempotency key must have 1 to 255 characters and no spaces.');
  const value = parsed(face, incoming.headers, body);
  const result = await face.runtime.triggers.deliver({ hook: name, ...proved, body: value });
  if (!result.ok && result.why === 'stopping') throw shuttingDown(result.message, true);
  if (!result.ok && result.why === 'full')
    throw new HttpError(503, 'overloaded', result.message, {
      headers: { 'retry-after': '60', 'x-should-retry': 'true' },
    });
  if (!result.ok) throw new HttpError(409, 'conflict', result.message);
  const { event, tasks, known } = result;
  await sendJson(exchange, known ? 200 : 202, { event, task: tasks[0] ?? null, tasks });
}

/** Strangers' slow or many bodies hold only so many of the places that all requests share. */
async function bounded<T>(limits: HookLimits, { limits: { unproved } }: Face, job: () => Promise<T>): Promise<T> {
  if (limits.unproved >= unproved)
    throw new HttpError(503, 'overloaded', 'Too many webhooks at once. Send it again later.', {
      headers: { 'retry-after': '1', 'x-should-retry': 'true' },
    });
  limits.unproved += 1;
  try {
    return await job();
  } finally {
    limits.unproved -= 1;
  }
}

/**
 * A wrong proof pays afterwards, and bars no right one: behind a proxy all senders have one address, and a stranger
 * must not be able to lock them out.
 */
const refused = (wait: number): HttpError =>
  wait > 0
    ? tooMany('Too many requests with an invalid signature from this address.', wait)
    : new HttpError(401, 'unauthorised', 'Unknown hook or invalid signature.');

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
