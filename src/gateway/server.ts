import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';
import { hostPortText } from '../core/net/host.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Runtime } from '../core/api/runtime.ts';
import type { CostDesk } from '../core/api/costs.ts';
import type { PolicyDesk } from '../core/api/policy.ts';
import type { SecretsDesk } from '../core/api/secrets.ts';
import type { ModelDesk, Views } from '../core/api/views.ts';
import { failureLimit, isLoopback, refuseToListen } from './http/access.ts';
import { admission, Passes } from './admission.ts';
import { ENTER_PATH, loginLink } from './api/login.ts';
import { openLogins, type SessionKeep } from './http/logins.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './http/context.ts';
import { Pace } from './http/pace.ts';
import { errorBody, type Exchange, HttpError, sendError } from './http/reply.ts';
import { routes } from './routes.ts';

export interface GatewayOptions {
  runtime: Runtime;
  /** Where `/api/events` reads. */
  store: Pick<Store, 'follow' | 'head'>;
  /** The token as it is now: it may be changed while the gateway listens. */
  token: () => string;
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Further names (`host` or `host:port`, as in the Host header) the gateway answers to, for a proxy before it. */
  hosts?: readonly string[];
  /** The origin under which a proxy serves it, as the settings have it now; null without one. */
  publicUrl?: () => string | null;
  /** What the web page reads. */
  views?: Views;
  /** The models and how to have one. */
  desk?: ModelDesk;
  /** What the network costs. */
  costs?: CostDesk;
  /** What the rules say of calls. */
  policy?: PolicyDesk;
  /** The secrets of home. */
  vault?: SecretsDesk;
  /** Where sessions of browsers are kept, and what their names are made of; none: only the token opens. */
  sessions?: { keep: SessionKeep; bytes(length: number): Uint8Array };
  /** Folder of the web page. */
  web?: string;
  /** For the commands of this home, which must not take another program for its gateway. */
  local?: LocalAccess;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** Hides secrets: errors go through it. */
  redact(text: string): string;
  limits?: Partial<GatewayLimits>;
}

export interface LocalAccess {
  /** Where it listens besides, in a folder that nobody else can enter; null where no socket can be. */
  socket: string | null;
  /** Proves whose the port is to those who know it. */
  proof: string;
}

export interface Gateway {
  /** `http://127.0.0.1:4747`. */
  url: string;
  port: number;
  /** Whether it listens on the socket. */
  local: boolean;
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
  const refusal = refuseToListen(options.host, options.token());
  if (refusal !== null) throw new GatewayRefused('token', refusal);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const closing = new AbortController();
  const { token, clock, log, redact, publicUrl = () => null } = options;
  const passes = new Passes(clock, closing.signal);
  const pace = new Pace(clock, limits, closing.signal);
  const ended = (): void => passes.look();
  const logins = options.sessions ? await openLogins({ ...options.sessions, token, clock, log, ended }) : null;
  const failures = failureLimit(limits.failures);
  const respond = routes({
    views: options.views ?? null,
    desk: options.desk ?? null,
    costs: options.costs ?? null,
    policy: options.policy ?? null,
    secrets: options.vault ?? null,
    logins,
    web: options.web ?? null,
    proof: options.local?.proof ?? null,
    runtime: options.runtime,
    events: options.store,
    clock: options.clock,
    ids: options.ids,
    log: options.log,
    limits,
    failures,
    publicUrl,
    address: () => ({ url: address(server, options.host), exposed: !isLoopback(options.host) }),
    refused: new Map(),
    closing: closing.signal,
  });
  const admit = admission({ ...options, publicUrl, logins, failures, changed: ended });
  const open = (): Server => serve({ limits, closing: closing.signal, admit, passes, pace, respond, redact });

  const server = open();
  await listen(server, options);
  const local = options.local ? await listenLocally(open(), options.local.socket, log) : null;
  const { port } = server.address() as AddressInfo;
  const url = address(server, options.host);
  return {
    url,
    port,
    local: local !== null,
    loginLink: () => logins && loginLink(publicUrl() ?? url, logins),
    async close() {
      const servers = local === null ? [server] : [server, local];
      await Promise.all(servers.map((each) => close(each, closing, limits.closeMs, clock)));
    },
  };
}

