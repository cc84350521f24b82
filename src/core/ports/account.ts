import type { Mailbox } from './mailbox.ts';

/** What keeps an account from being used. `throttled`: the server wants to be left alone for a while, which says nothing about the password. */
export type AccountFault =
  | 'dns'
  | 'blocked'
  | 'network'
  | 'tls'
  | 'login'
  | 'throttled'
  | 'rights'
  | 'protocol'
  | 'secret';

export class AccountError extends Error {
  readonly code: AccountFault;
  constructor(code: AccountFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AccountError';
    this.code = code;
  }
}

/** One step of reaching an account. `why`: what is wrong and what to do, or what was found. */
export interface AccountStep {
  step: string;
  ok: boolean;
  why: string;
}

/** A server, a secret and what they give. Nothing is connected before it is used. */
export interface Account {
  /** Goes step by step, up to the first that fails. Never rejects for what the other side does. */
  test(signal: AbortSignal): Promise<AccountStep[]>;
  readonly mail?: Mailbox;
  close(): Promise<void>;
}
