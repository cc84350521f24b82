import { type Clock, OVER } from '../../core/ports/clock.ts';
import { hostKind, parseTarget, type Target } from '../../core/net/host.ts';
import { type Json, isObject } from '../../core/text/json.ts';
import { type ModelError, type ModelEvent, type ModelPort, type ModelRequest, NO_USAGE } from '../../core/model.ts';
import { type Net, onlyAt } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import { type Answer, type Draft, newAnswer, type Read } from './answer.ts';
import {
  type ErrorContext,
  type Told,
  readError,
  readErrorBody,
  retryAfter,
  toldError,
  badUrl,
  explainFlaw,
  netFailure,
  noKey,
  notAStream,
} from './errors.ts';
import type { Feed } from './feed.ts';
import type { Quirk } from './quirks.ts';
import { type Fields, parseJson } from './fields.ts';

/** What every model over HTTP takes. */
export interface HttpModelOptions {
  /** The provider's name in `ruche.yaml`, for errors and for `Secrets`. */
  provider: string;
  /** As configured; what the protocol adds to it stands in its own file. */
  baseUrl: string;
  /** A reference for `Secrets`; null sends no key. */
  apiKey: string | null;
  net: Net;
  secrets: Secrets;
  clock: Clock;
  /** Milliseconds without a byte; generous, since models that think are silent. Default five minutes, ten on one's own network. */
  idleMs?: number;
  /** What its owner has said that a model of it wants. */
  quirks?: (model: string) => readonly Quirk[];
  /** Called before a model is asked: finds out what it holds, if that is not known. Never rejects but for the signal. */
  learn?: (model: string, signal: AbortSignal) => Promise<unknown>;
  /** Milliseconds to wait for usage once the answer is complete. Default ten seconds. */
  tailMs?: number;
  /** Characters of one answer. Default four million. */
  maxChars?: number;
}

/** What sets one provider's wire apart. All of it pure, but for the loading of a feed. */
export interface Protocol {
  /** How a baseUrl usually ends, for the hint in an error. */
  urlEnd: string;
  /** Where a request is sent. */
  url(baseUrl: string, model: string): string;
  /** The headers that carry the key. */
  keyHeaders(key: string): Record<string, string>;
  headers?: Readonly<Record<string, string>>;
  body(request: ModelRequest, target: Target): Json;
  reader(draft: Draft, request: ModelRequest): Read;
  /**
   * Hears in which words a request was refused: it is sent once more if its body would now be another. Gives how to forget
   * what it has learned; null if that is nothing.
   */
  learn?(told: Told, request: ModelRequest): (() => void) | null;
  /** A whole answer as JSON without a stream: the chunks it would have been streamed as; null if it is no answer. */
  whole(body: Fields): Fields[] | null;
  /** Server-sent events unless given. `maxLine`: characters of one event. */
  feed?(maxLine: number): Promise<Feed>;
}

type Options = Required<Omit<HttpModelOptions, 'quirks' | 'learn'>>;
/** A request's body as it was sent, and where to. */
interface Sent {
  body: string;
  target: Target;
}
type Opened = ({ ok: true; response: Response } & Sent) | { ok: false; error: ModelError };

/** Bytes on the wire for a character of answer: each token comes in some 200 bytes of JSON. */
const WIRE_FACTOR = 60;
const MAX_ERROR_BODY = 64 * 1024;

/** Milliseconds. A slow machine reads a long prompt for minutes before it says a word. */
function usualIdle(baseUrl: string): number {
  const parsed = parseTarget(baseUrl);
  return parsed.ok && hostKind(parsed.target.host) !== 'public' ? 600_000 : 300_000;
}

/** A model that is asked by one POST and answers with a stream. */
export function overHttp(options: HttpModelOptions, protocol: Protocol): ModelPort {
  const full: Options = {
    ...options,
    idleMs: options.idleMs ?? usualIdle(options.baseUrl),
    tailMs: options.tailMs ?? 10_000,
    maxChars: options.maxChars ?? 4_000_000,
  };
  return { stream: (request, signal) => stream(full, protocol, request, signal) };
}

/** A baseUrl with a path after it, whether or not it ends in a slash. */
export const joinUrl = (baseUrl: string, path: string): string => `${baseUrl.replace(/\/+$/, '')}${path}`;

async function* stream(
  options: Options,
  protocol: Protocol,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const context = errorContext(options, protocol, request.model);
  const { maxChars } = options;
  const bounds = { usedIds: callIds(request), idPrefix: `call_${request.messages.length}`, maxChars };
  const lessons: Lessons = [];
  for (;;) {
    const opened = await open(options, protocol, request, { context, lessons, signal });
    if (!opened.ok) {
      yield { type: 'error', error: opened.error, usage: NO_USAGE };
      return;
    }
    const answer = newAnswer(bounds, (draft) => protocol.reader(draft, request));
    const failed = yield* read(options, protocol, opened.response, answer, context, signal);
    let told: Told | null = null;
    const end = answer.end(failed, (flaw) => {
      if (typeof flaw === 'object' && 'told' in flaw) told = flaw.told;
      return explainFlaw(flaw, context);
    });
    // Some refuse a request after a 200: in the stream, or as the whole of it.
    if (told !== null && answer.chars === 0 && learned(protocol, request, told, opened, lessons)) continue;
    yield* end;
    return;
  }
}

/** How to forget what the refusals of one request have taught. */
type Lessons = (() => void)[];

/**
 * Whether the words of a refusal make another body of the request. Where none does, nothing of it is kept: a server may
 * quote what it was sent, and a text from outside could name all that a request can do without.
 */
