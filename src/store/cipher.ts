import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** A subject's secret, and the key made from it that names its blobs. */
export interface SubjectKey {
  subject: string;
  /** 32 bytes, for AES-256-GCM. */
  secret: Buffer;
  /** 32 bytes, for HMAC-SHA256. */
  naming: Buffer;
}

/** A blob is missing, or its bytes are not those that were put. */
export class BlobDamaged extends Error {
  readonly hash: string;
  constructor(hash: string, what: string) {
    super(`blob ${hash} ${what}`);
    this.name = 'BlobDamaged';
    this.hash = hash;
  }
}

/** Bytes of one blob at most; larger things are files in Git. */
export const MAX_BLOB = 64 * 1024 * 1024;
export const SECRET_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function subjectKey(subject: string, secret: Uint8Array): SubjectKey {
  const naming = Buffer.from(hkdfSync('sha256', secret, '', 'ruche blob name 1', 32));
  // Not of Node's pool: a kept key would keep 64 kB of other people's bytes.
  return { subject, secret: Buffer.alloc(secret.length, secret), naming };
}

/** Names the bytes. Without the key nobody can tell whether some known bytes are meant. */
export const nameBlob = (key: SubjectKey, bytes: Uint8Array): string =>
  createHmac('sha256', key.naming).update(bytes).digest('base64url');

/** Bytes from which on, and up to which, packing is worth its time: less has hardly a pattern, more holds everybody up. */
const PACK_LEAST = 1024;
const PACK_MOST = 256 * 1024;

/** The bytes compressed, since encrypted ones cannot be; null where that saves less than a tenth. */
export function pack(bytes: Uint8Array): Buffer | null {
  if (bytes.length < PACK_LEAST || bytes.length > PACK_MOST) return null;
  const packed = deflateRawSync(bytes);
  return packed.length < bytes.length * 0.9 ? packed : null;
}

/** nonce ‖ ciphertext ‖ tag. The name is authenticated too, so that two blobs cannot be swapped. */
export function seal(key: SubjectKey, hash: string, bytes: Uint8Array, random: (n: number) => Uint8Array): Buffer {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.secret, nonce).setAAD(Buffer.from(hash));
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Throws BlobDamaged unless these are the bytes that `hash` names. `packed`: they were sealed compressed. */
export function unseal(key: SubjectKey, hash: string, body: Uint8Array, packed = false): Buffer {
  if (body.length < NONCE_BYTES + TAG_BYTES) throw new BlobDamaged(hash, 'is cut off');
  const end = body.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key.secret, body.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(hash))
    .setAuthTag(body.subarray(end));
  let bytes: Buffer;
  try {
    bytes = Buffer.concat([decipher.update(body.subarray(NONCE_BYTES, end)), decipher.final()]);
    if (packed) bytes = inflateRawSync(bytes, { maxOutputLength: PACK_MOST });
  } catch {
    // Node gives one wordless error for every way in which authentication fails.
    throw new BlobDamaged(hash, 'does not decrypt: its bytes or its key have been changed');
  }
  if (nameBlob(key, bytes) !== hash) throw new BlobDamaged(hash, 'holds other bytes than its name says');
  return bytes;
}
