import { z } from 'zod';
import type { Messenger } from '../../config/channels.ts';

const settings = {
  apiRoot: z
    .string()
    .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#@]*)?$/, { error: 'must be an http or https URL' })
    .describe("Where a Bot API server of one's own is.")
    .optional(),
};

/** A chat, a topic of it, or a message in either. */
const CHAT = /^-?[1-9]\d{0,15}(?:_[1-9]\d{0,15})?(?::[1-9]\d{0,15})?$/;

export const telegramMessenger: Messenger<typeof settings> = {
  type: 'telegram',
  title: 'Telegram',
  ids: {
    pattern: /^[1-9]\d{0,19}$/,
    about: 'Numeric ids',
    wrong: 'must be the numeric id of a person, not a name',
    example: '123456789',
  },
  chats: { pattern: CHAT, wrong: 'is not the numeric id of a chat, such as 123456789 or, for a topic, -100123_4' },
  secrets: { token: 'TELEGRAM_BOT_TOKEN' },
  settings,
  async open({ secrets: { token = '' }, settings: { apiRoot }, ...parts }) {
    const { telegram } = await import('./telegram.ts');
    return telegram({ ...parts, token, ...(apiRoot === undefined ? {} : { apiRoot }) });
  },
};
