import { createHash, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A check whose time says nothing about how much of a guess was right. */
export function tokenCheck(token: string): (guess: string) => boolean {
  const right = digest(token);
  return (guess) => timingSafeEqual(digest(guess), right);
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  host === '[::1]' ||
  (isIPv4(host) && host.startsWith('127.')) ||
  host.startsWith('::ffff:127.');

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
  if (token.length < 24) return `${where}, and the token is too short (${token.length} characters). ${mend}`;
  if (new Set(token).size < 8)
    return `${where}, and the token is too easy to guess: it repeats a few characters. ${mend}`;
  return null;
}
