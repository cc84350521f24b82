import { NO_USAGE } from '../../core/model.ts';
import { spokenStream } from '../../core/api/streamed-text.ts';
import type { AnswerResult, TaskOutcome } from '../../core/api/runtime.ts';
import { readObject } from '../http/body.ts';
import { commandOf, readChat, type ChatInput, type Command } from './input.ts';
import { chunk, completion, usageChunk, type AnswerHead } from './output.ts';
import { errorBody, HttpError, shuttingDown } from '../http/errors.ts';
import { accepted, HTTP_CHANNEL, markDelivered, OWNER, type Face } from '../http/face.ts';
import { clientSignal, sendError, sendJson, type Exchange } from '../http/reply.ts';
import { eventStream, heartbeat, type EventStream } from '../http/sse.ts';

/** What a request led to: a task to wait for, or something that can be said at once. */
type Started = { task: string; session: string; named: boolean } | { say: string; session: string };

/** `POST /v1/chat/completions`. */
export async function chatCompletions(face: Face, exchange: Exchange): Promise<void> {
  const { headers } = exchange.incoming;
  const input = readChat(await readObject(exchange.incoming, face.limits), one(headers['x-ruche-session']));
  const agent = input.agent ?? (await face.runtime.agents())[0]?.name ?? '';
  const started = await start(face, agent, input);
  const answer: AnswerHead = {
    id: `chatcmpl-${'task' in started ? started.task : face.ids.next('msg')}`,
    created: Math.floor(face.clock.now() / 1000),
    model: agent,
  };
  const named = { 'x-ruche-session': started.session, ...('task' in started ? { 'x-ruche-task': started.task } : {}) };
  if (input.stream) await streamed(face, exchange, input, started, answer, named);
  else await whole(face, exchange, started, answer, named);
}

const one = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header.join(',') : header;

async function start(face: Face, agent: string, input: ChatInput): Promise<Started> {
  const session = input.session ?? face.ids.next('ses');
  const command = commandOf(input.text);
  if (command) return answered(face, command, session);
  const result = await face.runtime.deliver(
    {
      channel: HTTP_CHANNEL,
      sender: OWNER,
      agent,
      session,
      text: input.text,
      replyTo: session,
      externalId: face.ids.next('msg'),
    },
    { join: input.session !== null, history: input.history },
  );
  if (!result.ok && result.why === 'unknown-agent')
    throw new HttpError(404, 'model_not_found', result.message, { param: 'model' });
  const { task, note } = accepted(result);
  // A client that waited for it would give up, and never learn why.
  if (note !== undefined) return { say: `${note} Its answer will be at /api/tasks/${task}.`, session };
  return { task, session, named: input.session !== null };
}

/** Answers what a run waits for. The same answer again, as a client sends it after a cut, means the same run. */
async function answered(face: Face, command: Command, session: string): Promise<Started> {
  const result: AnswerResult =
    command.kind === 'answer'
      ? await face.runtime.answer(command.id, command.text, OWNER)
      : await face.runtime.approve(command.id, command.kind, OWNER);
  const again = !result.ok && result.why === 'answered' && (result.verdict ?? 'answer') === command.kind;
  if ((result.ok || again) && result.task !== null) {
    const outcome = await face.runtime.task(result.task);
    return { task: result.task, session: outcome?.session ?? session, named: true };
  }
  if (result.ok || again) return { say: `Done: ${command.kind} ${command.id}.`, session };
  const waits = (await face.runtime.pending()).map((wait) => wait.id).join(', ') || 'nothing';
  throw new HttpError(result.why === 'unknown' ? 404 : 409, result.why, `${result.message} Waiting now: ${waits}.`);
}

async function whole(
  face: Face,
  exchange: Exchange,
  started: Started,
  answer: AnswerHead,
  named: Record<string, string>,
): Promise<void> {
  if ('say' in started) {
    await sendJson(exchange, 200, completion(answer, started.say, NO_USAGE), named);
    return;
  }
  const signal = clientSignal(exchange, face.closing);
  const outcome = await settled(face, started, signal);
  if (outcome === null) return;
  const failure = failureOf(outcome);
  const sent = failure
    ? sendError(exchange, failure)
    : sendJson(exchange, 200, completion(answer, outcome.text, outcome.usage), named);
  // A failure that was told is delivered too: otherwise the same words would be answered with it for ever.
  if (await sent) await markDelivered(face, outcome);
}

