import { getCACertificates } from 'node:tls';
import { inspects, isInspected, type Reach } from '../../core/net/reach.ts';
import { openAuthority } from './certificates.ts';
import { type Inspector, openInspector, type Place } from './inspect.ts';
import type { RelayParts, Sender } from './relay.ts';

/** Where TLS of one command ends at its proxy: at hosts that a secret is bound to, or whose methods or paths are named. */
export interface Ending extends Inspector {
  /** Certificates for its clients (PEM): those of the system and of the owner, and that of this command. */
  readonly bundle: string;
  /** Whether TLS with this place ends here, as the rules are now. */
  at(place: Place): boolean;
}

export interface EndingParts extends RelayParts {
  /** Keys are derived from it: the same after a restart. */
  secret: Uint8Array;
  /** Certificates (PEM) trusted besides the system's. */
  ca: readonly string[];
  /** Milliseconds since the epoch. */
  now(): number;
}

/** What all hosts of a pattern end in: as far as certificates can be held to it. */
const endOf = (host: string): string =>
  /[*?]/.test(host) ? host.slice(host.search(/[^*?]*$/)).replace(/^[^.]*\.?/, '') : host;

const hostsOf = (only: readonly Reach[] | null, bound: readonly string[]): string[] => [
  ...new Set([...bound, ...(only ?? []).filter(isInspected).map(({ host }) => endOf(host))]),
];

/** What clients would trust without us: the machine's certificates, and those that Node brings. Node keeps them. */
const systemRoots = (): string[] => [...new Set([...getCACertificates('system'), ...getCACertificates()])];

/** Null where there is nothing to look into: then no key is made and clients trust what they trust anyway. */
export function openEnding(name: string, sender: Sender, parts: EndingParts): Ending | null {
  const hosts = hostsOf(sender.forWhom().only, parts.injection.hosts(sender.agent));
  if (hosts.length === 0) return null;
  const authority = openAuthority({ secret: parts.secret, name, hosts }, parts.now);
  const certificates = [...systemRoots(), ...parts.ca, authority.cert].map((pem) => `${pem.trim()}\n`);
  return {
    ...openInspector(authority, parts),
    bundle: certificates.join(''),
    at: (place) =>
      parts.injection.bound(sender.agent, place.host, place.port) || inspects(sender.forWhom().only, place),
  };
}
