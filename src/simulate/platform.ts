import { createHash } from 'node:crypto';
import type { Channel, ChannelHost, OutboundPart, Receipt, SendOptions } from '../core/ports/channel.ts';
import type { VirtualClock } from './clock.ts';
import type { Plan, PlannedMessage } from './plan.ts';
import type { Entry, World } from './world.ts';

/** Milliseconds between two tries to bring what was not taken, and until a person answers. */
const AGAIN = 1_000;
const THINKS = 20_000;

export const PERSON = '1';
/** Where the chain of escalation tells the owner. */
export const OWNER = 'owner';

/** Where the reply to a message goes: an address of its own, so that each reply is told from the others. */
const addressOf = ({ chat, id }: Pick<PlannedMessage, 'chat' | 'id'>): string => `${chat}/${id}`;

/** A messenger that repeats, delays and loses, and a person who answers what is asked. What arrives there is in the world. */
export function scriptedChannel(parts: { plan: Plan; clock: VirtualClock; world: World }): Channel {
  const { plan, clock, world } = parts;
  const byAddress = new Map(plan.messages.map((message) => [addressOf(message), message]));
  let asked: (question: Asked) => void = () => undefined;
  return {
    name: 'chat',
    dedupes: false,
    async start(host, signal) {
      const deliveries = plan.messages.flatMap((message) =>
        [0, ...message.again].map((later, repeat) => ({ at: message.at + later, message, repeat })),
      );
      const bring = deliveries.map((each) => bringOne(parts, host, each, signal));
      asked = (question) => {
        const silent = byAddress.get(question.to)?.silent ?? false;
        if (question.asks !== null && !silent) void answerOne(world, clock, host, question, signal);
      };
      for (const question of world.of('arrived')) asked(question);
      await Promise.all(bring);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
    split: ({ text, buttons }) => [{ kind: 'text', text, buttons }],
    async send(to, part, options) {
      await clock.until(clock.time + 30);
      const before = world.entries.length;
      const receipt = sent(world, byAddress.get(to)?.send ?? 'ok', to, part, options);
      for (const entry of world.entries.slice(before)) if (entry.kind === 'arrived') asked(entry);
      return receipt;
    },
  };
}

type Asked = Extract<Entry, { kind: 'arrived' }>;

function sent(
  world: World,
  fate: PlannedMessage['send'],
  to: string,
  part: OutboundPart,
  options: SendOptions,
): Receipt {
  const { key, again } = options;
  const first = !world.of('unsent').some((each) => each.key === key);
  const id = createHash('sha256').update(key).digest('hex').slice(0, 8);
  if (fate !== 'ok' && first) {
    world.note({ kind: 'fault', fault: `reply: ${fate}`, id: key });
    if (fate === 'arrives-unsure') arrive(world, to, part, key, again);
    world.note({ kind: 'unsent', to, key, told: fate === 'failed' ? 'failed' : 'unsure' });
    if (fate === 'failed') return { state: 'failed', error: 'scripted: try later', retryAfter: 3_000, final: false };
    return { state: 'unsure', error: 'scripted: no answer came' };
  }
  arrive(world, to, part, key, again);
  return { state: 'sent', id };
}

function arrive(world: World, to: string, part: OutboundPart, key: string, again: boolean): void {
  const text = part.kind === 'text' ? part.text : part.file.name;
  const buttons = part.kind === 'text' ? part.buttons.map(({ action }) => action) : [];
  // The owner takes on every other matter, and leaves the rest to the next level.
  const takenOn =
    Number(/\d+/.exec(key)?.[0] ?? 0) % 2 === 0 ? (buttons.find((each) => each.startsWith('ack:')) ?? null) : null;
  const question = text.endsWith('is the answer.)') ? 'answer' : null;
  const button = buttons.find((action) => action.startsWith('approve:')) ?? question;
  world.note({ kind: 'arrived', to, key, again, text, asks: to === OWNER ? takenOn : button });
}

/** Brings a message until it is taken, or the process ends. */
async function bringOne(
  { clock, world, plan }: { clock: VirtualClock; world: World; plan: Plan },
  host: ChannelHost,
  { at, message, repeat }: { at: number; message: PlannedMessage; repeat: number },
  signal: AbortSignal,
): Promise<void> {
  const { id, chat, text } = message;
  if (at > plan.end || world.of('taken').some((each) => each.message === id && each.repeat === repeat)) return;
  await untilAborted(clock.until(at, signal));
  if (repeat > 0 && !signal.aborted) world.note({ kind: 'fault', fault: 'message: repeated', id: `${id}.${repeat}` });
  await insist(clock, signal, async () => {
    const about = { sender: PERSON, chat, replyTo: addressOf(message), externalId: id };
    await host.deliver({ ...about, text, files: [] });
    world.note({ kind: 'taken', message: id, repeat });
  });
}

async function answerOne(
  world: World,
  clock: VirtualClock,
  host: ChannelHost,
  { to, key, asks, t }: Asked,
  signal: AbortSignal,
): Promise<void> {
  const name = `answer:${key}`;
  if (world.of('taken').some(({ message }) => message === name)) return;
  await untilAborted(clock.until(t + THINKS, signal));
  const [chat = ''] = to.split('/');
  const about = { sender: PERSON, chat, replyTo: `${chat}/answer`, externalId: `a-${key}` };
  await insist(clock, signal, async () => {
    if (asks === 'answer') await host.deliver({ ...about, text: 'Go ahead.', files: [] });
    else await host.press({ ...about, action: asks ?? '' });
    world.note({ kind: 'taken', message: name, repeat: 0 });
  });
}

async function insist(clock: VirtualClock, signal: AbortSignal, job: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      clock.stir();
      await job();
      return;
    } catch (error) {
      if (signal.aborted) return;
      // Not taken: a platform brings it again, whatever the reason was.
      if (!(error instanceof Error)) throw error;
      await untilAborted(clock.until(clock.time + AGAIN, signal));
    }
  }
}

/** A call that is aborted looks at the signal. */
const untilAborted = (sleep: Promise<void>): Promise<void> => sleep.catch(() => undefined);
