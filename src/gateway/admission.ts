import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { type Clock, OVER } from '../core/ports/clock.ts';
import { HOOKS } from './api/hooks.ts';
import { type FailureLimit, isGuessable, refuseStranger, tokenCheck } from './http/access.ts';
import type { Logins } from './http/logins.ts';
import { HttpError, tooManyFailures } from './http/reply.ts';
import { isOpen } from './routes.ts';

/** Milliseconds between two looks at what opened the requests that are under way. */
const LOOK_MS = 1_000;

interface Admission {
  /** Names it answers to. */
  host: string;
  hosts?: readonly string[];
  publicUrl: () => string | null;
  web?: string;
  token: () => string;
  clock: Clock;
  logins: Logins | null;
  failures: FailureLimit;
  /** The token is another one: what the one before has opened is to end. */
  changed(): void;
}

/** A request that was let in. `holds`: what opened it would open it still. */
interface Admitted {
  /** By a token or a session, not because its path is open to all. */
  proved: boolean;
  holds(): boolean;
}

const ALWAYS: Admitted = { proved: false, holds: () => true };

/** The gate before every endpoint: where the request was sent, from which page, and by whom. */
export function admission(options: Admission): (incoming: IncomingMessage) => Admitted | HttpError {
  const { logins, clock, failures, publicUrl } = options;
  // A name it was told to listen on is one it is called by.
  const own = isIP(options.host) === 0 ? [options.host] : [];
  const names = [...own, ...(options.hosts ?? [])].map((name) => name.toLowerCase());
  const token = watched(options);
  return (incoming) => {
    const path = (incoming.url ?? '').split('?')[0] ?? '';
    // Its sender proves itself by a secret of its own, wherever it was sent to: a tunnel's name is no name of ours.
    if (path.startsWith(HOOKS)) return ALWAYS;
    const open = isOpen(incoming.method, path, options.web !== undefined);
    const stranger = refuseStranger(incoming, { names, publicUrl: publicUrl() }, open && incoming.method !== 'POST');
    if (stranger) return stranger;
    // A code is looked at where it is exchanged.
    if (open) return ALWAYS;
    const { authorization, cookie: header } = incoming.headers;
    const { value, isRight } = token();
    const cookie = authorization === undefined ? (logins?.cookieIn(header) ?? null) : null;
    const guess = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (guess === undefined && cookie === null)
      return unauthorised(
        'Send the token as "Authorization: Bearer TOKEN", or log in with the link that "ruche up" prints.',
      );
    if (cookie !== null && isForeign(incoming)) return originNeeded();
    const inSession = (): boolean => cookie !== null && logins !== null && logins.until(cookie) !== null;
    const right = cookie === null ? guess !== undefined && isRight(guess) : inSession();
    const admitted: Admitted = {
      proved: true,
      holds: () => token().value === value && (cookie === null || inSession()),
    };
    // What nobody can guess is let in whatever others try: wrong tokens of another program must not lock the owner out.
    if (right && (cookie !== null || !isGuessable(value))) return admitted;
    // The peer is what the socket says: forwarding headers can be written by anyone.
    const peer = incoming.socket.remoteAddress ?? '';
    const wait = failures.pay(peer, clock.now());
    if (wait > 0) return tooManyFailures(wait);
    if (cookie !== null && logins !== null) return sessionOver(logins);
    if (!right) return unauthorised('Invalid token. It is in the file "token" of the home.');
    failures.refund(peer);
    return admitted;
  };
}

/** The token with its check. The first request after it was changed ends what the one before has opened. */
function watched({ token, changed }: Admission): () => { value: string; isRight(guess: string): boolean } {
  const first = token();
  let known = { value: first, isRight: tokenCheck(first) };
  return () => {
    const value = token();
    if (value !== known.value) {
      known = { value, isRight: tokenCheck(value) };
      changed();
    }
    return known;
  };
}

/** A browser adds the cookie to whatever a page sends, so a change must name the page it comes from: ours, or `refuseStranger` ends it. */
const isForeign = ({ method, headers }: IncomingMessage): boolean =>
  method !== 'GET' && method !== 'HEAD' && headers.origin === undefined;

const originNeeded = (): HttpError =>
  new HttpError(403, 'origin_needed', 'A request with a session that changes something needs an Origin header.');

const sessionOver = (logins: Logins): HttpError =>
  new HttpError(401, 'session_over', 'The session has ended. Log in with a new link: ruche login.', {
    headers: { 'set-cookie': logins.gone },
  });

const unauthorised = (message: string): HttpError =>
  new HttpError(401, 'unauthorised', message, { headers: { 'www-authenticate': 'Bearer' } });

/**
 * Requests that wait or stream, each for as long as the token or session that opened it is good: a session that has ended
 * must read nothing more.
 */
export class Passes {
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #held = new Map<AbortController, () => boolean>();
  #looking = false;

  constructor(clock: Clock, closing: AbortSignal) {
    this.#clock = clock;
    this.#closing = closing;
  }

  /** Aborts when `holds` is true no more; looked at until the answer has gone. */
  hold(holds: () => boolean, outgoing: ServerResponse): AbortSignal {
    // No `close` comes after it has closed, so it would be held from then on.
    if (outgoing.destroyed) return AbortSignal.abort(OVER);
    const ended = new AbortController();
    this.#held.set(ended, holds);
    outgoing.once('close', () => this.#held.delete(ended));
    if (!this.#looking) void this.#run();
    return ended.signal;
  }

  /** To be called where a session has ended or the token was changed, so that it counts at once. */
  look(): void {
    for (const [ended, holds] of this.#held) {
      if (holds()) continue;
      this.#held.delete(ended);
      ended.abort(OVER);
    }
  }

  async #run(): Promise<void> {
    this.#looking = true;
    while (this.#held.size > 0 && !this.#closing.aborted) {
      await this.#clock.sleep(LOOK_MS, this.#closing).catch(() => undefined);
      this.look();
    }
    this.#looking = false;
  }
}
