import type { InlineKeyboardMarkup, MessageEntity } from 'grammy/types';
import type { Clock } from '../../core/ports/clock.ts';
import type {
  Button,
  ChannelHost,
  Drafts,
  MessageFile,
  OutboundPart,
  Receipt,
  SendOptions,
} from '../../core/ports/channel.ts';
import { type TelegramApi, type Trouble, troubleOf } from './api.ts';
import { isGroup, mayBecome, parsePlace, type Place } from './place.ts';
import { beginning, GONE, MAX_TEXT, REPEAT, splitMessage, type TelegramPart } from './split.ts';

/** Bytes of what Telegram shows as a photo. */
const MAX_PHOTO = 10_000_000;
/** What stands below a text that is not finished. */
const UNFINISHED = '\n\n✍ …';
/** Milliseconds between two edits: Telegram allows one message a second in a private chat and 20 a minute in a group. */
const DRAFT_MS = 1_500;
const GROUP_DRAFT_MS = 4_000;
/** Chats remembered: groups that moved, and when a draft was last shown. */
const MAX_CHATS = 1_000;

/** Never a preview: Telegram would fetch whatever address a text holds, and an address can carry data away. */
const NO_PREVIEW = { link_preview_options: { is_disabled: true } } as const;

const failed = (error: string, final: boolean, retryAfter: number | null = null): Receipt => ({
  state: 'failed',
  error,
  retryAfter,
  final,
});

/** What Telegram's answer means for the one who sends. */
function receiptOf(trouble: Trouble): Receipt {
  if (trouble.kind === 'refused')
    // The chat is gone, the person has blocked the bot, the message cannot be: no second try changes that.
    return failed(trouble.says, [400, 403, 413].includes(trouble.code), trouble.retryAfter);
  return trouble.kind === 'lost' ? { state: 'unsure', error: trouble.says } : failed(trouble.says, false);
}

/** Attempts to take buttons away while Telegram wants pauses. */
const RETIRE_TRIES = 5;

/** Sends into chats, and says what became of it. */
export class Sender {
  /** Groups that became supergroups have a new id; replies that were waiting still carry the old one. */
  readonly #moved = new Map<number, number>();
  /** When a draft was last shown in a chat. */
  readonly #shown = new Map<number, number>();
  readonly #api: () => Promise<TelegramApi>;
  readonly #clock: Clock;

  readonly #known: { host: Pick<ChannelHost, 'renamed' | 'nameNow'> | null; stopped: AbortSignal | null };

  constructor(
    api: () => Promise<TelegramApi>,
    clock: Clock,
    known: { host: ChannelHost | null; stopped: AbortSignal | null },
  ) {
    this.#api = api;
    this.#clock = clock;
    this.#known = known;
  }

  async send(to: string, part: OutboundPart, options: SendOptions): Promise<Receipt> {
    const place = parsePlace(to);
    if (place === null) return noPlace(to);
    return part.kind === 'file' ? this.#file(place, part.file, options) : this.#text(place, asText(part), options);
  }

  /** What came of the buttons stands below the message, in the words that a press would have brought there. */
  async retire(to: string, part: OutboundPart, id: string, stands: string): Promise<void> {
    const place = parsePlace(to);
    if (place === null || part.kind === 'file' || id === '') return;
    const { text, entities } = asText(part);
    const told = `${text}\n\n→ ${stands}`;
    const edit = async (api: TelegramApi, chat_id: number): Promise<void> => {
      const at = { chat_id, message_id: Number(id) };
      if (told.length > MAX_TEXT) await api.call.editMessageReplyMarkup(at);
      else await api.call.editMessageText({ ...at, text: told, entities, ...NO_PREVIEW });
    };
    for (let tries = 1; tries <= RETIRE_TRIES; tries++) {
      const trouble = await this.#inChat(place, edit);
      if (!isTrouble(trouble) || trouble.kind !== 'refused' || trouble.retryAfter === null) return;
      await this.#clock.sleep(trouble.retryAfter, this.#known.stopped ?? undefined);
    }
  }

