import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { ModelDesk, Views } from '../core/api/views.ts';
import { failureLimit, refuseStranger, refuseToListen, tokenCheck } from './http/access.ts';
import { HOOKS } from './api/hooks.ts';
import { loginLink } from './api/login.ts';
import { openLogins, type Logins, type SessionKeep } from './http/logins.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './http/context.ts';
import { errorBody, HttpError, sendError } from './http/reply.ts';
import { isOpen, routes } from './routes.ts';

export interface GatewayOptions {
  runtime: Runtime;
  /** Where `/api/events` reads. */
  store: Pick<Store, 'follow' | 'head'>;
  token: string;
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Further names (`host` or `host:port`, as in the Host header) the gateway answers to, for a proxy before it. */
  hosts?: readonly string[];
  /** What the web page reads. */
  views?: Views;
  /** The models and how to have one. */
  desk?: ModelDesk;
  /** Where sessions of browsers are kept, and what their names are made of; none: only the token opens. */
  sessions?: { keep: SessionKeep; bytes(length: number): Uint8Array };
  /** Folder of the web page. */
  web?: string;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** Hides secrets: errors go through it. */
  redact(text: string): string;
  limits?: Partial<GatewayLimits>;
}

export interface Gateway {
  /** `http://127.0.0.1:4747`. */
  url: string;
  port: number;
  /** A link that logs one browser in, once, within ten minutes; null where there are no sessions. */
  loginLink(): string | null;
  /** Ends streams and waits, lets answers go out, and closes every connection; resolves within `limits.closeMs`. */
  close(): Promise<void>;
}

