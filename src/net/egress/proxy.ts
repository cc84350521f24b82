import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { parseTarget } from '../../core/net/host.ts';
import { forward, refuse } from './forward.ts';
import { openInside, strictServer } from './inside.ts';
import { hasBody, valuesOf } from './judge.ts';
import { Refusal, type Session } from './session.ts';
import { AUTHENTICATE, refuseTunnel, tunnel } from './tunnel.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** True if the request carries the token of the command, once. */
function knows(request: IncomingMessage, expected: Buffer): boolean {
  const [given, ...more] = valuesOf(request, 'proxy-authorization');
  const credentials = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(given ?? '')?.[1];
  if (credentials === undefined || more.length > 0) return false;
  return timingSafeEqual(digest(Buffer.from(credentials, 'base64').toString('latin1')), expected);
}

const UNKNOWN = new Refusal(407, 'this proxy belongs to one command, and its token is missing or another one');

/** The proxy of one command: it speaks HTTP/1.1 on whatever it is made to listen on. */
export function openProxy(session: Session, token: string): Server {
  const expected = digest(`ruche:${token}`);
  const inside = openInside(session);
  const server = strictServer(session, (request, response) => {
    if (!knows(request, expected)) {
      response.setHeader(...AUTHENTICATE);
      return refuse(session, response, UNKNOWN);
    }
    const url = request.url ?? '';
    const parsed = parseTarget(url);
    if (url.startsWith('/') || !parsed.ok)
      return refuse(
        session,
        response,
        new Refusal(
          400,
          `this is a proxy, and the request is not one for it${parsed.ok || url.startsWith('/') ? '' : `: ${parsed.reason}`}`,
        ),
      );
    if (parsed.target.secure) return refuse(session, response, new Refusal(400, 'https goes through CONNECT'));
    void forward(session, request, response, parsed.target);
  });
  server.maxConnections = session.bounds.connections;
  server.on('drop', () => session.refused('a connection', `a command may have ${session.bounds.connections} at once`));
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    client.on('error', () => client.destroy());
    if (!knows(request, expected)) return refuseTunnel(session, client, UNKNOWN);
    if (hasBody(request)) return refuseTunnel(session, client, new Refusal(400, 'CONNECT has no body'));
    if (head.length > 0) client.unshift(head);
    void tunnel(session, request, client, inside);
  });
  return server;
}
