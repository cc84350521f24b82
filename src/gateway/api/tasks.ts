import { isSafeName, addressee } from '../../core/ids.ts';
import type { AnswerResult, RetryResult, TaskOutcome } from '../../core/api/runtime.ts';
import { filesOf, optionalText, queryNumber, readObject, requestName, text } from '../http/body.ts';
import { accepted, HTTP_CHANNEL, markDelivered, OWNER, type GatewayContext } from '../http/context.ts';
import { answeringOf } from './standing.ts';
import { eventStream, heartbeat } from '../http/sse.ts';
import { badRequest, clientSignal, head, HttpError, sendJson, unknownId, type ApiRequest } from '../http/reply.ts';
import type { ApprovalVerdict } from '../../core/agreed.ts';

/** Seconds a wait is held unless the request says otherwise, and at most. */
const HOLD = { usual: 25, most: 55 };

const safe = (value: string, name: string): string => {
  if (isSafeName(value)) return value;
  throw badRequest(`"${name}" must be up to 128 letters, digits, "-" and "_".`, name);
};

/**
 * `POST /api/messages` `{agent, text, session?, id?, files?}`: 202 as soon as the message is durable. With `?stream` the answer
 * is the task's stream from its first moment, begun by `event: accepted`. `@name …` goes to that agent, in its conversation of
 * the same session; with nothing behind it no task is made.
 */
export async function postMessage(context: GatewayContext, request: ApiRequest): Promise<void> {
  const fields = await readObject(request.incoming, { ...context.limits, bodyBytes: context.limits.uploadBytes });
  const named = text(fields, 'agent');
  const files = filesOf(fields['files'], context.limits.fileBytes);
  // A picture says enough by itself.
  const words = files.length > 0 && fields['text'] === '' ? '' : text(fields, 'text');
  const session = optionalText(fields, 'session');
  // A client that gives no id may give a key, as it does elsewhere.
  const key = requestName(request.incoming.headers, 'hex') ?? null;
  const id = optionalText(fields, 'id') ?? key;
  // A key is known without a session, too: the same one must not begin a second conversation.
  const fresh = id === key && key !== null ? `ses_${key}` : context.ids.next('ses');
  const conversation = session === null ? fresh : safe(session, 'session');
  const { agent, text: said } = await addressed(context, named, words);
  if (said === '' && files.length === 0) {
    await sendJson(request, 200, { task: null, agent, session: conversation, joined: false });
    return;
  }
  const delivered = accepted(
    await context.runtime.deliver({
      channel: HTTP_CHANNEL,
      sender: OWNER,
      agent,
      session: conversation,
      text: said,
      replyTo: conversation,
      externalId: id === null ? context.ids.next('msg') : safe(id, 'id'),
      ...(files.length > 0 ? { files } : {}),
    }),
  );
  const { task, joined, note } = delivered;
  const told = {
    task,
    agent: delivered.agent ?? agent,
    session: conversation,
    joined,
    ...(note === undefined ? {} : { note }),
  };
  if (request.query.has('stream')) await streamFrom(context, request, task, told);
  else await sendJson(request, 202, told);
}

async function addressed(
  context: GatewayContext,
  agent: string,
  said: string,
): Promise<{ agent: string; text: string }> {
  const names = said.trimStart().startsWith('@') ? (await context.runtime.agents()).map(({ name }) => name) : [];
  return addressee(said, (name) => names.includes(name)) ?? { agent, text: said };
}

/** `GET /api/tasks/:id`: how it stands now. Looking does not count as delivery. */
export async function getTask(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  await sendJson(request, 200, await known(context, id));
}

async function known(context: GatewayContext, id: string): Promise<TaskOutcome> {
  const outcome = await context.runtime.task(id);
  if (outcome) return outcome;
  throw unknownId('task', id);
}

/** `GET /api/tasks/:id/wait?seconds=N`: the outcome, or 204 to ask again. `peek=1` does not count as delivery. */
export async function waitForTask(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const {
    params: { id },
    query,
  } = request;
  const seconds = queryNumber(query.get('seconds') ?? undefined, 'seconds', 0, HOLD.most, HOLD.usual);
  await known(context, id);
  const signal = clientSignal(request, context.closing);
  const outcome = await settledWithin(context, id, seconds * 1000, signal);
  if (outcome) {
    if ((await sendJson(request, 200, outcome)) && !query.has('peek')) await markDelivered(context, outcome);
  } else if (!request.outgoing.destroyed && !request.outgoing.headersSent) {
    head(request.outgoing, 204, {});
    request.outgoing.end();
  }
}