/** The gateway did not start, for a reason a person can mend. */
export class GatewayRefused extends Error {
  readonly code: 'token' | 'port-taken' | 'address';
  constructor(code: GatewayRefused['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GatewayRefused';
    this.code = code;
  }
}

/** Resolves once it listens; rejects with `GatewayRefused`. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const refusal = refuseToListen(options.host, options.token);
  if (refusal !== null) throw new GatewayRefused('token', refusal);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const closing = new AbortController();
  const { token, clock, log, redact } = options;
  const logins = options.sessions ? await openLogins({ ...options.sessions, token, clock, log }) : null;
  const respond = routes({
    views: options.views ?? null,
    desk: options.desk ?? null,
    logins,
    web: options.web ?? null,
    runtime: options.runtime,
    events: options.store,
    clock: options.clock,
    ids: options.ids,
    log: options.log,
    limits,
    closing: closing.signal,
  });
  const admit = admission(options, logins, limits);
  let underWay = 0;

  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
    },
    (incoming: IncomingMessage, outgoing: ServerResponse) => {
      underWay += 1;
      outgoing.once('close', () => {
        underWay -= 1;
        // Its connection is kept for a next request, which will not come any more.
        if (closing.signal.aborted) setImmediate(() => server.closeIdleConnections());
      });
      const refused =
        underWay > limits.requests
          ? new HttpError(503, 'overloaded', 'Too many requests at once. Send it again later.', {
              headers: { 'retry-after': '1', 'x-should-retry': 'true' },
            })
          : admit(incoming);
      const exchange = { incoming, outgoing, redact };
      if (refused) void sendError(exchange, refused);
      else void respond(exchange);
    },
  );
  server.maxConnections = limits.connections;
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex) => {
    const refused = admit(incoming) ?? new HttpError(426, 'no_upgrade', 'No other protocol is supported here.');
    endRaw(socket, refused, options);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => endRaw(socket, protocolError(error), options));

  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const name = options.host.includes(':') ? `[${options.host}]` : options.host;
  const url = `http://${name}:${port}`;
  return {
    url,
    port,
    loginLink: () => logins && loginLink(url, logins),
    close: () => close(server, closing, limits.closeMs, options.clock),
  };
}

/** The gate before every endpoint: where the request was sent, from which page, and by whom. Null admits it. */
function admission(
  options: GatewayOptions,
  logins: Logins | null,
  limits: GatewayLimits,
): (incoming: IncomingMessage) => HttpError | null {
  // A name it was told to listen on is one it is called by.
  const own = isIP(options.host) === 0 ? [options.host] : [];
  const names = [...own, ...(options.hosts ?? [])].map((name) => name.toLowerCase());
  const isToken = tokenCheck(options.token);
  const failures = failureLimit(limits.failures);
  return (incoming) => {
    const path = (incoming.url ?? '').split('?')[0] ?? '';
    // Its sender proves itself by a secret of its own, wherever it was sent to: a tunnel's name is no name of ours.
    if (path.startsWith(HOOKS)) return null;
    const open = isOpen(incoming.method, path, options.web !== undefined);
    const stranger = refuseStranger(incoming, names, open && incoming.method !== 'POST');
    if (stranger) return stranger;
    const { authorization, cookie: header } = incoming.headers;
    const cookie = authorization === undefined ? (logins?.cookieIn(header) ?? null) : null;
    if (open && incoming.method !== 'POST') return null;
    const guess = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (guess === undefined && cookie === null && !open)
      return unauthorised(
        'Send the token as "Authorization: Bearer TOKEN", or log in with the link that "ruche up" prints.',
      );
    if (cookie !== null && isForeign(incoming)) return originNeeded();
    // The peer is what the socket says: forwarding headers can be written by anyone.
    const peer = incoming.socket.remoteAddress ?? '';
    const wait = failures.pay(peer, options.clock.now());
    if (wait > 0)
      return new HttpError(429, 'too_many_failures', 'Too many invalid tokens from this address. Try again later.', {
        headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
      });
    // A code is looked at where it is exchanged; that it was paid for limits guessing.
    if (open) return null;
    if (cookie !== null && logins?.until(cookie) === null) return sessionOver(logins);
    if (guess !== undefined && !isToken(guess))
      return unauthorised('Invalid token. It is in the file "token" of the home.');
    failures.refund(peer);
    return null;
  };
}

/** A browser adds the cookie to whatever a page sends, so a change must name the page it comes from: ours, or `refuseStranger` ends it. */
const isForeign = ({ method, headers }: IncomingMessage): boolean =>
  method !== 'GET' && method !== 'HEAD' && headers.origin === undefined;

const originNeeded = (): HttpError =>
  new HttpError(403, 'origin_needed', 'A request with a session that changes something needs an Origin header.');

const sessionOver = (logins: Logins): HttpError =>
  new HttpError(401, 'session_over', 'The session has ended. Log in with a new link: ruche login.', {
    headers: { 'set-cookie': logins.gone },
  });

const unauthorised = (message: string): HttpError =>
  new HttpError(401, 'unauthorised', message, { headers: { 'www-authenticate': 'Bearer' } });

function protocolError(error: NodeJS.ErrnoException): HttpError {
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return new HttpError(431, 'headers_too_large', 'The headers are too large.');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new HttpError(408, 'timeout', 'The request took too long.');
  return new HttpError(400, 'bad_request', 'This is not HTTP.');
}

/** Answers on a socket that has no response object, and closes it. */
function endRaw(socket: Duplex, error: HttpError, to: Pick<GatewayOptions, 'redact'>): void {
  socket.on('error', () => socket.destroy()); // the peer may be gone already
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(errorBody(error, to));
  socket.end(
    `HTTP/1.1 ${error.status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

async function listen(server: Server, options: GatewayOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new GatewayRefused(
        'port-taken',
        `Port ${options.port} on ${options.host} is in use by another program. Stop it, or choose another port with --port (0 takes any free one).`,
        { cause: error },
      );
    throw new GatewayRefused(
      'address',
      `Cannot listen on ${options.host}:${options.port} (${code ?? String(error)}). Choose another --host or --port.`,
      { cause: error },
    );
  }
}

async function close(server: Server, closing: AbortController, graceMs: number, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  closing.abort();
  server.closeIdleConnections();
  const done = new AbortController();
  const late = clock.sleep(graceMs, done.signal).then(
    () => server.closeAllConnections(),
    () => undefined,
  );
  await Promise.race([closed, late]);
  done.abort();
  await closed;
}
