import type { Channel, Receipt } from '../core/ports/channel.ts';
import { WEBHOOK } from '../core/escalation.ts';
import { originOf, parseTarget } from '../core/net/host.ts';
import { type Net, NetError, onlyAt } from '../core/ports/net.ts';
import type { Secrets } from '../core/ports/secrets.ts';
import { errorText } from '../core/text/sentence.ts';

/** Milliseconds of one post. */
const POST_MS = 10_000;
/** Bytes of an answer, which nobody reads. */
const MAX_ANSWER = 64 * 1024;
/** Answers after which the same post may be taken. */
const AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);

export interface WebhookOptions {
  net: Net;
  secrets: Pick<Secrets, 'resolve'>;
  /** The reference of the secret that goes with an address; null for none. */
  secretOf(url: string): string | null;
}

/** What the same post would meet again. */
const LASTING: ReadonlySet<NetError['code']> = new Set(['blocked', 'redirect']);

const failed = (error: string, final: boolean): Receipt => ({ state: 'failed', error, retryAfter: null, final });

/** Posts JSON to addresses of `ruche.yaml`, and receives nothing. Its texts are JSON already. */
export function webhook({ net, secrets, secretOf }: WebhookOptions): Channel {
  return {
    name: WEBHOOK,
    // By the header `idempotency-key`, as the documentation tells its receiver.
    dedupes: true,
    start: (_host, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    split: ({ text }) => [{ kind: 'text', text, buttons: [] }],
    async send(to, part, { key }) {
      const parsed = parseTarget(to);
      if (!parsed.ok || part.kind !== 'text') return failed('this cannot be posted', true);
      // The owner has written this very address, so it may be one of the local network.
      const forWhom = onlyAt(`channel:${WEBHOOK}`, parsed.target);
      const origin = originOf(parsed.target);
      try {
        const ref = secretOf(to);
        const headers: Record<string, string> = { 'content-type': 'application/json', 'idempotency-key': key };
        if (ref !== null) headers['authorization'] = `Bearer ${await secrets.resolve(ref, 'a webhook')}`;
        const response = await net.request(
          {
            url: to,
            method: 'POST',
            headers,
            body: part.text,
            maxBytes: MAX_ANSWER,
            timeoutMs: POST_MS,
            idleMs: POST_MS,
            maxRedirects: 0,
          },
          forWhom,
        );
        await response.body?.cancel();
        if (response.ok) return { state: 'sent', id: null };
        const { status } = response;
        return failed(`${origin} answered with status ${status}`, status < 500 && !AGAIN.has(status));
      } catch (error) {
        const why = errorText(error);
        // What was not resolved is missing in the settings: the same again would be the same.
        return failed(`${origin}: ${why}`, !(error instanceof NetError) || LASTING.has(error.code));
      }
    },
  };
}
