import type net from 'node:net';
import type WebSocket from 'ws';
import { REFUSED_HEADERS } from '../core/net/headers.ts';
import { originOf, parseTarget, type Target } from '../core/net/host.ts';
import { entriesFor, misleading } from '../core/net/reach.ts';
import { type ForWhom, NetError, type WebSocketLink, type WebSocketRequest } from '../core/ports/net.ts';
import type { Dials } from './dial.ts';
import { netError } from './exchange.ts';

function targetOf(url: string): Target {
  const parsed = parseTarget(url.replace(/^ws(s?):/i, 'http$1:'));
  if (!parsed.ok) throw new NetError('blocked', `the connection was refused: ${parsed.reason}`);
  return parsed.target;
}

function headersOf(given: Readonly<Record<string, string>>): Record<string, string> {
  const refused = Object.keys(given).find((name) => REFUSED_HEADERS.test(name.toLowerCase()) || /^sec-/i.test(name));
  if (refused !== undefined) throw new NetError('protocol', `the header ${refused} cannot be set by a caller`);
  return { 'user-agent': 'ruche', ...given };
}

/** Loaded by the first connection: most homes have none. */
const load = async (): Promise<typeof WebSocket> => (await import('ws')).default;

/** A WebSocket over a connection of the guard: the library opens none itself, follows no redirect and unpacks nothing. */
export async function openWebSocket(
  wanted: WebSocketRequest,
  forWhom: ForWhom,
  dials: Pick<Dials, 'dial'>,
): Promise<WebSocketLink> {
  const { signal, timeoutMs, idleMs, maxMessageBytes, protocols = [] } = wanted;
  const target = targetOf(wanted.url);
  const headers = headersOf(wanted.headers ?? {});
  const past = misleading(Object.keys(headers), entriesFor(forWhom.only, target));
  if (past !== undefined)
    throw new NetError('blocked', `${originOf(target)} is blocked: the header ${past} could name another path`);
  const Client = await load();
  const url = new URL(target.url);
  const socket = await dials.dial(
    {
      host: target.host,
      port: target.port,
      tls: target.secure ? { alpn: ['http/1.1'] } : null,
      http: { method: 'GET', path: url.pathname },
      ...(signal && { signal }),
      timeoutMs,
      idleMs,
      maxBytes: null,
    },
    forWhom,
    'websocket',
  );
  const client = new Client(target.url.replace(/^http/, 'ws'), [...protocols], {
    headers,
    createConnection: () => socket,
    followRedirects: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    handshakeTimeout: timeoutMs,
  });
  const link = linkOver(client, socket, originOf(target));
  try {
    await opened(client, originOf(target));
  } catch (error) {
    client.terminate();
    socket.destroy();
    throw error;
  }
  return link;
}

const opened = (client: WebSocket, where: string): Promise<void> =>
  new Promise((resolve, reject) => {
    client.once('open', resolve);
    client.once('unexpected-response', (_request, { statusCode = 0 }) =>
      reject(
        statusCode >= 300 && statusCode < 400
          ? new NetError('redirect', `${where} redirects, which is not followed here`)
          : new NetError('protocol', `${where} answered with status ${statusCode} and no WebSocket`),
      ),
    );
    client.once('error', (error) => reject(failureOf(error, where)));
    client.once('close', () => reject(new NetError('connect', `${where} closed the connection`)));
  });

function failureOf(error: Error, where: string): NetError {
  const code = 'code' in error ? error.code : null;
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
    return new NetError('too-large', `${where} sent too long a message`);
  if (typeof code === 'string' && code.startsWith('WS_ERR_'))
    return new NetError('protocol', `${where} does not speak WebSocket as it should (${code})`);
  return netError(error, where);
}

function linkOver(client: WebSocket, socket: net.Socket, where: string): WebSocketLink {
  client.binaryType = 'nodebuffer';
  let broken: NetError | null = null;
  // What still comes after its reader has gone must not be put in the closed stream: that would throw in an event, where nobody catches.
  let left = false;
  const messages = new ReadableStream<string | Uint8Array>(
    {
      start(controller) {
        const over = (): void => {
          if (left) return;
          if (broken === null) controller.close();
          else controller.error(broken);
        };
        client.on('message', (data, binary) => {
          if (left) return;
          controller.enqueue(binary ? (data as Buffer) : (data as Buffer).toString('utf8'));
          if ((controller.desiredSize ?? 0) <= 0) client.pause();
        });
        client.on('error', (error) => (broken ??= failureOf(error, where)));
        socket.on('error', (error) => (broken ??= netError(error, where)));
        client.once('close', over);
      },
      pull: () => client.resume(),
      cancel: () => {
        left = true;
        client.terminate();
      },
    },
    { highWaterMark: 16 },
  );
  return {
    get protocol() {
      return client.protocol;
    },
    messages,
    send: (data) =>
      new Promise((resolve, reject) => {
        client.send(data, (error) => (error ? reject(failureOf(error, where)) : resolve()));
      }),
    close: (code, reason) => client.close(code, reason),
  };
}
