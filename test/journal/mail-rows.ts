import type { Rows } from './standing-rows.ts';

const mailIn = { account: 'a', folder: 'B', mail: 'a:1.2:B', content: { hash: 'said', size: 1, subject: 's' } };
const mailSeen = { account: 'a', folder: 'B', validity: '1', uid: 2, from: 0, edge: [] };

/** Mail that comes in, in words. */
export const MAIL_ROWS: Pick<Rows, 'mail.received' | 'mail.seen'> = {
  'mail.received': { weighty: true, rows: [['mail a:1.2:B came in: "words"', mailIn]] },
  'mail.seen': {
    weighty: false,
    rows: [
      ['has followed a B up to 1.2', mailSeen],
      ['has followed a B up to 1.2, which its server has numbered anew', { ...mailSeen, anew: 9 }],
    ],
  },
};
