import { TLSSocket } from 'node:tls';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/ports/clock.ts';
import type { Injection, Scrub } from '../core/ports/injection.ts';
import { REFUSED_HEADERS, unreadable } from '../core/net/headers.ts';
import { originOf, parseTarget, type Target } from '../core/net/host.ts';
import { entriesFor, METHODS, misleading } from '../core/net/reach.ts';
import { type ForWhom, type Net, NetError, type NetRequest } from '../core/ports/net.ts';
import type { Log } from '../core/ports/log.ts';
import { ACCEPT_ENCODING, bodyStream, encodingOf } from './body.ts';
import { type Answer, exchange, type Hop, type Watch, watch } from './exchange.ts';
import { type Connect, connectPinned, openTrust } from './connect.ts';
import { type Lines, openLines, outcomeOf, type Recorder } from './line.ts';
import { openDials } from './dial.ts';
import { pin, type Resolve, systemResolve } from './pin.ts';
import { openWebSocket } from './websocket.ts';
import { openPools, type Pools } from './pool.ts';

export interface NetOptions {
  clock: Clock;
  log: Log;
  /** All addresses of a name; the system's resolver by default. */
  resolve?: Resolve;
  /** Opens a TCP connection to one of the addresses that were checked. */
  connect?: Connect;
  /** Certificates (PEM) trusted besides the system's. */
  ca?: readonly string[];
  /** Hears of every call and connection that has ended. */
  record?: Recorder;
  /** Puts credentials into what tools send; nothing is put in without it. */
  injection?: Injection;
}

/** What may follow a redirect to another origin; everything else could be a credential. */
const SAFE_HEADERS = new Set(['accept', 'accept-encoding', 'accept-language', 'user-agent']);
const BODY_HEADERS = /^content-/;
const NULL_BODY = new Set([204, 205, 304]);

function targetOf(url: string): Target {
  const parsed = parseTarget(url);
  if (!parsed.ok) throw new NetError('blocked', `the request was refused: ${parsed.reason}`);
  return parsed.target;
}

function firstHop(request: NetRequest): Hop {
  const method = (request.method ?? 'GET').toUpperCase();
  if (!METHODS.some((known) => known === method)) throw new NetError('protocol', 'this HTTP method is not possible');
  const headers: Record<string, string> = { 'accept-encoding': ACCEPT_ENCODING, 'user-agent': 'ruche' };
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    const lower = name.toLowerCase();
    if (REFUSED_HEADERS.test(lower)) throw new NetError('protocol', `the header ${lower} cannot be set by a caller`);
    headers[lower] = value;
  }
  const body = request.body ?? null;
  if (body !== null) headers['content-length'] = String(Buffer.byteLength(body));
  return { target: targetOf(request.url), method, headers, body };
}

const only = (headers: Record<string, string>, keep: (name: string) => boolean): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => keep(name)));

/** The hop that an answer sends us to; null if it is a final one. */
function nextHop(hop: Hop, { message, scrub }: Got): Hop | null {
  const status = message.statusCode ?? 0;
  // A credential that it repeats must not go where it leads.
  const location = message.headers.location && (scrub?.text(message.headers.location) ?? message.headers.location);
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return null;
  const url = URL.parse(location, hop.target.url);
  if (url === null) throw new NetError('redirect', `${originOf(hop.target)} redirects to something that is no URL`);
  const target = targetOf(url.href);
  if (hop.target.secure && !target.secure)
    throw new NetError('redirect', `${originOf(hop.target)} redirects to plain http, which is refused`);
  const toGet = status === 303 ? hop.method !== 'HEAD' : status < 303 && hop.method === 'POST';
  const method = toGet ? 'GET' : hop.method;
  const body = toGet ? null : hop.body;
  let { headers } = hop;
  if (toGet) headers = only(headers, (name) => !BODY_HEADERS.test(name));
  if (originOf(target) !== originOf(hop.target)) {
    // The body was meant for the first origin as much as the credentials were.
    if (body !== null)
      throw new NetError('redirect', `${originOf(hop.target)} redirects a request with a body to ${originOf(target)}`);
    headers = only(headers, (name) => SAFE_HEADERS.has(name));
  }
  return { target, method, headers, body };
}

/** When the certificate of the other side ends; null where nothing is encrypted, or nobody knows. */
function certificateEnd({ socket }: IncomingMessage): number | null {
  if (!(socket instanceof TLSSocket)) return null;
  const validTo = Date.parse(socket.getPeerCertificate().valid_to ?? '');
  return Number.isNaN(validTo) ? null : validTo;
}

/** An answer, and what takes the credentials out of it that its request carried. */
interface Got extends Answer {
  scrub: Scrub | null;
}

/** The answer without cookies, which nobody here keeps, and without what described a body that is changed. */
function headersOf({ message, scrub }: Got, changed: boolean): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2) {
    const name = (message.rawHeaders[index] as string).toLowerCase();
    if (name === 'set-cookie' || name === 'set-cookie2') continue;
    if (changed && (name === 'content-encoding' || name === 'content-length')) continue;
    if (scrub !== null && scrub.text(name) !== name) continue;
    const value = message.rawHeaders[index + 1] as string;
    headers.append(name, scrub?.text(value) ?? value);
  }
  return headers;
}

