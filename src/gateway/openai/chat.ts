import { createHash } from 'node:crypto';
import { NO_USAGE } from '../../core/model.ts';
import { roughly } from '../../core/text/duration.ts';
import { sentence } from '../../core/text/sentence.ts';
import { spokenStream } from '../../core/api/streamed-text.ts';
import type { AnswerResult, Delta, TaskOutcome } from '../../core/api/runtime.ts';
import { idempotencyKey, readObject, type Fields } from '../http/body.ts';
import { accepted, HTTP_CHANNEL, markDelivered, OWNER, type GatewayContext } from '../http/context.ts';
import {
  clientSignal,
  errorBody,
  HttpError,
  sendError,
  sendJson,
  shuttingDown,
  type Exchange,
  type ApiRequest,
} from '../http/reply.ts';
import { eventStream, heartbeat } from '../http/sse.ts';
import { type ChatInput, type Command, commandOf, readChat } from './request.ts';
import { chunk, completion, usageChunk, type AnswerHead, type Finish } from './objects.ts';

/** `POST /v1/chat/completions`: read, handed to the agent, waited for, answered. */
export async function chatCompletions(context: GatewayContext, request: ApiRequest): Promise<void> {
  const fields = await readObject(request.incoming, context.limits);
  const input = readChat(fields, sessionHeader(request));
  const agent = input.agent ?? (await context.runtime.agents())[0]?.name ?? '';
  const started = await start(context, agent, input, identityOf(request, fields));
  const reply = (input.stream ? streamed : whole)(context, request, started, {
    id: `chatcmpl-${'task' in started ? started.task : context.ids.next('msg')}`,
    created: Math.floor(context.clock.now() / 1000),
    model: agent,
    usage: input.includeUsage,
  });
  if ('say' in started) await reply.done({ text: started.say, usage: NO_USAGE, cut: false });
  else await answerWith(context, request, started, reply);
}

const sessionHeader = ({ incoming }: ApiRequest): string | undefined => {
  const header = incoming.headers['x-ruche-session'];
  return Array.isArray(header) ? header.join(',') : header;
};

/** By what a request is known when it comes again. */
interface Identity {
  /** A hash of the client's own name for it; null if it gave none. */
  key: string | null;
  /** How often the client has sent it before, as OpenAI's clients count; null if it does not say. */
  retries: number | null;
  /** A hash of all it says. */
  bytes: string;
}

const hashed = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32);

function identityOf({ incoming: { headers } }: ApiRequest, fields: Fields): Identity {
  const key = idempotencyKey(headers);
  const count = headers['x-stainless-retry-count'];
  return {
    key: key === null ? null : hashed('key', key),
    retries: typeof count === 'string' && /^\d{1,4}$/.test(count) ? Number(count) : null,
    bytes: hashed('bytes', JSON.stringify(fields)),
  };
}

/** What a request led to: a task to wait for, or something that can be said at once. */
type Started = Waiting | { say: string; session: string };
/** `named`: the client says by which the same request is known, so that it finds the same task. */
type Waiting = { task: string; session: string; named: boolean };

async function start(context: GatewayContext, agent: string, input: ChatInput, identity: Identity): Promise<Started> {
  const { key, retries, bytes } = identity;
  const own =
    key === null ? context.ids.next('ses') : `ses_${hashed(key, agent, input.text, JSON.stringify(input.history))}`;
  const session = input.session ?? own;
  const command = commandOf(input.text);
  if (command) return answered(context, command, session);
  const named = input.session !== null || key !== null;
  const result = await context.runtime.deliver(
    {
      channel: HTTP_CHANNEL,
      sender: OWNER,
      agent,
      session,
      text: input.text,
      replyTo: session,
      externalId: key ?? context.ids.next('msg'),
      // A key is one for all agents and conversations: the same one must not begin a second one.
      ...(key === null ? {} : { chat: 'idempotency' }),
    },
    {
      // A key says by itself which request is meant.
      join: input.session !== null && key === null,
      again: (retries ?? 0) > 0,
      history: input.history,
      ...(named ? {} : { request: { bytes, again: (retries ?? 0) > 0 } }),
    },
  );
  if (!result.ok && result.why === 'unknown-agent')
    throw new HttpError(404, 'model_not_found', result.message, { param: 'model' });
  if (!result.ok && result.why === 'conflict' && key !== null) throw keyReused();
  const { task, note, joined } = accepted(result);
  const there = joined ? ((await context.runtime.task(task))?.session ?? session) : session;
  if (key !== null && there !== session) throw keyReused();
  // A client that waited for it would give up, and never learn why.
  if (note !== undefined) return { say: `${note} Its answer will be at /api/tasks/${task}.`, session: there };
  return { task, session: there, named: named || retries !== null };
}

