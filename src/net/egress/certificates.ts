import {
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
} from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

// X.509 as far as an authority for single names needs it: P-256 with SHA-256, written and never read.

export interface Leaf {
  /** PEM, the leaf alone: its issuer is in the clients' file. */
  cert: string;
  /** PEM. */
  key: string;
}

/** An authority of one command, whose certificates count for some hosts only. */
export interface Authority {
  /** PEM. */
  readonly cert: string;
  /** The certificate of one of its hosts, as of now. */
  leaf(host: string): Leaf;
}

/** Milliseconds that certificates count, and that clocks of clients may be behind. */
const VALID_MS = 30 * 86_400_000;
const BEHIND_MS = 86_400_000;

// DER

const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length, ...bytes]), content]);
};
const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
const octets = (content: Uint8Array): Buffer => tlv(0x04, content);
const bits = (content: Uint8Array, unused = 0): Buffer => tlv(0x03, Buffer.from([unused]), content);
const flag = (): Buffer => tlv(0x01, Buffer.from([0xff]));
/** A positive number of 16 bytes. */
const serial = (bytes: Uint8Array): Buffer =>
  tlv(0x02, Buffer.from([((bytes[0] ?? 0) & 0x3f) | 0x40]), bytes.subarray(1, 16));

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const groups = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

/** UTCTime, which ends in 2049. */
const time = (ms: number): Buffer =>
  tlv(0x17, Buffer.from(new Date(ms).toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '').slice(2)));

const commonName = (name: string): Buffer =>
  sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(name)))));

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

const extension = (id: string, critical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), ...(critical ? [flag()] : []), octets(value));

const addressOf = (host: string): Buffer => Buffer.from(ipaddr.parse(host).toByteArray());

/** A GeneralName for a certificate. */
const nameOf = (host: string): Buffer => (isIP(host) === 0 ? tlv(0x82, Buffer.from(host)) : tlv(0x87, addressOf(host)));

/** A GeneralSubtree: the host, or what is below it if it begins with a dot. */
function subtreeOf(host: string): Buffer {
  if (isIP(host) === 0) return sequence(nameOf(host));
  const mask = Buffer.alloc(isIPv6(host) ? 16 : 4, 0xff);
  return sequence(tlv(0x87, addressOf(host), mask));
}

/** Everything: what is excluded where no host is permitted, so that a list of names does not leave addresses open. */
const NO_ADDRESS = [sequence(tlv(0x87, Buffer.alloc(8))), sequence(tlv(0x87, Buffer.alloc(32)))];

function nameConstraints(hosts: readonly string[]): Buffer {
  const permitted = hosts.map(subtreeOf);
  // A kind of name that no subtree speaks of would be free.
  const names = hosts.some((host) => isIP(host) === 0) ? [] : [sequence(tlv(0x82, Buffer.from('invalid')))];
  const excluded = hosts.some((host) => isIP(host) !== 0) ? [] : NO_ADDRESS;
  return sequence(tlv(0xa0, ...permitted, ...names), ...(excluded.length > 0 ? [tlv(0xa1, ...excluded)] : []));
}

const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

interface Certificate {
  serial: Uint8Array;
  issuer: string;
  /** Null: the alternative names say it all. */
  subject: string | null;
  publicKey: KeyObject;
  extensions: readonly Uint8Array[];
  now: number;
}

function issue(certificate: Certificate, key: KeyObject): string {
  const { issuer, subject, publicKey, extensions, now } = certificate;
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    serial(certificate.serial),
    ECDSA_SHA256,
    commonName(issuer),
    sequence(time(now - BEHIND_MS), time(now + VALID_MS)),
    subject === null ? sequence() : commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  return pem(sequence(body, ECDSA_SHA256, bits(sign('sha256', body, { key, dsaEncoding: 'der' }))));
}

/** Order of P-256. */
const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

/** The private key that belongs to a secret and a name: the same whenever it is asked for, so that it is kept nowhere. */
function derivedKey(secret: Uint8Array, name: string): KeyObject {
  const wide = Buffer.concat(
    [1, 2].map((part) => createHmac('sha256', secret).update(`${name} ${part}`).digest()),
  ).toString('hex');
  const scalar = (BigInt(`0x${wide}`) % (ORDER - 1n)) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex');
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(d);
  const point = ecdh.getPublicKey();
  const part = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  const jwk = { kty: 'EC', crv: 'P-256', d: part(d), x: part(point.subarray(1, 33)), y: part(point.subarray(33)) };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

const keyId = (key: KeyObject): Buffer =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }).subarray(-65))
    .digest();

const SUBJECT_KEY = '2.5.29.14';
const KEY_USAGE = '2.5.29.15';
const ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const NAME_CONSTRAINTS = '2.5.29.30';
const AUTHORITY_KEY = '2.5.29.35';
const EXTENDED_USAGE = '2.5.29.37';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
/** keyCertSign, and digitalSignature. */
const SIGNS_CERTIFICATES = bits(Buffer.from([0x04]), 2);
const SIGNS = bits(Buffer.from([0x80]), 7);

/**
 * The authority of one command, for these hosts and what is below them. It is derived from a secret of home and the
 * command's name, so that the same command has the same one after a restart.
 */
export function openAuthority(
  { secret, name, hosts }: { secret: Uint8Array; name: string; hosts: readonly string[] },
  now: () => number,
): Authority {
  const key = derivedKey(secret, `authority ${name}`);
  const publicKey = createPublicKey(key);
  const id = keyId(publicKey);
  const issuer = `Ruche command ${id.toString('hex').slice(0, 16)}`;
  const cert = issue(
    {
      serial: createHash('sha256').update(id).digest(),
      issuer,
      subject: issuer,
      publicKey,
      now: now(),
      extensions: [
        extension(BASIC_CONSTRAINTS, true, sequence(flag(), tlv(0x02, Buffer.from([0])))),
        extension(KEY_USAGE, true, SIGNS_CERTIFICATES),
        extension(NAME_CONSTRAINTS, true, nameConstraints(hosts)),
        extension(SUBJECT_KEY, false, octets(id)),
      ],
    },
    key,
  );
  const leafKey = derivedKey(secret, `leaf ${name}`);
  const leafPublic = createPublicKey(leafKey);
  const leafPem = leafKey.export({ type: 'pkcs8', format: 'pem' });
  return {
    cert,
    leaf: (host) => ({
      key: leafPem,
      cert: issue(
        {
          serial: createHash('sha256').update(id).update(`${host} ${now()}`).digest(),
          issuer,
          // Some clients hold a common name against the permitted names, where the host is an address.
          subject: null,
          publicKey: leafPublic,
          now: now(),
          extensions: [
            extension(BASIC_CONSTRAINTS, true, sequence()),
            extension(KEY_USAGE, true, SIGNS),
            extension(EXTENDED_USAGE, false, sequence(oid(SERVER_AUTH))),
            extension(ALT_NAME, true, sequence(nameOf(host))),
            extension(SUBJECT_KEY, false, octets(keyId(leafPublic))),
            extension(AUTHORITY_KEY, false, sequence(tlv(0x80, id))),
          ],
        },
        key,
      ),
    }),
  };
}