  readonly drafts: Drafts = {
    everyMs: DRAFT_MS,
    typing: async (to) => {
      const place = parsePlace(to);
      const thread = place?.thread ?? undefined;
      const typing = { action: 'typing', message_thread_id: thread } as const;
      if (place) await this.#inChat(place, (api, chat_id) => api.call.sendChatAction({ chat_id, ...typing }));
    },
    show: async (to, text, draft) => {
      const place = parsePlace(to);
      if (place === null) return noPlace(to);
      const now = this.#clock.now();
      const wait = isGroup(place.chat) ? (this.#shown.get(place.chat) ?? -Infinity) + GROUP_DRAFT_MS - now : 0;
      if (wait > 0) return failed('a group takes 20 messages a minute, and this was a draft', false, wait);
      keep(this.#shown, place.chat, now);
      const part: TextOf = { kind: 'text', text: unfinishedText(text), entities: [], buttons: [] };
      // A person who deletes it must not be shown another one with every word.
      if (draft !== null)
        return (await this.#edit(place, Number(draft), part)) ?? failed('the draft cannot be edited any more', true);
      return this.#text(place, part, { key: '', again: false, draft: null });
    },
  };

  /** Makes a call in the chat, or where it has moved to. */
  async #inChat<T>(place: Place, call: (api: TelegramApi, chat: number) => Promise<T>): Promise<T | Trouble> {
    const attempt = async (chat: number): Promise<T | Trouble> => {
      try {
        return await call(await this.#api(), chat);
      } catch (error) {
        return troubleOf(error);
      }
    };
    const result = await attempt(await this.#now(place.chat));
    if (!isTrouble(result) || result.kind !== 'refused' || result.movedTo === null) return result;
    if (!mayBecome(place.chat, result.movedTo)) return result;
    keep(this.#moved, place.chat, result.movedTo);
    await this.#known.host?.renamed?.(String(place.chat), String(result.movedTo));
    return attempt(result.movedTo);
  }

  async #now(chat: number): Promise<number> {
    if (!isGroup(chat)) return chat;
    const known = this.#moved.get(chat) ?? Number((await this.#known.host?.nameNow?.(String(chat))) ?? chat);
    keep(this.#moved, chat, known);
    return known;
  }

  async #text(place: Place, part: TextOf, { again, draft }: SendOptions): Promise<Receipt> {
    const edited = draft === null ? null : await this.#edit(place, Number(draft), part);
    if (edited) return edited;
    const lead = again ? REPEAT : '';
    const marks = part.entities.map((entity) => ({ ...entity, offset: entity.offset + lead.length }));
    const body = { text: lead + part.text, ...withKeys(part), ...about(place), ...NO_PREVIEW };
    const post = (entities: MessageEntity[]) =>
      this.#inChat(place, (api, chat_id) => api.call.sendMessage({ chat_id, entities, ...body }));
    let result = await post(marks);
    // Words without their marks are better than no words.
    if (isRefused(result, 400) && /entit/i.test(result.says)) result = await post([]);
    // The topic is gone, the chat is not.
    if (isTopicGone(result, place)) {
      // The number of the General topic, which is the group itself.
      const general = place.thread === 1 && isGroup(place.chat);
      const there = { ...place, thread: null, message: null };
      return this.#text(there, general ? part : lost(part), { key: '', again, draft: null });
    }
    return isTrouble(result) ? receiptOf(result) : sent(result.message_id);
  }

  /** Null: it cannot be edited, because it is gone or too old. */
  async #edit(place: Place, message_id: number, part: TextOf): Promise<Receipt | null> {
    const body = { message_id, text: part.text, entities: part.entities, ...withKeys(part), ...NO_PREVIEW };
    const result = await this.#inChat(place, (api, chat_id) => api.call.editMessageText({ chat_id, ...body }));
    if (!isTrouble(result)) return sent(message_id);
    if (!isRefused(result, 400)) return receiptOf(result);
    return /not modified/i.test(result.says) ? sent(message_id) : null;
  }

  async #file(place: Place, file: MessageFile, { again, draft }: SendOptions): Promise<Receipt> {
    // A text cannot become a file: what was shown while it was written goes.
    if (draft !== null)
      await this.#inChat(place, (api, chat_id) => api.call.deleteMessage({ chat_id, message_id: Number(draft) }));
    const upload = (kind: Kind, to = place) =>
      this.#inChat(to, (api, chat_id): Promise<{ message_id: number }> => {
        const told = [again ? REPEAT.trim() : '', to === place || place.thread === 1 ? '' : GONE.trim()];
        const caption = told.filter(Boolean).join('\n');
        const common = { chat_id, ...(caption !== '' && { caption }), ...about(to) };
        const content = api.file(file.bytes, safeName(file.name));
        if (kind === 'photo') return api.call.sendPhoto({ ...common, photo: content });
        if (kind === 'voice') return api.call.sendVoice({ ...common, voice: content });
        return api.call.sendDocument({ ...common, document: content });
      });
    const kind = kindOf(file);
    let result = await upload(kind);
    // A picture of odd proportions, or a person who takes no voice messages: as a document it arrives.
    const isGone = isTopicGone(result, place);
    const chat = isGone ? { ...place, thread: null, message: null } : place;
    if (isGone) result = await upload(kind, chat);
    if (kind !== 'document' && isRefused(result, 400)) result = await upload('document', chat);
    return isTrouble(result) ? receiptOf(result) : sent(result.message_id);
  }
}

