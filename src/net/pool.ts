import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { type Target, hostKind, listedHost, namedHost, parseHostPattern } from '../core/net/host.ts';
import { type ForWhom, NetError } from '../core/ports/net.ts';
import ipaddr from 'ipaddr.js';
import { type AddressKind, addressKind } from '../core/net/address.ts';

/** Opens a TCP connection to one of the addresses. */
export type Connect = (addresses: readonly string[], port: number) => net.Socket;

const MAX_POOLS = 64;
/** Connections of one pool; further requests wait for one, within their own time limits. */
const MAX_SOCKETS = 64;
const MAX_IDLE_SOCKETS = 8;
/** Milliseconds an unused connection is kept. */
const IDLE_SOCKET_MS = 15_000;

/** The resolver's part is played by what was checked, so that Node looks up nothing by itself. */
export const connectPinned: Connect = (addresses, port) => {
  const list = addresses.map((address) => ({ address, family: net.isIP(address) }));
  const lookup: net.LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, list);
    else callback(null, (list[0] as { address: string }).address, net.isIP(addresses[0] as string));
  };
  return net.connect({ host: 'pinned.invalid', port, lookup, autoSelectFamily: true, noDelay: true });
};

export interface Pools {
  /** The agent for a target at these addresses on someone's behalf; connections are shared only where all three are equal. */
  agent(target: Target, addresses: readonly string[], forWhom: ForWhom): http.Agent;
  /** One that keeps nothing, for a second try after a kept connection turned out to be dead. */
  fresh(target: Target, addresses: readonly string[]): http.Agent;
  close(): void;
}

function makeAgent(
  target: Target,
  addresses: readonly string[],
  keepAlive: boolean,
  connect: Connect,
  ca: readonly string[],
): http.Agent {
  const kept = { keepAlive, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_IDLE_SOCKETS, timeout: IDLE_SOCKET_MS };
  const agent = target.secure ? new https.Agent(kept) : new http.Agent(kept);
  agent.createConnection = () => {
    const socket = connect(addresses, target.port);
    if (!target.secure) return socket;
    return tls.connect({
      socket,
      host: target.host,
      // An address is no name to ask for; the certificate is still checked against it.
      servername: net.isIP(target.host) ? '' : target.host,
      ALPNProtocols: ['http/1.1'],
      // Said outright, since an environment variable could turn it off.
      rejectUnauthorized: true,
      ...(ca.length > 0 && { ca: [...tls.getCACertificates('default'), ...ca] }),
    });
  };
  return agent;
}

/** Lets running requests end and keeps no connection of it any longer. */
function retire(agent: http.Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

export function openPools(connect: Connect, ca: readonly string[]): Pools {
  const agents = new Map<string, http.Agent>();
  return {
    agent: (target, addresses, forWhom) => {
      const { who, privateHosts, only } = forWhom;
      const key = JSON.stringify([
        target.secure,
        target.host,
        target.port,
        addresses.toSorted(),
        who,
        privateHosts,
        only,
      ]);
      const agent = agents.get(key) ?? makeAgent(target, addresses, true, connect, ca);
      // Taken out and put back: the map keeps the order of use.
      agents.delete(key);
      agents.set(key, agent);
      const [oldest] = agents;
      if (agents.size > MAX_POOLS && oldest !== undefined) {
        agents.delete(oldest[0]);
        retire(oldest[1]);
      }
      return agent;
    },
    fresh: (target, addresses) => makeAgent(target, addresses, false, connect, ca),
    close: () => {
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}

/** All addresses of a name, IPv4 and IPv6. */
export type Resolve = (host: string) => Promise<readonly string[]>;

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
function permitted(address: string, target: Target, forWhom: ForWhom): boolean {
  const kind = kindOf(address);
  if (kind === 'public') return true;
  const granted = { host: parseHostPattern(address)?.host ?? '', port: target.port };
  if (namedHost(forWhom.privateHosts, granted)) return true;
  return (kind === 'loopback' || kind === 'private') && namedHost(forWhom.privateHosts, target);
}

const at = (target: Target): string => `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;

/**
 * The addresses that a connection to the target may use, and no others: resolved once, so that an answer which changes
 * between check and connection changes nothing. Rejects with NetError `blocked` or `dns`.
 */
export async function pin(target: Target, forWhom: ForWhom, resolve: Resolve): Promise<string[]> {
  const refuse = (why: string): never => {
    throw new NetError('blocked', `${at(target)} is blocked: ${why}`);
  };
  if (forWhom.only !== null && !listedHost(forWhom.only, target)) refuse('it is not among the hosts this may reach');
  const literal = addressKind(target.host) !== null;
  if (!literal && hostKind(target.host) !== 'public' && !namedHost(forWhom.privateHosts, target))
    refuse('it is a name of the private network, and no rule in ruche.yaml names it');
  const addresses = literal ? [target.host] : await resolve(target.host);
  if (addresses.length === 0) throw new NetError('dns', `${target.host} has no address`);
  for (const address of addresses)
    if (!permitted(address, target, forWhom))
      refuse(
        literal
          ? 'the address is not public, and no rule in ruche.yaml names it'
          : `it leads to ${address}, which is not public; a rule in ruche.yaml that names this address opens it`,
      );
  return addresses.slice(0, MAX_ADDRESSES);
}
