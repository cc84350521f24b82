import type { Clock } from '../../../src/core/ports/clock.ts';
import { ApiServer, type Call, type Fault } from './server.ts';
import type { ApiChat, ApiEntity, ApiMessage, ApiUser } from './types.ts';
import { type Shown, World } from './world.ts';

export type { Shown } from './world.ts';

/** What a person writes. Mentions and commands in the text are found as Telegram finds them. */
export interface Writing {
  from?: number;
  /** A group, or the person's own chat with the bot. */
  chat?: number;
  text?: string;
  entities?: ApiEntity[];
  /** The topic. */
  thread?: number;
  /** The message that is answered, and what is quoted of it. */
  replyTo?: number;
  quote?: string;
  forwardedFrom?: string;
  album?: string;
  photo?: Uint8Array;
  /** Its sizes besides the thumbnail, the last of which holds `photo`; the others a byte for each hundred pixels of the long edge. */
  sizes?: readonly (readonly [width: number, height: number])[];
  document?: { name: string; bytes: Uint8Array; type?: string; size?: number };
  voice?: Uint8Array;
  audio?: { name: string; bytes: Uint8Array };
  videoNote?: Uint8Array;
  sticker?: string;
  /** Further fields of a message, as the Bot API has them: a location, a contact, a service message. */
  more?: Record<string, unknown>;
}

