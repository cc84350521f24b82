/**
 * What an IP address is for. `special` is everything that no ordinary client has business with: multicast, broadcast,
 * documentation, reserved ranges, and those that carry an IPv4 address inside (mapped, NAT64, 6to4, Teredo), which
 * would otherwise be a second spelling of a private address.
 */
export type AddressKind = 'public' | 'loopback' | 'private' | 'link-local' | 'special';

type Range = readonly [first: string, bits: number, kind: AddressKind];

const V4_RANGES: readonly Range[] = [
  ['0.0.0.0', 8, 'special'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'private'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'special'],
  ['192.0.2.0', 24, 'special'],
  ['192.31.196.0', 24, 'special'],
  ['192.52.193.0', 24, 'special'],
  ['192.88.99.0', 24, 'special'],
  ['192.168.0.0', 16, 'private'],
  ['192.175.48.0', 24, 'special'],
  ['198.18.0.0', 15, 'special'],
  ['198.51.100.0', 24, 'special'],
  ['203.0.113.0', 24, 'special'],
  ['224.0.0.0', 3, 'special'],
];

/** Only 2000::/3 is handed out for public use, so everything else is special unless it is named here. */
const V6_RANGES: readonly Range[] = [
  ['::1', 128, 'loopback'],
  ['fc00::', 7, 'private'],
  ['fe80::', 10, 'link-local'],
  ['2001::', 23, 'special'],
  ['2001:db8::', 32, 'special'],
  ['2002::', 16, 'special'],
  ['2620:4f:8000::', 48, 'special'],
  ['3fff::', 20, 'special'],
  ['2000::', 3, 'public'],
];

function parseV4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function parseV6(text: string): bigint | null {
  // The URL parser knows every spelling (compressed, embedded IPv4, zeros, case) and leaves only hexadecimal groups.
  const host = /^[0-9a-fA-F:.]+$/.test(text) ? URL.parse(`http://[${text}]/`)?.hostname : undefined;
  if (host === undefined) return null;
  const [head = '', tail] = host.slice(1, -1).split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  const groups = [...front, ...zeros, ...back];
  return groups.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

const within = (value: bigint, first: bigint, bits: number, width: number): boolean =>
  value >> BigInt(width - bits) === first >> BigInt(width - bits);

type Parsed = { first: bigint; bits: number; kind: AddressKind };
const table = (ranges: readonly Range[], parse: (text: string) => bigint | null): Parsed[] =>
  ranges.map(([first, bits, kind]) => ({ first: parse(first) as bigint, bits, kind }));
const V4 = table(V4_RANGES, parseV4);
const V6 = table(V6_RANGES, parseV6);

/** The kind of an IPv4 address in dotted decimal or of an IPv6 address (a zone such as `%eth0` is ignored); null for anything else. */
export function addressKind(text: string): AddressKind | null {
  const v4 = parseV4(text);
  if (v4 !== null) return V4.find(({ first, bits }) => within(v4, first, bits, 32))?.kind ?? 'public';
  const v6 = parseV6(text.replace(/%.*$/s, ''));
  if (v6 === null) return null;
  return V6.find(({ first, bits }) => within(v6, first, bits, 128))?.kind ?? 'special';
}
