import { z } from 'zod';
import type { Messenger } from '../../src/config/channels.ts';
import type { ChannelHost, OutboundPart } from '../../src/core/ports/channel.ts';

const settings = { room: z.string().describe('The room it is in.') };

/** The platform: what was sent to whom, and the people who write there. */
export const platform = {
  sent: [] as { to: string; part: OutboundPart; room: string; key: string }[],
  host: Promise.withResolvers<ChannelHost>(),
  count: 0,
};

/** A messenger in one file, whose ids are neither numbers nor of one kind. */
export const toyMessenger: Messenger<typeof settings> = {
  type: 'toy',
  title: 'Toy chat',
  ids: {
    pattern: /^(U[0-9A-Z]{5,}|@[\w.]+:[\w.]+)$/,
    about: 'Ids',
    wrong: 'must be an id such as U02ABC or @a:b.org',
    example: 'U02ABC',
  },
  secrets: { key: 'TOY_KEY' },
  settings,
  open: ({ name, secrets: { key = '' }, settings: { room } }) =>
    Promise.resolve({
      name,
      dedupes: true,
      start: (host, signal) => {
        platform.host.resolve(host);
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      },
      split: ({ text, buttons }) => [{ kind: 'text', text, buttons }],
      send: (to, part) => {
        platform.sent.push({ to, part, room, key });
        return Promise.resolve({ state: 'sent', id: null });
      },
    }),
};