/** The Bot API and the people behind it. */
export interface TelegramFake {
  /** The api root. */
  url: string;
  token: string;
  me: ApiUser;
  calls: readonly Call[];
  commands: readonly { command: string; description: string }[];
  answers: readonly { query: string; text: string }[];
  typing: readonly { chat: number; thread: number | null }[];
  person(id: number, name?: string): number;
  group(id: number, options?: { forum?: boolean; basic?: boolean }): number;
  /** Opens a topic; gives its id. */
  topic(chat: number, name: string): number;
  /** Gives the id of the message. */
  write(writing: Writing): number;
  edit(chat: number, message: number, text: string): void;
  /** Presses a button that is shown. */
  press(chat: number, label: string, by?: number): string;
  block(person: number): void;
  /** A group becomes a supergroup. */
  migrate(chat: number, to: number): void;
  delete(chat: number, message: number): void;
  setWebhook(url: string): void;
  /** The chat as a person sees it. */
  shown(chat: number): Shown[];
  /** What the bot has written there. */
  said(chat: number): Shown[];
  /** Updates that no offset has acknowledged. */
  pending(): number[];
  fail(method: string, fault: Fault, when?: { times?: number; skip?: number }): void;
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Who writes if nobody is named. */
export const ANNA = 123456789;

/** With a token of its own, what holds that token can be told from other tests' processes. */
export async function startTelegram(options: { clock: Clock; token?: string }): Promise<TelegramFake> {
  const world = new World(options.clock, options.token ?? '7000001:AAFake-token_for_tests');
  const server = new ApiServer(world);
  await server.up();
  const person = (id: number, name = `Person ${id}`): number => {
    world.people.set(id, { id, is_bot: false, first_name: name });
    world.chats.set(id, { id, type: 'private', first_name: name });
    return id;
  };
  person(ANNA, 'Anna');
  const userOf = (id: number): ApiUser => world.people.get(id) ?? { id, is_bot: false, first_name: `Person ${id}` };
  const chatOf = (id: number): ApiChat => {
    const chat = world.chats.get(id);
    if (!chat) throw new Error(`the fake has no chat ${id}`);
    return chat;
  };
  return {
    url: server.url,
    token: world.token,
    me: world.bot,
    calls: server.calls,
    get commands() {
      return world.commands;
    },
    answers: world.answers,
    typing: world.typing,
    person,
    group(id, { forum = false, basic = false } = {}) {
      const type = basic ? 'group' : 'supergroup';
      world.chats.set(id, { id, type, title: `Group ${id}`, ...(forum && { is_forum: true }) });
      return id;
    },
    topic(chat, name) {
      const opened = { forum_topic_created: { name, icon_color: 7322096 }, is_topic_message: true };
      const message = world.keep(chatOf(chat), userOf(ANNA), opened);
      message.message_thread_id = message.message_id;
      return message.message_id;
    },
    write(writing) {
      const from = writing.from ?? ANNA;
      const chat = chatOf(writing.chat ?? from);
      const message = world.keep(chat, userOf(from), contentOf(world, chat, writing));
      world.push({ message });
      return message.message_id;
    },
    edit(chat, id, text) {
      const held = world.find(chat, id);
      if (!held) throw new Error(`there is no message ${id} in ${chat}`);
      Object.assign(held.message, { text, entities: entitiesOf(text), edit_date: world.seconds() });
      held.edits += 1;
      world.push({ edited_message: held.message });
    },
    press(chat, label, by = ANNA) {
      const shown = world.shown(chat).findLast((message) => message.buttons.includes(label));
      const message = shown && world.find(chat, shown.id)?.message;
      const key = message?.reply_markup?.inline_keyboard.flat().find(({ text }) => text === label);
      if (!message || !key) throw new Error(`no button "${label}" is shown in ${chat}`);
      const id = world.query();
      world.push({ callback_query: { id, from: userOf(by), chat_instance: '1', message, data: key.callback_data } });
      return id;
    },
    block: (id) => void world.blocked.add(id),
    migrate(chat, to) {
      world.chats.set(to, { ...chatOf(chat), id: to, type: 'supergroup' });
      const by = userOf(ANNA);
      const last = world.keep(chatOf(chat), by, { migrate_to_chat_id: to });
      const first = world.keep(chatOf(to), by, { migrate_from_chat_id: chat });
      world.moved.set(chat, to);
      for (const message of [last, first]) world.push({ message });
    },
    delete: (chat, message) => void world.remove(chat, message),
    setWebhook: (url) => void (world.webhook = url),
    shown: (chat) => world.shown(chat),
    said: (chat) => world.shown(chat).filter(({ from }) => from === world.bot.id),
    pending: () => world.updates.map(({ update_id: id }) => id),
    fail: (...args) => server.fail(...args),
    down: () => server.down(),
    up: () => server.up(),
    close: () => server.down(),
  };
}

/** Mentions and commands, as Telegram finds them in a text. */
function entitiesOf(text: string): ApiEntity[] {
  const found = (type: string, pattern: RegExp): ApiEntity[] =>
    [...text.matchAll(pattern)].map((match) => ({ type, offset: match.index, length: match[0].length }));
  const commands = found('bot_command', /(?<=^|\s)\/\w+(?:@\w+)?/g);
  const mentions = found('mention', /(?<=^|[^\w/])@\w{3,}/g);
  return [
    ...commands,
    ...mentions.filter(({ offset }) => !commands.some((c) => offset > c.offset && offset < c.offset + c.length)),
  ];
}

function contentOf(world: World, chat: ApiChat, writing: Writing): Partial<ApiMessage> {
  const { text, thread, replyTo, quote, forwardedFrom, album, photo, document, voice, audio, videoNote, sticker } =
    writing;
  const content: Record<string, unknown> = { ...writing.more };
  const media = photo ?? document ?? voice ?? audio ?? videoNote;
  if (text !== undefined) {
    const entities = writing.entities ?? entitiesOf(text);
    Object.assign(content, media ? { caption: text, caption_entities: entities } : { text, entities });
  }
  if (thread !== undefined) Object.assign(content, { message_thread_id: thread, is_topic_message: true });
  const answered = replyTo ?? thread;
  if (answered !== undefined) {
    const original = world.find(chat.id, answered)?.message;
    if (original) content.reply_to_message = { ...original, reply_to_message: undefined };
  }
  if (quote !== undefined) content.quote = { text: quote, position: 0 };
  if (forwardedFrom !== undefined) {
    const sender = { id: 42, is_bot: false, first_name: forwardedFrom };
    content.forward_origin = { type: 'user', date: world.seconds(), sender_user: sender };
  }
  if (album !== undefined) content.media_group_id = album;
  if (photo) {
    const { sizes = [[1280, 960]] } = writing;
    const small = world.store('thumb.jpg', photo.subarray(0, 1), 'photos');
    content.photo = [
      { ...small, width: 90, height: 67 },
      ...sizes.map(([width, height], at) => {
        const bytes = at === sizes.length - 1 ? photo : new Uint8Array(Math.floor(Math.max(width, height) / 100));
        return { ...world.store(`photo-${width}.jpg`, bytes, 'photos'), width, height };
      }),
    ];
  }
  if (document) {
    const kept = world.store(document.name, document.bytes, 'documents', document.size);
    content.document = { ...kept, file_name: document.name, ...(document.type && { mime_type: document.type }) };
  }
  if (voice) content.voice = { ...world.store('voice.oga', voice, 'voice'), duration: 1, mime_type: 'audio/ogg' };
  if (audio)
    content.audio = {
      ...world.store(audio.name, audio.bytes, 'music'),
      duration: 1,
      file_name: audio.name,
      mime_type: 'audio/mpeg',
    };
  if (videoNote)
    content.video_note = { ...world.store('note.mp4', videoNote, 'video_notes'), duration: 1, length: 240 };
  if (sticker !== undefined)
    content.sticker = {
      ...world.store('sticker.webp', new Uint8Array([1]), 'stickers'),
      emoji: sticker,
      type: 'regular',
    };
  return content;
}
