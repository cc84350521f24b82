import { createHash } from 'node:crypto';
import type { EventOf } from '../core/event.ts';
import type { ChannelMessage } from '../core/ports/channel.ts';
import type { MailDeps } from '../pending/pending.ts';
import { errorText } from '../core/text/sentence.ts';

/** Milliseconds a code is good for. */
const CODE_MS = 10 * 60_000;
/** No letters or digits that are mistaken for one another: 40 bits in eight. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const STREAM = 'gateway';

export interface PairingDeps extends Pick<MailDeps, 'store' | 'clock'> {
  bytes(length: number): Uint8Array;
  /** Writes the owner into `ruche.yaml`, as the person at this machine would. Rejects with what is in the way. */
  addOwner(channel: string, sender: string): Promise<void>;
}

const hashOf = (code: string): string => createHash('sha256').update(code).digest('hex');

/** A code that makes the person who sends it over the channel an owner, once. Only its hash is kept. */
export async function openPairing(deps: PairingDeps, channel: string): Promise<{ code: string; until: number }> {
  const code = [...deps.bytes(8)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
  const until = deps.clock.now() + CODE_MS;
  const data = { channel, hash: hashOf(code), until };
  const event = { type: 'pairing.opened' as const, stream: STREAM, actor: 'owner', cause: null, labels: [], data };
  const result = await deps.store.commit({ events: [event], sync: true });
  if (!result.ok) throw new Error(`a pairing was refused: ${result.why}`);
  return { code: `${code.slice(0, 4)}-${code.slice(4)}`, until };
}

type Paired = { state: 'no' } | { state: 'paired' } | { state: 'failed'; why: string };

/** Makes the sender an owner if the text is a code that is open. Redelivered, it is the same pairing. */
export async function tryPairing(
  deps: PairingDeps,
  channel: string,
  { sender, text }: Pick<ChannelMessage, 'sender' | 'text'>,
): Promise<Paired> {
  const code = text.trim().toUpperCase().replace('-', '');
  if (!/^[A-Z2-9]{8}$/.test(code)) return { state: 'no' };
  const hash = hashOf(code);
  const key = `paired:${hash}`;
  const used = await deps.store.byKey(key);
  if (used?.type === 'owner.paired')
    return used.data.channel === channel && used.data.sender === sender ? { state: 'paired' } : { state: 'no' };
  const opened = await openCode(deps, channel, hash);
  if (!opened) return { state: 'no' };
  try {
    await deps.addOwner(channel, sender);
  } catch (error) {
    return { state: 'failed', why: errorText(error) };
  }
  const data = { channel, sender };
  const event = {
    type: 'owner.paired' as const,
    stream: STREAM,
    actor: 'owner',
    cause: opened.id,
    labels: [],
    key,
    data,
  };
  await deps.store.commit({ events: [event], sync: true });
  return { state: 'paired' };
}

async function openCode(deps: PairingDeps, channel: string, hash: string): Promise<EventOf<'pairing.opened'> | null> {
  for await (const event of deps.store.read({ stream: STREAM, types: ['pairing.opened'], reverse: true, limit: 20 })) {
    if (event.type !== 'pairing.opened' || event.data.until < deps.clock.now()) continue;
    if (event.data.channel === channel && event.data.hash === hash) return event;
  }
  return null;
}
