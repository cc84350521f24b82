import { addressKind, type AddressKind } from './address.ts';
import { MAX_PATTERN, wildcardMatch } from '../text/glob.ts';

/** Where an HTTP request goes, in the one spelling that rules, guard and connection all use. */
export interface Target {
  /** The URL as the parser leaves it, without fragment. */
  url: string;
  secure: boolean;
  /** Lower case, punycode, no trailing dot; IPv6 without brackets. */
  host: string;
  port: number;
}

/** What a connection goes to. */
export type HostPort = Pick<Target, 'host' | 'port'>;

/** A host as it stands before a port. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

export const hostPortText = ({ host, port }: HostPort): string => `${bracketed(host)}:${port}`;

const MAX_URL = 8192;

/** The canonical form of a host as the URL parser gives it; null if it has empty labels. */
function canonicalHost(hostname: string): string | null {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  const host = hostname.replace(/\.$/, '');
  return host === '' || host.split('.').includes('') ? null : host;
}

/** Reads an absolute http(s) URL. What it refuses is never contacted. */
export function parseTarget(raw: string): { ok: true; target: Target } | { ok: false; reason: string } {
  if (raw.length > MAX_URL) return { ok: false, reason: `the URL is longer than ${MAX_URL} characters` };
  const url = URL.parse(raw);
  if (url === null) return { ok: false, reason: 'this is not an absolute URL' };
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return { ok: false, reason: `only http and https are possible, not ${url.protocol.slice(0, 32)}` };
  if (url.username !== '' || url.password !== '')
    return { ok: false, reason: 'the URL carries a user name or password' };
  const host = canonicalHost(url.hostname);
  if (host === null) return { ok: false, reason: 'the host name has an empty label' };
  const secure = url.protocol === 'https:';
  url.hash = '';
  // Without the trailing dot in the URL itself, so that Host header, certificate check and rules see one name.
  if (!host.includes(':')) url.hostname = host;
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { ok: true, target: { url: url.href, secure, host, port } };
}

/** `scheme://host:port`, the only part of a URL that may appear in errors and logs: paths and queries can hold secrets. */
export const originOf = (target: Target): string => new URL(target.url).origin;

const PRIVATE_SUFFIXES = [
  'local',
  'internal',
  'intranet',
  'lan',
  'home',
  'corp',
  'private',
  'localdomain',
  'home.arpa',
];

/** What a host in a URL is for, before any resolution: by its name, or by its address if it is one. */
export function hostKind(host: string): AddressKind {
  const address = addressKind(host);
  if (address !== null) return address;
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  // A name of one label is completed by the resolver's search list, so it is one of the local network.
  if (!host.includes('.')) return 'private';
  return PRIVATE_SUFFIXES.some((suffix) => host.endsWith(`.${suffix}`)) ? 'private' : 'public';
}

export interface HostPattern {
  /** Canonical; may hold `*` and `?` unless `literal`. */
  host: string;
  /** Null: any port. */
  port: number | null;
  literal: boolean;
}

const PATTERN = /^(?:\[([^\]]+)\]|([^:[\]/@\s\\#]+))(?::(\d{1,5}|\*))?$/;
/** An IPv6 address without brackets, which leaves no room for a port. */
const BARE_V6 = /^[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*$/i;

/** One label or name as the URL parser would write it; wildcards pass through, since the parser refuses them. */
function canonicalName(name: string): string | null {
  const bare = name.replace(/\.$/, '');
  if (!/[*?]/.test(bare)) {
    const hostname = URL.parse(`http://${bare}/`)?.hostname;
    return hostname === undefined ? null : canonicalHost(hostname);
  }
  const labels = bare.split('.').map((label) => {
    if (/^[\x21-\x7e]+$/.test(label)) return label.toLowerCase();
    return URL.parse(`http://${label}.x/`)?.hostname.slice(0, -2) ?? '';
  });
  return labels.includes('') ? null : labels.join('.');
}

/** Reads `host` or `host:port` of a rule or a list (IPv6 in brackets, or bare without port); null if it is neither. */
export function parseHostPattern(raw: string): HostPattern | null {
  if (raw.length > MAX_PATTERN) return null;
  const text = raw.trim();
  const match = BARE_V6.test(text) ? [text, text] : PATTERN.exec(text);
  if (match === null) return null;
  const [, v6, name, portText] = match;
  const host =
    v6 === undefined ? canonicalName(name as string) : (URL.parse(`http://[${v6}]/`)?.hostname.slice(1, -1) ?? null);
  const port = portText === undefined || portText === '*' ? null : Number(portText);
  if (host === null || (port !== null && (port < 1 || port > 65535))) return null;
  return { host, port, literal: !/[*?]/.test(host) };
}

/** `*` crosses dots: a rule against `*.example.org` means every name below it, however deep. */
export const patternFits = (pattern: HostPattern, at: { host: string; port: number }): boolean =>
  (pattern.port === null || pattern.port === at.port) &&
  (pattern.literal ? pattern.host === at.host : wildcardMatch(pattern.host, at.host));

/**
 * True if one of the entries (`host` or `host:port`) fits. One with a glob, or that cannot be read, fits nothing: nobody opens a
 * private address by accident.
 */
export const namedHost = (entries: readonly string[], at: { host: string; port: number }): boolean =>
  entries.some((entry) => {
    const pattern = parseHostPattern(entry);
    return pattern !== null && pattern.literal && patternFits(pattern, at);
  });

/** `https://example.org` of an http or https address without path, query or credentials; null for any other text. */
export function bareOrigin(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const { protocol, origin, href } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && (href === origin || href === `${origin}/`) ? origin : null;
}
