import type { Mail } from '../core/mail.ts';
import { mailId, readMailId, type MailPlace } from '../core/mail-id.ts';
import type { KeptRecord } from '../core/policy.ts';
import { AccountError } from '../core/ports/account.ts';
import type { Mailbox, MailHead, MailQuery } from '../core/ports/mailbox.ts';
import type { MailAccess, Parsed, Tool, ToolContext, ToolDeclaration, ToolResult } from '../core/ports/tool.ts';
import { wrapUntrusted } from '../core/text/untrusted.ts';
import { argsSchema, readArgs } from './args.ts';
import { shownSize } from './text.ts';

const ARGS = {
  action: ['text', 'search, read, thread'],
  query: ['text?', 'Words, from:, to:, subject:, since:2026-11-01, before:, unread, flagged'],
  id: 'text?',
  account: 'text?',
  folder: 'text?',
  page: 'count?',
} as const;

const NAME = 'mail';
/** Mails of one page. */
const PAGE = 20;
/** Characters of one page of a text. */
const TEXT = 12_000;
/** Bytes of the largest mail that is read. */
export const MAIL_BYTES = 60_000_000;
const THREAD = 50;

interface SearchInput {
  action: 'search';
  query: Omit<MailQuery, 'folder'>;
  account: string | null;
  folder: string | null;
  page: number;
}
interface OneInput {
  action: 'read' | 'thread';
  account: string;
  place: MailPlace;
  page: number;
}
type MailInput = SearchInput | OneInput;

const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** `from:anna invoice unread` as fields; what is in quotes is one word. */
export function readQuery(text: string): Parsed<Omit<MailQuery, 'folder'>> {
  const query: Omit<MailQuery, 'folder'> = {};
  const words: string[] = [];
  for (const [whole, key, quoted, plain] of text.matchAll(
    /(?:(from|to|subject|since|before):)?(?:"([^"]*)"|(\S+))/gi,
  )) {
    const value = quoted ?? plain ?? '';
    const name = key?.toLowerCase() as 'from' | 'to' | 'subject' | 'since' | 'before' | undefined;
    if (name === 'since' || name === 'before') {
      if (!DAY.test(value) || Number.isNaN(Date.parse(value)))
        return bad(`"${whole}" needs a day such as ${name}:2026-11-23`);
      query[name] = value;
    } else if (name !== undefined) query[name] = value;
    else if (whole === 'unread') query.unread = true;
    else if (whole === 'flagged') query.flagged = true;
    else if (value !== '') words.push(value);
  }
  if (words.length > 0) query.text = words.join(' ');
  return { ok: true, value: query };
}

/** Reads the id of a mail as results name it. */
export function readId(id: string | null): Parsed<{ account: string; place: MailPlace }> {
  if (id === null) return bad('"id" is missing: search gives the ids');
  const read = readMailId(id);
  return read === null
    ? bad(`"id" must be one that search gives, such as office:17.42:INBOX`)
    : { ok: true, value: read };
}

function parse(args: unknown): Parsed<MailInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { action, query, id, account, folder, page } = parsed.value;
  if (action === 'search') {
    const read = readQuery(query ?? '');
    return read.ok ? { ok: true, value: { action, query: read.value, account, folder, page: page ?? 1 } } : read;
  }
  if (action !== 'read' && action !== 'thread') return bad('"action" must be search, read or thread');
  const read = readId(id);
  return read.ok ? { ok: true, value: { action, ...read.value, page: page ?? 1 } } : read;
}

/** What an account says is private, and from outside. */
export const told = (ok: boolean, text: string, more: Partial<ToolResult> = {}): ToolResult => ({
  ok,
  text,
  labels: ['private', 'untrusted'],
  changes: [],
  ...more,
});

