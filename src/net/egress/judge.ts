import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type HostPort, hostPortText, parseTarget, type Target } from '../../core/net/host.ts';
import { connectionTo, type Reach, reachesHost, reachVerdict } from '../../core/net/reach.ts';
import { NetError } from '../../core/ports/net.ts';
import type { Opening } from './opening.ts';
import { Refusal, type Session } from './session.ts';

const STATUS: Readonly<Partial<Record<NetError['code'], number>>> = { blocked: 403, timeout: 504 };

/** What the client is told of a failure. Its text is the guard's, which holds no path and no header. */
export function refusalOf(error: unknown, place: HostPort): Refusal {
  if (error instanceof Refusal) return error;
  if (!(error instanceof NetError)) return new Refusal(502, `${hostPortText(place)} cannot be reached`);
  return new Refusal(STATUS[error.code] ?? 502, error.message, error.code === 'blocked' ? hostPortText(place) : null);
}

/** Names and IPv4 addresses in ASCII, as they stand on the wire: nothing that one program could read otherwise than another. */
const AUTHORITY = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/;

/** Reads `host:port`; null for anything else. `port`: where none is named; null if one must be. */
export function placeOf(authority: string, port: 80 | 443 | null): HostPort | null {
  if (!AUTHORITY.test(authority) || (port === null && !/:\d+$/.test(authority.replace(/^\[.*\]/, '')))) return null;
  // The scheme gives the port where none is named.
  const parsed = parseTarget(`${port === 80 ? 'http' : 'https'}://${authority}/`);
  if (!parsed.ok || parsed.target.port < 1 || parsed.target.port > 65_535) return null;
  return { host: parsed.target.host, port: parsed.target.port };
}

/** Values of a header as they came, however often. */
export const valuesOf = ({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;

/** Rejects what two servers could read as two requests, or as one for another host. */
export function checkRequest(request: IncomingMessage, target: Target): void {
  const [host, ...more] = valuesOf(request, 'host');
  if (more.length > 0) throw new Refusal(400, 'the request has more than one Host header');
  if (host === undefined && request.httpVersion !== '1.0') throw new Refusal(400, 'the request has no Host header');
  const named = host === undefined ? target : placeOf(host, target.secure ? 443 : 80);
  if (named?.host !== target.host || named.port !== target.port)
    throw new Refusal(403, 'the Host header names another host than the request goes to', hostPortText(target));
  const codings = valuesOf(request, 'transfer-encoding');
  if (codings.length > 0 && (codings.length > 1 || codings[0]?.trim().toLowerCase() !== 'chunked'))
    throw new Refusal(400, 'the request has a transfer encoding other than chunked');
  if (codings.length > 0 && request.headers['content-length'] !== undefined)
    throw new Refusal(400, 'the request says twice where it ends');
  if (request.method === 'TRACE' || request.method === 'CONNECT')
    throw new Refusal(405, `${request.method} is not possible here`);
}

const ASKS = 'a person is asked for it each time, which a command cannot do: use fetch';

/** A port that an entry names is meant for whatever is spoken there. */
const namesPort = (only: readonly Reach[], place: HostPort): boolean =>
  only.some((reach) => reach.verdict === 'allow' && reach.ports !== null && reachesHost(reach, place));

/**
 * The list as it is now. Throws what the guard cannot know: that a rule of the owner denies the place, and that nobody can be
 * asked. A place that the list does not have is left to the guard, which keeps a record of what it refuses.
 */
function listFor({ grant }: Session, place: HostPort, asks: (only: readonly Reach[]) => boolean): readonly Reach[] {
  const only = grant.forWhom().only ?? [];
  if (!only.some((reach) => reachesHost(reach, place))) return only;
  const denied = grant.denied(place) ?? (asks(only) ? ASKS : null);
  if (denied !== null) throw new Refusal(403, denied, hostPortText(place));
  return only;
}

/** The list for one request. */
export const listForRequest = (session: Session, { host, port, url }: Target, method: string): readonly Reach[] =>
  listFor(session, { host, port }, (only) => {
    const http = { method, path: new URL(url).pathname };
    return reachVerdict(only, { host, port, http }) === 'ask';
  });

/** How a connection to a place may be used. */
export interface Leave {
  only: readonly Reach[];
  /** Every request on it is looked at. */
  looked: boolean;
}

export function leaveFor(session: Session, place: HostPort): Leave {
  const only = listFor(session, place, (list) => connectionTo(list, place) === null);
  const looked = connectionTo(only, place) === 'inspect' || session.tls?.needs(place) === true;
  if (looked && session.tls === null)
    throw new Refusal(
      403,
      'the network list names methods or paths for it, and nobody can look into an encrypted connection here',
      hostPortText(place),
    );
  return { only, looked };
}

/** What must not be said first in a tunnel to this host; null if it may go on. */
export function wrongOpening(opening: Opening, { only, looked }: Leave, place: HostPort): string | null {
  if (opening.kind === 'bad') return `what the command says there cannot be read: ${opening.why}`;
  if (opening.kind === 'tls') {
    const { name } = opening;
    if (name === place.host || (name === null && isIP(place.host) !== 0)) return null;
    return name === null
      ? 'the TLS connection does not say which server it is for (SNI)'
      : `the TLS connection asks for another server, ${name}`;
  }
  if (opening.kind === 'other' && (looked || !namesPort(only, place)))
    return 'only HTTP and TLS are possible there; an entry under network that names the port opens it for other protocols';
  return null;
}
