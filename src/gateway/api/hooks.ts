import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Json, jsonDepth } from '../../core/text/json.ts';
import { type Hook, type HookAuth, standardKey } from '../../core/trigger.ts';
import { durationText } from '../../core/text/duration.ts';
import { notJson, readBytes } from '../http/body.ts';
import { type FailureLimit, tokenCheck } from '../http/access.ts';
import type { GatewayContext } from '../http/context.ts';
import { badRequest, HttpError, sendJson, shuttingDown, type Exchange, type ApiRequest } from '../http/reply.ts';

/** Signatures of one request that are looked at. */
const MAX_SIGNATURES = 4;

/** Where webhooks come in, each with a proof of its own in the place of the token. */
export const HOOKS = '/hooks/';

/** Wrong proofs by address, right ones by hook, and requests whose sender is still to be known. */
export interface HookLimits {
  failures: FailureLimit;
  rate: FailureLimit;
  unproved: number;
}

/** Stands in for a hook that is not there, so that looking for one takes as long. */
const NOBODY: Hook = { name: '', auth: { kind: 'github', windowMs: 0 }, secrets: ['nobody knows this one either'] };

/** `POST /hooks/:name`: 202 with the tasks it has led to, 200 if it has come before. */
export async function receiveHook(
  context: GatewayContext,
  limits: HookLimits,
  request: ApiRequest<'name'>,
): Promise<void> {
  try {
    await receive(context, limits, request);
    const before = context.refused.get(request.params.name);
    if (before) before.accepted = context.clock.now();
  } catch (error) {
    // Not for what passes by itself, and is no fault of the sender.
    if (error instanceof HttpError && error.status !== 503) await note(context, request.params.name, error);
    throw error;
  }
}

/** Milliseconds between two lines in the log about one hook: anyone who finds it could fill the disk. */
const QUIET_MS = 60_000;

/** A sender sees an answer that says little, and the owner nothing of that: here it is said what was wrong. */
async function note({ runtime, refused, clock, log }: GatewayContext, name: string, error: HttpError): Promise<void> {
  const hook = (await runtime.triggers.hook(name)) === null ? null : name;
  const now = clock.now();
  const before = refused.get(hook);
  const why = error.cause instanceof Unproved ? error.cause.message : error.message;
  const count = (before?.count ?? 0) + 1;
  refused.set(hook, { hook, count, at: now, why, accepted: before?.accepted ?? null });
  if (before !== undefined && before.why === why && now - before.at < QUIET_MS) return;
  log.warn({ hook: name.slice(0, MAX_NAME), status: error.status, count, why }, 'a webhook was refused');
}

/** Why a request is from nobody we know. It goes to the owner, never to its sender. */
class Unproved extends Error {}

/** Characters of a hook's name that the log repeats. */
const MAX_NAME = 64;

async function receive(context: GatewayContext, limits: HookLimits, request: ApiRequest<'name'>): Promise<void> {
  const { name } = request.params;
  const { incoming } = request;
  const now = context.clock.now();
  const body = await bounded(limits, context, () => readBytes(incoming, context.limits.hookBytes));
  const hook = await context.runtime.triggers.hook(name);
  const proved = prove(hook ?? NOBODY, { headers: incoming.headers, body }, now);
  // One answer for all of it: a stranger learns neither which hooks there are, nor what was wrong.
  if (hook === null || proved === null) {
    const cause = new Unproved(
      hook === null
        ? `no hook is called that, or its trigger has no usable secret`
        : doubt(hook.auth, incoming.headers, now),
    );
    throw refused(limits.failures.pay(incoming.socket.remoteAddress ?? '', now), cause);
  }
  const wait = limits.rate.pay(name, now);
  if (wait > 0) throw tooMany('Too many requests to this hook. Send it again later.', wait);
  if (proved.id !== null && !/^[\x21-\x7e]{1,255}$/.test(proved.id))
    throw badRequest('The idempotency key must have 1 to 255 characters and no spaces.');
  const value = parsed(context, incoming.headers, body);
  const result = await context.runtime.triggers.deliver({ hook: name, ...proved, body: value });
  if (!result.ok && result.why === 'stopping') throw shuttingDown(result.message, true);
  if (!result.ok && result.why === 'full')
    throw new HttpError(503, 'overloaded', result.message, {
      headers: { 'retry-after': '60', 'x-should-retry': 'true' },
    });
  if (!result.ok) throw new HttpError(409, 'conflict', result.message);
  const { event, tasks, known } = result;
  await sendJson(request, known ? 200 : 202, { event, task: tasks[0] ?? null, tasks });
}

