import type { CallbackQuery, Message } from 'grammy/types';
import type { Clock } from '../../core/ports/clock.ts';
import type { Channel, ChannelHost } from '../../core/ports/channel.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Net } from '../../core/ports/net.ts';
import { openApi, pauseMs, type TelegramApi, troubleOf } from './api.ts';
import { fetchFiles } from './files.ts';
import { chatOf, mayBecome } from './place.ts';
import { type Item, poll, RefusedToken, UNREACHED } from './poll.ts';
import { idOf, isAddressed, type Me, readMessage } from './read.ts';
import { Sender } from './send.ts';
import { MAX_TEXT, splitMessage } from './split.ts';

export interface TelegramOptions {
  /** Name of the channel in `ruche.yaml`. */
  name: string;
  /** What BotFather gave, not a reference to it. */
  token: string;
  /** Where the Bot API is, if not at Telegram. No other place is ever contacted. */
  apiRoot?: string;
  net: Net;
  clock: Clock;
  log: Log;
  /** In [0, 1). */
  random(): number;
  /** Shown by Telegram's menu of commands. */
  commands?: readonly { command: string; description: string }[];
}

const COMMANDS = [
  { command: 'new', description: 'Begin a new conversation' },
  { command: 'chats', description: 'Go on with an earlier one' },
  { command: 'stop', description: 'Stop what is being done for you' },
  { command: 'status', description: 'What is going on' },
  { command: 'agents', description: 'Who is there' },
  { command: 'ack', description: 'Say that you look after what you were told of' },
];

/** Tries after which a file that cannot be fetched is given up, and said to be missing. */
const FILE_TRIES = 3;
/** Characters of the words that a press brings up. */
const MAX_ANSWER = 200;

/** A Telegram bot, by long polling. Nothing is loaded or contacted before it is started or sends. */
export function telegram(options: TelegramOptions): Channel {
  let api: Promise<TelegramApi> | undefined;
  const connect = (): Promise<TelegramApi> => (api ??= openApi(options));
  const known: { host: ChannelHost | null; stopped: AbortSignal | null } = { host: null, stopped: null };
  const sender = new Sender(connect, options.clock, known);
  return {
    name: options.name,
    dedupes: false,
    split: splitMessage,
    send: (...args) => sender.send(...args),
    retire: (...args) => sender.retire(...args),
    drafts: sender.drafts,
    async start(host, signal) {
      const { name, token } = options;
      known.host = host;
      known.stopped = signal;
      const where = `channels.${name}.token in ruche.yaml`;
      if (!/^\d+:[\w-]+$/.test(token))
        throw new Error(`${where}: this is not a bot's token, which looks like 123456789:AAF…; BotFather shows it.`);
      try {
        await receive(options, await connect(), host, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof RefusedToken)) throw error;
        const advice = 'Ask BotFather for it (/token), and set it anew.';
        throw new Error(`${where}: Telegram refuses the token. ${advice}`, { cause: error });
      }
    },
  };
}

async function receive(
  options: TelegramOptions,
  api: TelegramApi,
  host: ChannelHost,
  signal: AbortSignal,
): Promise<void> {
  const { log } = options;
  const reporting = { ...options, report: (problem: string | null): void => host.report?.(problem) };
  const { id, username } = await patiently(reporting, () => api.call.getMe(signal as never), signal);
  reporting.report(null);
  const me: Me = { id, username };
  const { url } = await patiently(reporting, () => api.call.getWebhookInfo(signal as never), signal);
  if (url) {
    log.warn({}, 'a webhook was set for this bot; it is removed, since messages are fetched from here');
    await patiently(reporting, () => api.call.deleteWebhook({}, signal as never), signal);
  }
  const commands = options.commands ?? COMMANDS;
  await quietly(log, 'the menu of commands', () => api.call.setMyCommands({ commands }, signal as never));
  log.info({ bot: `@${username}` }, 'messages from Telegram come in');
  const take = (item: Item): Promise<void> => takeIn(api, host, me, log, item, signal);
  await poll({ ...reporting, api, take, signal, isForUs: (message) => isAddressed(message, me) });
}

