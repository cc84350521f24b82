import http, { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Target } from '../../core/net/host.ts';
import { inspects, overridesRequest } from '../../core/net/reach.ts';
import { checkRequest, listForRequest, refusalOf, valuesOf } from './judge.ts';
import { dial, join, Refusal, refusalText, type Session } from './session.ts';

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

/** One request to one target: judged and connected by the guard. */
async function send(session: Session, request: IncomingMessage, target: Target): Promise<http.ClientRequest> {
  checkRequest(request, target);
  const { method = 'GET' } = request;
  const listed = inspects(listForRequest(session, target, method), target);
  const { pathname, search, host } = new URL(target.url);
  const { host: name, port, secure } = target;
  const tls = secure ? { alpn: ['http/1.1'] } : null;
  const socket = await dial(session, request.socket, { host: name, port, tls, http: { method, path: pathname } });
  const headers = endToEnd(request, (header) => header === 'host' || (listed && overridesRequest(header)));
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
export const isUpgrade = ({ headers }: IncomingMessage): boolean =>
  headers.upgrade?.trim().toLowerCase() === 'websocket';

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
        const wrong = answerWith(session, response, answer);
        if (wrong !== null) reject(wrong);
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

/** Gives what is wrong with the answer, of which nothing has gone on then. */
function answerWith(session: Session, response: ServerResponse, answer: IncomingMessage): Refusal | null {
  const codings = valuesOf(answer, 'transfer-encoding');
  if (codings.some((coding) => coding.trim().toLowerCase() !== 'chunked'))
    return new Refusal(502, 'the answer has a transfer encoding other than chunked');
  response.sendDate = false;
  response.writeHead(
    answer.statusCode ?? 502,
    answer.statusMessage,
    endToEnd(answer, () => false),
  );
  // A cut answer must not look like a whole one.
  answer.once('close', () => {
    if (!answer.complete) response.destroy();
  });
  carry(session, answer, response);
  return null;
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
  const lines = endToEnd(answer, () => false).flatMap((name, index, all) =>
    index % 2 === 0 ? [`${name}: ${all[index + 1]}`] : [],
  );
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
  const text = refusalText({ message, what });
  response.shouldKeepAlive = false;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