function respond(answer: Got, hop: Hop, request: NetRequest, redirected: boolean, watching: Watch): Response {
  const { message } = answer;
  const status = message.statusCode ?? 0;
  if (status < 200 || status > 599)
    throw new NetError('protocol', `${originOf(hop.target)} answered with status ${status}`);
  const bodiless = hop.method === 'HEAD' || NULL_BODY.has(status);
  const { 'transfer-encoding': coding = '', 'content-type': type = '' } = message.headers;
  const why = answer.scrub === null || bodiless ? null : unreadable({ status, coding, type });
  if (why !== null) throw new NetError('protocol', `${originOf(hop.target)}: ${why}`);
  const encoding = bodiless ? '' : encodingOf(message);
  const headers = headersOf(answer, encoding !== '' || answer.scrub !== null);
  if (bodiless) {
    message.resume();
    watching.end();
  }
  const body = bodiless
    ? null
    : bodyStream(answer, encoding, request.maxBytes, originOf(hop.target), watching, answer.scrub);
  const response = new Response(body, { status, headers });
  // A Response made by hand has no URL, and callers want to say where the text came from.
  return Object.defineProperties(response, { url: { value: hop.target.url }, redirected: { value: redirected } });
}

interface JourneyParts {
  pools: Pools;
  resolve: Resolve;
  log: Log;
  lines: Lines;
  injection: Injection | null;
}

/** Follows one request to its final answer. */
class Journey {
  private readonly pools: Pools;
  private readonly resolve: Resolve;
  private readonly log: Log;
  private readonly watching: Watch;
  private readonly request: NetRequest;
  private readonly forWhom: ForWhom;
  private readonly lines: Lines;
  private readonly injection: Injection | null;

  constructor(parts: JourneyParts, watching: Watch, request: NetRequest, forWhom: ForWhom) {
    this.pools = parts.pools;
    this.resolve = parts.resolve;
    this.log = parts.log;
    this.lines = parts.lines;
    this.injection = parts.injection;
    this.watching = watching;
    this.request = request;
    this.forWhom = forWhom;
  }

  async go(): Promise<Response> {
    const { request, watching } = this;
    let hop = firstHop(request);
    for (let hops = 0; ; hops++) {
      const answer = await this.send(hop);
      try {
        const next = nextHop(hop, answer);
        if (next === null) {
          watching.onEnd((failure) => answer.line.end(failure?.code ?? 'ok'));
          return respond(answer, hop, request, hops > 0, watching);
        }
        if (hops >= request.maxRedirects)
          throw new NetError(
            'redirect',
            `more than ${request.maxRedirects} redirects, the last to ${originOf(next.target)}`,
          );
        const refusal = request.onRedirect?.(next.target.url) ?? null;
        if (refusal !== null)
          throw new NetError('redirect', `a redirect to ${originOf(next.target)} was refused: ${refusal}`);
        answer.drop();
        answer.line.end('ok');
        hop = next;
      } catch (error) {
        answer.drop();
        answer.line.end(outcomeOf(error));
        throw error;
      }
    }
  }

  /** The hop as it leaves: with the credential that is bound to it, which no later hop inherits. */
  private async injected(hop: Hop): Promise<{ hop: Hop; scrub: Scrub | null }> {
    const { agent, run, who } = this.forWhom;
    // What goes to models and channels is not of an agent's making: a placeholder in it is only talked about.
    if (this.injection === null || !who.startsWith('tool:')) return { hop, scrub: null };
    const injected = await this.injection.outgoing({ agent, run, ...hop });
    if (!injected.ok) throw new NetError('blocked', `${originOf(hop.target)} is blocked: ${injected.why}`);
    return { hop: { ...hop, headers: injected.headers }, scrub: injected.scrub };
  }

  private async send(plain: Hop): Promise<Got> {
    const { forWhom, log, pools, watching } = this;
    const { target } = plain;
    const line = this.lines.open(forWhom, {
      host: target.host,
      port: target.port,
      kind: 'request',
      method: plain.method,
    });
    const fields = { who: forWhom.who, origin: originOf(target), method: plain.method };
    try {
      const { hop, scrub } = await watching.race(this.injected(plain));
      const past = misleading(Object.keys(hop.headers), entriesFor(forWhom.only, target));
      if (past !== undefined)
        throw new NetError(
          'blocked',
          `${originOf(target)} is blocked: the header ${past} could name another method or path`,
        );
      const http = { method: hop.method, path: new URL(target.url).pathname };
      const addresses = await watching.race(pin(target, http, forWhom, this.resolve));
      const agent = pools.agent(target, addresses, forWhom);
      const answer = await exchange(hop, agent, () => pools.fresh(target, addresses), watching, line);
      watching.heard();
      const validTo = certificateEnd(answer.message);
      if (validTo !== null) this.request.onCertificate?.(validTo);
      log.debug({ ...fields, status: answer.message.statusCode }, 'request');
      return { ...answer, scrub };
    } catch (error) {
      line.end(outcomeOf(error));
      if (error instanceof NetError) log.info({ ...fields, code: error.code }, 'request failed');
      throw error;
    }
  }
}

/**
 * The only way out for any byte. Each hop is checked by name and, after one resolution, by every address; the connection
 * goes to a checked address. No proxy of the environment is used and no cookie kept. `close` ends all connections.
 */
export function openNet(options: NetOptions): Net & { close(): void } {
  const { clock, log, resolve = systemResolve, connect = connectPinned, ca = [], injection = null } = options;
  const trust = openTrust(ca);
  const pools = openPools(connect, trust);
  const lines = openLines(options.record ?? (() => undefined), clock);
  const dials = openDials({ clock, log, resolve, connect, trust, lines });
  return {
    request: async (request, forWhom) => {
      const watching = watch(clock, request);
      try {
        return await new Journey({ pools, resolve, log, lines, injection }, watching, request, forWhom).go();
      } catch (error) {
        watching.end();
        throw error;
      }
    },
    dial: (dial, forWhom) => dials.dial(dial, forWhom),
    websocket: (wanted, forWhom) => openWebSocket(wanted, forWhom, dials),
    close: () => {
      dials.close();
      pools.close();
      lines.close();
    },
  };
}
