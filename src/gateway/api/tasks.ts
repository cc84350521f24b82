import { addressee } from '../../core/text/addressed.ts';
import { isSafeName } from '../../core/ids.ts';
import type { AnswerResult, TaskOutcome } from '../../core/api/runtime.ts';
import { optionalText, queryNumber, readObject, text } from '../http/body.ts';
import { badRequest, HttpError, unknownId } from '../http/errors.ts';
import { filesOf } from '../http/upload.ts';
import { accepted, HTTP_CHANNEL, markDelivered, OWNER, type Face } from '../http/face.ts';
import { clientSignal, head, sendJson, type Exchange } from '../http/reply.ts';
import { eventStream, heartbeat } from '../http/sse.ts';

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
export async function postMessage(face: Face, exchange: Exchange, query: URLSearchParams): Promise<void> {
  const fields = await readObject(exchange.incoming, { ...face.limits, bodyBytes: face.limits.uploadBytes });
  const named = text(fields, 'agent');
  const files = filesOf(fields['files'], face.limits.fileBytes);
  // A picture says enough by itself.
  const words = files.length > 0 && fields['text'] === '' ? '' : text(fields, 'text');
  const session = optionalText(fields, 'session');
  const id = optionalText(fields, 'id');
  const conversation = session === null ? face.ids.next('ses') : safe(session, 'session');
  const { agent, text: said } = await addressed(face, named, words);
  if (said === '' && files.length === 0) {
    await sendJson(exchange, 200, { task: null, agent, session: conversation, joined: false });
    return;
  }
  const delivered = accepted(
    await face.runtime.deliver({
      channel: HTTP_CHANNEL,
      sender: OWNER,
      agent,
      session: conversation,
      text: said,
      replyTo: conversation,
      externalId: id === null ? face.ids.next('msg') : safe(id, 'id'),
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
  if (query.has('stream')) await streamFrom(face, exchange, task, query, told);
  else await sendJson(exchange, 202, told);
}

async function addressed(face: Face, agent: string, said: string): Promise<{ agent: string; text: string }> {
  const names = said.trimStart().startsWith('@') ? (await face.runtime.agents()).map(({ name }) => name) : [];
  return addressee(said, (name) => names.includes(name)) ?? { agent, text: said };
}

/** `GET /api/tasks/:id`: how it stands now. Looking does not count as delivery. */
export async function getTask(face: Face, exchange: Exchange, id: string): Promise<void> {
  await sendJson(exchange, 200, await known(face, id));
}

async function known(face: Face, id: string): Promise<TaskOutcome> {
  const outcome = await face.runtime.task(id);
  if (outcome) return outcome;
  throw unknownId('task', id);
}

/** `GET /api/tasks/:id/wait?seconds=N`: the outcome, or 204 to ask again. `peek=1` does not count as delivery. */
export async function waitForTask(face: Face, exchange: Exchange, id: string, query: URLSearchParams): Promise<void> {
  const seconds = queryNumber(query.get('seconds') ?? undefined, 'seconds', 0, HOLD.most, HOLD.usual);
  await known(face, id);
  const signal = clientSignal(exchange, face.closing);
  const outcome = await settledWithin(face, id, seconds * 1000, signal);
  if (outcome) {
    if ((await sendJson(exchange, 200, outcome)) && !query.has('peek')) await markDelivered(face, outcome);
  } else if (!exchange.outgoing.destroyed) {
    head(exchange.outgoing, 204, {});
    exchange.outgoing.end();
  }
}

async function settledWithin(face: Face, id: string, ms: number, signal: AbortSignal): Promise<TaskOutcome | null> {
  const late = new AbortController();
  const until = AbortSignal.any([signal, late.signal]);
  const done = new AbortController();
  // Not awaited: it only ends the wait below, and is ended by it.
  face.clock.sleep(ms, AbortSignal.any([signal, done.signal])).then(
    () => late.abort(),
    () => undefined,
  );
  try {
    return await face.runtime.settled(id, until);
  } catch (error) {
    if (until.aborted) return null;
    throw error;
  } finally {
    done.abort();
  }
}

/** `GET /api/tasks/:id/stream`: deltas as they come (`event: delta`), then `event: outcome`, then the end. */
export async function streamTask(face: Face, exchange: Exchange, id: string, query: URLSearchParams): Promise<void> {
  await known(face, id);
  await streamFrom(face, exchange, id, query, null);
}

async function streamFrom(
  face: Face,
  exchange: Exchange,
  id: string,
  query: URLSearchParams,
  told: object | null,
): Promise<void> {
  const stream = eventStream(exchange, face.limits.backlogBytes);
  const signal = clientSignal(exchange, face.closing);
  stream.open();
  if (told) stream.send(JSON.stringify(told), { event: 'accepted' });
  const unlisten = face.runtime.listen(id, (delta) => stream.send(JSON.stringify(delta), { event: 'delta' }));
  const beat = heartbeat(face.clock, face.limits.heartbeatMs, stream, signal);
  try {
    const outcome = await face.runtime.settled(id, signal);
    stream.send(JSON.stringify(outcome), { event: 'outcome' });
    if ((await stream.end()) && !query.has('peek')) await markDelivered(face, outcome);
  } catch (error) {
    if (!signal.aborted) face.log.error({ err: error, task: id }, 'a task stream failed');
    await stream.end(); // without an outcome: the client asks again
  } finally {
    unlisten();
    beat.abort();
  }
}

/** `POST /api/tasks/:id/cancel` `{}`. False: it had ended. */
export async function cancelTask(face: Face, exchange: Exchange, id: string): Promise<void> {
  await readObject(exchange.incoming, face.limits);
  await known(face, id);
  await sendJson(exchange, 200, { cancelled: await face.runtime.cancel(id, OWNER) });
}

/** `POST /api/approvals/:id` `{verdict: "approve" | "deny"}`; with `?stream` as for messages. */
export async function answerApproval(
  face: Face,
  exchange: Exchange,
  id: string,
  query: URLSearchParams,
): Promise<void> {
  const { verdict } = await readObject(exchange.incoming, face.limits);
  if (verdict !== 'approve' && verdict !== 'deny')
    throw badRequest('"verdict" must be "approve" or "deny".', 'verdict');
  await sendAnswer(face, exchange, await face.runtime.approve(id, verdict, OWNER), verdict, query);
}

/** `POST /api/questions/:id` `{text}`; with `?stream` as for messages. */
export async function answerQuestion(
  face: Face,
  exchange: Exchange,
  id: string,
  query: URLSearchParams,
): Promise<void> {
  const answer = text(await readObject(exchange.incoming, face.limits), 'text');
  await sendAnswer(face, exchange, await face.runtime.answer(id, answer, OWNER), null, query);
}

async function sendAnswer(
  face: Face,
  exchange: Exchange,
  result: AnswerResult,
  verdict: 'approve' | 'deny' | null,
  query: URLSearchParams,
): Promise<void> {
  // A verdict that was sent again after a lost connection is the same verdict; another text for a question is not.
  const repeated = !result.ok && result.why === 'answered' && verdict !== null && result.verdict === verdict;
  if (!result.ok && !repeated) throw new HttpError(result.why === 'unknown' ? 404 : 409, result.why, result.message);
  const told = { task: 'task' in result ? result.task : null, ...(repeated ? { again: true } : {}) };
  if (query.has('stream') && told.task !== null) await streamFrom(face, exchange, told.task, query, told);
  else await sendJson(exchange, 200, told);
}
