import http, { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type HostPort, hostPortText, parseTarget } from '../../core/net/host.ts';
import { forward, isUpgrade, refuse } from './forward.ts';
import { type Inside, Refusal, type Session } from './session.ts';

/** An HTTP server with strict parsing that listens nowhere by itself. WebSockets are asked for like everything else. */
export function strictServer(session: Session, answer: http.RequestListener): http.Server {
  const { headerBytes, idleMs } = session.bounds;
  const server = http.createServer({
    insecureHTTPParser: false,
    maxHeaderSize: headerBytes,
    requireHostHeader: false,
    shouldUpgradeCallback: isUpgrade,
  });
  server.timeout = idleMs;
  server.keepAliveTimeout = idleMs;
  server.requestTimeout = 0;
  server.on('connection', (socket) => socket.on('error', () => socket.destroy()));
  server.on('request', answer);
  server.on('upgrade', (request, socket: Socket, head) => {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    if (head.length > 0) socket.unshift(head);
    answer(request, response);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const tooLong = error.code === 'HPE_HEADER_OVERFLOW';
    if (socket.writable)
      socket.end(`HTTP/1.1 ${tooLong ? 431 : 400} Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    else socket.destroy();
  });
  return server;
}

/** Requests inside tunnels: of plain HTTP, and of TLS that ends here. */
export function openInside(session: Session): Inside {
  const places = new WeakMap<object, { place: HostPort; secure: boolean }>();
  const server = strictServer(session, (request, response) => {
    const whole = places.get(request.socket);
    if (whole === undefined) return void response.destroy();
    const { place, secure } = whole;
    const path = request.url ?? '';
    const parsed = parseTarget(`${secure ? 'https' : 'http'}://${hostPortText(place)}${path}`);
    if (!path.startsWith('/') || !parsed.ok)
      return refuse(session, response, new Refusal(400, 'a request in a tunnel needs a path'));
    // What is judged and sent on must be what the client wrote.
    if (secure && new URL(parsed.target.url).pathname !== path.replace(/[?#].*$/s, ''))
      return refuse(session, response, new Refusal(400, 'a request that is looked into needs a plain path'));
    void forward(session, request, response, parsed.target);
  });
  return (client, place, secure) => {
    places.set(client, { place, secure });
    server.emit('connection', client);
    // It was paused while its first bytes were looked at.
    client.resume();
  };
}
