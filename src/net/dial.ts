import type net from 'node:net';
import { bracketed, type HostPort, hostPortText, parseHostPattern } from '../core/net/host.ts';
import type { Sent } from '../core/net/sent.ts';
import { type Clock, OVER } from '../core/ports/clock.ts';
import { type Dial, type ForWhom, NetError } from '../core/ports/net.ts';
import type { Log } from '../core/ports/log.ts';
import { type Connect, secured, type Trust } from './connect.ts';
import { netError, watch } from './exchange.ts';
import { type Lines, outcomeOf } from './line.ts';
import { pin, type Resolve } from './pin.ts';

export interface Dialling {
  clock: Clock;
  log: Log;
  resolve: Resolve;
  connect: Connect;
  trust: Trust;
  lines: Lines;
}

/** Milliseconds between two looks at what a connection has carried. */
const LOOK_MS = 1000;

/** The place in the spelling that lists and connection use. */
function placeOf({ host, port }: Dial): HostPort {
  const pattern = parseHostPattern(bracketed(host));
  if (pattern?.literal !== true || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw new NetError('blocked', 'the connection was refused: this is not a host and a port');
  return { host: pattern.host, port };
}

/** Ends a connection on which too much came, or nothing for too long. */
function attend(socket: net.Socket, raw: net.Socket, { idleMs, maxBytes }: Dial, clock: Clock, where: string): void {
  if (idleMs === null && maxBytes === null) return;
  const over = new AbortController();
  socket.once('close', () => over.abort(OVER));
  const lookMs = Math.min(LOOK_MS, Math.max(10, (idleMs ?? LOOK_MS) / 10));
  let [carried, quiet] = [0, 0];
  const look = (): void => {
    const now = raw.bytesRead + raw.bytesWritten;
    quiet = now === carried ? quiet + lookMs : 0;
    carried = now;
    if (maxBytes !== null && raw.bytesRead > maxBytes)
      socket.destroy(new NetError('too-large', `${where} sent more than ${maxBytes} bytes`));
    else if (idleMs !== null && quiet >= idleMs)
      socket.destroy(new NetError('timeout', `nothing came from or went to ${where} for ${idleMs} ms`));
    else wait();
  };
  // The sleep rejects when the connection has ended, and there is nothing left to do.
  const wait = (): void => void clock.sleep(lookMs, over.signal).then(look, () => undefined);
  wait();
}

export interface Dials {
  dial(dial: Dial, forWhom: ForWhom, kind?: Sent['kind']): Promise<net.Socket>;
  close(): void;
}

/** Connections that are not HTTP, by the same checks. */
export function openDials(how: Dialling): Dials {
  const { clock, log, resolve, connect, trust, lines } = how;
  const open = new Set<net.Socket>();

  async function dial(wanted: Dial, forWhom: ForWhom, kind: Sent['kind'] = wanted.kind ?? 'dial'): Promise<net.Socket> {
    const place = placeOf(wanted);
    const where = hostPortText(place);
    const { signal, timeoutMs, tls } = wanted;
    const line = lines.open(forWhom, { ...place, kind });
    const watching = watch(clock, { signal, timeoutMs, idleMs: timeoutMs });
    try {
      const addresses = await watching.race(pin(place, wanted.http ?? null, forWhom, resolve));
      const raw = connect(addresses, place.port);
      const socket = tls === null ? raw : secured(raw, place.host, tls.alpn, trust);
      open.add(socket);
      line.over(socket);
      let failure: unknown = null;
      socket.on('error', (error) => (failure ??= netError(error, where)));
      socket.once('close', () => {
        open.delete(socket);
        line.end(failure === null ? 'ok' : outcomeOf(failure));
      });
      try {
        await watching.race(stands(socket, tls === null ? 'connect' : 'secureConnect', where));
      } catch (error) {
        socket.destroy();
        raw.destroy();
        throw error;
      }
      const cut = (): void => void socket.destroy(new NetError('aborted', 'the connection was aborted'));
      signal?.addEventListener('abort', cut);
      socket.once('close', () => signal?.removeEventListener('abort', cut));
      attend(socket, raw, wanted, clock, where);
      log.debug({ who: forWhom.who, where }, 'connection');
      return socket;
    } catch (error) {
      line.end(outcomeOf(error));
      const told = { who: forWhom.who, where, code: error instanceof NetError ? error.code : 'protocol' };
      // A command is told in its result, and one that tries without end would fill the disk with these lines.
      if (kind === 'proxy') log.debug(told, 'connection failed');
      else if (error instanceof NetError) log.info(told, 'connection failed');
      throw error;
    } finally {
      watching.end();
    }
  }

  return {
    dial,
    close: () => {
      for (const socket of open) socket.destroy();
      open.clear();
    },
  };
}

/** Resolves when the connection stands. */
const stands = (socket: net.Socket, event: 'connect' | 'secureConnect', where: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const failed = (error?: Error): void => reject(netError(error, where));
    socket.once('error', failed);
    socket.once('close', () => failed());
    socket.once(event, () => {
      socket.off('error', failed);
      resolve();
    });
  });
