import type { Message } from 'grammy/types';

/** Where a message goes: `<chat>`, `<chat>_<topic>`, and in groups `:<message>` that it replies to. */
export interface Place {
  chat: number;
  thread: number | null;
  message: number | null;
}

/** Chats of several people have negative ids. */
export const isGroup = (chat: number): boolean => chat < 0;

/** Ids of supergroups are all below this, those of basic groups above. */
const SUPERGROUPS = -1_000_000_000_000;
/** Whether a chat can have become the other one: only a basic group can, and only a supergroup. */
export const mayBecome = (from: number, to: number): boolean =>
  Number.isSafeInteger(from) && Number.isSafeInteger(to) && isGroup(from) && from > SUPERGROUPS && to < SUPERGROUPS;

/** The topic a message stands in. Replies in groups without topics carry a thread as well, which is none. */
const threadOf = (message: Message): number | null =>
  message.is_topic_message === true ? (message.message_thread_id ?? null) : null;

/** Of a message's chat or topic: one conversation. */
export function chatOf(message: Message): string {
  const thread = threadOf(message);
  return thread === null ? String(message.chat.id) : `${message.chat.id}_${thread}`;
}

/** Of what answers a message: where many talk, the answer refers to it. */
export const replyToOf = (message: Message): string =>
  isGroup(message.chat.id) ? `${chatOf(message)}:${message.message_id}` : chatOf(message);

export function parsePlace(to: string): Place | null {
  const match = /^(-?\d{1,16})(?:_(\d{1,16}))?(?::(\d{1,16}))?$/.exec(to);
  if (match === null) return null;
  const [, chat, thread, message] = match;
  const number = (digits: string | undefined): number | null => (digits === undefined ? null : Number(digits));
  return { chat: Number(chat), thread: number(thread), message: number(message) };
}
