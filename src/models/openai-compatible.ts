import type { Clock } from '../core/clock.ts';
import { parseTarget } from '../core/host.ts';
import type { ModelError, ModelEvent, ModelPort, ModelRequest } from '../core/model.ts';
import { NO_USAGE } from '../core/model.ts';
import type { ForWhom, Net, Secrets } from '../core/ports.ts';
import { type Answer, newAnswer } from './chat-answer.ts';
import { type ErrorContext, readError, readErrorBody, retryAfter, toldError } from './chat-errors.ts';
import { badUrl, explainFlaw, netFailure, noKey, notAStream } from './chat-failures.ts';
import { chatRequest } from './chat-request.ts';

export interface OpenAiCompatibleOptions {
  /** The provider's name in `ruche.yaml`, for errors and for `Secrets`. */
  provider: string;
  /** Up to and without `/chat/completions`, usually ending in `/v1`. */
  baseUrl: string;
  /** A reference for `Secrets`; null sends no key. */
  apiKey: string | null;
  net: Net;
  secrets: Secrets;
  clock: Clock;
  /** Milliseconds without a byte; generous, since models that think are silent. Default five minutes. */
  idleMs?: number;
  /** Milliseconds to wait for usage once the answer is complete. Default ten seconds. */
  tailMs?: number;
  /** Characters of one answer. Default four million. */
  maxChars?: number;
}

type Options = Required<OpenAiCompatibleOptions>;
type Opened = { ok: true; response: Response } | { ok: false; error: ModelError };

/** Bytes on the wire for a character of answer: each token comes in some 200 bytes of JSON. */
const WIRE_FACTOR = 60;
const MAX_ERROR_BODY = 64 * 1024;

/** A model behind any URL that speaks OpenAI's chat completions: OpenAI, Ollama, llama.cpp, vLLM, LM Studio, OpenRouter … */
export function openAiCompatible(options: OpenAiCompatibleOptions): ModelPort {
  const full: Options = {
    ...options,
    idleMs: options.idleMs ?? 300_000,
    tailMs: options.tailMs ?? 10_000,
    maxChars: options.maxChars ?? 4_000_000,
  };
  return { stream: (request, signal) => stream(full, request, signal) };
}

async function* stream(options: Options, request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
  const context = errorContext(options, request.model);
  const opened = await open(options, request, context, signal);
  if (!opened.ok) {
    yield { type: 'error', error: opened.error, usage: NO_USAGE };
    return;
  }
  const answer = newAnswer({
    provider: options.provider,
    usedIds: callIds(request),
    idPrefix: `call_${request.messages.length}`,
    maxChars: options.maxChars,
  });
  const failed = yield* read(options, opened.response, answer, context, signal);
  yield* answer.end(failed, (flaw) => explainFlaw(flaw, context));
}

const callIds = (request: ModelRequest): Set<string> =>
  new Set(request.messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'call' ? [part.id] : []))));

function errorContext({ provider, baseUrl, secrets }: Options, model: string): ErrorContext {
  const url = URL.parse(baseUrl);
  return {
    provider,
    model,
    // Without a user and password that may stand in it.
    baseUrl: url ? `${url.origin}${url.pathname}` : 'its baseUrl',
    redact: (text) => secrets.redact(text),
  };
}

async function open(
  options: Options,
  request: ModelRequest,
  context: ErrorContext,
  signal: AbortSignal,
): Promise<Opened> {
  const parsed = parseTarget(`${options.baseUrl.replace(/\/+$/, '')}/chat/completions`);
  if (!parsed.ok) return { ok: false, error: badUrl(parsed.reason, context) };
  const { url, host, port } = parsed.target;
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'text/event-stream' };
  try {
    if (options.apiKey !== null)
      headers.authorization = `Bearer ${await options.secrets.resolve(options.apiKey, `provider "${options.provider}"`)}`;
  } catch (error) {
    return { ok: false, error: noKey(error, context) };
  }
  const maxTokensField = host === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens';
  const body = JSON.stringify(chatRequest(request, { provider: options.provider, maxTokensField }));
  // The owner named this very address, so it may be a private one; nothing else may be contacted.
  const address = [`${host.includes(':') ? `[${host}]` : host}:${port}`];
  const forWhom: ForWhom = { who: `model:${options.provider}`, privateHosts: address, only: address };
  const { idleMs, maxChars, net, clock } = options;
  const limits = { maxBytes: maxChars * WIRE_FACTOR, timeoutMs: null, idleMs, maxRedirects: 0 };
  try {
    signal.throwIfAborted();
    const response = await net.request({ url, method: 'POST', headers, body, signal, ...limits }, forWhom);
    if (response.ok) return { ok: true, response };
    const told = readErrorBody(response.status, await head(response));
    return { ok: false, error: toldError(told, retryAfter(response.headers, clock.now()), context) };
  } catch (error) {
    return { ok: false, error: netFailure(error, context, signal, false) };
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** Frees the socket. A body that has failed already has nothing left to free. */
const release = (reader: Reader): void => void reader.cancel().catch(() => undefined);

/** The first bytes of a body, as text; the rest is not read. */
async function head(response: Response): Promise<string> {
  if (!response.body) return '';
  const reader: Reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    while (text.length < MAX_ERROR_BODY) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    release(reader);
  }
  return text;
}

/** Reads until the answer is over. Gives what stopped it, if that was not the server's own end. */
async function* read(
  options: Options,
  response: Response,
  answer: Answer,
  context: ErrorContext,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent, ModelError | null> {
  if (!response.body) return notAStream('nothing', context);
  const { sseFeed } = await import('./sse.ts');
  const feed = sseFeed(options.maxChars * 4);
  const reader: Reader = response.body.getReader();
  const tail = new AbortController();
  let tailEnd: Promise<null> | null = null;
  try {
    while (answer.state !== 'over') {
      // A server that neither sends usage nor closes must not hold back a complete answer.
      if (answer.state === 'finished') tailEnd ??= after(options, tail.signal);
      const next = reader.read().then(({ value }) => value ?? null);
      const chunk = await (tailEnd ? Promise.race([next, tailEnd]) : next);
      signal.throwIfAborted();
      for (const data of feed.bytes(chunk)) {
        // Half an event at the end is an early end, not a lie.
        if (chunk === null && data.trim() !== '[DONE]' && parseJson(data) === null) continue;
        yield* answer.feed(data);
      }
      if (chunk === null) break;
    }
  } catch (error) {
    return netFailure(error, context, signal, true);
  } finally {
    tail.abort();
    release(reader);
  }
  return feed.any ? null : yield* wholeAnswer(feed.head, response, answer, context);
}

const after = ({ clock, tailMs }: Options, signal: AbortSignal): Promise<null> =>
  clock.sleep(tailMs, signal).then(
    () => null,
    () => null,
  );

/** A 200 without a single event: a whole answer or an error as plain JSON, or something else entirely. */
function* wholeAnswer(
  text: string,
  response: Response,
  answer: Answer,
  context: ErrorContext,
): Generator<ModelEvent, ModelError | null> {
  const body = parseJson(text);
  if (readError(body)) return toldError({ ...readErrorBody(200, text), status: null }, null, context);
  if (body !== null && typeof body === 'object' && 'choices' in body) {
    yield* answer.feed(text);
    return null;
  }
  const type = response.headers.get('content-type') ?? 'no content type';
  // The right kind of answer, or nothing at all: it ended early.
  if (type.startsWith('text/event-stream') || text.trim() === '') return null;
  return notAStream(`"${type.slice(0, 60)}"`, context);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
