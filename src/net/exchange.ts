import http from 'node:http';
import https from 'node:https';
import { type Target, originOf } from '../core/net/host.ts';
import { NetError, type NetRequest } from '../core/ports/net.ts';
import type { Line } from './line.ts';
import { type Clock, OVER } from '../core/ports/clock.ts';
import { Signal } from '../core/signal.ts';

/** One request to one target, after all checks. */
export interface Hop {
  target: Target;
  method: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string | Uint8Array | null;
}

export interface Answer {
  message: http.IncomingMessage;
  /** Ends the connection, whatever state it is in. */
  drop(): void;
  /** The record of the exchange, which its reader ends. */
  line: Line;
}

const MAX_HEADER_BYTES = 32 * 1024;
/** There was no connection that a byte could have gone over. Others, such as ECONNRESET, leave that open. */
const UNREACHED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);

/** The code of a Node error, or of the first one in a list of tries. */
function codeOf(error: unknown): string {
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const code = inner instanceof Error && 'code' in inner ? inner.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'unknown error';
}

/**
 * What a failure is called outside. Only the code of the original error is kept: its message and properties can hold
 * header values and bytes of the answer.
 */
export function netError(error: unknown, where: string): NetError {
  if (error instanceof NetError) return error;
  const code = codeOf(error);
  if (code === 'HPE_HEADER_OVERFLOW')
    return new NetError('too-large', `${where} sent more than ${MAX_HEADER_BYTES} bytes of headers`);
  if (/^(?:HPE_|ERR_HTTP|ERR_INVALID|ERR_UNESCAPED|Z_|ERR__ERROR|ERR_BROTLI|ERR_PADDING|ERR_BUFFER)/.test(code))
    return new NetError('protocol', `${where} does not speak HTTP as it should (${code})`);
  if (/CERT|ERR_TLS|ERR_SSL|SELF_SIGNED|ISSUER|EPROTO/.test(code))
    return new NetError(
      'connect',
      `${where}: the encrypted connection was not made, or its certificate is not trusted (${code})`,
      { unsent: /CERT|SELF_SIGNED|ISSUER/.test(code) },
    );
  const unsent = UNREACHED.has(code);
  return new NetError('connect', `${where} cannot be reached, or closed the connection (${code})`, { unsent });
}

function once(hop: Hop, agent: http.Agent, watch: Watch, line: Line): Promise<Answer> {
  const { target, method, headers, body } = hop;
  const { host, port, secure } = target;
  const url = new URL(target.url);
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request({
      agent,
      host,
      port,
      method,
      path: url.pathname + url.search,
      headers: { ...headers, host: url.host },
      maxHeaderSize: MAX_HEADER_BYTES,
      insecureHTTPParser: false,
    });
    request.once('socket', (socket) => line.over(socket));
    const cut = (): void => void request.destroy();
    watch.signal.addEventListener('abort', cut, { once: true });
    request.once('close', () => {
      watch.signal.removeEventListener('abort', cut);
      reject(netError(null, originOf(target)));
    });
    request.once('upgrade', (_message, socket) => {
      socket.destroy();
      reject(new NetError('protocol', `${originOf(target)} switched to another protocol`));
    });
    request.on('error', (error) => {
      const stale = request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(codeOf(error));
      reject(Object.assign(netError(error, originOf(target)), { stale }));
    });
    request.once('response', (message) => {
      // The connection goes to the next one only after this.
      message.once('end', line.left);
      resolve({ message, drop: cut, line });
    });
    request.end(body ?? undefined);
  });
}

/** Sends one request. A kept connection that turns out to be dead is replaced once, where repeating cannot do harm. */
export async function exchange(
  hop: Hop,
  agent: http.Agent,
  fresh: () => http.Agent,
  watch: Watch,
  line: Line,
): Promise<Answer> {
  try {
    return await watch.race(once(hop, agent, watch, line));
  } catch (error) {
    const stale = error instanceof NetError && 'stale' in error && error.stale === true;
    if (watch.signal.aborted) throw watch.signal.reason;
    if (!stale || (hop.method !== 'GET' && hop.method !== 'HEAD')) throw netError(error, originOf(hop.target));
    return watch.race(once(hop, fresh(), watch, line));
  }
}

/** The time limits and the abort signal of one request, all its hops included. */
export interface Watch {
  /** Aborts with a NetError when time is up or the caller aborts. */
  signal: AbortSignal;
  /** Something came. */
  heard(): void;
  /** Whether we wait for the other side; while the caller takes its time, silence is no fault. */
  waiting(yes: boolean): void;
  /** Rejects with the NetError if the signal aborts first. */
  race<T>(work: Promise<T>): Promise<T>;
  /** Over, because of this failure if one is given. */
  end(failure?: NetError): void;
  /** Calls with why it was over: null if nothing failed. */
  onEnd(listener: (failure: NetError | null) => void): void;
}

/** Silence is counted in ticks, not read from the clock, so that a clock that jumps ends nothing. It may last one tick longer. */
const TICKS = 60;
/** Milliseconds: timers are not more exact. */
const MIN_TICK = 10;

export function watch(clock: Clock, request: Pick<NetRequest, 'signal' | 'timeoutMs' | 'idleMs'>): Watch {
  const cut = new AbortController();
  const done = new AbortController();
  const ended = new Signal<NetError | null>();
  const end = (failure?: NetError): void => {
    if (done.signal.aborted) return;
    done.abort(OVER);
    ended.tell(failure ?? null);
  };
  const fail = (code: NetError['code'], message: string): void => {
    const failure = new NetError(code, message);
    cut.abort(failure);
    end(failure);
  };
  const after = (ms: number, then: () => void): void =>
    // The sleep rejects when the request has ended, which is no event.
    void clock.sleep(ms, done.signal).then(then, () => undefined);

  const tickMs = Math.max(MIN_TICK, request.idleMs / TICKS);
  let quiet = 0;
  let heard = false;
  let waits = true;
  const tick = (): void => {
    // The part of a tick before something came does not count.
    if (heard) quiet = 0;
    else if (waits) quiet += tickMs;
    heard = false;
    if (quiet >= request.idleMs) fail('timeout', `nothing came for ${request.idleMs} ms`);
    else after(tickMs, tick);
  };
  const { timeoutMs, signal } = request;
  if (signal?.aborted) fail('aborted', 'the request was aborted');
  else {
    signal?.addEventListener('abort', () => fail('aborted', 'the request was aborted'), { signal: done.signal });
    after(tickMs, tick);
    if (timeoutMs !== null) after(timeoutMs, () => fail('timeout', `the exchange took longer than ${timeoutMs} ms`));
  }
  const aborted = new Promise<never>((_, reject) => {
    const onCut = (): void => reject(cut.signal.reason as NetError);
    if (cut.signal.aborted) onCut();
    else cut.signal.addEventListener('abort', onCut, { once: true });
  });
  // Nobody may be racing when it fires.
  aborted.catch(() => undefined);
  return {
    signal: cut.signal,
    heard: () => {
      heard = true;
    },
    waiting: (yes) => {
      if (yes && !waits) heard = true;
      waits = yes;
    },
    race: (work) => Promise.race([work, aborted]),
    end,
    onEnd: (listener) => void ended.on(listener),
  };
}
