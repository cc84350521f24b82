// Mails as tests write them, and the one way to read them.
import { mailReader } from '../../../src/accounts/mail/parse.ts';
import type { Mail } from '../../../src/core/mail.ts';

export const ORIGIN = { id: 'm1', account: 'office', folder: 'INBOX', authserv: ['mx.lab.test'] };

/** Lines are joined by CRLF; a character is a byte. */
export const lines = (...given: readonly string[]): Buffer => Buffer.from(given.join('\r\n'), 'latin1');

export const mail = (headers: readonly string[], ...body: readonly string[]): Buffer => lines(...headers, '', ...body);

export const readMail = (bytes: Uint8Array): Promise<Mail> => mailReader.read(bytes, ORIGIN);

export const marksOf = (read: Mail): string[] => read.marks.map(({ mark }) => mark);

/** A multipart as lines, its parts given as lines. */
export const multipart = (kind: string, boundary: string, ...parts: readonly (readonly string[])[]): string[] => [
  `Content-Type: multipart/${kind}; boundary="${boundary}"`,
  '',
  ...parts.flatMap((part) => [`--${boundary}`, ...part]),
  `--${boundary}--`,
];

export const html = (...body: readonly string[]): Buffer =>
  mail(
    ['From: a@b.test', 'Content-Type: text/html; charset=utf-8'],
    Buffer.from(body.join('\n'), 'utf8').toString('latin1'),
  );