/** Null if the client went away; the run goes on without it. */
async function settled(
  face: Face,
  started: { task: string; named: boolean },
  signal: AbortSignal,
): Promise<TaskOutcome | null> {
  try {
    const outcome = await face.runtime.settled(started.task, signal);
    // One turn of the event loop, so that a hang-up that has reached this machine is seen before the answer is sent.
    await new Promise((resolve) => setImmediate(resolve));
    return outcome;
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!face.closing.aborted) return null;
    throw shuttingDown(
      `Ruche is stopping; task ${started.task} goes on after the restart. ${
        started.named
          ? 'Send the same request again for its answer.'
          : `Its answer will be at /api/tasks/${started.task}.`
      }`,
      started.named,
    );
  }
}

/** Not 5xx: clients send those again by themselves, and a run that failed may have done things already. */
function failureOf(outcome: TaskOutcome): HttpError | null {
  const { status, task } = outcome;
  if (status !== 'failed' && status !== 'dead' && status !== 'cancelled') return null;
  const code = status === 'cancelled' ? 'run_cancelled' : 'run_failed';
  return new HttpError(422, code, outcome.text, {
    headers: { 'x-ruche-task': task, 'x-ruche-session': outcome.session },
  });
}

async function streamed(
  face: Face,
  exchange: Exchange,
  input: ChatInput,
  started: Started,
  answer: AnswerHead,
  named: Record<string, string>,
): Promise<void> {
  const stream = eventStream(exchange, face.limits.backlogBytes, named);
  const voice = chunks(stream, answer, input.includeUsage);
  if ('say' in started) {
    voice.say(started.say);
    await voice.finish(NO_USAGE);
    return;
  }
  const signal = clientSignal(exchange, face.closing);
  const parts = spokenStream();
  const unlisten = face.runtime.listen(started.task, (delta) => voice.say(parts.push(delta)));
  const beat = heartbeat(face.clock, face.limits.heartbeatMs, stream, signal);
  try {
    const outcome = await settled(face, started, signal);
    if (outcome === null) return;
    const failure = failureOf(outcome);
    // Before the first byte the status line can still tell; afterwards the stream itself must.
    const tell = (): Promise<boolean> => {
      if (failure) return stream.opened ? voice.fail(failure) : sendError(exchange, failure);
      voice.say(parts.rest(outcome.text));
      return voice.finish(outcome.usage);
    };
    if (await tell()) await markDelivered(face, outcome);
  } catch (error) {
    if (!stream.opened) throw error;
    if (!(error instanceof HttpError)) face.log.error({ err: error }, 'a streamed answer failed');
    await voice.fail(
      error instanceof HttpError ? error : new HttpError(500, 'internal', 'Something went wrong in Ruche.'),
    );
  } finally {
    unlisten();
    beat.abort();
  }
}

/** Writes a streamed answer in OpenAI's form: the role first, then pieces of text, then the end. */
function chunks(stream: EventStream, answer: AnswerHead, withUsage: boolean) {
  let begun = false;
  const begin = (): void => {
    if (!begun) stream.send(JSON.stringify(chunk(answer, { role: 'assistant', content: '' }, null, withUsage)));
    begun = true;
  };
  return {
    say(text: string): void {
      if (text === '') return;
      begin();
      stream.send(JSON.stringify(chunk(answer, { content: text }, null, withUsage)));
    },
    finish(usage: TaskOutcome['usage']): Promise<boolean> {
      begin();
      stream.send(JSON.stringify(chunk(answer, {}, 'stop', withUsage)));
      if (withUsage) stream.send(JSON.stringify(usageChunk(answer, usage)));
      stream.send('[DONE]');
      return stream.end();
    },
    fail(error: HttpError): Promise<boolean> {
      stream.send(JSON.stringify(errorBody(error)));
      return stream.end();
    },
  };
}