const keyReused = (): HttpError =>
  new HttpError(
    422,
    'idempotency_key_reused',
    'This Idempotency-Key was sent with another request. Send a new key with each new request.',
    { param: 'Idempotency-Key' },
  );

/** Answers what a run waits for. The same answer again, as a client sends it after a cut, means the same run. */
async function answered(context: GatewayContext, command: Command, session: string): Promise<Started> {
  const result: AnswerResult =
    command.kind === 'answer'
      ? await context.runtime.answer(command.id, command.text, OWNER)
      : await context.runtime.approve(command.id, command.kind, OWNER);
  const again = !result.ok && result.why === 'answered' && (result.verdict ?? 'answer') === command.kind;
  if ((result.ok || again) && result.task !== null) {
    const outcome = await context.runtime.task(result.task);
    return { task: result.task, session: outcome?.session ?? session, named: true };
  }
  if (result.ok || again) return { say: `Done: ${command.kind} ${command.id}.`, session };
  const waits = (await context.runtime.pending()).map((wait) => wait.id).join(', ') || 'nothing';
  throw new HttpError(result.why === 'unknown' ? 404 : 409, result.why, `${result.message} Waiting now: ${waits}.`);
}

type Answered = Pick<TaskOutcome, 'text' | 'usage' | 'cut'>;

const finishOf = (cut: boolean): Finish => (cut ? 'length' : 'stop');

/** How an answer goes out. Each end resolves with true once its last byte was handed to the network. */
interface Reply {
  /** Passes on what the task says until the returned function is called. */
  follow(task: string, signal: AbortSignal): () => void;
  done(outcome: Answered): Promise<boolean>;
  fail(error: HttpError): Promise<boolean>;
  /** A model is asked again later than a request waits. Gives the error that is the answer; null: it was told, and waits on. */
  outage(wait: Outage): HttpError | null;
}

/** Models have failed since the request waits: what is wrong, and when one is asked again. */
interface Outage {
  at: number;
  text: string;
}

/**
 * Calls `told` when a model is asked again later than a client would wait for, until the returned function is called. A
 * client that comes back meanwhile is told at once.
 */
async function watchModels(
  { runtime, clock, limits }: GatewayContext,
  task: string,
  told: (outage: Outage) => void,
): Promise<() => void> {
  let since: number | null = null;
  const look = (delta: Delta): void => {
    if (delta.kind === 'text' || delta.kind === 'reasoning') since = null;
    if (delta.kind !== 'retrying' || delta.until === undefined) return;
    since ??= clock.now();
    if (delta.until > clock.now() && delta.until - since > limits.outageMs) told({ at: delta.until, text: delta.text });
  };
  const later = (await runtime.task(task))?.later;
  const unlisten = runtime.listen(task, look);
  if (later !== undefined && later.at - clock.now() > limits.outageMs) told(later);
  else for (const delta of runtime.recent(task)) look(delta);
  return unlisten;
}

/** The task goes on. Sent again by the client itself only where it is soon worth it. */
function modelDown({ clock, limits }: GatewayContext, { task, session }: Waiting, { at, text }: Outage): HttpError {
  const wait = at - clock.now();
  const seconds = Math.max(1, Math.ceil(wait / 1000));
  const message = `${sentence(text)} Task ${task} goes on in ${roughly(wait)}. The same request with the same Idempotency-Key, or in the same session, gets its answer; it will also be at /api/tasks/${task}.`;
  return new HttpError(503, 'model_unavailable', message, {
    headers: {
      'retry-after': String(seconds),
      'x-should-retry': String(seconds * 1000 <= limits.outageMs),
      'x-ruche-task': task,
      'x-ruche-session': session,
    },
  });
}

