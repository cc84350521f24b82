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
  return { agent: agents.usual, session: sessionName(channel, chat) };
}

/** The conversation that a chat had with an agent last; a first one if there was none. */
export async function placeOf(store: Store, channel: string, chat: string, agent: string): Promise<ChatPlace> {
  const types = ['chat.session'] as const;
  for await (const event of store.read({ stream: chatStream(channel, chat), types, reverse: true }))
    if (event.type === 'chat.session' && event.data.agent === agent) return { agent, session: event.data.session };
  return { agent, session: sessionName(channel, chat) };
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
