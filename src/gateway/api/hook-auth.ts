import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Hook } from '../../core/trigger.ts';
import { tokenCheck } from '../http/token.ts';

/** A request whose sender has proved who it is. */
export interface Proved {
  /** The sender's own name for it; null if it gave none. */
  id: string | null;
  /** What only this delivery is signed with; null for a bearer, who signs nothing. */
  seal: string | null;
  /** What happened, as GitHub names it. */
  name: string;
}

type Request = { headers: IncomingHttpHeaders; body: Uint8Array };

/** Null: whoever sent this has not proved to know the secret, or sent it long ago. */
export function prove(hook: Hook, { headers, body }: Request, now: number): Proved | null {
  const key = one(headers['idempotency-key']);
  switch (hook.auth.kind) {
    case 'bearer': {
      // Only so that a long body takes as long as where it is signed: what a hook asks for must not show in the time.
      signatureOf(hook.secret, [body]);
      const guess = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
      return tokenCheck(hook.secret)(guess) ? { id: key, seal: null, name: '' } : null;
    }
    case 'hmac': {
      const time = one(headers['webhook-timestamp']) ?? '';
      const right = signatureOf(hook.secret, [`${time}.`, body]);
      const old = Math.abs(now - Number(time) * 1000) > hook.auth.windowMs;
      const signed = isSame(right, one(headers['webhook-signature']));
      return signed && /^\d{1,12}$/.test(time) && !old ? { id: key, seal: `${time}.${right}`, name: '' } : null;
    }
    case 'github': {
      const right = signatureOf(hook.secret, [body]);
      if (!isSame(right, one(headers['x-hub-signature-256']))) return null;
      // Its name is not signed: a replay under another one is known by the signature.
      const id = key ?? one(headers['x-github-delivery']);
      return { id, seal: right, name: (one(headers['x-github-event']) ?? '').slice(0, 64) };
    }
  }
}

/** `sha256=` and the HMAC in hexadecimal. */
function signatureOf(secret: string, parts: readonly (string | Uint8Array)[]): string {
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(part);
  return `sha256=${hmac.digest('hex')}`;
}

/** Compared in a time that says nothing of how much of it was right. A sender may write it in capitals. */
const isSame = (right: string, given: string | null): boolean => tokenCheck(right)((given ?? '').toLowerCase());

const one = (header: string | string[] | undefined): string | null =>
  typeof header === 'string' && header !== '' ? header : null;