/** Strangers' slow or many bodies hold only so many of the places that all requests share. */
async function bounded<T>(
  limits: HookLimits,
  { limits: { unproved } }: GatewayContext,
  job: () => Promise<T>,
): Promise<T> {
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
const refused = (wait: number, cause: Unproved): HttpError =>
  wait > 0
    ? tooMany('Too many requests with an invalid signature from this address.', wait, cause)
    : new HttpError(401, 'unauthorised', 'Unknown hook or invalid signature.', { cause });

const tooMany = (message: string, wait: number, cause?: Unproved): HttpError =>
  new HttpError(429, 'too_many_requests', message, {
    headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
    ...(cause && { cause }),
  });

/** What each kind of proof comes in. */
const PROOF: Readonly<Record<HookAuth['kind'], readonly string[]>> = {
  bearer: ['Authorization'],
  gitlab: ['X-Gitlab-Token'],
  hmac: ['Webhook-Signature', 'Webhook-Timestamp'],
  standard: ['Webhook-Signature', 'Webhook-Timestamp', 'Webhook-Id'],
  github: ['X-Hub-Signature-256'],
};

/** Why a request has proved nothing, for its owner: nothing that it sent is repeated. */
function doubt({ kind, windowMs }: Auth, headers: IncomingHttpHeaders, now: number): string {
  const lacks = PROOF[kind].filter((name) => one(headers[name.toLowerCase()]) === null);
  if (lacks.length > 0) return `it came without ${lacks.join(' and ')}`;
  const isTimed = kind === 'hmac' || kind === 'standard';
  if (isTimed && !isRecent(one(headers['webhook-timestamp']) ?? '', windowMs, now))
    return `its Webhook-Timestamp is not within ${durationText(windowMs)} of this machine's clock`;
  const isSigned = kind !== 'bearer' && kind !== 'gitlab';
  return isSigned
    ? 'its signature does not fit: the secrets differ, or something between changed the body'
    : 'the secret it brought is another one';
}

/** Only what is signed is read: nothing of a stranger's bytes is parsed. */
function parsed(context: GatewayContext, headers: Exchange['incoming']['headers'], body: Uint8Array): Json {
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' || headers['content-encoding'] !== undefined)
    throw new HttpError(415, 'unsupported_media_type', 'Send JSON with the header Content-Type: application/json.');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw badRequest('The body is not valid UTF-8.');
  }
  if (jsonDepth(text, context.limits.jsonDepth) > context.limits.jsonDepth)
    throw badRequest(`The JSON is nested deeper than ${context.limits.jsonDepth} levels.`);
  try {
    return wellFormed(JSON.parse(text) as Json);
  } catch (error) {
    throw notJson(error);
  }
}

/** Lone surrogates cannot be stored. */
function wellFormed(value: Json): Json {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.toWellFormed(), wellFormed(each)]));
}

/** A request whose sender has proved who it is. */
interface Proved {
  /** The sender's own name for it; null if it gave none. */
  id: string | null;
  /** What only this delivery is signed with; null where nothing is, or where the name it has tells more. */
  seal: string | null;
  /** What its body is signed with, where the name it has is not signed. */
  signature?: string;
  /** What happened, as GitHub names it. */
  name: string;
}

type Signed = { headers: IncomingHttpHeaders; body: Uint8Array };

/** Null: the sender has not proved to know a secret, or sent this long ago. */
export function prove(hook: Hook, signed: Signed, now: number): Proved | null {
  // Each is looked at, whichever is right: the time must not tell.
  const proofs = hook.secrets.map((secret) => proveWith(secret, hook.auth, signed, now));
  const proof = proofs.find((each) => each !== null);
  if (!proof) return null;
  const { isSealed, ...said } = proof;
  // Always by the first secret: a sender may sign with two, and a replay leave one of them out.
  const seal = sealOf(hook.secrets[0] ?? '', hook.auth, signed);
  const replay = hook.auth.kind === 'github' ? { signature: seal } : {};
  return { ...said, seal: isSealed ? seal : null, ...replay };
}

