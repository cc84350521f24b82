import type { Clock } from '../../core/ports/clock.ts';
import type { Ids } from '../../core/ids.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Delivered, DeliverResult, Runtime, TaskOutcome } from '../../core/api/runtime.ts';
import { HttpError, shuttingDown } from './errors.ts';
import type { ModelDesk, Views } from '../../core/api/views.ts';
import type { GatewayLimits } from './limits.ts';
import type { Logins } from './logins.ts';

/** What every endpoint is built from. */
export interface Face {
  runtime: Runtime;
  events: Pick<Store, 'follow' | 'head'>;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** What the web page reads; null where there is none. */
  views: Views | null;
  /** The models and how to have one; null where there is none. */
  desk: ModelDesk | null;
  /** Null: only the token opens. */
  logins: Logins | null;
  /** Folder of the web page; null if there is none. */
  web: string | null;
  limits: GatewayLimits;
  /** Aborts when the gateway closes. */
  closing: AbortSignal;
}

/** Messages that come in over HTTP; their replies are fetched, not sent. */
export const HTTP_CHANNEL = 'http';

/** Whoever holds the token is the owner. */
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
export async function markDelivered(face: Face, outcome: TaskOutcome): Promise<void> {
  if (outcome.message === null) return;
  try {
    await face.runtime.delivered(outcome.message);
  } catch (error) {
    // The client has its answer; at worst an equal message is answered with it once more.
    face.log.warn({ err: error, message: outcome.message }, 'the delivery of a reply could not be recorded');
  }
}