function address(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${hostPortText({ host, port })}`;
}

interface Serving {
  limits: GatewayLimits;
  closing: AbortSignal;
  admit: ReturnType<typeof admission>;
  passes: Passes;
  pace: Pace;
  respond: ReturnType<typeof routes>;
  redact(text: string): string;
}

/** A server that listens nowhere yet. Each counts for itself, so that none takes the places of another. */
function serve({ limits, closing, admit, passes, pace, respond, redact }: Serving): Server {
  let underWay = 0;
  const unproved = new Set<IncomingMessage>();
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      // A time for the whole request would refuse large files of slow lines: `Pace` bounds bodies.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
    },
    (incoming: IncomingMessage, outgoing: ServerResponse) => {
      underWay += 1;
      outgoing.once('close', () => {
        underWay -= 1;
        unproved.delete(incoming);
        // Its connection is kept for a next request, which will not come any more.
        if (closing.aborted) setImmediate(() => server.closeIdleConnections());
      });
      const judged = underWay > limits.requests ? overloaded() : admit(incoming);
      // Those who bring a code slowly must not take the places of those who are logged in. Hooks count their own.
      const isCode = incoming.method === 'POST' && incoming.url?.split('?')[0] === ENTER_PATH;
      if (isCode) unproved.add(incoming);
      const admitted = isCode && unproved.size > limits.unproved ? overloaded() : judged;
      const holds = admitted instanceof HttpError ? () => false : admitted.holds;
      const exchange = { incoming, outgoing, redact, whileGood: () => passes.hold(holds, outgoing) };
      const proved = !(admitted instanceof HttpError) && admitted.proved;
      pace.watch(incoming, proved, () => void refuseLate(exchange));
      if (admitted instanceof HttpError) void sendError(exchange, admitted);
      else void respond(exchange);
    },
  );
  boundConnections(server, limits.connections);
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex) => {
    const admitted = admit(incoming);
    const refused = new HttpError(426, 'no_upgrade', 'No other protocol is supported here.');
    endRaw(socket, admitted instanceof HttpError ? admitted : refused, { redact });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => endRaw(socket, protocolError(error), { redact }));
  return server;
}

/** The rest of the body is not waited for: the connection goes with the answer. */
async function refuseLate(exchange: Exchange): Promise<void> {
  const late = new HttpError(408, 'timeout', 'The request took too long.', { headers: { connection: 'close' } });
  await sendError(exchange, late);
  exchange.incoming.destroy();
}

const overloaded = (): HttpError =>
  new HttpError(503, 'overloaded', 'Too many requests at once. Send it again later.', {
    headers: { 'retry-after': '1', 'x-should-retry': 'true' },
  });

function protocolError(error: NodeJS.ErrnoException): HttpError {
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return new HttpError(431, 'headers_too_large', 'The headers are too large.');
  // Node's own, for the headers.
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

/** Null where the file system or the length of the path forbids it: then commands ask whose the port is. */
async function listenLocally(server: Server, path: string | null, log: Log): Promise<Server | null> {
  if (path === null) return null;
  try {
    // One that a crash has left: the home is locked, so nobody listens there.
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(path, 0o600);
    return server;
  } catch (error) {
    log.warn({ path, error: String(error) }, 'no socket can be made in the home: commands use the port');
    server.close();
    return null;
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

/**
 * Keeps room for those who ask. Beyond the limit, the connection that has been there longest without a request is closed,
 * so that connections on which nothing is ever asked block nobody. Where all are at work, the new one is closed.
 */
function boundConnections(server: Server, limit: number): void {
  const all = new Set<Socket>();
  const idle = new Set<Socket>();
  server.on('connection', (socket) => {
    if (all.size >= limit) {
      const oldest = idle.values().next().value;
      if (oldest === undefined) {
        socket.destroy();
        return;
      }
      forget(oldest);
      oldest.destroy();
    }
    all.add(socket);
    idle.add(socket);
    socket.once('close', () => forget(socket));
  });
  server.on('request', ({ socket }, outgoing) => {
    idle.delete(socket);
    outgoing.once('close', () => {
      if (all.has(socket)) idle.add(socket);
    });
  });
  const forget = (socket: Socket): void => {
    all.delete(socket);
    idle.delete(socket);
  };
}
