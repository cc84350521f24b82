import { createHash } from 'node:crypto';
import type { MailPlace } from '../core/mail-id.ts';
import { mailId } from '../core/mail-id.ts';
import type { Mailbox } from '../core/ports/mailbox.ts';
import type { MailAccess, Parsed, Tool, ToolContext, ToolDeclaration, ToolResult } from '../core/ports/tool.ts';
import { plainName } from '../core/text/media.ts';
import { argsSchema, readArgs } from './args.ts';
import { GONE, MAIL_BYTES, orFailed, readId, told, whichAccount } from './mail.ts';
import { refusable, shownPath, shownSize } from './text.ts';

const ACTIONS = ['read', 'unread', 'flag', 'unflag', 'move', 'archive', 'file'] as const;
type Action = (typeof ACTIONS)[number];

const ARGS = {
  action: ['text', 'Mark read, unread, flag, unflag; move, archive; file: put one into inbox/'],
  id: 'text',
  to: ['text?', 'Folder'],
  file: ['count?', 'Its number'],
} as const;

const NAME = 'mail_do';

interface DoInput {
  action: Action;
  account: string;
  place: MailPlace;
  to: string;
  file: number;
}

const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });

function parse(args: unknown): Parsed<DoInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { id, to, file } = parsed.value;
  const action = ACTIONS.find((each) => each === parsed.value.action);
  if (action === undefined) return bad(`"action" must be ${ACTIONS.join(', ')}`);
  if (action === 'move' && !to?.trim()) return bad('"to" must name the folder');
  const read = readId(id);
  return read.ok ? { ok: true, value: { action, ...read.value, to: to?.trim() ?? '', file: file ?? 1 } } : read;
}

const FLAGS: Partial<Record<Action, { add?: string[]; remove?: string[] }>> = {
  read: { add: ['\\Seen'] },
  unread: { remove: ['\\Seen'] },
  flag: { add: ['\\Flagged'] },
  unflag: { remove: ['\\Flagged'] },
};

async function archiveOf(mailbox: Mailbox): Promise<string | null> {
  if (mailbox.archive !== null) return mailbox.archive;
  return (await mailbox.folders()).find(({ use }) => use === 'archive')?.path ?? null;
}

async function moved(mailbox: Mailbox, account: string, place: MailPlace, folder: string): Promise<ToolResult> {
  const there = await mailbox.folders();
  if (!there.some(({ path }) => path === folder))
    return told(
      false,
      `There is no folder ${JSON.stringify(folder)}. There are: ${there.map(({ path }) => path).join(', ')}.`,
    );
  const { moved: done, place: now } = await mailbox.move(place, folder);
  if (!done) return told(false, GONE);
  return told(true, `Moved to ${folder}.${now === null ? '' : ` Its id is now ${mailId(account, now)}.`}`);
}

async function filed(
  access: MailAccess,
  mailbox: Mailbox,
  { account, place, file }: DoInput,
  ctx: ToolContext,
): Promise<ToolResult> {
  const source = await mailbox.source(place, MAIL_BYTES);
  if (source === 'gone') return told(false, GONE);
  if (source === 'large') return told(false, `That mail has more than ${shownSize(MAIL_BYTES)}.`);
  const found = (await access.reader()).attachment(source.bytes, file - 1);
  if (found === null) return told(false, `There is no file ${file} in that mail.`);
  const folder = createHash('sha256').update(mailId(account, place)).digest('hex').slice(0, 16);
  const path = `inbox/${folder}/${file}-${plainName(found.file.name) || 'file'}`;
  if (!ctx.mayWrite(path)) return told(false, `A rule keeps you from writing ${shownPath(path)}.`);
  const change = await ctx.files.write(path, found.bytes);
  return told(true, `${shownPath(path)} (${found.file.type}, ${shownSize(found.bytes.length)})`, { changes: [change] });
}

export const mailDoTool = (access: MailAccess): Tool<DoInput> => ({
  name: NAME,
  onDemand: true,
  description: 'Mark, move or archive a mail, or take a file out of it.',
  effect: 'write',
  service: 'mail',
  // Marks are as they are after one call or two; what has been moved is found gone.
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  facts: ({ action, account }) => ({ account, ...(action === 'file' ? { paths: ['inbox'] } : {}) }),
  run: (input, ctx) =>
    orFailed(() =>
      refusable(async () => {
        const { action, account, place, to } = input;
        const which = whichAccount(account, ctx);
        if (!which.ok) return told(false, which.error);
        const mailbox = await access.mailbox(account);
        if (action === 'file') return filed(access, mailbox, input, ctx);
        const change = FLAGS[action];
        if (change !== undefined) return (await mailbox.flag(place, change)) ? told(true, 'Done.') : told(false, GONE);
        const folder = action === 'move' ? to : await archiveOf(mailbox);
        if (folder === null)
          return told(
            false,
            'The server names no folder for what is done; name one with archive in ruche.yaml, or use move.',
          );
        return moved(mailbox, account, place, folder);
      }),
    ),
});

export const mailDo: ToolDeclaration = { name: NAME, onDemand: true, open: ({ accounts }) => mailDoTool(accounts) };
