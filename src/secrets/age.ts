// The format of age, version 1, so that the `age` command reads what stands here. Its library is loaded by the first call: most homes
// have no vault, and must not pay for one.

import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';

const library = () => import('age-encryption');

const ARMOR = '-----BEGIN AGE ENCRYPTED FILE-----';
const KEY = /^AGE-SECRET-KEY-1[0-9A-Z]{40,80}$/;

/** Whether a text is encrypted: a vault, or a key behind a passphrase. */
export const isSealed = (text: string): boolean => text.trimStart().startsWith(ARMOR);

/** The keys in the text of a key file, without its comments; empty if something else stands there. */
export function keysIn(text: string): string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const told = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return told.every((line) => KEY.test(line)) ? told : [];
}

export const newKey = async (): Promise<string> => (await library()).generateX25519Identity();

/** The public half, by which people tell keys apart. */
export const publicKey = async (key: string): Promise<string> => (await library()).identityToRecipient(key);

/** Encrypts a text so that each of the keys opens it. */
export async function seal(text: string, keys: readonly string[]): Promise<string> {
  const { Encrypter, identityToRecipient, armor } = await library();
  const encrypter = new Encrypter();
  for (const key of keys) encrypter.addRecipient(await identityToRecipient(key));
  return `${armor.encode(await encrypter.encrypt(text)).trimEnd()}\n`;
}

/** `key`: none of the keys fits, or the head of the file has been changed, which looks the same. */
export type Unsealed = { ok: true; text: string } | { ok: false; why: 'key' | 'damaged' };

export const unseal = (sealed: string, keys: readonly string[]): Promise<Unsealed> =>
  decrypt(sealed, (decrypter) => {
    for (const key of keys) decrypter.addIdentity(key);
  });

/** How many keys open it; 0 for what is not readable. */
export async function keysThatOpen(sealed: string): Promise<number> {
  const { armor } = await library();
  try {
    const head = Buffer.from(armor.decode(sealed)).toString('latin1').split('\n--- ', 1)[0] ?? '';
    return head.split('\n').filter((line) => line.startsWith('-> X25519 ')).length;
  } catch {
    return 0;
  }
}

/** Encrypts a key with a passphrase. Deliberately slow, so that passphrases cannot be tried by the million. */
export async function sealWithPassphrase(text: string, passphrase: string): Promise<string> {
  const { Encrypter, Stanza, armor } = await library();
  const encrypter = new Encrypter();
  encrypter.addRecipient({
    async wrapFileKey(fileKey) {
      const salt = randomBytes(16);
      const cipher = createCipheriv(CIPHER, await stretched(passphrase, salt, WORK), NONCE, { authTagLength: TAG });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      return [new Stanza(['scrypt', salt.toString('base64').replace(/=+$/, ''), String(WORK)], body)];
    },
  });
  return `${armor.encode(await encrypter.encrypt(text)).trimEnd()}\n`;
}

export const unsealWithPassphrase = (sealed: string, passphrase: string): Promise<Unsealed> =>
  decrypt(sealed, (decrypter) =>
    decrypter.addIdentity({
      async unwrapFileKey([stanza, ...more]) {
        const [kind, salt = '', work = ''] = stanza?.args ?? [];
        const cost = /^[1-9]\d?$/.test(work) ? Number(work) : MOST_WORK + 1;
        if (!stanza || kind !== 'scrypt' || more.length > 0 || cost > MOST_WORK || stanza.body.length !== 16 + TAG)
          throw new Error('this is not a file with a passphrase');
        const key = await stretched(passphrase, Buffer.from(salt, 'base64'), cost);
        const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG });
        decipher.setAuthTag(stanza.body.subarray(16));
        try {
          return Buffer.concat([decipher.update(stanza.body.subarray(0, 16)), decipher.final()]);
        } catch {
          // Node gives one wordless error for every way in which authentication fails.
          return null;
        }
      },
    }),
  );

const CIPHER = 'chacha20-poly1305';
const TAG = 16;
const NONCE = Buffer.alloc(12);
/** Powers of two: 128 MB and half a second; and what other programs may have asked for, at most. */
const WORK = 17;
const MOST_WORK = 20;

/** By Node's own scrypt, beside the main thread: the library's would hold up everything for seconds. */
function stretched(passphrase: string, salt: Uint8Array, work: number): Promise<Buffer> {
  const labelled = Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), salt]);
  const options = { N: 2 ** work, r: 8, p: 1, maxmem: 2 ** (work + 11) };
  return new Promise((resolve, reject) =>
    scrypt(passphrase, labelled, 32, options, (error, key) => (error ? reject(error) : resolve(key))),
  );
}

type Decrypter = InstanceType<Awaited<ReturnType<typeof library>>['Decrypter']>;

async function decrypt(sealed: string, unlock: (decrypter: Decrypter) => void): Promise<Unsealed> {
  const { Decrypter, armor } = await library();
  const decrypter = new Decrypter();
  unlock(decrypter);
  try {
    return { ok: true, text: await decrypter.decrypt(armor.decode(sealed), 'text') };
  } catch (error) {
    // The library has no kinds of errors, only words.
    return { ok: false, why: /no identity matched/.test(String(error)) ? 'key' : 'damaged' };
  }
}