/** The account that is meant; a result that says why there is none. */
export function whichAccount(account: string | null, { accounts = [] }: Pick<ToolContext, 'accounts'>): Parsed<string> {
  const [only] = accounts;
  if (account !== null)
    return accounts.includes(account) ? { ok: true, value: account } : bad(`There is no account "${account}" here.`);
  if (only === undefined) return bad('This agent has no account.');
  return accounts.length === 1 ? { ok: true, value: only } : bad(`Say which account: ${accounts.join(', ')}.`);
}

/** What a server cannot do is a result. */
export async function orFailed(work: () => Promise<ToolResult>): Promise<ToolResult> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AccountError) return told(false, error.message);
    throw error;
  }
}

export const GONE = 'That mail is not there any more: it was moved or deleted. Search for it again.';

const people = (list: readonly { name: string; shown: string }[]): string =>
  list
    .slice(0, 20)
    .map(({ name, shown }) => (name === '' ? shown : `${name} <${shown}>`))
    .join(', ') + (list.length > 20 ? ` and ${list.length - 20} more` : '');

/** Its writer chose its subject and name, so neither vouches for anything. */
const recordOf = (id: string, mail: Mail): KeptRecord => ({
  service: NAME,
  id,
  names: mail.subject === '' ? [] : [mail.subject],
  values: [...mail.from, ...mail.replyTo, ...mail.to, ...mail.cc].map(({ address }) => address),
  by: 'other',
});

interface Headed {
  id: string;
  head: MailHead;
  mail: Mail;
}

async function headed(
  access: MailAccess,
  account: string,
  mailbox: Mailbox,
  heads: readonly MailHead[],
): Promise<Headed[]> {
  const reader = await access.reader();
  return Promise.all(
    heads.map(async (head) => {
      const id = mailId(account, head.place);
      const { authserv } = mailbox;
      const { folder } = head.place;
      return { id, head, mail: await reader.read(head.header, { id, account, folder, flags: head.flags, authserv }) };
    }),
  );
}

function lineOf({ id, head, mail }: Headed): string {
  const state = [
    ...(head.flags.includes('\\Seen') ? [] : ['unread']),
    ...(head.flags.includes('\\Flagged') ? ['flagged'] : []),
    ...(head.attachments.length > 0 ? [`${head.attachments.length} files`] : []),
  ];
  const when = (mail.date ?? new Date(head.received).toISOString()).slice(0, 16);
  return `${id} | ${when} | ${people(mail.from)} | ${mail.subject}${state.length > 0 ? ` | ${state.join(', ')}` : ''}`;
}

async function search(
  access: MailAccess,
  { query, account, folder, page }: SearchInput,
  ctx: ToolContext,
): Promise<ToolResult> {
  const which = whichAccount(account, ctx);
  if (!which.ok) return told(false, which.error);
  const mailbox = await access.mailbox(which.value);
  const where = folder ?? mailbox.inboxes[0] ?? 'INBOX';
  const { total, heads } = await mailbox.search(
    { ...query, folder: where },
    { offset: (page - 1) * PAGE, limit: PAGE },
  );
  if (heads.length === 0) {
    const folders = (await mailbox.folders()).map(({ path }) => path).join(', ');
    return told(
      true,
      total === 0 ? `No mail found in ${where}. Folders: ${folders}.` : `There is no page ${page}: ${total} mails.`,
    );
  }
  const found = await headed(access, which.value, mailbox, heads);
  const more = total > page * PAGE ? ` More: page ${page + 1}.` : '';
  const text = `${total} mails in ${where}, newest first.${more}\n${wrapUntrusted(found.map(lineOf).join('\n'), which.value, ctx.mark)}`;
  return told(true, text, { records: found.map(({ id, mail }) => recordOf(id, mail)) });
}

