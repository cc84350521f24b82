import { z } from 'zod';
import type { Messenger } from '../../config/channels.ts';

const settings = {
  apiRoot: z
    .string()
    .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#@]*)?$/, { error: 'must be an http or https URL' })
    .describe("Where a Bot API server of one's own is.")
    .optional(),
};

export const telegramMessenger: Messenger<typeof settings> = {
  type: 'telegram',
  title: 'Telegram',
  ids: {
    pattern: /^[1-9]\d{0,19}$/,
    about: 'Numeric ids',
    wrong: 'must be the numeric id of a person, not a name',
    example: '123456789',
  },
  secrets: { token: 'TELEGRAM_BOT_TOKEN' },
  settings,
  async open({ secrets: { token = '' }, settings: { apiRoot }, ...parts }) {
    const { telegram } = await import('./telegram.ts');
    return telegram({ ...parts, token, ...(apiRoot === undefined ? {} : { apiRoot }) });
  },
};
