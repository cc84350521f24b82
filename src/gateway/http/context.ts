import type { Clock } from '../../core/ports/clock.ts';
import type { Ids } from '../../core/ids.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Delivered, DeliverResult, Runtime, TaskOutcome } from '../../core/api/runtime.ts';
import type { CostDesk } from '../../core/api/costs.ts';
import type { PolicyDesk } from '../../core/api/policy.ts';
import type { SecretsDesk } from '../../core/api/secrets.ts';
import type { ModelDesk, Views } from '../../core/api/views.ts';
import type { RefusedHooks } from '../../core/api/runtime.ts';
import type { FailureLimit } from './access.ts';
import type { Logins } from './logins.ts';
import { HttpError, shuttingDown } from './reply.ts';

/** What every endpoint is built from. */
export interface GatewayContext {
  runtime: Runtime;
  events: Pick<Store, 'follow' | 'head'>;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** What the web page reads; null where there is none. */
  views: Views | null;
  /** The models and how to have one; null where there is none. */
  desk: ModelDesk | null;
  /** What the rules say of calls; null where there is none. */
  costs: CostDesk | null;
  policy: PolicyDesk | null;
  /** The secrets of home; null where there are none. */
  secrets: SecretsDesk | null;
  /** Null: only the token opens. */
  logins: Logins | null;
  /** What only this home's gateway and commands know; null if there is none. */
  proof: string | null;
  /** Folder of the web page; null if there is none. */
  web: string | null;
  limits: GatewayLimits;
  /** Counts wrong tokens, cookies and codes. */
  failures: FailureLimit;
  /** The origin under which a proxy serves the page; null without one. */
  publicUrl: () => string | null;
  /** Where it listens, and whether other machines reach that. */
  address: () => { url: string; exposed: boolean };
  /** Webhooks that were refused, by name. */
  refused: Map<string | null, RefusedHooks>;
  /** Aborts when the gateway closes. */
  closing: AbortSignal;
}

/** Messages that come in over HTTP; their replies are fetched, not sent. */
export const HTTP_CHANNEL = 'http';

/** The holder of the token is the owner. */
export const OWNER = 'owner';

/** Throws for a refused message. Where nothing is wrong with it, the same request may come again: nothing was accepted. */
export function accepted(result: DeliverResult): Delivered {
  if (result.ok) return result.delivered;
  switch (result.why) {
    case 'unknown-agent':
      throw new HttpError(404, 'unknown_agent', result.message, { param: 'model' });
    case 'denied':
      throw new HttpError(403, 'denied', result.message);
    case 'conflict':
      throw new HttpError(409, 'conflict', result.message);
    case 'too-large':
      throw new HttpError(413, 'too_large', result.message);
    case 'busy':
      throw new HttpError(429, 'busy', result.message, { headers: { 'retry-after': '1', 'x-should-retry': 'true' } });
    case 'stopping':
      throw shuttingDown(result.message, true);
  }
}

/** To be called once the reply's last byte was handed to the network, and not before. */
export async function markDelivered(context: GatewayContext, outcome: TaskOutcome): Promise<void> {
  if (outcome.message === null) return;
  try {
    await context.runtime.delivered(outcome.message);
  } catch (error) {
    // The client has its answer; at worst an equal message is answered with it once more.
    context.log.warn({ err: error, message: outcome.message }, 'the delivery of a reply could not be recorded');
  }
}

/** Every bound of the gateway. What happens at each is said beside it. */
export interface GatewayLimits {
  /** Bytes of a request body; above: 413. */
  bodyBytes: number;
  /** Bytes of the body of a message, which may bring files; above: 413. */
  uploadBytes: number;
  /** Bytes of the body of a webhook; above: 413. */
  hookBytes: number;
  /** Webhooks at once of one hook, and those made up for each second; above: 429. */
  hooks: { burst: number; perSecond: number };
  /** Webhooks, and codes of login links, being read at once, before it is known who sends them; above: 503. Parts of `requests`. */
  unproved: number;
  /** Bytes of the files of one message; above: 413. */
  fileBytes: number;
  /** Nested arrays and objects in a body; above: 400. */
  jsonDepth: number;
  /** Bytes of all request headers; above: 431. */
  headerBytes: number;
  /** Milliseconds until the headers are there; then the connection is closed. */
  headersMs: number;
  /** Milliseconds of silence while a body comes in, and until one is there whose sender has proved nothing; then 408. */
  requestMs: number;
  /** Bytes a second that the body of a sender who is let in must bring in the long run; below: 408. */
  uploadBytesPerSecond: number;
  /** Milliseconds an idle connection is kept. */
  keepAliveMs: number;
  /** Open connections; above: a new one is closed at once. */
  connections: number;
  /** Requests under way; above: 503. */
  requests: number;
  /** Bytes waiting for a client that does not read; above: it is cut off (its run goes on). */
  backlogBytes: number;
  /** Milliseconds between keep-alives of a stream. */
  heartbeatMs: number;
  /** Milliseconds that a request to `/v1` waits while models fail; beyond: 503, and its task goes on. */
  outageMs: number;
  /** Wrong tokens at once from one address, and those forgiven each second; above: 429. */
  failures: { burst: number; perSecond: number };
  /** Milliseconds that open answers have to go out when the gateway closes. */
  closeMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytes: 8 * 1024 * 1024,
  // Base64 makes four bytes of three.
  uploadBytes: 36 * 1024 * 1024,
  hookBytes: 1_000_000,
  hooks: { burst: 100, perSecond: 10 },
  unproved: 128,
  fileBytes: 25_000_000,
  jsonDepth: 64,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  uploadBytesPerSecond: 8_000,
  keepAliveMs: 30_000,
  connections: 1_024,
  requests: 512,
  backlogBytes: 4 * 1024 * 1024,
  heartbeatMs: 15_000,
  // Below the minute after which proxies give up.
  outageMs: 45_000,
  failures: { burst: 20, perSecond: 5 },
  closeMs: 1_500,
};
