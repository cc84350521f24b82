import type { Message, MessageEntity, User } from 'grammy/types';
import { SEEN_SIDE } from '../../core/image.ts';
import { mediaTypeOf, plainName } from '../../core/text/media.ts';
import type { ChannelMessage } from '../../core/ports/channel.ts';
import { visible } from '../../core/text/untrusted.ts';
import { CUT_AT, isCut } from './burst.ts';
import { chatOf, isGroup, replyToOf } from './place.ts';

/** The bot itself, as `getMe` tells it. */
export interface Me {
  id: number;
  username: string;
}

/** A file of a message that is still at Telegram. */
export interface Attachment {
  id: string;
  name: string;
  mediaType: string;
  /** Bytes, if Telegram says how many. */
  size: number | null;
}

/** A message whose files have not been fetched. */
interface Letter extends Omit<ChannelMessage, 'files'> {
  attachments: Attachment[];
}

/** Characters of a message that was answered. */
const QUOTE = 300;

/**
 * One message, or the parts of one, as the agent gets it; null if it is not for the bot. An edit is a message of its own,
 * which names the one it edits.
 */
export function readMessage(parts: readonly Message[], edited: boolean, me: Me): Letter | null {
  const [first] = parts;
  const from = first?.from;
  // Bots, channels and anonymous administrators have no person whose id could be known. A live location is edited all the time.
  if (!first || !from || from.is_bot || first.sender_chat || (edited && first.location)) return null;
  if (isGroup(first.chat.id) && !parts.some((part) => isAddressed(part, me))) return null;
  const attachments = parts.flatMap(attachmentsOf);
  const isContent =
    attachments.length > 0 ||
    parts.some((part) => thingsOf(part).length > 0 || (part.text ?? part.caption) !== undefined);
  if (!isContent) return null;
  const id = idOf(first, me);
  const [, ...others] = parts;
  const { text, foreign } = textOf(parts, me);
  return {
    sender: String(from.id),
    chat: chatOf(first),
    text: text === '' && attachments.length === 0 ? '(Said only your name.)' : text,
    ...(foreign && { foreign }),
    replyTo: replyToOf(parts.at(-1) ?? first),
    externalId: edited ? `${id}.${first.edit_date ?? 0}` : id,
    ...(edited && { edits: id }),
    ...(others.length === 0 && !edited && answersOf(first, me)),
    ...(others.length > 0 && { parts: others.map((part) => idOf(part, me)) }),
    attachments,
  };
}

/** Each bot counts its messages with a person from one: behind another token the same number is another message. */
export const idOf = ({ chat, message_id: message }: Message, me: Me): string => `${me.id}.${chat.id}.${message}`;

/** What all parts say, each with where its words come from. */
function textOf(parts: readonly Message[], me: Me): { text: string; foreign: boolean } {
  let [text, foreign] = ['', false];
  for (const [index, part] of parts.entries()) {
    const before = parts[index - 1];
    const isAlbum =
      before !== undefined && before.media_group_id !== undefined && before.media_group_id === part.media_group_id;
    const from = isAlbum ? { notes: [], foreign: false } : origin(part, me);
    const said = wordsOf(part, me);
    // A command stands at the start of a text, also of one that was corrected; but nobody gives one in another's words.
    const notes = index === 0 && said.startsWith('/') && !part.forward_origin ? [] : from.notes;
    const piece = [...notes, said, ...thingsOf(part)].filter(Boolean).join('\n\n');
    foreign ||= from.foreign;
    if (piece === '') continue;
    const isRest = before !== undefined && isCut(before) && part.text !== undefined && notes.length === 0;
    // A text that fills its message to the last unit was cut wherever that was; the others between two lines, mostly.
    const between = isRest ? (before.text?.length === CUT_AT ? '' : '\n') : '\n\n';
    text = text === '' ? piece : `${text}${between}${piece}`;
  }
  return { text, foreign };
}

const entitiesOf = (message: Message): readonly MessageEntity[] => message.entities ?? message.caption_entities ?? [];

