import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { parseTarget, type Target } from '../../core/net/host.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { EgressGrant } from '../../core/ports/egress.ts';
import { type Dial, type Net, NetError } from '../../core/ports/net.ts';
import type { TlsEnding } from './inside.ts';

/** What one command may use up. */
export interface Bounds {
  connections: number;
  /** Of one request. */
  headerBytes: number;
  /** Milliseconds without a byte. */
  idleMs: number;
  /** Milliseconds until a connection stands. */
  connectMs: number;
  /** Of all connections together, in both directions. */
  totalBytes: number;
}

export const BOUNDS: Bounds = {
  connections: 128,
  headerBytes: 32 * 1024,
  idleMs: 300_000,
  connectMs: 30_000,
  totalBytes: 20 * 1024 ** 3,
};

/** One command at its proxy. */
export interface Session {
  readonly grant: EgressGrant;
  readonly net: Pick<Net, 'dial'>;
  readonly clock: Clock;
  readonly bounds: Bounds;
  readonly tls: TlsEnding | null;
  /** Aborts when the command is over. */
  readonly signal: AbortSignal;
  /** Notes for the agent what was refused, and why. */
  refused(what: string, why: string): void;
  /** Counts what went through; false once it is too much. */
  carried(bytes: number): boolean;
}

export type Place = Pick<Target, 'host' | 'port'>;

export const placeText = ({ host, port }: Place): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The proxy's answer to what it does not do. */
export class Refusal extends Error {
  readonly status: number;
  /** What was refused, for the agent; null where it is a fault of the client, or of the other side. */
  readonly what: string | null;
  constructor(status: number, message: string, what: string | null = null) {
    super(message);
    this.status = status;
    this.what = what;
  }
}

const STATUS: Readonly<Partial<Record<NetError['code'], number>>> = { blocked: 403, timeout: 504 };

/** What the client is told of a failure. Its text is the guard's, which holds no path and no header. */
export function refusalOf(error: unknown, place: Place): Refusal {
  if (error instanceof Refusal) return error;
  if (!(error instanceof NetError)) return new Refusal(502, `${placeText(place)} cannot be reached`);
  return new Refusal(STATUS[error.code] ?? 502, error.message, error.code === 'blocked' ? placeText(place) : null);
}

/** A connection by the guard for one client, which may leave while it is made. */
export async function dial(
  { grant, net, bounds, signal, carried }: Session,
  client: Socket,
  to: Pick<Dial, 'host' | 'port' | 'tls' | 'http'>,
): Promise<Socket> {
  if (!carried(0)) throw new Refusal(403, 'this command has carried too many bytes');
  const left = new AbortController();
  const leave = (): void => left.abort();
  client.once('close', leave);
  try {
    return await net.dial(
      {
        ...to,
        signal: AbortSignal.any([signal, left.signal]),
        timeoutMs: bounds.connectMs,
        idleMs: bounds.idleMs,
        maxBytes: null,
      },
      grant.forWhom(),
    );
  } finally {
    client.off('close', leave);
  }
}

/** Names and IPv4 addresses in ASCII, as they stand on the wire: nothing that one program could read otherwise than another. */
const AUTHORITY = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/;

/** Reads `host:port`; null for anything else. `port`: where none is named; null if one must be. */
export function placeOf(authority: string, port: 80 | 443 | null): Place | null {
  if (!AUTHORITY.test(authority) || (port === null && !/:\d+$/.test(authority.replace(/^\[.*\]/, '')))) return null;
  // The scheme gives the port where none is named.
  const parsed = parseTarget(`${port === 80 ? 'http' : 'https'}://${authority}/`);
  if (!parsed.ok || parsed.target.port < 1 || parsed.target.port > 65_535) return null;
  return { host: parsed.target.host, port: parsed.target.port };
}

/** Values of a header as they came, however often. */
export const valuesOf = ({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