/** A reply for a topic that is gone, with a word about it. */
const lost = (part: TextOf): TextOf => {
  const entities = part.entities.map((entity) => ({ ...entity, offset: entity.offset + GONE.length }));
  return { ...part, ...beginning({ text: `${GONE}${part.text}`, entities }, MAX_TEXT) };
};

type TextOf = Extract<TelegramPart, { kind: 'text' }>;
type Kind = 'photo' | 'voice' | 'document';

const sent = (message: number): Receipt => ({ state: 'sent', id: String(message) });
const noPlace = (to: string): Receipt => failed(`"${to}" is no chat of Telegram`, true);

const isTrouble = (result: unknown): result is Trouble =>
  typeof result === 'object' && result !== null && 'kind' in result && 'says' in result;

const isRefused = (result: unknown, code: number): result is Trouble & { kind: 'refused' } =>
  isTrouble(result) && result.kind === 'refused' && result.code === code;

const isTopicGone = (result: unknown, { thread }: Place): boolean =>
  isRefused(result, 400) && thread !== null && /thread not found|topic/i.test(result.says);

const withKeys = ({ buttons }: TextOf) => (buttons.length > 0 ? { reply_markup: keyboard(buttons) } : {});

function keep(map: Map<number, number>, key: number, value: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_CHATS && oldest !== undefined) map.delete(oldest);
}

/** Topic, and in groups the message that is answered; if that is gone, the answer comes without it. */
const about = ({ thread, message }: Place) => ({
  ...(thread !== null && { message_thread_id: thread }),
  ...(message !== null && { reply_parameters: { message_id: message, allow_sending_without_reply: true } }),
});

/** A part that was not made by `split` is Markdown; what is too long for one message is cut. */
function asText(part: Extract<OutboundPart, { kind: 'text' }>): TextOf {
  if ('entities' in part) return part as TextOf;
  const [first] = splitMessage({ text: part.text, files: [], buttons: [] });
  return { kind: 'text', text: part.text, entities: [], ...first, buttons: part.buttons } as TextOf;
}

/** Short buttons stand side by side, others below each other. */
function keyboard(buttons: readonly Button[]): InlineKeyboardMarkup {
  const keys = buttons.map(({ label, action }) => ({ text: label, callback_data: action }));
  const short = keys.length <= 3 && keys.every(({ text }) => text.length <= 14);
  return { inline_keyboard: short ? [keys] : keys.map((key) => [key]) };
}

/** As much as one message shows, and that more will come. */
function unfinishedText(text: string): string {
  const room = MAX_TEXT - UNFINISHED.length;
  const cut = text
    .toWellFormed()
    .slice(0, room)
    .replace(/[\ud800-\udbff]$/, '');
  return `${cut.trimEnd()}${UNFINISHED}`.trimStart();
}

function kindOf({ mediaType, bytes }: MessageFile): Kind {
  if (/^image\/(?:jpeg|png)$/.test(mediaType) && bytes.length <= MAX_PHOTO) return 'photo';
  const opus = mediaType === 'audio/ogg' && Buffer.from(bytes.subarray(0, 64)).includes('OpusHead');
  return opus ? 'voice' : 'document';
}

/** grammY writes the name into a header as it is. */
const safeName = (name: string): string => name.replace(/["\\;\r\n]/g, '_');
