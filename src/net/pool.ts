import http from 'node:http';
import https from 'node:https';
import type { Target } from '../core/net/host.ts';
import type { ForWhom } from '../core/ports/net.ts';
import { type Connect, secured, type Trust } from './connect.ts';

const MAX_POOLS = 64;
/** Connections of one pool; further requests wait for one, within their own time limits. */
const MAX_SOCKETS = 64;
const MAX_IDLE_SOCKETS = 8;
/** Milliseconds an unused connection is kept. */
const IDLE_SOCKET_MS = 15_000;

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
  trust: Trust,
): http.Agent {
  const kept = { keepAlive, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_IDLE_SOCKETS, timeout: IDLE_SOCKET_MS };
  const agent = target.secure ? new https.Agent(kept) : new http.Agent(kept);
  agent.createConnection = () => {
    const socket = connect(addresses, target.port);
    if (!target.secure) return socket;
    return secured(socket, target.host, ['http/1.1'], trust);
  };
  return agent;
}

/** Lets running requests end and keeps no connection of it any longer. */
function retire(agent: http.Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

export function openPools(connect: Connect, trust: Trust): Pools {
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
      const agent = agents.get(key) ?? makeAgent(target, addresses, true, connect, trust);
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
    fresh: (target, addresses) => makeAgent(target, addresses, false, connect, trust),
    close: () => {
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}
