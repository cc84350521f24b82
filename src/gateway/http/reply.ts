import type { IncomingMessage, ServerResponse } from 'node:http';
import { unknownText } from '../../core/text/unknown.ts';
import { OVER } from '../../core/ports/clock.ts';

/** One request and its answer, as Node has them. */
export interface Exchange {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  /** Hides secrets. An error may repeat a piece of the request, such as a key that was pasted into the wrong place. */
  redact(text: string): string;
  /** Aborts when the token or session that opened the request is good no more. */
  whileGood(): AbortSignal;
}

/** A request that fits an endpoint, with the segments of its path that the table names. */
export interface ApiRequest<Name extends string = never> extends Exchange {
  params: Readonly<Record<Name, string>>;
  query: URLSearchParams;
}

/** No answer may be framed, cached, sniffed or read by another site. */
const SECURITY = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

export function head(
  outgoing: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): void {
  outgoing.writeHead(status, { ...SECURITY, ...headers });
}

/** Sends the whole answer. True once its last byte was handed to the network with the client still there. */
export function sendText(
  exchange: Exchange,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const { outgoing } = exchange;
  if (outgoing.headersSent || outgoing.destroyed) return Promise.resolve(false);
  const bytes = Buffer.from(text);
  const sent = flushed(exchange);
  head(outgoing, status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': bytes.length, ...headers });
  outgoing.end(exchange.incoming.method === 'HEAD' ? undefined : bytes);
  return sent;
}

export const sendJson = (
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<boolean> =>
  sendText(exchange, status, JSON.stringify(value), { 'content-type': 'application/json', ...headers });

/** `x-should-retry` is what OpenAI's clients obey: without it they send failed requests again by themselves. */
export const sendError = (exchange: Exchange, error: HttpError): Promise<boolean> =>
  sendJson(exchange, error.status, errorBody(error, exchange), { 'x-should-retry': 'false', ...error.headers });

/** Must be called before the answer ends. */
export function flushed({ incoming, outgoing }: Exchange): Promise<boolean> {
  const { socket } = incoming;
  return new Promise((resolve) => {
    outgoing.once('finish', () => resolve(!socket.destroyed));
    outgoing.once('close', () => resolve(false));
  });
}

/** Aborts when the client is gone, its session or token is good no more, or the gateway closes. */
export function clientSignal(exchange: Exchange, closing: AbortSignal): AbortSignal {
  const { outgoing } = exchange;
  if (outgoing.destroyed) return AbortSignal.abort(OVER);
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort(OVER));
  const ended = exchange.whileGood();
  // A stream ends by itself; one that has nothing to show yet is told why.
  ended.addEventListener('abort', () => void sendError(exchange, ACCESS_OVER), { once: true });
  return AbortSignal.any([gone.signal, ended, closing]);
}

/** What went wrong with a request, in the form every answer of the gateway has: OpenAI's error object. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: number,
    code: string,
    message: string,
    options: { param?: string; headers?: Record<string, string>; cause?: Error } = {},
  ) {
    super(message, options.cause && { cause: options.cause });
    this.name = 'HttpError';
    this.status = status;
    this.code = code;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }
}

const ACCESS_OVER = new HttpError(401, 'session_over', 'The session has ended, or the token was changed.');

/** `wait` in milliseconds. */
export const tooManyFailures = (wait: number): HttpError =>
  new HttpError(429, 'too_many_failures', 'Too many invalid tokens from this address. Try again later.', {
    headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
  });

const TYPES: Record<number, string> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  422: 'server_error',
  429: 'rate_limit_error',
};

export const errorBody = (error: HttpError, { redact }: Pick<Exchange, 'redact'>): { error: object } => ({
  error: {
    message: redact(error.message),
    type:
      error.code === 'idempotency_key_reused'
        ? 'invalid_request_error'
        : (TYPES[error.status] ?? (error.status >= 500 ? 'server_error' : 'invalid_request_error')),
    param: error.param && redact(error.param),
    code: error.code,
  },
});

/** The request is at fault; `param` is the dotted path of the field. */
export const badRequest = (message: string, param?: string): HttpError =>
  new HttpError(400, 'invalid_request', message, { param });

/** A name or an id in a path that does not exist. The command lists what does. */
export const unknownId = (kind: string, id: string): HttpError =>
  new HttpError(404, `unknown_${kind}`, unknownText(kind, id, { list: `ruche ${kind}s` }));

/** The process is going down. `rejoins`: sending the same request again finds the same work. */
export const shuttingDown = (message: string, rejoins: boolean): HttpError =>
  new HttpError(503, 'shutting_down', message, {
    headers: { 'retry-after': '1', 'x-should-retry': String(rejoins) },
  });
