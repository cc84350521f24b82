import { createHash } from 'node:crypto';
import { secretIn } from '../../core/ids.ts';
import type { Event, NewEvent } from '../../core/event.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Store } from '../../core/ports/store.ts';
import { type HookAuth, type HookDelivery, secretsOf, standardKey } from '../../core/trigger.ts';
import { putJson } from '../../core/records/json-blob.ts';

type Received = { ok: true; event: Event; known: boolean } | { ok: false; message: string };

/** Milliseconds in which an equal body with an equal signature is a replay, whatever name it was given. */
const REPLAY_MS = 86_400_000;

/**
 * Puts a delivery on record, once: by the name its sender gave it, and by the signature, which a replay under another name
 * has in common with the first. That is for good where a time is signed, and for a day where the body is all that is.
 */
export async function receive(
  { store, clock, redact }: { store: Store; clock: Clock; redact(text: string): string },
  { hook, id, seal, signature, name, body }: HookDelivery & { id: string },
): Promise<Received> {
  const stream = `hook:${hook}/${digest(id)}`;
  const now = clock.now();
  // A key a day, so that the next day can have one of its own.
  const day = Math.floor(now / REPLAY_MS);
  const ofDay = (each: number): string => `webhook:${hook}:signed:${digest(signature ?? '')}:${each}`;
  const named = `webhook:${hook}:${seal === null ? `id:${digest(id)}` : `seal:${digest(seal)}`}`;
  const key = signature === undefined ? named : ofDay(day);
  const replayed = async (): Promise<Event | null> => {
    const before = signature === undefined ? null : await store.byKey(ofDay(day - 1));
    return before !== null && now - before.at < REPLAY_MS ? before : null;
  };
  const content = putJson(store, { name, body }, `hook:${hook}`, redact);
  for (;;) {
    const known = (await firstOf(store, stream)) ?? (await store.byKey(key)) ?? (await replayed());
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
    if (value !== null && auth.kind === 'standard' && standardKey(value).length < MIN_SECRET)
      lacking.push(
        `${name} is not whsec_ and at least ${MIN_SECRET} bytes in base64, and could be guessed; make one with openssl rand -base64 32`,
      );
    else if (value !== null && value.length >= MIN_SECRET) values.push(value);
    else if (value !== null)
      lacking.push(
        `${name} has fewer than ${MIN_SECRET} characters, and could be guessed; make one with openssl rand -hex 32`,
      );
    else if (secretIn(ref) !== null)
      lacking.push(`the secret ${secretIn(ref)} cannot be read; ruche secrets list says what to do`);
    else if (name === ref) lacking.push(`unknown secret ${ref}`);
    else lacking.push(`${name} was not set when ruche was started; set it and start ruche again`);
  }
  if (lacking.length === 0) return { values, lacking: null };
  const what = values.length === 0 ? 'answers nobody' : 'takes only what is left of its secrets';
  return { values, lacking: `the hook ${hook} ${what}: ${lacking.join('; ')}` };
}