/** The part of an entity that names the bot: a mention, or the end of a command. Null if it names somebody else. */
function mentionIn(text: string, entity: MessageEntity, me: Me): { offset: number; length: number } | null {
  const { offset, length } = entity;
  const shown = text.slice(offset, offset + length).toLowerCase();
  const name = `@${me.username.toLowerCase()}`;
  if (entity.type === 'mention' && shown === name) return { offset, length };
  if (entity.type === 'text_mention' && entity.user.id === me.id) return { offset, length };
  if (entity.type === 'bot_command' && shown.endsWith(name))
    return { offset: offset + length - name.length, length: name.length };
  return null;
}

export function isAddressed(message: Message, me: Me): boolean {
  const text = message.text ?? message.caption ?? '';
  if (entitiesOf(message).some((entity) => mentionIn(text, entity, me) !== null)) return true;
  return repliedTo(message)?.from?.id === me.id;
}

/** The message that was answered. In a topic every message seems to answer the one that opened the topic. */
function repliedTo(message: Message): Message | null {
  const answered = message.reply_to_message;
  if (!answered || answered.forum_topic_created || answered.message_id === message.message_thread_id) return null;
  return answered;
}

/** What a reply to a message with buttons says. Words of others, and files, answer nothing. */
function answersOf(message: Message, me: Me): Pick<Letter, 'answers'> {
  const answered = repliedTo(message);
  if (answered?.from?.id !== me.id || message.forward_origin || message.text === undefined) return {};
  const keys = answered.reply_markup?.inline_keyboard.flat() ?? [];
  const actions = keys.flatMap((key) => ('callback_data' in key ? key.callback_data : []));
  return actions.length === 0 ? {} : { answers: { actions, text: wordsOf(message, me) } };
}

/** Without the bot's name, and with the addresses that stand behind words. */
function wordsOf(message: Message, me: Me): string {
  let text = message.text ?? message.caption ?? '';
  const entities = entitiesOf(message);
  const mentions = entities.flatMap((entity) => mentionIn(text, entity, me) ?? []);
  const edits = [
    ...mentions.map((range) => ({ ...range, url: null })),
    ...entities.flatMap((entity) => (entity.type === 'text_link' ? [entity] : [])),
  ];
  for (const { offset, length, url } of edits.toSorted((a, b) => b.offset - a.offset)) {
    const [before, shown] = [text.slice(0, offset), text.slice(offset, offset + length)];
    const after = text.slice(offset + length);
    if (url !== null) text = shown === url ? text : `${before}${shown} (${visible(url)})${after}`;
    else text = /\s$/.test(before) ? before + after.replace(/^[ \t]/, '') : before + after;
  }
  return mentions.length > 0 ? text.replace(/^\s*[,:]?\s*/, '').trimEnd() : text;
}

/** A name that anybody may choose: one line, short, nothing hidden in it. */
const shortName = (name: string): string => visible(name.replace(/\s+/g, ' ')).slice(0, 64).trim() || 'somebody';
const nameOf = (user: User): string => shortName([user.first_name, user.last_name].filter(Boolean).join(' '));

/** Where words come from that the sender did not write now. */
function origin(message: Message, me: Me): { notes: string[]; foreign: boolean } {
  const notes: string[] = [];
  let foreign = false;
  if (message.forward_origin) {
    notes.push(`(Forwarded from ${forwardedFrom(message.forward_origin)}:)`);
    foreign = true;
  }
  const answered = repliedTo(message);
  const elsewhere = message.external_reply;
  const quoted = message.quote?.text ?? (answered ? (answered.text ?? answered.caption ?? kindOf(answered)) : '');
  if (elsewhere) {
    const from = elsewhere.chat?.title === undefined ? 'another chat' : `the chat ${shortName(elsewhere.chat.title)}`;
    // It has the fields of a message but its words: those only a quote tells.
    const kind = elsewhere.photo ? 'a photo' : kindOf({ message_id: 0, ...elsewhere } as unknown as Message);
    const what = kind === '' ? 'a message' : visible(kind);
    const words = quoted === '' ? '' : `: "${shorten(quoted, QUOTE)}"`;
    notes.push(`(In reply to ${what} of ${forwardedFrom(elsewhere.origin)} in ${from}${words})`);
    foreign = true;
  } else if (quoted !== '') {
    const own = answered?.from?.id === me.id;
    const whose = own ? 'your message' : answered?.from ? `a message of ${nameOf(answered.from)}` : 'a message';
    notes.push(`(In reply to ${whose}: "${shorten(quoted, QUOTE)}")`);
    foreign ||= !own && (answered?.from?.id !== message.from?.id || answered?.forward_origin !== undefined);
  }
  return { notes, foreign };
}

