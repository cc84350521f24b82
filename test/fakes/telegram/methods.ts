import { checkKeyboard, checkText } from './check.ts';
import { ApiError, type ApiChat, type ApiMessage, bad, type Params, type Upload } from './types.ts';
import type { Shown, World } from './world.ts';

export type Method = (world: World, params: Params, files: ReadonlyMap<string, Upload>) => unknown;

/** The documented methods but `getUpdates`, which is held by the server. */
export const METHODS: Readonly<Record<string, Method>> = {
  getMe: ({ bot }) => ({ ...bot, can_join_groups: true, can_read_all_group_messages: false }),
  getWebhookInfo: ({ webhook, updates }) => ({
    url: webhook,
    has_custom_certificate: false,
    pending_update_count: updates.length,
  }),
  deleteWebhook: (world) => {
    world.webhook = '';
    return true;
  },
  setMyCommands: (world, { commands }) => {
    const list = commands as World['commands'];
    for (const { command, description } of list)
      if (!/^[a-z0-9_]{1,32}$/.test(command) || description.length < 1 || description.length > 256)
        throw bad('BOT_COMMAND_INVALID');
    world.commands = list;
    return true;
  },
  sendMessage,
  editMessageText,
  editMessageReplyMarkup,
  deleteMessage: (world, { chat_id: id, message_id: message }) => {
    if (!world.remove(world.chatFor(id).id, Number(message))) throw bad('message to delete not found');
    return true;
  },
  sendChatAction: (world, { chat_id: id, action, message_thread_id: thread }) => {
    if (!/^(?:typing|upload_\w+|record_\w+|find_location|choose_sticker)$/.test(String(action)))
      throw bad('wrong parameter action in request');
    world.typing.push({ chat: world.chatFor(id).id, thread: thread === undefined ? null : Number(thread) });
    return true;
  },
  sendPhoto: (world, params, files) => sendFile(world, 'photo', params, files),
  sendDocument: (world, params, files) => sendFile(world, 'document', params, files),
  sendVoice: (world, params, files) => sendFile(world, 'voice', params, files),
  getFile: (world, { file_id: id }) => {
    const file = world.files.get(String(id));
    if (!file) throw bad('wrong file_id or the file is temporarily unavailable');
    if (file.size > 20 * 1024 * 1024) throw bad('file is too big');
    return { file_id: id, file_unique_id: `u${String(id)}`, file_size: file.size, file_path: file.path };
  },
  answerCallbackQuery: (world, { callback_query_id: id, text }) => {
    const shown = typeof text === 'string' ? text : '';
    if (shown.length > 200) throw bad('MESSAGE_TOO_LONG');
    if (!world.answer(String(id))) throw bad('query is too old and response timeout expired or query ID is invalid');
    world.answers.push({ query: String(id), text: shown });
    return true;
  },
};

/** Topic and answered message, as the chat allows them. */
function about(world: World, chat: ApiChat, params: Params): Partial<ApiMessage> {
  const { message_thread_id: thread, reply_parameters: reply } = params;
  const content: Partial<ApiMessage> = {};
  if (thread !== undefined) {
    const topic = world.find(chat.id, thread);
    if (!chat.is_forum || !topic?.message.forum_topic_created) throw bad('message thread not found');
    content.message_thread_id = Number(thread);
    content.is_topic_message = true;
  }
  if (reply !== undefined) {
    const { message_id: id, allow_sending_without_reply: anyway } = reply as Record<string, unknown>;
    const answered = world.find(chat.id, id);
    if (answered) content.reply_to_message = answered.message;
    else if (anyway !== true) throw bad('message to be replied not found');
  }
  return content;
}

function sendMessage(world: World, params: Params): ApiMessage {
  const chat = world.chatFor(params.chat_id);
  const { text, entities } = checkText(params.text, params.entities, 4096);
  const markup = checkKeyboard(params.reply_markup);
  const where = about(world, chat, params);
  world.spend(chat);
  return world.keep(chat, world.bot, {
    text,
    ...(entities.length > 0 && { entities }),
    ...(markup && { reply_markup: markup }),
    ...where,
  });
}

function own(world: World, chat: ApiChat, id: unknown): NonNullable<ReturnType<World['find']>> {
  const held = world.find(chat.id, id);
  if (!held) throw bad('message to edit not found');
  if (held.message.from.id !== world.bot.id) throw bad("message can't be edited");
  return held;
}

const UNCHANGED =
  'message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message';

function editMessageText(world: World, params: Params): ApiMessage {
  const chat = world.chatFor(params.chat_id);
  const held = own(world, chat, params.message_id);
  if (held.file) throw bad('there is no text in the message to edit');
  const { text, entities } = checkText(params.text, params.entities, 4096);
  const markup = checkKeyboard(params.reply_markup);
  const { message } = held;
  const look = (a: unknown, b: unknown, c: unknown): string => JSON.stringify([a, b ?? [], c ?? null]);
  if (look(text, entities, markup) === look(message.text, message.entities, message.reply_markup)) throw bad(UNCHANGED);
  world.spend(chat);
  delete message.entities;
  delete message.reply_markup;
  const changed = { text, ...(entities.length > 0 && { entities }), ...(markup && { reply_markup: markup }) };
  Object.assign(message, changed, { edit_date: world.seconds() });
  held.edits += 1;
  return message;
}

function editMessageReplyMarkup(world: World, params: Params): ApiMessage {
  const chat = world.chatFor(params.chat_id);
  const { message } = own(world, chat, params.message_id);
  const markup = checkKeyboard(params.reply_markup);
  if (JSON.stringify(markup) === JSON.stringify(message.reply_markup)) throw bad(UNCHANGED);
  delete message.reply_markup;
  return Object.assign(message, markup && { reply_markup: markup });
}

function sendFile(
  world: World,
  kind: 'photo' | 'document' | 'voice',
  params: Params,
  files: ReadonlyMap<string, Upload>,
): ApiMessage {
  const chat = world.chatFor(params.chat_id);
  const reference = /^attach:\/\/(.+)$/.exec(String(params[kind]))?.[1] ?? kind;
  const upload = files.get(reference);
  if (!upload) throw bad(`there is no ${kind} in the request`);
  const { name, bytes } = upload;
  if (bytes.length === 0) throw bad('file must be non-empty');
  if (bytes.length > 50_000_000) throw new ApiError(413, 'Request Entity Too Large');
  if (kind === 'photo' && bytes.length > 10_000_000) throw bad('PHOTO_SAVE_FILE_INVALID');
  if (kind === 'photo' && !isPicture(bytes)) throw bad('IMAGE_PROCESS_FAILED');
  const caption = params.caption === undefined ? null : checkText(params.caption, [], 1024, '');
  const where = about(world, chat, params);
  world.spend(chat);
  const file: Shown['file'] = { kind, name, bytes };
  const kept = world.store(name, bytes, `${kind}s`);
  const told = kind === 'photo' ? [{ ...kept, width: 90, height: 90 }] : { ...kept, file_name: name };
  return world.keep(chat, world.bot, { [kind]: told, ...(caption && { caption: caption.text }), ...where }, file);
}

const isPicture = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.subarray(0, 4)).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47])) ||
  (bytes[0] === 0xff && bytes[1] === 0xd8);
