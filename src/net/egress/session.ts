import type { Socket } from 'node:net';
import { type HostPort, hostPortText } from '../../core/net/host.ts';
import { reachesHost } from '../../core/net/reach.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { EgressGrant } from '../../core/ports/egress.ts';
import type { Injection } from '../../core/ports/injection.ts';
import type { Dial, Net } from '../../core/ports/net.ts';

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
  /** Tries to reach what the list does not have that are put on record. */
  strays: number;
}

export const BOUNDS: Bounds = {
  connections: 128,
  headerBytes: 32 * 1024,
  idleMs: 300_000,
  connectMs: 30_000,
  totalBytes: 20 * 1024 ** 3,
  strays: 1000,
};

/** Ends the TLS of clients at the proxy, where requests have to be seen. */
export interface TlsEnding {
  /** True if requests to this place have to be seen although no list says so. */
  needs(place: HostPort): boolean;
  /** Speaks TLS with the client in the name of the host and gives what is said inside. The client's ClientHello is still to be read. */
  end(client: Socket, place: HostPort): Promise<Socket>;
}

/** Takes a connection in which the client speaks HTTP to the place, as if it had reached it. */
export type Inside = (client: Socket, place: HostPort, secure: boolean) => void;

/** One command at its proxy. */
export interface Session {
  readonly grant: EgressGrant;
  readonly net: Pick<Net, 'dial'>;
  readonly clock: Clock;
  readonly bounds: Bounds;
  readonly tls: TlsEnding | null;
  readonly injection: Injection;
  /** Aborts when the command is over. */
  readonly signal: AbortSignal;
  /** Counts a try to reach what the list does not have; false once there were so many that no more go on record. */
  strayed(): boolean;
  /** Notes for the agent what was refused, and why. */
  refused(what: string, why: string): void;
  /** Notes that something was connected to. */
  connected(): void;
  /** Counts what went through; false once it is too much. */
  carried(bytes: number): boolean;
}

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

/** What the client reads of it. The guard's own texts name the place already. */
export const refusalText = ({ message, what }: Pick<Refusal, 'message' | 'what'>): string =>
  `Ruche: ${what === null || message.startsWith(what) ? '' : `${what} is refused: `}${message}\n`;

/** A connection by the guard for one client, which may leave while it is made. */
export async function dial(
  { grant, net, bounds, signal, carried, connected, strayed }: Session,
  client: Socket,
  to: Pick<Dial, 'host' | 'port' | 'tls' | 'http'>,
): Promise<Socket> {
  if (!carried(0)) throw new Refusal(403, 'this command has carried too many bytes');
  const forWhom = grant.forWhom();
  // Without a list there would be no bound.
  const only = forWhom.only ?? [];
  const stray = only.some((reach) => reachesHost(reach, to))
    ? null
    : new Refusal(
        403,
        `it is not among the hosts that ${grant.agent} may reach; the owner can add it under network in its AGENT.md, and in ruche.yaml if that has a list`,
        hostPortText(to),
      );
  // A command that tries one name after the other would fill the disk with the guard's records.
  if (stray !== null && !strayed()) throw stray;
  const left = new AbortController();
  const leave = (): void => left.abort();
  client.once('close', leave);
  // Its end is told once, and may have been while a credential was looked up.
  if (client.destroyed) leave();
  try {
    const socket = await net.dial(
      {
        ...to,
        signal: AbortSignal.any([signal, left.signal]),
        timeoutMs: bounds.connectMs,
        idleMs: bounds.idleMs,
        maxBytes: null,
        kind: 'proxy',
      },
      { ...forWhom, only },
    );
    connected();
    return socket;
  } catch (error) {
    throw stray ?? error;
  } finally {
    client.off('close', leave);
  }
}

/** Passes on what comes until it ends. Gives what stops that. */
export function flow(session: Session, from: Socket, to: Socket): () => void {
  const drop = (): void => {
    from.destroy();
    to.destroy();
  };
  const count = (bytes: Buffer): void => {
    if (!session.carried(bytes.length)) drop();
  };
  const closed = (): void => to.destroySoon();
  from.on('error', drop).on('data', count).once('close', closed).pipe(to);
  return () => void from.off('error', drop).off('data', count).off('close', closed).unpipe(to);
}

/** Joins two connections until both have ended. */
export function joinBoth(session: Session, client: Socket, other: Socket): void {
  flow(session, client, other);
  flow(session, other, client);
}
