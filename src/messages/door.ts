import { type ChannelHost, type ChannelMessage, type ChannelPress, HostBusy } from '../core/ports/channel.ts';
import { type ReplyContent, sendingTask } from '../core/records/reply.ts';
import type { Runtime } from '../core/api/runtime.ts';
import { pressAnswer } from './answers.ts';
import { type ChatPlace, chatPlace, goOnWith, nameBefore, nameNow, placeOf, renameChat } from './chats.ts';
import { chooseChat, type CommandDeps, runCommand } from './commands.ts';
import type { MailDeps } from '../pending/pending.ts';
import { type PairingDeps, tryPairing } from './pairing.ts';
import { addressee, conversationId } from '../core/ids.ts';
import { putJson } from '../core/records/json-blob.ts';
import { Mutex } from '../core/time/mutex.ts';
import { Edits } from './edits.ts';
import { messageKey } from './inbox.ts';

interface DoorDeps
  extends Pick<MailDeps, 'store' | 'clock' | 'ids' | 'redact'>, PairingDeps, Pick<CommandDeps, 'recent'> {
  runtime: Pick<Runtime, 'deliver'> & CommandDeps['runtime'];
  /** The platform's ids of those who may write on a channel. */
  owners(channel: string): readonly string[];
  /** Who answers in a chat where nobody else was asked for; '' if there is no agent. */
  usualAgent(channel: string, chat: string): string;
  hasAgent(name: string): boolean;
  /** Shows the reply to a task while it is written. */
  follow(task: string, channel: string, to: string): void;
}

/**
 * `@email …` at the beginning goes to that agent, and so does what is written in the chat from then on: a thread stays with
 * its agent. A name that no agent has is part of the text. What is passed on from others addresses nobody.
 */
async function addressed(
  deps: Pick<DoorDeps, 'store' | 'runtime'>,
  channel: string,
  { text, chat, sender, externalId, foreign }: ChannelMessage,
  place: ChatPlace,
): Promise<{ to: ChatPlace; text: string }> {
  const names = foreign === true || !text.trimStart().startsWith('@') ? [] : await deps.runtime.agents();
  const named = addressee(text, (name) => names.some((each) => each.name === name));
  if (named === null) return { to: place, text };
  const { agent, text: rest } = named;
  if (agent === place.agent) return { to: place, text: rest };
  const move = { channel, chat, sender: `${channel}:${sender}`, key: `address:${channel}:${chat}:${externalId}` };
  return { to: await goOnWith(deps.store, move, await placeOf(deps.store, channel, chat, agent)), text: rest };
}

const noticeKey = (channel: string, { chat, externalId }: ChannelMessage): string =>
  `notice:${channel}:${chat}:${externalId}`;

/** What the journal knows of the chats of a channel and of what was written there. */
const onRecord = (
  store: DoorDeps['store'],
  channel: string,
): Required<Pick<ChannelHost, 'holds' | 'renamed' | 'nameNow'>> => ({
  async holds(chat, externalId) {
    const event = await store.byKey(messageKey(channel, chat, externalId));
    return event?.type === 'message.received' ? [externalId, ...(event.data.parts ?? [])] : null;
  },
  renamed: (from, to) => renameChat(store, channel, from, to),
  nameNow: (chat) => nameNow(store, channel, chat),
});

/** Who answers in a chat. A setting that names it as it was called before still holds. */
async function usual({ store, usualAgent }: DoorDeps, channel: string, chat: string): Promise<string> {
  const [before, now] = [await nameBefore(store, channel, chat), usualAgent(channel, chat)];
  return before === null || now !== usualAgent(channel, '') ? now : usualAgent(channel, before);
}

