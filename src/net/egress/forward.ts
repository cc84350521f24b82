import http, { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Target } from '../../core/net/host.ts';
import { inspects, overridesRequest } from '../../core/net/reach.ts';
import { dial, Refusal, type Session, placeOf, placeText, refusalOf, valuesOf } from './session.ts';
import { join } from './tunnel.ts';

/** What belongs to one connection and not to the message; besides what `Connection` names. */
const HOP_BY_HOP = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Where the message ends and whom it is for is not for `Connection` to say. */
const KEPT = new Set(['host', 'content-length', 'authorization', 'cookie', 'date']);

/** The headers that go on to the other side, flat: name, value, name, value. */
function endToEnd(message: IncomingMessage, drop: (name: string) => boolean): string[] {
  const listed = valuesOf(message, 'connection').flatMap((value) => value.toLowerCase().split(/[\s,]+/));
  const named = new Set(listed.filter((name) => !KEPT.has(name)));
  const { rawHeaders } = message;
  return rawHeaders.filter((_, index) => {
    const name = (rawHeaders[index - (index % 2)] as string).toLowerCase();
    return !HOP_BY_HOP.has(name) && !name.startsWith('proxy-') && !named.has(name) && !drop(name);
  });
}

/** Rejects what two servers could read as two requests, or as one for another host. */
function checkRequest(request: IncomingMessage, target: Target): void {
  const [host, ...more] = valuesOf(request, 'host');
  if (more.length > 0) throw new Refusal(400, 'the request has more than one Host header');
  if (host === undefined && request.httpVersion !== '1.0') throw new Refusal(400, 'the request has no Host header');
  const named = host === undefined ? target : placeOf(host, target.secure ? 443 : 80);
  if (named?.host !== target.host || named.port !== target.port)
    throw new Refusal(403, 'the Host header names another host than the request goes to', placeText(target));
  const codings = valuesOf(request, 'transfer-encoding');
  if (codings.length > 0 && (codings.length > 1 || codings[0]?.trim().toLowerCase() !== 'chunked'))
    throw new Refusal(400, 'the request has a transfer encoding other than chunked');
  if (codings.length > 0 && request.headers['content-length'] !== undefined)
    throw new Refusal(400, 'the request says twice where it ends');
  if (request.method === 'TRACE' || request.method === 'CONNECT')
    throw new Refusal(405, `${request.method} is not possible here`);
}

/** One request to one target: judged and connected by the guard. */
async function send(
  session: Session,
  request: IncomingMessage,
  target: Target,
): Promise<http.ClientRequest> {
  checkRequest(request, target);
  const { method = 'GET' } = request;
  const { pathname, search, host } = new URL(target.url);
  const { host: name, port, secure } = target;
  const tls = secure ? { alpn: ['http/1.1'] } : null;
  const socket = await dial(session, request.socket, { host: name, port, tls, http: { method, path: pathname } });
  const { only } = session.grant.forWhom();
  const listed = valuesOf(message, 'connection').flatMap((value) => value.toLowerCase().split(/[\s,]+/));
  const named = new Set(listed.filter((name) => !KEPT.has(name)));
  const { rawHeaders } = message;
  return rawHeaders.filter((_, index) => {
    const name = (rawHeaders[index - (index % 2)] as string).toLowerCase();
    return !HOP_BY_HOP.has(name) && !name.startsWith('proxy-') && !named.has(name) && !drop(name);
  });
}

/** Rejects what two servers could read as two requests, or as one for another host. */
function checkRequest(request: IncomingMessage, target: Target): void {
  const [host, ...more] = valuesOf(request, 'host');
  if (more.length > 0) throw new Refusal(400, 'the request has more than one Host header');
  if (host === undefined && request.httpVersion !== '1.0') throw new Refusal(400, 'the request has no Host header');
  const named = host === undefined ? target : placeOf(host, target.secure ? 443 : 80);
  if (named?.host !== target.host || named.port !== target.port)
    throw new Refusal(403, 'the Host header names another host than the request goes to', placeText(target));
  const codings = valuesOf(request, 'transfer-encoding');
  if (codings.length > 0 && (codings.length > 1 || codings[0]?.trim().toLowerCase() !== 'chunked'))
    throw new Refusal(400, 'the request has a transfer encoding other than chunked');
  if (codings.length > 0 && request.headers['content-length'] !== undefined)
    throw new Refusal(400, 'the request says twice where it ends');
  if (request.method === 'TRACE' || request.method === 'CONNECT')
    throw new Refusal(405, `${request.method} is not possible here`);
}

