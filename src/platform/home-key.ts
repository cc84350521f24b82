import type { PrivateFile } from '../core/ports/secrets.ts';

const BYTES = 32;

/** A key of home, made where there is none. Rejects with what to do where the file holds something else. */
export async function homeKey(file: PrivateFile, random: (length: number) => Uint8Array): Promise<Uint8Array> {
  const text = await file.read();
  if (text !== null) {
    const key = Buffer.from(text.trim(), 'base64url');
    if (key.length === BYTES) return key;
    throw new Error(`${file.path} holds no key: delete it. Commands that run will then lose their network.`);
  }
  const key = random(BYTES);
  await file.write(`${Buffer.from(key).toString('base64url')}\n`);
  return key;
}