async function answerWith(context: GatewayContext, request: ApiRequest, started: Waiting, reply: Reply): Promise<void> {
  const signal = clientSignal(request, context.closing);
  const unfollow = reply.follow(started.task, signal);
  try {
    const outcome = await settled(context, started, reply, signal);
    if (outcome === null) return;
    const failure = failureOf(outcome);
    // A failure that was told is delivered too: otherwise the same words would always be answered with it.
    if (await (failure ? reply.fail(failure) : reply.done(outcome))) await markDelivered(context, outcome);
  } catch (error) {
    // Before the first byte the status line can still tell; afterwards the answer itself must.
    if (!request.outgoing.headersSent) throw error;
    if (!(error instanceof HttpError)) context.log.error({ err: error }, 'a streamed answer failed');
    await reply.fail(
      error instanceof HttpError ? error : new HttpError(500, 'internal', 'Something went wrong in Ruche.'),
    );
  } finally {
    unfollow();
  }
}

/** Null if the client went away; the run goes on without it. */
async function settled(
  context: GatewayContext,
  started: Waiting,
  reply: Reply,
  signal: AbortSignal,
): Promise<TaskOutcome | null> {
  const down = new AbortController();
  const unwatch = await watchModels(context, started.task, (outage) => {
    const error = reply.outage(outage);
    if (error !== null) down.abort(error);
  });
  try {
    const outcome = await context.runtime.settled(started.task, AbortSignal.any([signal, down.signal]));
    // One turn of the event loop, so that a hang-up that has reached this machine is seen before the answer is sent.
    await new Promise((resolve) => setImmediate(resolve));
    return outcome;
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!context.closing.aborted) return null;
    throw shuttingDown(
      `Ruche is stopping; task ${started.task} goes on after the restart. ${
        started.named
          ? 'Send the same request again for its answer.'
          : `Its answer will be at /api/tasks/${started.task}.`
      }`,
      started.named,
    );
  } finally {
    unwatch();
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

const namesOf = (started: Started): Record<string, string> => ({
  'x-ruche-session': started.session,
  ...('task' in started ? { 'x-ruche-task': started.task } : {}),
});

const whole = (context: GatewayContext, request: Exchange, started: Started, head: AnswerHead): Reply => ({
  follow: () => () => undefined,
  done: ({ text, usage, cut }) =>
    sendJson(request, 200, completion(head, text, usage, finishOf(cut)), namesOf(started)),
  fail: (error) => sendError(request, error),
  outage: (wait) => ('task' in started ? modelDown(context, started, wait) : null),
});

/** In OpenAI's form: the role first, then pieces of text as they come, then the end. */
function streamed(context: GatewayContext, request: Exchange, started: Started, head: AnswerHead): Reply {
  const stream = eventStream(request, context.limits.backlogBytes, namesOf(started));
  const parts = spokenStream();
  let begun = false;
  const send = (value: object): void => stream.send(JSON.stringify(value));
  const say = (text: string): void => {
    if (!begun) send(chunk(head, { role: 'assistant', content: '' }, null));
    begun = true;
    if (text !== '') send(chunk(head, { content: text }, null));
  };
  return {
    follow(task, signal) {
      const unlisten = context.runtime.listen(task, (delta) => {
        const text = parts.push(delta);
        if (text !== '') say(text);
      });
      const beat = heartbeat(context.clock, context.limits.heartbeatMs, stream, signal);
      return () => {
        unlisten();
        beat.abort();
      };
    },
    done({ text, usage, cut }) {
      say(parts.rest(text));
      send(chunk(head, {}, finishOf(cut)));
      if (head.usage) send(usageChunk(head, usage));
      stream.send('[DONE]');
      return stream.end();
    },
    outage({ at, text }) {
      const words = request.redact(`${sentence(text)} It goes on in ${roughly(at - context.clock.now())}.`);
      stream.comment(words);
      // Programs show it as a thought while they wait; it does not belong to the answer.
      send(chunk(head, { reasoning_content: `${words}\n` }, null));
      return null;
    },
    fail(error) {
      if (!stream.opened) return sendError(request, error);
      send(errorBody(error, request));
      return stream.end();
    },
  };
}
