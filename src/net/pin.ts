import dns from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import { type AddressKind, addressKind } from '../core/net/address.ts';
import { hostKind, type HostPort, hostPortText, namedHost, parseHostPattern } from '../core/net/host.ts';
import { reachesHost, reachVerdict, type Use } from '../core/net/reach.ts';
import { type ForWhom, NetError } from '../core/ports/net.ts';

/** All addresses of a name, IPv4 and IPv6. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (host) =>
  (await dns.lookup(host, { all: true })).map(({ address }) => address);

/** More are checked, but not tried. */
const MAX_ADDRESSES = 8;

/** Two lists of ranges, kept by different people, have to agree that an address is public. */
function kindOf(address: string): AddressKind {
  const kind = addressKind(address);
  if (kind === null) return 'special';
  return kind === 'public' && ipaddr.parse(address).range() !== 'unicast' ? 'special' : kind;
}

/**
 * May this address be contacted? A name that was granted may lead to the machine or the private network, but not to
 * where clouds keep credentials; that, and everything else, has to be granted by its address.
 */
function permitted(address: string, target: HostPort, forWhom: ForWhom): boolean {
  const kind = kindOf(address);
  if (kind === 'public') return true;
  const granted = { host: parseHostPattern(address)?.host ?? '', port: target.port };
  if (namedHost(forWhom.privateHosts, granted)) return true;
  return (kind === 'loopback' || kind === 'private') && namedHost(forWhom.privateHosts, target);
}

async function lookUp(host: string, resolve: Resolve): Promise<readonly string[]> {
  try {
    return await resolve(host);
  } catch {
    // What the resolver says beyond "no" differs from system to system and helps nobody.
    throw new NetError('dns', `${host} cannot be resolved: check the name and the machine's network`);
  }
}

/**
 * The addresses that a connection to the target may use, and no others: resolved once, so that an answer which changes
 * between check and connection changes nothing. Rejects with NetError `blocked` or `dns`.
 */
export async function pin(target: HostPort, http: Use['http'], forWhom: ForWhom, resolve: Resolve): Promise<string[]> {
  const refuse = (why: string): never => {
    throw new NetError('blocked', `${hostPortText(target)} is blocked: ${why}`);
  };
  const { only } = forWhom;
  if (only !== null && reachVerdict(only, { ...target, http }) === null)
    refuse(
      only.some((reach) => reachesHost(reach, target))
        ? `the network list has the host, but not ${http === null ? 'for a connection that nobody looks into' : `this method or path (${http.method})`}`
        : 'it is not among the hosts this may reach',
    );
  const literal = addressKind(target.host) !== null;
  if (!literal && hostKind(target.host) !== 'public' && !namedHost(forWhom.privateHosts, target))
    refuse('it is a name of the private network, and neither a rule nor the network list of ruche.yaml names it');
  const addresses = literal ? [target.host] : await lookUp(target.host, resolve);
  if (addresses.length === 0) throw new NetError('dns', `${target.host} has no address`);
  for (const address of addresses)
    if (!permitted(address, target, forWhom))
      refuse(
        literal
          ? 'the address is not public, and neither a rule nor the network list of ruche.yaml names it'
          : `it leads to ${address}, which is not public; a rule in ruche.yaml that names this address opens it`,
      );
  return addresses.slice(0, MAX_ADDRESSES);
}
