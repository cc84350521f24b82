import { isSafeName } from '../core/ids.ts';
import type { Store } from '../core/ports/store.ts';

/** Whom a chat talks to, and in which conversation. */
export interface ChatPlace {
  agent: string;
  session: string;
}

const chatStream = (channel: string, chat: string): string => `chat:${channel}/${chat}`;

/**
 * The conversation a chat is in: the last one it was moved to, else one that is named after it. With an agent that is
 * gone nothing could be said any more, not even `/new`: then the usual one answers.
 */
export async function chatPlace(
  store: Store,
  { channel, chat }: { channel: string; chat: string },
  agents: { usual: string; has(name: string): boolean },
): Promise<ChatPlace> {
  const types = ['chat.session'] as const;
  for await (const event of store.read({ stream: chatStream(channel, chat), types, reverse: true, limit: 1 }))
    if (event.type === 'chat.session' && agents.has(event.data.agent))
      return { agent: event.data.agent, session: event.data.session };
  const before = await nameBefore(store, channel, chat);
  if (before !== null) return chatPlace(store, { channel, chat: before }, agents);
  return { agent: agents.usual, session: sessionName(channel, chat) };
}

const renamedKey = (channel: string, from: string): string => `renamed:${channel}:${from}`;

/** Puts on record that the platform has given a chat another name. The first word on it counts, and no name goes round. */
export async function renameChat(store: Store, channel: string, from: string, to: string): Promise<void> {
  if (from === to || (await nameNow(store, channel, to)) !== null || (await nameBefore(store, channel, to)) !== null)
    return;
  const data = { channel, from, to };
  const common = { stream: chatStream(channel, to), actor: 'runtime', cause: null, labels: [] };
  const event = { ...common, type: 'chat.renamed' as const, key: renamedKey(channel, from), data };
  const result = await store.commit({ events: [event], sync: true });
  if (!result.ok && result.why !== 'duplicate') throw new Error(`the new name of a chat was refused: ${result.why}`);
}

/** The topic of a chat is named after the chat, with `_` and a number. */
const withTopic = (chat: string, name: string | null): string | null =>
  name === null ? null : `${name}${/_\d+$/.exec(chat)?.[0] ?? ''}`;

const bare = (chat: string): string => chat.replace(/_\d+$/, '');

/** The name that a chat has by now; null if it never got another one. */
export async function nameNow(store: Store, channel: string, chat: string): Promise<string | null> {
  const renamed = await store.byKey(renamedKey(channel, bare(chat)));
  return withTopic(chat, renamed?.type === 'chat.renamed' ? renamed.data.to : null);
}

/** The name that a chat had before. */
export async function nameBefore(store: Store, channel: string, chat: string): Promise<string | null> {
  const types = ['chat.renamed'] as const;
  for await (const event of store.read({ stream: chatStream(channel, bare(chat)), types, limit: 1 }))
    if (event.type === 'chat.renamed') return withTopic(chat, event.data.from);
  return null;
}

/** The conversation that a chat had with an agent last; a first one if there was none. */
export async function placeOf(store: Store, channel: string, chat: string, agent: string): Promise<ChatPlace> {
  const types = ['chat.session'] as const;
  for await (const event of store.read({ stream: chatStream(channel, chat), types, reverse: true }))
    if (event.type === 'chat.session' && event.data.agent === agent) return { agent, session: event.data.session };
  const before = await nameBefore(store, channel, chat);
  return before === null ? { agent, session: sessionName(channel, chat) } : placeOf(store, channel, before, agent);
}

/** `telegram-123`: a name that people can type after `ruche chat --session`. */
function sessionName(channel: string, chat: string, number = 1): string {
  const name = `${channel}-${chat}${number > 1 ? `-${number}` : ''}`;
  if (!isSafeName(name)) throw new Error(`the channel ${channel} names a chat "${chat}", which is no name`);
  return name;
}

/** Where and by whom a chat is moved; `key` makes a redelivered command the same one. */
export interface ChatMove {
  channel: string;
  chat: string;
  sender: string;
  key: string;
}

/** Begins a new conversation in a chat. */
export const beginAnew = (store: Store, move: ChatMove, agent: string): Promise<ChatPlace> =>
  moveChat(store, move, (version) => ({ agent, session: sessionName(move.channel, move.chat, version + 2) }));

/** Goes on in a chat with a conversation that was begun elsewhere. */
export const goOnWith = (store: Store, move: ChatMove, place: ChatPlace): Promise<ChatPlace> =>
  moveChat(store, move, () => place);

async function moveChat(
  store: Store,
  { channel, chat, sender, key }: ChatMove,
  to: (version: number) => ChatPlace,
): Promise<ChatPlace> {
  const stream = chatStream(channel, chat);
  for (;;) {
    const known = await store.byKey(key);
    if (known?.type === 'chat.session') return { agent: known.data.agent, session: known.data.session };
    const version = await store.version(stream);
    const place = to(version);
    const data = { channel, chat, ...place };
    const event = { type: 'chat.session' as const, stream, actor: sender, cause: null, labels: [], key, data };
    const result = await store.commit({ events: [event], expect: { [stream]: version }, sync: true });
    if (result.ok) return place;
  }
}