/** One request to one target: judged and connected by the guard. */
async function send(
  session: Session,
  request: IncomingMessage,
  target: Target,
): Promise<http.ClientRequest> {
  checkRequest(request, target);
  const { method = 'GET' } = request;
  const { pathname, search, host } = new URL(target.url);
  const forWhom = session.grant.forWhom();
  const socket = await session.net.dial(
    {
      host: target.host,
      port: target.port,
      tls: target.secure ? { alpn: ['http/1.1'] } : null,
      http: { method, path: pathname },
      signal,
      timeoutMs: session.bounds.connectMs,
      idleMs: session.bounds.idleMs,
      maxBytes: null,
    },
    forWhom,
  );
  const listed = inspects(only, target);
  const headers = endToEnd(request, (name) => name === 'host' || (listed && overridesRequest(name)));
  const upgrade = isUpgrade(request) ? ['connection', 'upgrade', 'upgrade', 'websocket'] : ['connection', 'close'];
  const chunked = request.headers['transfer-encoding'] === undefined ? [] : ['transfer-encoding', 'chunked'];
  return http.request({
    createConnection: () => socket,
    method,
    path: pathname + search,
    headers: ['host', host, ...headers, ...upgrade, ...chunked],
    setHost: false,
    maxHeaderSize: session.bounds.headerBytes,
    insecureHTTPParser: false,
  });
}

/** The only other protocol that a request may become. */
export const isUpgrade = ({ headers }: IncomingMessage): boolean => headers.upgrade?.trim().toLowerCase() === 'websocket';

/** Passes one request on and its answer back. Never rejects. */
export async function forward(
  session: Session,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
): Promise<void> {
  try {
    const outgoing = await send(session, request, target);
    response.once('close', () => outgoing.destroy());
    await new Promise<void>((resolve, reject) => {
      outgoing.on('error', reject);
      outgoing.once('close', resolve);
      outgoing.once('response', (answer) => {
        try {
          answerWith(session, response, answer);
        } catch (error) {
          reject(error as Error);
        }
      });
      outgoing.once('upgrade', (answer, socket, head) => switchProtocols(session, response, answer, { socket, head }));
      if (isUpgrade(request)) outgoing.end();
      else carry(session, request, outgoing);
    });
  } catch (error) {
    refuse(session, response, refusalOf(error, target));
  }
}

/** Pipes and counts; what is too much ends both. */
function carry(session: Session, from: NodeJS.ReadableStream & { destroy(): void }, to: NodeJS.WritableStream): void {
  from.on('data', (bytes: Buffer) => {
    if (!session.carried(bytes.length)) from.destroy();
  });
  from.pipe(to);
}

function answerWith(session: Session, response: ServerResponse, answer: IncomingMessage): void {
  const codings = valuesOf(answer, 'transfer-encoding');
  if (codings.some((coding) => coding.trim().toLowerCase() !== 'chunked'))
    throw new Refusal(502, 'the answer has a transfer encoding other than chunked');
  response.sendDate = false;
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer, () => false));
  // A cut answer must not look like a whole one.
  answer.once('close', () => {
    if (!answer.complete) response.destroy();
  });
  carry(session, answer, response);
}

function switchProtocols(
  session: Session,
  response: ServerResponse,
  answer: IncomingMessage,
  { socket, head }: { socket: Socket; head: Buffer },
): void {
  const client = response.socket;
  if (client === null || answer.headers.upgrade?.trim().toLowerCase() !== 'websocket') {
    socket.destroy();
    response.destroy();
    return;
  }
  const lines = endToEnd(answer, () => false).flatMap((name, index, all) => (index % 2 === 0 ? [`${name}: ${all[index + 1]}`] : []));
  response.detachSocket(client);
  client.write(
    ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', ...lines, '', ''].join('\r\n'),
    'latin1',
  );
  client.write(head);
  join(session, client, socket);
}

/** Tells the client and the agent. What has begun cannot be told any more, so it is cut. */
export function refuse(session: Session, response: ServerResponse, { status, message, what }: Refusal): void {
  if (what !== null) session.refused(what, message);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const text = `Ruche: ${message}\n`;
  response.shouldKeepAlive = false;
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