function learned(
  protocol: Protocol,
  request: ModelRequest,
  told: Told,
  { body, target }: Sent,
  lessons: Lessons,
): boolean {
  lessons.push(...[protocol.learn?.(told, request) ?? []].flat());
  // Another call may have learned it while this one was on its way.
  if (bodyText(protocol.body(request, target)) !== body) return true;
  for (const forget of lessons.splice(0)) forget();
  return false;
}

const callIds = (request: ModelRequest): Set<string> =>
  new Set(request.messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'call' ? [part.id] : []))));

function errorContext({ provider, baseUrl, secrets }: Options, { urlEnd }: Protocol, model: string): ErrorContext {
  const url = URL.parse(baseUrl);
  return {
    provider,
    model,
    urlEnd,
    // Without a user and password that may stand in it.
    baseUrl: url ? `${url.origin}${url.pathname}` : 'its baseUrl',
    redact: (text) => secrets.redact(text),
  };
}

async function open(
  options: Options,
  protocol: Protocol,
  request: ModelRequest,
  { context, lessons, signal }: { context: ErrorContext; lessons: Lessons; signal: AbortSignal },
): Promise<Opened> {
  const parsed = parseTarget(protocol.url(options.baseUrl, request.model));
  if (!parsed.ok) return { ok: false, error: badUrl(parsed.reason, context) };
  const { url, host, port } = parsed.target;
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'text/event-stream',
    // What is compressed arrives when the server flushes, which may be at the very end.
    'accept-encoding': 'identity',
    ...protocol.headers,
  };
  try {
    if (options.apiKey !== null) {
      const key = await options.secrets.resolve(options.apiKey, `provider "${options.provider}"`);
      Object.assign(headers, protocol.keyHeaders(key));
    }
  } catch (error) {
    return { ok: false, error: noKey(error, context) };
  }
  // The owner named this very address, so it may be a private one; nothing else may be contacted.
  const forWhom = onlyAt(`model:${options.provider}`, { host, port }, request.by);
  const { idleMs, maxChars, net, clock } = options;
  const limits = { maxBytes: maxChars * WIRE_FACTOR, timeoutMs: null, idleMs, maxRedirects: 0 };
  try {
    for (;;) {
      signal.throwIfAborted();
      const { target } = parsed;
      const body = bodyText(protocol.body(request, target));
      const response = await net.request({ url, method: 'POST', headers, body, signal, ...limits }, forWhom);
      if (response.ok) return { ok: true, response, body, target };
      const told = readErrorBody(response.status, await head(response));
      if (learned(protocol, request, told, { body, target }, lessons)) continue;
      return { ok: false, error: toldError(told, retryAfter(response.headers, clock.now()), context) };
    }
  } catch (error) {
    return { ok: false, error: netFailure(error, context, signal, false) };
  }
}

/** JSON without half characters, for which strict servers refuse the whole request: a model may write one by itself. */
function bodyText(body: Json): string {
  const text = JSON.stringify(body);
  // Halves are all that JSON.stringify writes as such an escape; those in arguments, which are JSON in JSON, look alike.
  return /\\u[dD][89a-fA-F]/.test(text) ? JSON.stringify(body, (_key, value: unknown) => wholeSigns(value)) : text;
}

function wholeSigns(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value
    .toWellFormed()
    .replaceAll(
      /\\u[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][\da-fA-F]{2})\\u[dD][c-fC-F][\da-fA-F]{2}/g,
      '\ufffd',
    );
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

async function sseFeed(maxLine: number): Promise<Feed> {
  const sse = await import('./feed.ts');
  return sse.sseFeed(maxLine);
}

/** Reads until the answer is over. Gives what stopped it, if that was not the server's own end. */
async function* read(
  options: Options,
  protocol: Protocol,
  response: Response,
  answer: Answer,
  context: ErrorContext,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent, ModelError | null> {
  if (!response.body) return notAStream('nothing', context);
  const maxLine = options.maxChars * 4;
  const feed = await (protocol.feed?.(maxLine) ?? sseFeed(maxLine));
  const reader: Reader = response.body.getReader();
  let tail = new AbortController();
  let tailEnd: Promise<null> | null = null;
  let chars = 0;
  try {
    while (answer.state !== 'over') {
      // A server that neither sends usage nor closes must not hold back a complete answer. One that says why it stops in
      // every chunk has not stopped: only silence counts.
      if (answer.state === 'finished' && (tailEnd === null || answer.chars > chars)) {
        tail.abort(OVER);
        tail = new AbortController();
        tailEnd = after(options, tail.signal);
      }
      chars = answer.chars;
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
    tail.abort(OVER);
    release(reader);
  }
  return feed.any ? null : yield* wholeAnswer(feed.head, protocol, response, answer, context);
}

const after = ({ clock, tailMs }: Options, signal: AbortSignal): Promise<null> =>
  clock.sleep(tailMs, signal).then(
    () => null,
    () => null,
  );

/** A 200 without a single event: a whole answer or an error as plain JSON, or something else entirely. */
function* wholeAnswer(
  text: string,
  protocol: Protocol,
  response: Response,
  answer: Answer,
  context: ErrorContext,
): Generator<ModelEvent, ModelError | null> {
  const body = parseJson(text);
  if (readError(body)) {
    yield* answer.feed(text);
    return null;
  }
  const chunks = isObject(body) ? protocol.whole(body) : null;
  if (chunks) {
    for (const chunk of chunks) yield* answer.feed(JSON.stringify(chunk));
    return null;
  }
  const type = response.headers.get('content-type') ?? 'no content type';
  // The right kind of answer, or nothing at all: it ended early.
  if (type.startsWith('text/event-stream') || text.trim() === '') return null;
  return notAStream(`"${type.slice(0, 60)}"`, context);
}
