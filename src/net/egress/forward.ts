import http, { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Transform } from 'node:stream';
import { hostPortText, type Target } from '../../core/net/host.ts';
import { entriesFor, misleading } from '../../core/net/reach.ts';
import type { Scrub } from '../../core/ports/injection.ts';
import { type Credited, plainBody, scrubbedBody, scrubbedHeaders, withCredentials } from './credentials.ts';
import { checkRequest, hasBody, listForRequest, refusalOf, valuesOf } from './judge.ts';
import { dial, joinBoth, Refusal, refusalText, type Session } from './session.ts';

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

interface Sending {
  outgoing: http.ClientRequest;
  credited: Credited;
}

/** One request to one target: judged and connected by the guard. */
async function send(session: Session, request: IncomingMessage, target: Target): Promise<Sending> {
  checkRequest(request, target);
  const { method = 'GET' } = request;
  const entries = entriesFor(listForRequest(session, target, method), target);
  const { pathname, search, host } = new URL(target.url);
  const { host: name, port, secure } = target;
  const tls = secure ? { alpn: ['http/1.1'] } : null;
  const flat = endToEnd(request, (header) => header === 'host');
  const past = misleading(Object.keys(request.headers), entries);
  if (past !== undefined)
    throw new Refusal(403, `the header ${past} could name another method or path`, hostPortText(target));
  const credited = await withCredentials(session, { target, method, flat });
  if (credited.scrub !== null && isUpgrade(request))
    throw new Refusal(403, 'a secret is bound to it, and a WebSocket cannot be looked through', hostPortText(target));
  const socket = await dial(session, request.socket, { host: name, port, tls, http: { method, path: pathname } });
  const upgrade = isUpgrade(request) ? ['connection', 'upgrade', 'upgrade', 'websocket'] : ['connection', 'close'];
  const chunked = request.headers['transfer-encoding'] === undefined ? [] : ['transfer-encoding', 'chunked'];
  const outgoing = http.request({
    createConnection: () => socket,
    method,
    path: pathname + search,
    headers: ['host', host, ...credited.headers, ...upgrade, ...chunked],
    setHost: false,
    maxHeaderSize: session.bounds.headerBytes,
    insecureHTTPParser: false,
  });
  return { outgoing, credited };
}

/** The only other protocol that a request may become; not one with a body, whose end the other side could read elsewhere. */
export const isUpgrade = (request: IncomingMessage): boolean =>
  request.headers.upgrade?.trim().toLowerCase() === 'websocket' && !hasBody(request);

/** Passes one request on and its answer back. Never rejects. */
export async function forward(
  session: Session,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
): Promise<void> {
  try {
    const { outgoing, credited } = await send(session, request, target);
    response.once('close', () => outgoing.destroy());
    await new Promise<void>((resolve, reject) => {
      outgoing.on('error', reject);
      outgoing.once('close', resolve);
      // What is thrown here would end the runtime: another server must not be able to do that by an odd status line.
      const safely = (work: () => Refusal | null): void => {
        try {
          const wrong = work();
          if (wrong !== null) reject(wrong);
        } catch {
          reject(new Refusal(502, 'the answer is no valid HTTP'));
        }
      };
      outgoing.once('response', (answer) =>
        safely(() => answerWith(session, response, answer, { scrub: credited.scrub, failed: reject })),
      );
      outgoing.once('upgrade', (answer, socket, head) =>
        safely(() => {
          if (isUpgrade(request)) return switchProtocols(session, response, answer, { socket, head });
          // What was not asked for is not looked through either.
          socket.destroy();
          return new Refusal(502, 'the other side switched to another protocol, which was not asked for');
        }),
      );
      if (isUpgrade(request)) outgoing.end();
      else carry(session, request, outgoing, { transform: credited.body(), failed: reject });
    });
  } catch (error) {
    refuse(session, response, refusalOf(error, target));
  }
}

/** What a body goes through on its way, and who hears that it must not go on. */
interface Through {
  transform: Transform;
  failed(error: Error): void;
}

/** Pipes and counts; what is too much ends both. */
function carry(
  session: Session,
  from: NodeJS.ReadableStream & { destroy(): void },
  to: NodeJS.WritableStream,
  through: Through | null = null,
): void {
  from.on('data', (bytes: Buffer) => {
    if (!session.carried(bytes.length)) from.destroy();
  });
  if (through === null) return void from.pipe(to);
  through.transform.once('error', through.failed);
  from.pipe(through.transform).pipe(to);
}

const NULL_BODY = new Set([204, 304]);

/** Gives what is wrong with the answer, of which nothing has gone on then. */
function answerWith(
  session: Session,
  response: ServerResponse,
  answer: IncomingMessage,
  { scrub, failed }: { scrub: Scrub | null; failed: (error: Error) => void },
): Refusal | null {
  const codings = valuesOf(answer, 'transfer-encoding');
  if (codings.some((coding) => coding.trim().toLowerCase() !== 'chunked'))
    return new Refusal(502, 'the answer has a transfer encoding other than chunked');
  const { statusCode: status = 502, statusMessage: said = '' } = answer;
  // Without the headers of one this does not switch, and what follows would be taken for one by the client alone.
  if (status === 101) return new Refusal(502, 'the other side switched to another protocol, which was not asked for');
  const headers = endToEnd(answer, () => false);
  const bodiless = response.req.method === 'HEAD' || NULL_BODY.has(status);
  const transform = scrub === null || bodiless ? null : scrubbedBody(scrub, answer);
  if (transform instanceof Refusal) return transform;
  response.sendDate = false;
  response.writeHead(status, scrub?.text(said) ?? said, scrub === null ? headers : scrubbedHeaders(scrub, headers));
  // A cut answer must not look like a whole one.
  answer.once('close', () => {
    if (!answer.complete) response.destroy();
  });
  // What it is unpacked to counts: a little can become very much. It may be found broken after all of it has come.
  const body = transform === null ? answer : plainBody(answer, response);
  carry(session, body, response, transform && { transform, failed });
  return null;
}

function switchProtocols(
  session: Session,
  response: ServerResponse,
  answer: IncomingMessage,
  { socket, head }: { socket: Socket; head: Buffer },
): null {
  const client = response.socket;
  if (client === null || answer.headers.upgrade?.trim().toLowerCase() !== 'websocket') {
    socket.destroy();
    response.destroy();
    return null;
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
  joinBoth(session, client, socket);
  return null;
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
  // Said outright, as the words of an odd answer may stand there.
  response.writeHead(status, http.STATUS_CODES[status] ?? 'Refused', {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