/** The mail as it is shown; everything its sender wrote stands between the marks. */
function shown(mail: Mail, page: number): string {
  const lines = [
    `From: ${people(mail.from)}`,
    ...(mail.replyTo.length > 0 ? [`Reply-To: ${people(mail.replyTo)}`] : []),
    `To: ${people(mail.to)}`,
    ...(mail.cc.length > 0 ? [`Cc: ${people(mail.cc)}`] : []),
    `Subject: ${mail.subject}`,
    `Date: ${mail.date ?? 'unknown'}`,
    ...mail.attachments.map(
      ({ index, name, type, size }) => `File ${index + 1}: ${name} (${type}, ${shownSize(size)})`,
    ),
    ...mail.untold,
  ];
  const from = (page - 1) * TEXT;
  const body = mail.text.slice(from, from + TEXT).toWellFormed();
  return `${page === 1 ? `${lines.join('\n')}\n\n` : ''}${body}`;
}

async function read(access: MailAccess, { account, place, page }: OneInput, ctx: ToolContext): Promise<ToolResult> {
  const mailbox = await access.mailbox(account);
  const id = mailId(account, place);
  const source = await mailbox.source(place, MAIL_BYTES);
  if (source === 'gone') return told(false, GONE);
  if (source === 'large') return told(false, `That mail has more than ${shownSize(MAIL_BYTES)}, too much to be read.`);
  const { authserv } = mailbox;
  const mail = await (
    await access.reader()
  ).read(source.bytes, { id, account, folder: place.folder, flags: source.flags, authserv });
  const pages = Math.max(1, Math.ceil(mail.text.length / TEXT));
  const about = [
    `${id}${pages > 1 ? `, page ${page} of ${pages}` : ''}.`,
    mail.auth.aligned ? 'The sender is who the mail says.' : `Who sent it is not proven: ${mail.auth.why}`,
    ...mail.marks.map(({ detail }) => detail),
  ];
  const [first = '', ...marks] = about;
  // Marks quote names that a sender chose.
  const body = wrapUntrusted([...marks.map((mark) => `[${mark}]`), shown(mail, page)].join('\n'), account, ctx.mark);
  return told(true, `${first}\n${body}`, { records: [recordOf(id, mail)] });
}

async function thread(access: MailAccess, { account, place }: OneInput, ctx: ToolContext): Promise<ToolResult> {
  const mailbox = await access.mailbox(account);
  const source = await mailbox.source(place, MAIL_BYTES);
  if (source === 'gone' || source === 'large') return told(false, GONE);
  const own = await (await access.reader()).read(source.bytes, { id: '', account, folder: place.folder });
  const ids = [...new Set([own.messageId ?? '', ...own.references, ...own.inReplyTo])]
    .filter((each) => each !== '')
    .slice(-20);
  const folders = await mailbox.folders();
  const others = folders
    .filter(({ use }) => use === 'inbox' || use === 'sent' || use === 'archive')
    .map(({ path }) => path);
  const heads: MailHead[] = [];
  if (ids.length > 0)
    for (const folder of new Set([place.folder, ...others]))
      heads.push(...(await mailbox.search({ folder, thread: ids }, { offset: 0, limit: THREAD })).heads);
  const found = await headed(
    access,
    account,
    mailbox,
    heads.sort((a, b) => a.received - b.received),
  );
  const text = `${found.length} mails, oldest first.\n${wrapUntrusted(found.map(lineOf).join('\n'), account, ctx.mark)}`;
  return told(true, text, { records: found.map(({ id, mail }) => recordOf(id, mail)) });
}

export const mailTool = (access: MailAccess): Tool<MailInput> => ({
  name: NAME,
  onDemand: true,
  description: 'Find and read mail.',
  effect: 'read',
  service: NAME,
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  facts: ({ account }) => ({ account }),
  run: (input, ctx) =>
    orFailed(() => {
      if (input.action === 'search') return search(access, input, ctx);
      const which = whichAccount(input.account, ctx);
      if (!which.ok) return Promise.resolve(told(false, which.error));
      return input.action === 'read' ? read(access, input, ctx) : thread(access, input, ctx);
    }),
});

export const mail: ToolDeclaration = { name: NAME, onDemand: true, open: ({ accounts }) => mailTool(accounts) };
