import { createHash } from 'node:crypto';
import type { Event, NewEvent } from '../../core/event.ts';
import type { Store } from '../../core/ports/store.ts';
import { type HookAuth, type HookDelivery, secretsOf } from '../../core/trigger.ts';
import { putJson } from '../../core/records/json-blob.ts';

type Received = { ok: true; event: Event; known: boolean } | { ok: false; message: string };

/**
 * Puts a delivery on record, once: by the name its sender gave it, and where a time is signed by the signature, which a
 * replay under another name has in common with the first.
 */
export async function receive(
  { store, redact }: { store: Store; redact(text: string): string },
  { hook, id, seal, name, body }: HookDelivery & { id: string },
): Promise<Received> {
  const stream = `hook:${hook}/${digest(id)}`;
  const key = `webhook:${hook}:${seal === null ? `id:${digest(id)}` : `seal:${digest(seal)}`}`;
  const content = putJson(store, { name, body }, `hook:${hook}`, redact);
  for (;;) {
    const known = (await firstOf(store, stream)) ?? (await store.byKey(key));
    if (known?.type === 'webhook.received')
      return known.data.content.hash === content.hash
        ? { ok: true, event: known, known: true }
        : { ok: false, message: 'Another delivery with a different body already has this idempotency key.' };
    const event: NewEvent = {
      type: 'webhook.received',
      stream,
      actor: `hook:${hook}`,
      cause: null,
      labels: ['untrusted'],
      key,
      data: { hook, delivery: redact(id), content },
    };
    const result = await store.commit({ events: [event], expect: { [stream]: 0 }, sync: true });
    if (result.ok && result.events[0]) return { ok: true, event: result.events[0], known: false };
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 40);

async function firstOf(store: Store, stream: string): Promise<Event | null> {
  for await (const event of store.read({ stream, limit: 1 })) return event;
  return null;
}

/** A secret that is shorter can be guessed. */
const MIN_SECRET = 16;

export type ReadSecret = (ref: string, forWhom: string) => Promise<string>;

/**
 * The secrets that a hook takes, and in words which of them it lacks; null for none. A hook that lacks all of them answers
 * nobody. Never says what they are.
 */
export async function hookSecrets(
  auth: HookAuth,
  hook: string,
  secret: ReadSecret,
): Promise<{ values: string[]; lacking: string | null }> {
  const values: string[] = [];
  const lacking: string[] = [];
  for (const ref of secretsOf(auth)) {
    const name = ref.replace(/^env:/, '');
    const value = await secret(ref, `the hook ${hook}`).catch(() => null);
    if (value !== null && value.length >= MIN_SECRET) values.push(value);
    else if (value !== null)
      lacking.push(
        `${name} has fewer than ${MIN_SECRET} characters, and could be guessed; make one with openssl rand -hex 32`,
      );
    else if (name === ref) lacking.push(`unknown secret ${ref}`);
    else lacking.push(`${name} was not set when ruche was started; set it and start ruche again`);
  }
  if (lacking.length === 0) return { values, lacking: null };
  const what = values.length === 0 ? 'answers nobody' : 'takes only what is left of its secrets';
  return { values, lacking: `the hook ${hook} ${what}: ${lacking.join('; ')}` };
}
