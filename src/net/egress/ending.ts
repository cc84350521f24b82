import type { Socket } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext, TLSSocket } from 'node:tls';
import { isInspected, literalEnd, type Reach } from '../../core/net/reach.ts';
import type { EgressGrant } from '../../core/ports/egress.ts';
import type { Injection } from '../../core/ports/injection.ts';
import { openAuthority } from './certificates.ts';
import { Refusal, type TlsEnding } from './session.ts';

export interface EndingParts {
  injection: Injection;
  /** Keys are derived from it: the same after a restart. */
  key: Uint8Array;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Hosts of one command whose certificates are kept: below a pattern it can name as many as it likes. */
const MAX_CONTEXTS = 64;

/** What all hosts of a pattern end in: as far as certificates can be held to it. */
const certifiedEnd = (host: string): string => (/[*?]/.test(host) ? literalEnd(host).replace(/^[^.]*\.?/, '') : host);

const hostsOf = (only: readonly Reach[] | null, bound: readonly string[]): string[] => [
  ...new Set([...bound, ...(only ?? []).filter(isInspected).map(({ host }) => certifiedEnd(host))]),
];

/**
 * A file of certificates for clients (PEM): what they would trust without us, the machine's and those that Node brings, and
 * some more. Node keeps what it has read.
 */
export const bundleOf = (more: readonly string[]): string =>
  [...new Set([...getCACertificates('system'), ...getCACertificates(), ...more])]
    .map((pem) => `${pem.trim()}\n`)
    .join('');

/** Resolves when the client has taken the certificate. */
const taken = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve, reject) => {
    const failed = (): void => reject(new Refusal(400, 'the client has not taken the certificate of its proxy'));
    socket.once('secure', resolve).on('error', failed).once('close', failed);
  });

/**
 * Ends TLS of one command where requests have to be seen: at hosts that a secret is bound to, or whose methods or paths are
 * named. Null where there are none: then no key is made, and clients trust what they trust anyway.
 */
export function openEnding(
  name: string,
  { agent, forWhom }: EgressGrant,
  { injection, key, now }: EndingParts,
): (TlsEnding & { /** PEM. */ readonly authority: string }) | null {
  const hosts = hostsOf(forWhom().only, injection.hosts(agent));
  if (hosts.length === 0) return null;
  const authority = openAuthority({ secret: key, name, hosts }, now);
  const contexts = new Map<string, SecureContext>();
  const contextFor = (host: string): SecureContext => {
    const known = contexts.get(host) ?? createSecureContext({ ...authority.leaf(host), minVersion: 'TLSv1.2' });
    // Taken out and put back: the map keeps the order of use.
    contexts.delete(host);
    contexts.set(host, known);
    const [oldest] = contexts.keys();
    if (contexts.size > MAX_CONTEXTS && oldest !== undefined) contexts.delete(oldest);
    return known;
  };
  return {
    authority: authority.cert,
    needs: ({ host, port }) => injection.bound(agent, host, port),
    async end(client: Socket, { host }) {
      const secureContext = contextFor(host);
      const socket = new TLSSocket(client, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
      socket.once('close', () => client.destroy());
      await taken(socket);
      return socket;
    },
  };
}
