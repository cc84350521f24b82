import { wildcardMatch } from '../text/glob.ts';
import { sameHeader } from './headers.ts';
import { bracketed, parseHostPattern, patternFits } from './host.ts';

/** One entry of a `network:` list: where somebody may go, and whether a person is asked first. */
export interface Reach {
  /** A pattern in canonical form, as `parseHostPattern` gives it. */
  host: string;
  /** More patterns that the host must fit, where two globs of two lists have no form in common. */
  also?: readonly string[];
  /** Null: any. */
  ports: readonly number[] | null;
  /** Upper case; null: any. */
  methods: readonly string[] | null;
  /** Prefixes of whole segments; null: any. */
  paths: readonly string[] | null;
  verdict: 'allow' | 'ask';
}

/** An entry as it stands in a file. */
export interface ReachSource {
  host: string;
  ports?: readonly number[] | undefined;
  methods?: readonly string[] | undefined;
  paths?: readonly string[] | undefined;
  ask?: boolean | undefined;
}

/** Where something goes. A connection that is not looked into (`http` null) fits no entry that names methods or paths. */
export interface Use {
  host: string;
  port: number;
  http: { method: string; path: string } | null;
}

/** What HTTP and WebDAV have. CONNECT and TRACE are for proxies and tests. */
export const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'PROPFIND',
  'PROPPATCH',
  'REPORT',
  'SEARCH',
  'MKCOL',
  'MKCALENDAR',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
] as const;

const patternOf = (host: string) => ({ host, port: null, literal: !/[*?]/.test(host) });

/** What is wrong with a prefix of paths; null if nothing is. */
export function pathProblem(path: string): string | null {
  if (!path.startsWith('/')) return 'must begin with /';
  if (/[?#*]/.test(path)) return 'must be the beginning of a path, without *, ? and #';
  return plainPath(path) === path ? null : 'must be a plain path: no .., no // and nothing percent-encoded';
}

/** What is wrong with an entry's host; null if nothing is. */
export function hostProblem(source: string | ReachSource): string | null {
  const text = typeof source === 'string' ? source : source.host;
  const pattern = parseHostPattern(text);
  if (pattern === null)
    return 'must be host, *.host or host:port with a port number up to 65535: no URL, no range of addresses, no spaces';
  return typeof source !== 'string' && pattern.port !== null ? 'must be a host; put its port under ports' : null;
}

/** Reads an entry: `host`, `host:port`, `*.host`, or a map. Null if it cannot be read. */
export function parseReach(source: string | ReachSource): Reach | null {
  const { host, ports, methods, paths, ask = false } = typeof source === 'string' ? { host: source } : source;
  const pattern = parseHostPattern(host);
  if (pattern === null || hostProblem(source) !== null || paths?.some((path) => pathProblem(path) !== null))
    return null;
  return {
    host: pattern.host,
    ports: ports ?? (pattern.port === null ? null : [pattern.port]),
    methods: methods?.map((method) => method.toUpperCase()) ?? null,
    paths: paths ?? null,
    verdict: ask ? 'ask' : 'allow',
  };
}

/** The list of these texts. Throws if one cannot be read: they come from code. */
export const reaches = (...entries: readonly string[]): Reach[] =>
  entries.map((entry) => {
    const reach = parseReach(entry);
    if (reach === null) throw new Error(`${entry} is not host or host:port`);
    return reach;
  });

/** What some servers read as another path: dots, also with spaces among them, backslashes and parameters. */
const isOdd = (text: string): boolean =>
  /[\\%;\p{Cc}]/u.test(text) || text.split('/').some((part) => /^\s*\.[.\s]*$/.test(part));

/**
 * The path of a URL, decoded, where every server reads the same in it; null where one could find another path: `..` and
 * `//` in any spelling, an encoded slash, an encoding within an encoding.
 */
export function plainPath(path: string): string | null {
  if (!path.startsWith('/') || path.includes('//') || /%(?:2f|5c|25|00)/i.test(path)) return null;
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return null;
  }
  const compatible = decoded.normalize('NFKC');
  const parts = (text: string): number => text.split('/').length;
  if (isOdd(decoded) || isOdd(compatible) || parts(compatible) !== parts(path)) return null;
  return decoded;
}

/** `/a` is `/a` and all below it, not `/ab`; `/a/` is only what is below. */
const below = (prefix: string, path: string): boolean =>
  path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);

/** True if the entry speaks of this host and port, whatever is done there. */
export const reachesHost = (reach: Reach, at: { host: string; port: number }): boolean =>
  (reach.ports?.includes(at.port) ?? true) &&
  [reach.host, ...(reach.also ?? [])].every((host) => patternFits(patternOf(host), at));

/** True if each request that uses this entry has to be looked at: it names methods or paths. */
export const isInspected = (reach: Reach): boolean => reach.methods !== null || reach.paths !== null;

/** What a list says of a use: the strictest entry that fits; null if none does. */
export function reachVerdict(list: readonly Reach[], { host, port, http }: Use): Reach['verdict'] | null {
  const there = list.filter((reach) => reachesHost(reach, { host, port }));
  const path = http === null ? null : plainPath(http.path);
  // Where paths are told apart, one that is unclear could be the one that is asked for.
  if (http !== null && path === null && there.some(({ paths }) => paths !== null)) return null;
  const fitting = there.filter(
    ({ methods, paths }) =>
      (methods === null || (http !== null && methods.includes(http.method))) &&
      (paths === null || (path !== null && paths.some((prefix) => below(prefix, path)))),
  );
  if (fitting.length === 0) return null;
  // And a connection that nobody looks into could be used for what is asked for.
  const telling = http === null ? there : fitting;
  return telling.some(({ verdict }) => verdict === 'ask') ? 'ask' : 'allow';
}

