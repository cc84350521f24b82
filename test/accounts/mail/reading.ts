// Mails as tests write them, and the one way to read them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
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

/** What the table speaks of. */
const seen = (read: Mail) => ({
  from: read.from.map(({ name, shown }) => (name === '' ? shown : `${name} <${shown}>`)),
  to: read.to.map(({ name, shown }) => (name === '' ? shown : `${name} <${shown}>`)),
  subject: read.subject,
  date: read.date,
  text: read.text,
  files: read.attachments.map(({ name, type, size }) => `${name} ${type} ${size}`),
  marks: marksOf(read),
  untold: read.untold,
  automatic: read.automatic,
  listId: read.listId,
  report: read.report,
  messageId: read.messageId,
  references: read.references,
});

export type Row = readonly [name: string, bytes: Uint8Array, expected: Partial<ReturnType<typeof seen>>];

/** Each mail of a table with what a person should get to see of it. */
export function check(rows: readonly Row[]): void {
  for (const [name, bytes, expected] of rows)
    test(`mail: ${name}`, async () => {
      const read = seen(await readMail(bytes));
      const told = Object.fromEntries(Object.entries(read).filter(([key]) => key in expected));
      assert.deepEqual(told, expected);
    });
}

export const FROM = 'From: Ann <ann@a.test>';
export const hex = (text: string): string => Buffer.from(text, 'hex').toString('latin1');
export const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
export const b64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
export const textPart = (text: string): string[] => ['Content-Type: text/plain; charset=utf-8', '', utf8(text)];
export const typed = (type: string, ...body: string[]): Buffer => mail([FROM, `Content-Type: ${type}`], ...body);