/** What stands between a messenger and the network: who may write, to whom it goes, what is a command. */
export function openDoor(deps: DoorDeps): (channel: string) => ChannelHost {
  const isOwner = (channel: string, sender: string): boolean => deps.owners(channel).includes(sender);

  const deny = denials(deps);
  const say = (channel: string, message: ChannelMessage, place: ChatPlace, said: ReplyContent) =>
    queueNotice(deps, { ...place, channel, to: message.replyTo, content: said, key: noticeKey(channel, message) });

  const pairing = new Mutex();
  const pair = async (channel: string, message: ChannelMessage, place: ChatPlace): Promise<boolean> => {
    // One after the other: a code is good once, and two who write ruche.yaml at once would lose one of them.
    const paired = await pairing.run(() => tryPairing(deps, channel, message));
    if (paired.state === 'no') return false;
    const text =
      paired.state === 'paired'
        ? 'You are now an owner of this network. Write what you would like done.'
        : `The code is correct, but you could not be added to ruche.yaml: ${paired.why}`;
    await say(channel, message, place, { text });
    return true;
  };

  const edits = new Edits({ ...deps, cancel: (task, by, text) => deps.runtime.cancel(task, by, text) });

  const deliver = async (channel: string, message: ChannelMessage): Promise<void> => {
    if (!isOwner(channel, message.sender)) return deliverOne(channel, message);
    const taken = await edits.taken(channel, message);
    if (taken === null) return;
    await deliverOne(channel, taken);
    edits.keep(channel, message);
  };

  const deliverOne = async (channel: string, message: ChannelMessage): Promise<void> => {
    // A command that comes again must not be carried out again: /stop would end what was written after it.
    if ((await deps.store.byKey(noticeKey(channel, message))) !== null) return;
    const agents = { usual: await usual(deps, channel, message.chat), has: deps.hasAgent };
    const place = await chatPlace(deps.store, { channel, chat: message.chat }, agents);
    if (await pair(channel, message, place)) return;
    if (!isOwner(channel, message.sender)) return deny(channel, message);
    const done = await runCommand(deps, channel, message, place);
    if (done) {
      const { place: there, ...said } = done;
      return say(channel, message, there, said);
    }
    const { files, replyTo, chat, externalId, foreign, parts } = message;
    const { to, text } = await addressed(deps, channel, message, place);
    if (text === '' && (files ?? []).length === 0)
      return say(channel, message, to, { text: `Your messages here now go to ${to.agent}.` });
    const about = { channel, chat, sender: `${channel}:${message.sender}`, ...to };
    const result = await deps.runtime.deliver({
      ...about,
      text,
      files,
      replyTo,
      externalId,
      foreign,
      ...(parts && { parts }),
    });
    if (result.ok) {
      if (result.delivered.note) await say(channel, message, to, { text: result.delivered.note });
      return deps.follow(result.delivered.task, channel, replyTo);
    }
    // The platform keeps it until there is room, or until the next start.
    if (result.why === 'busy' || result.why === 'stopping') throw new HostBusy(result.message);
    await say(channel, message, to, { text: result.message });
  };

  const press = async (channel: string, pressed: ChannelPress): ReturnType<ChannelHost['press']> => {
    if (isOwner(channel, pressed.sender)) return carryOut(deps, channel, pressed);
    await deny(channel, pressed);
    return { text: '', done: false };
  };
  return (channel) => ({
    expects: (sender) => isOwner(channel, sender),
    ...onRecord(deps.store, channel),
    deliver: (message) => deliver(channel, message),
    press: (pressed) => press(channel, pressed),
  });
}

async function carryOut(deps: DoorDeps, channel: string, pressed: ChannelPress): ReturnType<ChannelHost['press']> {
  const chosen = await chooseChat(deps, channel, pressed);
  if (chosen !== null) return { text: chosen, done: true };
  const by = `${channel}:${pressed.sender}`;
  return (await pressAnswer(deps, pressed.action, by)) ?? { text: 'This button has expired.', done: true };
}

/** Milliseconds in which further messages of a stranger are not recorded, and strangers that are kept in mind. */
const DENIED_MS = 600_000;
const MAX_STRANGERS = 1_000;

type FromStranger = Pick<ChannelMessage | ChannelPress, 'sender' | 'chat' | 'externalId'>;

/** Strangers are told nothing. One who goes on and on must not fill the journal either. */
function denials({ store, clock }: Pick<MailDeps, 'store' | 'clock'>) {
  const strangers = new Map<string, number>();
  return async (channel: string, { sender, chat, externalId }: FromStranger): Promise<void> => {
    const who = `${channel}:${sender}`;
    const now = clock.now();
    for (const [name, at] of strangers) if (now - at >= DENIED_MS) strangers.delete(name);
    if (strangers.has(who) || strangers.size >= MAX_STRANGERS) return;
    strangers.set(who, now);
    const data = { channel, sender: who, chat };
    const key = `denied:${channel}:${chat}:${externalId}`;
    const event = { type: 'sender.denied' as const, stream: 'gateway', actor: who, cause: null, labels: [], key, data };
    await store.commit({ events: [event], sync: false });
  };
}

interface Notice {
  agent: string;
  session: string;
  channel: string;
  to: string;
  content: ReplyContent;
  /** Unique: the same notice is sent once. */
  key: string;
}

/** Queues something the runtime says by itself in a chat: durable, and sent like any reply. */
async function queueNotice(deps: Pick<MailDeps, 'store' | 'ids' | 'redact'>, notice: Notice): Promise<void> {
  const { agent, session, channel, to, key } = notice;
  const stream = conversationId(agent, session);
  const content = putJson(deps.store, notice.content, stream, deps.redact);
  const data = { agent, session, task: null, run: null, channel, to, content };
  const event = { type: 'message.queued' as const, stream, actor: 'runtime', cause: null, labels: [], key, data };
  const task = sendingTask({ id: deps.ids.next('tsk'), agent, session, channel, labels: [] });
  const result = await deps.store.commit({
    events: [event],
    queue: [{ op: 'enqueue', task, causeOf: 0 }],
    sync: true,
  });
  if (!result.ok && result.why !== 'duplicate') throw new Error(`a notice was refused: ${JSON.stringify(result)}`);
}