/**
 * How something that cannot ask may connect to a host before anything is said: `open` for any use, `inspect` only if each
 * request is looked at, since an entry names methods or paths; null not at all.
 */
export function connectionTo(list: readonly Reach[], at: { host: string; port: number }): 'open' | 'inspect' | null {
  const there = list.filter((reach) => reachesHost(reach, at));
  if (!there.some(({ verdict }) => verdict === 'allow')) return null;
  if (there.some(isInspected)) return 'inspect';
  return there.some(({ verdict }) => verdict === 'ask') ? null : 'open';
}

/**
 * Headers with which a caller asks some servers to read another method or path than the request line has. Where a list
 * names methods or paths they would lead past it.
 */
export const overridesRequest = (header: string): boolean =>
  /^x-(?:http-)?method(?:-override)?$|^x-(?:envoy-original|forwarded|original|override|proxy|request|rewrite)-(?:method|path|prefix|ur[il])$/.test(
    sameHeader(header),
  );

/** Of the headers of a request one that could lead past the methods or paths of these entries; undefined if none could. */
export function misleading(
  headers: readonly string[],
  entries: readonly Pick<Reach, 'methods' | 'paths'>[],
): string | undefined {
  const paths = entries.some((entry) => entry.paths !== null);
  if (!paths && entries.every(({ methods }) => methods === null)) return undefined;
  // WebDAV copies and moves to the path in `Destination`.
  return headers.find((header) => overridesRequest(header) || (paths && sameHeader(header) === 'destination'));
}

/** The entries of a list that speak of a host and port. */
export const entriesFor = (list: readonly Reach[] | null, at: { host: string; port: number }): Reach[] =>
  (list ?? []).filter((reach) => reachesHost(reach, at));

const bothOf = <T>(a: readonly T[] | null, b: readonly T[] | null): readonly T[] | null =>
  a === null || b === null ? (a ?? b) : a.filter((each) => b.includes(each));

function pathsOf(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  if (a === null || b === null) return a ?? b;
  return [
    ...a.filter((one) => b.some((two) => below(two, one))),
    ...b.filter((two) => a.some((one) => below(one, two))),
  ];
}

/** The end of a pattern that is `*` and a literal end. */
const tailOf = (host: string): string | undefined => /^\*([^*?]*)$/.exec(host)?.[1];

/** True if every host that fits `narrow` fits `wide`. May miss it for odd globs. */
function covers(wide: string, narrow: string): boolean {
  if (!/[*?]/.test(narrow)) return wildcardMatch(wide, narrow);
  const tail = tailOf(wide);
  return wide === narrow || (tail !== undefined && narrow.endsWith(tail));
}

/** The narrowest of patterns that a host has to fit all; null if none can. */
function narrowest(hosts: readonly string[]): string[] | null {
  const left = hosts.filter((one) => !hosts.some((other) => other !== one && covers(one, other)));
  const simple = left.filter((host) => !/[*?]/.test(host) || tailOf(host) !== undefined);
  // Of two that are literal or a literal end, neither of which holds the other, no host fits both.
  if (simple.length > 1) return null;
  const [literal] = simple.filter((host) => !/[*?]/.test(host));
  return literal !== undefined && left.length > 1 ? null : left;
}

function both(a: Reach, b: Reach): Reach | null {
  const hosts = narrowest([...new Set([a.host, ...(a.also ?? []), b.host, ...(b.also ?? [])])]);
  if (hosts === null) return null;
  const [host = '', ...also] = hosts;
  const ports = bothOf(a.ports, b.ports);
  const methods = bothOf(a.methods, b.methods);
  const paths = pathsOf(a.paths, b.paths);
  if ([ports, methods, paths].some((list) => list?.length === 0)) return null;
  return {
    host,
    ...(also.length === 0 ? {} : { also }),
    ports,
    methods,
    paths: paths === null ? null : [...new Set(paths)],
    verdict: a.verdict === 'ask' || b.verdict === 'ask' ? 'ask' : 'allow',
  };
}

/** What every host of a pattern ends in. */
export const literalEnd = (host: string): string => host.slice(host.search(/[^*?]*$/));

/** What both lists allow, and the stricter verdict of them; null allows all. */
export function commonReach(a: readonly Reach[] | null, b: readonly Reach[] | null): readonly Reach[] | null {
  if (a === null || b === null) return a ?? b;
  // Each connection of a command asks. Nearly all pairs of two long lists end differently, which is quick to see.
  const others = b.map((reach) => ({ reach, end: literalEnd(reach.host) }));
  const pairs = a.flatMap((one) => {
    const own = literalEnd(one.host);
    const near = others.filter(({ end }) => own.endsWith(end) || end.endsWith(own));
    return near.flatMap(({ reach }) => both(one, reach) ?? []);
  });
  return [...new Map(pairs.map((pair) => [JSON.stringify(pair), pair])).values()];
}

/** An entry as a person reads it. */
export function reachText({ host, also = [], ports, methods, paths, verdict }: Reach): string {
  const name = [host, ...also].map(bracketed).join(' and ');
  const at = ports === null ? '' : `:${ports.join(',')}`;
  const how = [methods?.join('/'), paths?.join(' '), verdict === 'ask' ? 'asks' : undefined];
  const more = how.filter((part) => part !== undefined).join(', ');
  return more === '' ? `${name}${at}` : `${name}${at} (${more})`;
}

/** Hosts and ports (null: any) that entries name letter by letter. */
export const namedPlaces = (list: readonly Reach[]): { host: string; port: number | null }[] =>
  list.flatMap(({ host, ports }) => (/[*?]/.test(host) ? [] : (ports ?? [null]).map((port) => ({ host, port }))));