/** Until the call gets through. Rejects if the token is refused, or when aborted. */
async function patiently<T>(
  options: TelegramOptions & { report(problem: string | null): void },
  call: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      const trouble = troubleOf(error);
      if (trouble.kind === 'refused' && (trouble.code === 401 || trouble.code === 404)) throw new RefusedToken();
      if (failures === 0) {
        options.log.warn({ error: trouble.says }, UNREACHED);
        options.report(UNREACHED);
      }
      const asked = trouble.kind === 'refused' ? (trouble.retryAfter ?? 0) : 0;
      await options.clock.sleep(Math.max(asked, pauseMs(failures, options.random)), signal);
    }
  }
}

/** What may fail without harm. */
async function quietly(log: Log, what: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    log.debug({ error: troubleOf(error).says }, `${what}: Telegram did not take it`);
  }
}

async function takeIn(
  api: TelegramApi,
  host: ChannelHost,
  me: Me,
  log: Log,
  { updates, tries }: Item,
  signal: AbortSignal,
): Promise<void> {
  const [first] = updates;
  if (first?.callback_query) return press(api, host, log, first.callback_query);
  const all = updates.flatMap(({ message, edited_message: edited }) => message ?? edited ?? []);
  for (const { chat, migrate_to_chat_id: to, migrate_from_chat_id: from } of all) {
    const [old, now] = to === undefined ? [from, chat.id] : [chat.id, to];
    // What names other chats would hand a person's conversation to somebody else.
    if (old !== undefined && mayBecome(old, now)) await host.renamed?.(String(old), String(now));
  }
  const parts = first?.edited_message || all.length === 1 ? all : await untaken(host, me, all);
  const letter = readMessage(parts, first?.edited_message !== undefined, me);
  if (letter === null) return;
  const { attachments, ...message } = letter;
  const expected = host.expects?.(message.sender, message.chat) ?? true;
  const wanted = expected ? attachments : [];
  const { files, notes } = await fetchFiles(api, wanted, tries < FILE_TRIES, signal);
  const text = [message.text, ...notes].filter((piece) => piece !== '').join('\n\n');
  // The name of what is missing stands in the text, and somebody else may have chosen it.
  await host.deliver({ ...message, text, files, ...(notes.length > 0 && { foreign: true }) });
}

/** The parts of a burst that were not taken in before a crash: it may have had fewer of them then. */
async function untaken(host: ChannelHost, me: Me, parts: readonly Message[]): Promise<Message[]> {
  const taken = new Set<string>();
  for (const part of parts) {
    const id = idOf(part, me);
    if (!taken.has(id)) for (const each of (await host.holds?.(chatOf(part), id)) ?? []) taken.add(each);
  }
  return parts.filter((part) => !taken.has(idOf(part, me)));
}

async function press(api: TelegramApi, host: ChannelHost, log: Log, query: CallbackQuery): Promise<void> {
  const { id, from, data, message } = query;
  if (from.is_bot || data === undefined || !message) return;
  // Of a message that is too old Telegram tells the chat only.
  const chat = chatOf(message);
  const press = { sender: String(from.id), chat, replyTo: chat, action: data, externalId: `press.${id}` };
  const { text, done, stands } = await host.press(press);
  const answer = { callback_query_id: id, ...(text !== '' && { text: text.slice(0, MAX_ANSWER) }) };
  await quietly(log, 'the answer to a button', () => api.call.answerCallbackQuery(answer));
  if (done) await quietly(log, 'the end of a button', () => settle(api, message, data, stands));
}

/** Takes the buttons away and shows what counts: a press may have come too late. */
async function settle({ call }: TelegramApi, message: Message, action: string, stands?: string): Promise<void> {
  const at = { chat_id: message.chat.id, message_id: message.message_id };
  const keys = message.reply_markup?.inline_keyboard.flat() ?? [];
  const pressed = keys.find((key) => 'callback_data' in key && key.callback_data === action)?.text ?? '';
  const label = stands ?? pressed;
  const text = `${message.text}\n\n→ ${label}`;
  if (message.text === undefined || label === '' || text.length > MAX_TEXT) await call.editMessageReplyMarkup(at);
  else
    await call.editMessageText({
      ...at,
      text,
      entities: message.entities,
      link_preview_options: { is_disabled: true },
    });
}