type Auth = Hook['auth'];
/** `isSealed`: what it is signed with is this delivery's alone. */
type Proof = Omit<Proved, 'seal' | 'signature'> & { isSealed: boolean };

function proveWith(secret: string, { kind, windowMs }: Auth, { headers, body }: Signed, now: number): Proof | null {
  const key = one(headers['idempotency-key']);
  const time = one(headers['webhook-timestamp']) ?? '';
  switch (kind) {
    case 'bearer': {
      // Only so that a long body takes as long as where it is signed: what a hook asks for must not show in the time.
      signatureOf(secret, [body]);
      const guess = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
      return tokenCheck(secret)(guess) ? { id: key, isSealed: false, name: '' } : null;
    }
    case 'gitlab': {
      signatureOf(secret, [body]);
      if (!tokenCheck(secret)(one(headers['x-gitlab-token']) ?? '')) return null;
      const id = key ?? one(headers['x-gitlab-event-uuid']);
      return { id, isSealed: false, name: nameIn(headers['x-gitlab-event']) };
    }
    case 'hmac': {
      const right = signatureOf(secret, [`${time}.`, body]);
      const isRight = signaturesIn(headers['webhook-signature']).some((each) => isSame(right, each));
      return isRight && isRecent(time, windowMs, now) ? { id: key, isSealed: true, name: '' } : null;
    }
    case 'standard': {
      const id = one(headers['webhook-id']);
      const right = tokenCheck(`v1,${digestOf(standardKey(secret), [`${id ?? ''}.${time}.`, body], 'base64')}`);
      const isRight = signaturesIn(headers['webhook-signature']).some((each) => right(each));
      // Its name is signed, and stays the same however often it is sent.
      return isRight && id !== null && isRecent(time, windowMs, now) ? { id, isSealed: false, name: '' } : null;
    }
    case 'github': {
      if (!isSame(signatureOf(secret, [body]), one(headers['x-hub-signature-256']))) return null;
      const id = key ?? one(headers['x-github-delivery']);
      // GitHub keeps the name of what it sends again. Only the body is signed, so a replay can have any name: `signature`.
      return { id, isSealed: id === null, name: nameIn(headers['x-github-event']) };
    }
  }
}

/** What names a signed delivery alone. */
function sealOf(secret: string, { kind }: Auth, { headers, body }: Signed): string {
  if (kind !== 'hmac') return signatureOf(secret, [body]);
  const time = one(headers['webhook-timestamp']) ?? '';
  return `${time}.${signatureOf(secret, [`${time}.`, body])}`;
}

const isRecent = (time: string, windowMs: number, now: number): boolean =>
  /^\d{1,12}$/.test(time) && Math.abs(now - Number(time) * 1000) <= windowMs;

/** Two while a sender exchanges its secret, by custom with a space or a comma between; `v1,…` has a comma of its own. */
const signaturesIn = (header: string | string[] | undefined): string[] =>
  (one(header) ?? '').split(/ +|, *(?=sha256=)/i, MAX_SIGNATURES);

const nameIn = (header: string | string[] | undefined): string => (one(header) ?? '').slice(0, 64);

/** `sha256=` and the HMAC in hexadecimal. */
const signatureOf = (secret: string, parts: Signable): string => `sha256=${digestOf(secret, parts, 'hex')}`;

type Signable = readonly (string | Uint8Array)[];

function digestOf(secret: string | Uint8Array, parts: Signable, encoding: 'hex' | 'base64'): string {
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest(encoding);
}

/** Compared in a time that says nothing of how much of it was right. A sender may write it in capitals. */
const isSame = (right: string, given: string | null): boolean => tokenCheck(right)((given ?? '').toLowerCase());

const one = (header: string | string[] | undefined): string | null =>
  typeof header === 'string' && header !== '' ? header : null;
