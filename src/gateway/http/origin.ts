import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { HttpError } from './errors.ts';
import { isLoopback } from './token.ts';

/** The part of a request that says where it was sent and from which page. */
export type Knock = Pick<IncomingMessage, 'url' | 'headers' | 'rawHeaders'> & {
  socket: { localAddress?: string | undefined };
};

const forbidden = (code: string, message: string): HttpError => new HttpError(403, code, message);

/**
 * Refuses what a web page of someone else can make a browser send: a name that was rebound to this address, another
 * origin, a cross-site request. Only the socket and the configuration decide which names are ours: the Host header never
 * vouches for an Origin, and forwarding headers are not read at all. `page`: it asks for the web page.
 */
export function refuseStranger(knock: Knock, names: readonly string[], page = false): HttpError | null {
  if (!knock.url?.startsWith('/')) return new HttpError(400, 'bad_target', 'The request target must be a path.');
  const host = onlyHost(knock);
  if (host === null) return new HttpError(400, 'bad_host', 'The request must carry exactly one Host header.');
  if (!isOurs(host, knock, names))
    return forbidden(
      'wrong_host',
      `This gateway does not answer to the name in the Host header. Use the address printed by "ruche up", use the machine's numeric address, or start with --host and that name.`,
    );
  const { origin } = knock.headers;
  if (origin !== undefined && origin !== `http://${host}` && !(names.includes(host) && origin === `https://${host}`))
    return forbidden('wrong_origin', 'Requests from another origin are refused.');
  const site = knock.headers['sec-fetch-site'];
  // Somebody followed a link to the page: it holds no data, and what it asks for then comes from itself.
  const visit = page && knock.headers['sec-fetch-mode'] === 'navigate';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !visit)
    return forbidden('cross_site', 'Requests from other sites are refused.');
  return null;
}

function onlyHost(knock: Knock): string | null {
  let count = 0;
  for (let i = 0; i < knock.rawHeaders.length; i += 2) if (knock.rawHeaders[i]?.toLowerCase() === 'host') count += 1;
  return count === 1 ? (knock.headers.host ?? '').toLowerCase() : null;
}

function isOurs(host: string, knock: Knock, names: readonly string[]): boolean {
  if (names.includes(host)) return true;
  // Any port will do: a forwarded one (ssh -L, a container) differs from ours, and only names can be rebound.
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d+)?$/.exec(host)?.[1]?.replace(/^\[|\]$/g, '') ?? '';
  if (isLoopback(name) || names.includes(name)) return true;
  return isIP(name) !== 0 && name === knock.socket.localAddress?.replace(/^::ffff:/, '');
}
