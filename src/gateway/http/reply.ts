import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorBody, type HttpError } from './errors.ts';

/** One request and its answer, as Node has them. */
export interface Exchange {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
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
  sendJson(exchange, error.status, errorBody(error), { 'x-should-retry': 'false', ...error.headers });

/** Must be called before the answer ends. */
export function flushed({ incoming, outgoing }: Exchange): Promise<boolean> {
  const { socket } = incoming;
  return new Promise((resolve) => {
    outgoing.once('finish', () => resolve(!socket.destroyed));
    outgoing.once('close', () => resolve(false));
  });
}

/** Aborts when the client is gone or the gateway closes. */
export function clientSignal({ outgoing }: Exchange, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  if (outgoing.destroyed) gone.abort();
  outgoing.once('close', () => gone.abort());
  return AbortSignal.any([gone.signal, closing]);
}
