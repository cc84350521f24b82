import type { Clock } from '../../../src/core/ports/clock.ts';
import { ApiError, type ApiChat, type ApiMessage, type ApiUpdate, type ApiUser, bad, type Upload } from './types.ts';

/** A message as somebody looking at the chat sees it. */
export interface Shown {
  id: number;
  from: number;
  text: string;
  /** What is formatted: kind and the words. */
  marks: { type: string; text: string; url?: string; language?: string }[];
  buttons: string[];
  file: { kind: string; name: string; bytes: Uint8Array } | null;
  replyTo: number | null;
  thread: number | null;
  edits: number;
}

interface Held {
  message: ApiMessage;
  file: Shown['file'];
  edits: number;
}

/** Messages a private chat takes at once, and then one a second; a group takes 20 a minute. */
const BURST = 5;
const GROUP_MINUTE = 20;

/** Everything that Telegram would know. */
export class World {
  readonly bot: ApiUser = { id: 7_000_001, is_bot: true, first_name: 'Ruche', username: 'ruche_test_bot' };
  readonly token: string;
  readonly chats = new Map<number, ApiChat>();
  readonly people = new Map<number, ApiUser>();
  readonly blocked = new Set<number>();
  /** Old id of a group → its id as a supergroup. */
  readonly moved = new Map<number, number>();
  readonly files = new Map<string, Upload & { path: string; size: number }>();
  readonly updates: ApiUpdate[] = [];
  readonly typing: { chat: number; thread: number | null }[] = [];
  readonly answers: { query: string; text: string }[] = [];
  readonly clock: Clock;
  commands: { command: string; description: string }[] = [];
  webhook = '';
  /** Called when an update has come. */
  onUpdate: () => void = () => undefined;
  readonly #held = new Map<number, Held[]>();
  readonly #sends = new Map<number, number[]>();
  readonly #queries = new Set<string>();
  #nextUpdate = 500_001;
  #nextMessage = 1;
  #nextFile = 1;

  constructor(clock: Clock, token: string) {
    this.clock = clock;
    this.token = token;
  }

  seconds(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  /** The chat a bot may write to, or what Telegram answers. */
  chatFor(id: unknown): ApiChat {
    const number = Number(id);
    const moved = this.moved.get(number);
    if (moved !== undefined)
      throw new ApiError(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
        migrate_to_chat_id: moved,
      });
    const chat = this.chats.get(number);
    if (!chat) throw bad('chat not found');
    if (this.blocked.has(number)) throw new ApiError(403, 'Forbidden: bot was blocked by the user');
    return chat;
  }

  /** Counts a message to a chat; throws 429 if there were too many. */
  spend({ id, type }: ApiChat): void {
    const now = this.clock.now();
    const [many, span] = type === 'private' ? [BURST, BURST * 1000] : [GROUP_MINUTE, 60_000];
    const recent = (this.#sends.get(id) ?? []).filter((at) => at > now - span);
    const [oldest = now] = recent;
    if (recent.length >= many) {
      const wait = Math.max(1, Math.ceil((oldest + span - now) / 1000));
      throw new ApiError(429, `Too Many Requests: retry after ${wait}`, { retry_after: wait });
    }
    this.#sends.set(id, [...recent, now]);
  }

  keep(chat: ApiChat, from: ApiUser, content: Record<string, unknown>, file: Shown['file'] = null): ApiMessage {
    const message: ApiMessage = { message_id: this.#nextMessage++, date: this.seconds(), chat, from, ...content };
    const list = this.#held.get(chat.id) ?? [];
    list.push({ message, file, edits: 0 });
    this.#held.set(chat.id, list);
    return message;
  }

  find(chat: number, id: unknown): Held | undefined {
    return this.#held.get(chat)?.find((held) => held.message.message_id === Number(id));
  }

  remove(chat: number, id: number): boolean {
    const list = this.#held.get(chat) ?? [];
    const index = list.findIndex((held) => held.message.message_id === id);
    if (index !== -1) list.splice(index, 1);
    return index !== -1;
  }

  /** Puts bytes where `getFile` finds them. */
  store(
    name: string,
    bytes: Uint8Array,
    folder: string,
    size = bytes.length,
  ): { file_id: string; file_unique_id: string; file_size: number } {
    const id = `file-${this.#nextFile++}`;
    const ending = /\.\w+$/.exec(name)?.[0] ?? '';
    this.files.set(id, { name, bytes, path: `${folder}/${id.replace('-', '_')}${ending}`, size });
    return { file_id: id, file_unique_id: `u${id}`, file_size: size };
  }

  push(update: Omit<ApiUpdate, 'update_id'>): number {
    const id = this.#nextUpdate++;
    // What the bot gets is what was said then, whatever becomes of the message later.
    this.updates.push(structuredClone({ update_id: id, ...update }));
    this.onUpdate();
    return id;
  }

  query(): string {
    const id = `${4_000_000_000 + this.#queries.size}`;
    this.#queries.add(id);
    return id;
  }

  /** True the first time. */
  answer(id: string): boolean {
    return this.#queries.delete(id);
  }

  /** The chat as a person sees it, oldest message first. */
  shown(chat: number): Shown[] {
    return (this.#held.get(chat) ?? []).map(({ message, file, edits }) => {
      const text = message.text ?? message.caption ?? '';
      return {
        id: message.message_id,
        from: message.from.id,
        text,
        marks: (message.entities ?? message.caption_entities ?? []).map(({ type, offset, length, url, language }) => ({
          type,
          text: text.slice(offset, offset + length),
          ...(url !== undefined && { url }),
          ...(language !== undefined && { language }),
        })),
        buttons: message.reply_markup?.inline_keyboard.flat().map((key) => key.text) ?? [],
        file,
        replyTo: message.reply_to_message?.message_id ?? null,
        thread: message.message_thread_id ?? null,
        edits,
      };
    });
  }
}
