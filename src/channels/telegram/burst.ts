import type { Message, Update } from 'grammy/types';
import { chatOf, isGroup } from './place.ts';

// What a person means as one, and Telegram hands over as several messages: an album, a long text that the app has cut, a
// forward with its comment, a picture and the question about it.

/** Updates that are one message, in order. */
export type Burst = readonly [Update, ...Update[]];

/** UTF-16 units: apps cut a text somewhere in the second half of what one message holds. */
const CUT_FROM = 2_048;
export const CUT_AT = 4_096;
/** Seconds between two messages of which one may belong to the other. */
const GAP = 5;
/** Files that one message may have. */
const MOST = 20;

const isCommand = ({ text }: Message): boolean => text?.startsWith('/') === true;
const isForward = ({ forward_origin: origin }: Message): boolean => origin !== undefined;
const isMedia = (message: Message): boolean =>
  [message.photo, message.document, message.video, message.animation, message.audio].some((media) => media);
const isBare = (message: Message): boolean => message.caption === undefined && isMedia(message);

/** A text that was probably cut, so that the rest of it follows. */
export const isCut = ({ text, forward_origin: origin }: Message): boolean =>
  text !== undefined && text.length > CUT_FROM && origin === undefined;

const albumOf = ({ message }: Update): string | null =>
  message?.media_group_id === undefined ? null : `${message.chat.id} ${message.media_group_id}`;

/** Whether something that belongs to it may come in a moment. An ordinary message waits for nothing. */
const mayGoOn = (update: Update, isForUs: (message: Message) => boolean): boolean => {
  const { message } = update;
  if (!message?.from || isCommand(message)) return false;
  if (albumOf(update) !== null) return true;
  if (isGroup(message.chat.id) && !isForUs(message)) return false;
  return isCut(message) || isForward(message) || isBare(message);
};

/** Whether the second message belongs to the first. */
function belongs(first: Message, second: Message): boolean {
  if (first.from?.id !== second.from?.id || chatOf(first) !== chatOf(second)) return false;
  if (second.date - first.date > GAP || isCommand(first) || isCommand(second)) return false;
  if (isForward(second))
    // Apps send the comment first, and what it is about at once.
    return isForward(first) || (first.text !== undefined && !isCut(first) && second.date - first.date <= 1);
  // Apps send chosen documents one by one, without an album around them.
  if (isMedia(second)) return isBare(first) && first.media_group_id === second.media_group_id;
  return second.text !== undefined && (isForward(first) || isCut(first) || isBare(first));
}

/** Updates in order, each burst where its first one stands. `isForUs`: in a group most of what is said is for others. */
export function bursts(updates: readonly Update[], isForUs: (message: Message) => boolean): Burst[] {
  const all: [Update, ...Update[]][] = [];
  const albums = new Map<string, [Update, ...Update[]]>();
  const last = new Map<string, [Update, ...Update[]]>();
  for (const update of updates) {
    const { message } = update;
    const album = albumOf(update);
    const who = speakerOf(update);
    const before = last.get(who);
    const tail = before?.at(-1)?.message;
    const joins =
      message !== undefined &&
      tail !== undefined &&
      // The caption of an album stands at one of its pictures.
      !(isBare(tail) && !isForward(tail) && before?.some((each) => each.message?.caption !== undefined)) &&
      (!isGroup(message.chat.id) || before?.some((each) => each.message && isForUs(each.message))) &&
      belongs(tail, message);
    const burst = (album === null ? undefined : albums.get(album)) ?? (joins ? before : undefined);
    if (burst && burst.length < MOST) burst.push(update);
    else all.push([update]);
    const own = burst && burst.length < MOST ? burst : all.at(-1);
    if (own === undefined) continue;
    last.set(who, own);
    if (album !== null) albums.set(album, own);
  }
  return all;
}

const speakerOf = ({ message, edited_message: edited, callback_query: query }: Update): string => {
  const said = message ?? edited;
  return said ? `${chatOf(said)} ${said.from?.id ?? 0}` : `${query?.message?.chat.id ?? 0} ${query?.from.id ?? 0}`;
};

/** Bursts of which more may come in a moment. */
export function unfinished(all: readonly Burst[], isForUs: (message: Message) => boolean): Burst[] {
  return all.filter((burst, index) => {
    const end = burst.at(-1);
    if (end === undefined || burst.length >= MOST || !mayGoOn(end, isForUs)) return false;
    // Who has gone on to something else has no more to add.
    return albumOf(end) !== null || !all.slice(index + 1).some(([next]) => speakerOf(next) === speakerOf(end));
  });
}
