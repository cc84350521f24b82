import { createHash } from 'node:crypto';
import { isSafeName } from '../../core/ids.ts';
import { badRequest } from './errors.ts';

/**
 * The session a request names, or null for none. A header is written for Ruche and must be a safe name; a `user` field
 * holds whatever a client calls its user, so one that is no safe name becomes a hash: always the same, never a path.
 */
export function namedSession(header: string | undefined, user: unknown): string | null {
  if (header !== undefined) {
    if (!isSafeName(header))
      throw badRequest('X-Ruche-Session must be up to 128 letters, digits, "-" and "_".', 'X-Ruche-Session');
    return header;
  }
  if (user === undefined || user === null || user === '') return null;
  if (typeof user !== 'string') throw badRequest('"user" must be a string.', 'user');
  return isSafeName(user) ? user : `user-${createHash('sha256').update(user).digest('hex').slice(0, 32)}`;
}