function forwardedFrom(from: NonNullable<Message['forward_origin']>): string {
  switch (from.type) {
    case 'user':
      return nameOf(from.sender_user);
    case 'hidden_user':
      return shortName(from.sender_user_name);
    case 'chat':
      return shortName(from.sender_chat.title ?? '');
    case 'channel':
      return shortName(from.chat.title ?? '');
    default:
      return 'somebody';
  }
}

/** By characters as people count them, so that no pair is cut. */
function shorten(text: string, characters: number): string {
  const all = Array.from(text);
  return all.length <= characters ? text : `${all.slice(0, characters).join('')}…`;
}

/** For a quote of a message without words. */
function kindOf(message: Message): string {
  const [attachment] = attachmentsOf(message);
  return attachment?.name ?? thingsOf(message)[0] ?? '';
}

function attachmentsOf(message: Message): Attachment[] {
  const { message_id: id, photo, document, animation, voice, audio, video, video_note: note } = message;
  const found = (file: { file_id: string; file_size?: number }, name: string, mediaType?: string): Attachment[] => [
    { id: file.file_id, name: plainName(name), mediaType: typeOf(mediaType, name), size: file.file_size ?? null },
  ];
  const sizes = photo?.toSorted((a, b) => a.width * a.height - b.width * b.height) ?? [];
  // Telegram has scaled it already: a model sees no more of a larger one.
  const enough = sizes.find(({ width, height }) => Math.max(width, height) >= SEEN_SIDE) ?? sizes.at(-1);
  if (enough) return found(enough, `photo-${id}.jpg`);
  // Newer than the types: a picture with the seconds around it.
  const { live_photo: live } = message as { live_photo?: { file_id: string; file_size?: number; mime_type?: string } };
  if (live) return found(live, `live-photo-${id}.mp4`, live.mime_type);
  if (voice) return found(voice, `voice-${id}.ogg`, voice.mime_type);
  if (audio) return found(audio, audio.file_name ?? `audio-${id}.mp3`, audio.mime_type);
  if (video) return found(video, video.file_name ?? `video-${id}.mp4`, video.mime_type);
  if (note) return found(note, `video-note-${id}.mp4`);
  // Animations come as documents besides.
  if (animation) return found(animation, animation.file_name ?? `animation-${id}.mp4`, animation.mime_type);
  return document ? found(document, document.file_name ?? `document-${id}`, document.mime_type) : [];
}

const typeOf = (told: string | undefined, name: string): string =>
  told !== undefined && /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(told) ? told.toLowerCase() : mediaTypeOf(name);

/** What is neither text nor file, in words. */
function thingsOf(message: Message): string[] {
  const { sticker, location, venue, contact, poll, dice } = message;
  if (sticker) return [sticker.emoji ?? '(a sticker)'];
  const at = location ? `${location.latitude}, ${location.longitude}` : '';
  if (venue) return [`(Place: ${visible(venue.title)}, ${visible(venue.address)}, at ${at})`];
  if (location) return [`(Location: ${at})`];
  if (contact) {
    const name = shortName([contact.first_name, contact.last_name].filter(Boolean).join(' '));
    return [`(Contact: ${name}, ${visible(contact.phone_number)})`];
  }
  if (poll) return [`(Poll: ${visible(poll.question)} – ${poll.options.map(({ text }) => visible(text)).join(' / ')})`];
  if (dice) return [`(${dice.emoji} ${dice.value})`];
  if (message.story || message.paid_media || message.game || message.checklist || message.giveaway)
    return ['(A message of a kind that cannot be read here.)'];
  return [];
}