async function settledWithin(
  context: GatewayContext,
  id: string,
  ms: number,
  signal: AbortSignal,
): Promise<TaskOutcome | null> {
  const late = new AbortController();
  const until = AbortSignal.any([signal, late.signal]);
  const done = new AbortController();
  // Not awaited: it only ends the wait below, and is ended by it.
  context.clock.sleep(ms, AbortSignal.any([signal, done.signal])).then(
    () => late.abort(),
    () => undefined,
  );
  try {
    return await context.runtime.settled(id, until);
  } catch (error) {
    if (until.aborted) return null;
    throw error;
  } finally {
    done.abort();
  }
}

/** `GET /api/tasks/:id/stream`: deltas as they come (`event: delta`), then `event: outcome`, then the end. */
export async function streamTask(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  await known(context, id);
  await streamFrom(context, request, id, null);
}

async function streamFrom(
  context: GatewayContext,
  request: ApiRequest,
  id: string,
  told: object | null,
): Promise<void> {
  const stream = eventStream(request, context.limits.backlogBytes);
  const signal = clientSignal(request, context.closing);
  stream.open();
  if (told) stream.send(JSON.stringify(told), { event: 'accepted' });
  const unlisten = context.runtime.listen(id, (delta) => stream.send(JSON.stringify(delta), { event: 'delta' }));
  const beat = heartbeat(context.clock, context.limits.heartbeatMs, stream, signal);
  try {
    const outcome = await context.runtime.settled(id, signal);
    stream.send(JSON.stringify(outcome), { event: 'outcome' });
    if ((await stream.end()) && !request.query.has('peek')) await markDelivered(context, outcome);
  } catch (error) {
    if (!signal.aborted) context.log.error({ err: error, task: id }, 'a task stream failed');
    await stream.end(); // without an outcome: the client asks again
  } finally {
    unlisten();
    beat.abort();
  }
}

/** `POST /api/tasks/:id/cancel` `{}`. False: it had ended. */
export async function cancelTask(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  await known(context, id);
  await sendJson(request, 200, { cancelled: await context.runtime.cancel(id, OWNER) });
}

/**
 * `POST /api/approvals/:id` `{verdict: "approve" | "deny", note?, scope?, until?, count?, globs?, vouch?}`; the agent is told the
 * note; with `?stream` as for messages.
 */
export async function answerApproval(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const fields = await readObject(request.incoming, context.limits);
  const { verdict } = fields;
  if (verdict !== 'approve' && verdict !== 'deny')
    throw badRequest('"verdict" must be "approve" or "deny".', 'verdict');
  const result = await context.runtime.approve(request.params.id, verdict, OWNER, answeringOf(fields));
  await sendAnswer(context, request, result, verdict);
}

/** `POST /api/questions/:id` `{text}`; with `?stream` as for messages. */
export async function answerQuestion(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const answer = text(await readObject(request.incoming, context.limits), 'text');
  await sendAnswer(context, request, await context.runtime.answer(request.params.id, answer, OWNER), null);
}

async function sendAnswer(
  context: GatewayContext,
  request: ApiRequest,
  result: AnswerResult,
  verdict: ApprovalVerdict | null,
): Promise<void> {
  // A verdict that was sent again after a lost connection is the same verdict; another text for a question is not.
  const repeated = !result.ok && result.why === 'answered' && verdict !== null && result.verdict === verdict;
  if (!result.ok && !repeated) throw new HttpError(result.why === 'unknown' ? 404 : 409, result.why, result.message);
  const told = {
    task: 'task' in result ? result.task : null,
    ...(repeated ? { again: true } : {}),
    ...(result.ok && result.more !== undefined ? { more: result.more } : {}),
    ...(result.ok && result.grant !== undefined ? { grant: result.grant } : {}),
  };
  if (request.query.has('stream') && told.task !== null) await streamFrom(context, request, told.task, told);
  else await sendJson(request, 200, told);
}

const RETRY_STATUS: Record<Extract<RetryResult, { ok: false }>['why'], number> = {
  unknown: 404,
  'not-ended': 409,
  answered: 409,
  refused: 409,
};

/** `POST /api/tasks/:id/retry` `{}`: the task that delivers the same message once more. */
export async function retryTask(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  const result = await context.runtime.retry(id, OWNER);
  if (!result.ok) throw new HttpError(RETRY_STATUS[result.why], result.why, result.message);
  await sendJson(request, 200, { task: result.task, message: result.message });
}

/** `POST /api/tasks/:id/dismiss` `{}`: off the list of failures. */
export async function dismissTask(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  await sendJson(request, 200, { dismissed: await context.runtime.dismiss(id, OWNER) });
}
