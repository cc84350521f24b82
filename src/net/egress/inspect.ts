import http from 'node:http';
import { isIP, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { parseTarget, type Target } from '../../core/net/host.ts';
import type { Authority } from './certificates.ts';
import { Relay, type RelayParts, type Sender } from './relay.ts';

/** Where a connection goes. */
export interface Place {
  host: string;
  port: number;
}

/** Ends TLS of clients for places whose requests have to be looked at. */
export interface Inspector {
  /** Takes over a client's connection behind its CONNECT; the next byte is the first of TLS. */
  take(client: Socket, place: Place, sender: Sender): void;
  close(): void;
}

/** The one place that a connection is for, as its requests name it. */
const hostHeader = ({ host, port }: Place): string => {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
};

/** What a request is for, where it says so in one way only. */
function targetOf(request: http.IncomingMessage, place: Place): Target | string {
  const { url = '', headers } = request;
  const named = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  const asked = (headers.host ?? '').toLowerCase();
  if (named !== 1 || (asked !== hostHeader(place) && asked !== `${hostHeader(place)}:443`))
    return `its Host is not ${hostHeader(place)}, which the connection is for`;
  if (!url.startsWith('/')) return 'its target is no path';
  const parsed = parseTarget(`https://${hostHeader(place)}${url}`);
  if (!parsed.ok) return parsed.reason;
  // What is judged and sent would be another spelling than what the client wrote.
  if (new URL(parsed.target.url).pathname !== url.replace(/[?#].*$/s, '')) return 'its path is not a plain one';
  return parsed.target;
}

export function openInspector(authority: Authority, parts: RelayParts): Inspector {
  const contexts = new Map<string, SecureContext>();
  const clients = new Map<Socket, { relay: Relay; place: Place; sender: Sender }>();
  const contextFor = (host: string): SecureContext => {
    const known = contexts.get(host) ?? createSecureContext({ ...authority.leaf(host), minVersion: 'TLSv1.2' });
    contexts.set(host, known);
    return known;
  };
  const refuse = (socket: Socket, status: string, why: string): void => {
    clients.get(socket)?.sender.refused(why);
    socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\nruche: ${why}\n`);
  };
  const answer = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const client = clients.get(request.socket);
    if (client === undefined) return void request.socket.destroy();
    const target = targetOf(request, client.place);
    if (typeof target === 'string')
      return refuse(request.socket, '421 Misdirected Request', `the request was refused: ${target}`);
    void client.relay.pass(request, response, target);
  };
  // Never listens: it is handed connections.
  const server = http.createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
  server.on('request', answer);
  // Once the request is judged it is let go on; the server's own answer comes in the usual way.
  server.on('checkContinue', answer);
  server.on('checkExpectation', (request: http.IncomingMessage) =>
    refuse(request.socket, '417 Expectation Failed', 'the request was refused: it expects what is not known'),
  );
  for (const event of ['upgrade', 'connect'] as const)
    server.on(event, (_request: http.IncomingMessage, socket: Socket) =>
      refuse(socket, '501 Not Implemented', 'the request was refused: it asks for another protocol'),
    );
  return {
    take(client, place, sender) {
      const socket = new TLSSocket(client, {
        isServer: true,
        secureContext: contextFor(place.host),
        ALPNProtocols: ['http/1.1'],
      });
      const relay = new Relay(parts, sender, { ...place, secure: true });
      clients.set(socket, { relay, place, sender });
      socket.once('close', () => {
        clients.delete(socket);
        relay.close();
        client.destroy();
      });
      // A client that does not trust the authority, or goes away.
      socket.on('error', () => socket.destroy());
      socket.once('secure', () => {
        const { servername } = socket as TLSSocket & { servername: string | false | undefined };
        const wanted = isIP(place.host) === 0 ? place.host : undefined;
        if (typeof servername === 'string' && servername.toLowerCase() !== wanted) {
          sender.refused(`a connection was refused: it asks for ${servername} at ${place.host}`);
          socket.destroy();
        } else server.emit('connection', socket);
      });
    },
    close: () => {
      for (const socket of clients.keys()) socket.destroy();
      server.close();
    },
  };
}
