import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { connectionTo, type Reach, reachesHost } from '../../core/net/reach.ts';
import type { Inside } from './inside.ts';
import { type Opening, openingOf } from './opening.ts';
import { dial, type Place, placeOf, placeText, Refusal, refusalOf, type Session } from './session.ts';

/** Passes on what comes until it ends. Gives what stops that. */
function flow(session: Session, from: Socket, to: Socket): () => void {
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
export function join(session: Session, client: Socket, other: Socket): void {
  flow(session, client, other);
  flow(session, other, client);
}

/** What the client says first. The bytes are put back for whoever reads next. */
function openingFrom(client: Socket): Promise<Opening> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const done = (opening: Opening): void => {
      client.off('data', look).off('end', ended).off('close', ended).pause();
      if (bytes.length > 0 && !client.destroyed) client.unshift(bytes);
      resolve(opening);
    };
    const look = (piece: Buffer): void => {
      bytes = Buffer.concat([bytes, piece]);
      const opening = openingOf(bytes);
      if (opening.kind !== 'more') done(opening);
    };
    const ended = (): void => done({ kind: 'more' });
    client.on('data', look).once('end', ended).once('close', ended);
  });
}

/** Why a list does not let a connection begin. */
function whyNot(only: readonly Reach[] | null, place: Place, agent: string): string {
  if (only?.some((reach) => reachesHost(reach, place)))
    return 'a person is asked for it each time, which a command cannot do: use fetch';
  return `it is not among the hosts that ${agent} may reach; the owner can add it under network in its AGENT.md`;
}

/** A port that an entry names is meant for whatever is spoken there. */
const namesPort = (only: readonly Reach[], place: Place): boolean =>
  only.some((reach) => reach.verdict === 'allow' && reach.ports !== null && reachesHost(reach, place));

/** How a connection to a place may be used. */
interface Leave {
  only: readonly Reach[];
  /** Every request on it is looked at. */
  looked: boolean;
}

function leaveFor(session: Session, place: Place): Leave {
  const { agent } = session.grant;
  const { only } = session.grant.forWhom();
  const how = only === null ? null : connectionTo(only, place);
  if (how === null || only === null) throw new Refusal(403, whyNot(only, place, agent), placeText(place));
  const looked = how === 'inspect' || session.tls?.needs(agent, place) === true;
  if (looked && session.tls === null)
    throw new Refusal(
      403,
      'the network list names methods or paths for it, and nobody can look into an encrypted connection here',
      placeText(place),
    );
  return { only, looked };
}

/** What must not be said first in a tunnel to this host; null if it may go on. */
function wrongOpening(opening: Opening, { only, looked }: Leave, place: Place): string | null {
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

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

/** An accepted connection to one host, whose first bytes have to fit what it was asked for. */
async function run(session: Session, client: Socket, place: Place, { leave, inside }: { leave: Leave; inside: Inside }) {
  const other = leave.looked ? null : await dial(session, client, { ...place, tls: null });
  client.write(ESTABLISHED);
  // What comes from there harms nobody, and some servers speak first.
  const stop = other === null ? (): void => undefined : flow(session, other, client);
  try {
    const opening = await openingFrom(client);
    if (opening.kind === 'more') return void client.destroySoon();
    const wrong = wrongOpening(opening, leave, place);
    if (wrong !== null) throw new Refusal(403, wrong, placeText(place));
    if (opening.kind !== 'http' && other !== null) return void flow(session, client, other);
    stop();
    other?.destroy();
    if (opening.kind === 'http') inside(client, place, false);
    else if (session.tls !== null) inside(await session.tls.end(client, place), place, true);
  } catch (error) {
    other?.destroy();
    const { what, message } = refusalOf(error, place);
    if (what !== null) session.refused(what, message);
    client.destroy();
  }
}

/** What the proxy says to a CONNECT that it does not make. */
export function refuseTunnel(session: Session, client: Socket, { status, message, what }: Refusal): void {
  if (what !== null) session.refused(what, message);
  const text = `Ruche: ${what === null ? '' : `${what} is refused: `}${message}\n`;
  const head = [
    `HTTP/1.1 ${status} ${status === 407 ? 'Proxy Authentication Required' : 'Refused'}`,
    ...(status === 407 ? [AUTHENTICATE.join(': ')] : []),
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ];
  client.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => client.destroySoon());
}

export const AUTHENTICATE = ['Proxy-Authenticate', 'Basic realm="Ruche"'] as const;

/** A CONNECT. Never rejects. */
export async function tunnel(session: Session, request: IncomingMessage, client: Socket, inside: Inside): Promise<void> {
  const place = placeOf(request.url ?? '', null);
  if (place === null) return refuseTunnel(session, client, new Refusal(400, 'CONNECT needs a host and a port'));
  try {
    await run(session, client, place, { leave: leaveFor(session, place), inside });
  } catch (error) {
    refuseTunnel(session, client, refusalOf(error, place));
  }
}
