import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { HttpError } from './reply.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A check whose time says nothing about how much of a guess was right. */
export function tokenCheck(token: string): (guess: string) => boolean {
  const right = digest(token);
  return (guess) => timingSafeEqual(digest(guess), right);
}

/** Whether only this machine reaches an address. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  host === '[::1]' ||
  (isIPv4(host) && host.startsWith('127.')) ||
  host.startsWith('::ffff:127.');

const MIN_LENGTH = 24;

/** Whether somebody who may try for long could find it. */
export const isGuessable = (token: string): boolean => token.length < MIN_LENGTH || new Set(token).size < 8;

/**
 * Why the gateway must not listen on this address with this token; null if it may. Loopback needs a real token too,
 * because other users and web pages reach it; another address needs one that cannot be guessed.
 */
export function refuseToListen(host: string, token: string): string | null {
  const mend = 'Remove RUCHE_TOKEN to get a new token in <home>/token, or set one of at least 24 characters.';
  if (token === '' || token === 'undefined' || token === 'null') return `The gateway has no token. ${mend}`;
  if (!/^[\x21-\x7e]+$/.test(token))
    return `The token contains spaces or characters that a header cannot carry. ${mend}`;
  if (isLoopback(host)) return null;
  const where = `The address ${host} can be reached from other machines`;
  if (token.length < MIN_LENGTH) return `${where}, and the token is too short (${token.length} characters). ${mend}`;
  if (isGuessable(token)) return `${where}, and the token is too easy to guess: it repeats a few characters. ${mend}`;
  return null;
}

/** The part of a request that says where it was sent and from which page. */
export type Origin = Pick<IncomingMessage, 'url' | 'headers' | 'rawHeaders'> & {
  socket: { localAddress?: string | undefined };
};

/** By what it is called. */
export interface Ours {
  names: readonly string[];
  /** Origin under which a proxy serves the page. */
  publicUrl: string | null;
}

const forbidden = (code: string, message: string): HttpError => new HttpError(403, code, message);

/**
 * Refuses what a web page of someone else can make a browser send: a name that was rebound to this address, another
 * origin, a cross-site request. Only the socket and the configuration decide which names are ours: the Host header never
 * vouches for an Origin, and forwarding headers are not read at all. `page`: it asks for the web page.
 */
export function refuseStranger(request: Origin, ours: Ours, page = false): HttpError | null {
  if (!request.url?.startsWith('/')) return new HttpError(400, 'bad_target', 'The request target must be a path.');
  const host = onlyHost(request);
  if (host === null) return new HttpError(400, 'bad_host', 'The request must carry exactly one Host header.');
  if (!isOurs(host, request, ours))
    return forbidden(
      'wrong_host',
      `This gateway does not answer to the name in the Host header. Use the address printed by "ruche up", use the machine's numeric address, start with --host and that name, or, behind a proxy, set publicUrl in ruche.yaml.`,
    );
  const { origin } = request.headers;
  if (origin !== undefined && !isOurPage(origin, host, ours))
    return forbidden(
      'wrong_origin',
      'Requests from another origin are refused. Behind a proxy, set publicUrl in ruche.yaml to the address of the page.',
    );
  const site = request.headers['sec-fetch-site'];
  // Somebody followed a link to the page: it holds no data, and what it asks for then comes from itself.
  const visit = page && request.headers['sec-fetch-mode'] === 'navigate';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !visit)
    return forbidden('cross_site', 'Requests from other sites are refused.');
  return null;
}

function onlyHost(request: Origin): string | null {
  let count = 0;
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    if (request.rawHeaders[i]?.toLowerCase() === 'host') count += 1;
  return count === 1 ? (request.headers.host ?? '').toLowerCase() : null;
}

/** A proxy may hand on another Host than the browser asked for, so a page of the public origin is ours whatever that is. */
function isOurPage(origin: string, host: string, { names, publicUrl }: Ours): boolean {
  if (origin === publicUrl) return true;
  // Somebody between could write what stands on the page of the same name without TLS.
  if (publicUrl !== null && nameOf(host) === publicName(publicUrl)) return false;
  return origin === `http://${host}` || (names.includes(host) && origin === `https://${host}`);
}

function isOurs(host: string, request: Origin, { names, publicUrl }: Ours): boolean {
  if (names.includes(host)) return true;
  // Any port will do: a forwarded one (ssh -L, a container, a proxy) differs from ours, and only names can be rebound.
  const name = nameOf(host);
  if (isLoopback(name) || names.includes(name)) return true;
  if (publicUrl !== null && name === publicName(publicUrl)) return true;
  return isIP(name) !== 0 && name === request.socket.localAddress?.replace(/^::ffff:/, '');
}

const publicName = (url: string): string => nameOf(new URL(url).host);

/** Of a Host header; '' where that is none. */
const nameOf = (host: string): string =>
  /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d+)?$/.exec(host)?.[1]?.replace(/^\[|\]$/g, '') ?? '';

/** Addresses remembered; beyond that the one unseen for longest is forgotten. */
const ADDRESSES = 10_000;

interface Bucket {
  left: number;
  at: number;
}

export interface FailureLimit {
  /** Pays for one attempt before it is looked at: 0, or the milliseconds until the address may try again. */
  pay(address: string, now: number): number;
  /** Gives back what a right token had paid. */
  refund(address: string): void;
}

/** Counts wrong tokens by address. Where a secret can be guessed, an attempt pays before it is looked at. */
export function failureLimit(options: { burst: number; perSecond: number }): FailureLimit {
  const buckets = new Map<string, Bucket>();
  return {
    pay(address, now) {
      const key = group(address);
      const known = buckets.get(key);
      const bucket = known ?? { left: options.burst, at: now };
      // A clock that was set back must not lock anyone out for as long as it was ahead.
      const elapsed = Math.max(0, now - bucket.at);
      bucket.left = Math.min(options.burst, bucket.left + (elapsed / 1000) * options.perSecond);
      bucket.at = now;
      buckets.delete(key);
      buckets.set(key, bucket);
      if (buckets.size > ADDRESSES) buckets.delete(buckets.keys().next().value ?? key);
      if (bucket.left < 1) return Math.ceil(((1 - bucket.left) / options.perSecond) * 1000);
      bucket.left -= 1;
      return 0;
    },
    refund(address) {
      const bucket = buckets.get(group(address));
      if (bucket) bucket.left = Math.min(options.burst, bucket.left + 1);
    },
  };
}

/** One IPv6 customer holds a whole /64: counting single addresses would make guessing free there. */
function group(address: string): string {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return isIPv6(plain) ? plain.split(':').slice(0, 4).join(':') : plain;
}
