import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type HostPort, hostPortText } from '../../core/net/host.ts';
import { type Leave, leaveFor, placeOf, refusalOf, wrongOpening } from './judge.ts';
import { type Opening, openingOf } from './opening.ts';
import { dial, flow, type Inside, Refusal, refusalText, type Session } from './session.ts';

/** What the client says first. The bytes are put back for the next reader. */
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

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

/** An accepted connection to one host, whose first bytes have to fit what it was asked for. */
async function run(
  session: Session,
  client: Socket,
  place: HostPort,
  { leave, inside }: { leave: Leave; inside: Inside },
) {
  const other = leave.looked ? null : await dial(session, client, { ...place, tls: null });
  client.write(ESTABLISHED);
  // What comes from there harms nobody, and some servers speak first.
  const stop = other === null ? (): void => undefined : flow(session, other, client);
  try {
    const opening = await openingFrom(client);
    if (opening.kind === 'more') {
      client.destroySoon();
      return;
    }
    const wrong = wrongOpening(opening, leave, place);
    if (wrong !== null) throw new Refusal(403, wrong, hostPortText(place));
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
  const text = refusalText({ message, what });
  const head = [
    `HTTP/1.1 ${status} ${status === 407 ? 'Proxy Authentication Required' : 'Refused'}`,
    ...(status === 407 ? [AUTHENTICATE.join(': ')] : []),
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ];
  client.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => client.destroy());
}

export const AUTHENTICATE = ['Proxy-Authenticate', 'Basic realm="Ruche"'] as const;

/** A CONNECT. Never rejects. */
export async function tunnel(
  session: Session,
  request: IncomingMessage,
  client: Socket,
  inside: Inside,
): Promise<void> {
  const place = placeOf(request.url ?? '', null);
  if (place === null) return refuseTunnel(session, client, new Refusal(400, 'CONNECT needs a host and a port'));
  try {
    await run(session, client, place, { leave: leaveFor(session, place), inside });
  } catch (error) {
    refuseTunnel(session, client, refusalOf(error, place));
  }
}
