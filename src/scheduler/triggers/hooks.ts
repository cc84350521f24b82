import { createHash } from 'node:crypto';
import type { Event, NewEvent } from '../../core/event.ts';
import type { Store } from '../../core/ports/store.ts';
import type { HookDelivery } from '../../core/trigger.ts';
import { putJson } from '../../core/records/json-blob.ts';

type Received = { ok: true; event: Event; known: boolean } | { ok: false; message: string };

/**
 * Puts a delivery on record, once: by the name its sender gave it, and by what it is signed with, which a replay under
 * another name has in common with the first.
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

/** The secret of a hook, or why the hook answers nobody. Never says what it is. */
export async function hookSecret(
  ref: string,
  hook: string,
  secret: ReadSecret,
): Promise<{ ok: true; value: string } | { ok: false; why: string }> {
  const name = ref.replace(/^env:/, '');
  const fromEnv = name !== ref;
  const value = await secret(ref, `the hook ${hook}`).catch(() => null);
  if (value === null) {
    const missing = fromEnv
      ? `${name} was not set when ruche was started; set it and start ruche again`
      : `unknown secret ${ref}`;
    return { ok: false, why: `the hook ${hook} answers nobody: ${missing}` };
  }
  if (value.length >= MIN_SECRET) return { ok: true, value };
  const short = `${name} has fewer than ${MIN_SECRET} characters, and could be guessed`;
  return { ok: false, why: `the hook ${hook} answers nobody: ${short}; make one with openssl rand -hex 32` };
}
