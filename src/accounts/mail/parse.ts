// Bytes of a mail → `Mail`. Everything here is written by strangers, so all of it is bounded and nothing throws.
//
// postal-mime reads addresses, the grammar in which mistakes are forgeries. The tree of parts is ours (`mime.ts`): the
// library buffers a mail line by line, and 5 MB of empty lines took it 203 s and 5.7 GB.
import { domainToASCII, domainToUnicode } from 'node:url';
import type { Mail, MailAddress, MailOrigin, MailReader } from '../../core/mail.ts';
import { authenticate } from './auth.ts';
import { bodyOf } from './body.ts';
import { fold } from './fold.ts';
import { recoded, shownValue, type Field } from './header.ts';
import { fieldOf, Tree } from './mime.ts';
import { automaticOf, dateOf, failedRecipients, idsOf, listOf, receivedOf, unsubscribeOf } from './notices.ts';
import { contentOf, leavesOf } from './leaves.ts';
import { cleaned, cleanedLine } from './shown.ts';
import { senderMarks } from './trust.ts';

/** People of one field; a mail to more is a mailing. */
const MAX_PEOPLE = 500;
/** Characters of one address field that are read. */
const MAX_LIST = 32 * 1024;
const MAX_REFERENCES = 100;
const MAX_SUBJECT = 1000;

type AddressParser = (typeof import('postal-mime'))['addressParser'];

/** A domain in both forms. What is no domain stays as it is. */
function addressOf(name: string, address: string): MailAddress {
  const at = address.lastIndexOf('@');
  const local = cleanedLine(at === -1 ? address : address.slice(0, at)).slice(0, 320);
  if (at === -1) return { name, address: local, shown: local };
  const given = address
    .slice(at + 1)
    .toLowerCase()
    .replace(/\.$/, '')
    .slice(0, 255);
  const ascii = domainToASCII(given) || cleanedLine(given);
  return { name, address: `${local}@${ascii}`, shown: `${local}@${domainToUnicode(ascii) || ascii}` };
}

interface Reading {
  fields: readonly Field[];
  charset: string | null;
  parser: AddressParser;
  untold: string[];
}

function people({ fields, charset, parser, untold }: Reading, name: string): MailAddress[] {
  const raw = fields
    .filter((field) => field.name === name)
    .map((field) => field.raw)
    .join(', ');
  if (raw.length > MAX_LIST) untold.push(`The list in "${name}" is too long; only its beginning was read.`);
  // The cut may go through a quoted name, which would swallow nothing but itself.
  const found = parser(recoded(raw.slice(0, MAX_LIST), charset), { flatten: true });
  if (found.length > MAX_PEOPLE) untold.push(`"${name}" has ${found.length} addresses; ${MAX_PEOPLE} were read.`);
  return found
    .slice(0, MAX_PEOPLE)
    .map((each) => addressOf(cleanedLine(each.name).slice(0, 300), each.address ?? ''))
    .filter((each) => each.address !== '' || each.name !== '');
}

const NOBODY: Mail['auth'] = {
  server: null,
  spf: null,
  dkim: [],
  dmarc: null,
  aligned: false,
  why: 'The mail could not be read.',
};

/** What is known of a mail that nothing can be read of. */
const unread = (origin: MailOrigin, sentence: string): Mail => ({
  ...placeOf(origin),
  from: [],
  sender: null,
  to: [],
  cc: [],
  replyTo: [],
  subject: '',
  date: null,
  received: null,
  messageId: null,
  inReplyTo: [],
  references: [],
  listId: null,
  unsubscribe: null,
  automatic: null,
  report: null,
  text: '',
  fullText: '',
  foldedLines: 0,
  attachments: [],
  auth: NOBODY,
  marks: [],
  untold: [sentence],
});

const placeOf = ({
  id,
  account,
  folder,
  flags = [],
}: MailOrigin): Pick<Mail, 'id' | 'account' | 'folder' | 'flags'> => ({
  id,
  account,
  folder,
  flags,
});

const FORWARDS = /^\s*(?:fwd?|wg|tr|rv|i|enc)\s*:/i;

async function read(bytes: Uint8Array, origin: MailOrigin): Promise<Mail> {
  const tree = new Tree(bytes);
  const { fields } = tree.root;
  const charset = tree.root.type.parameters.get('charset') ?? null;
  const { addressParser } = await import('postal-mime');
  const reading: Reading = { fields, charset, parser: addressParser, untold: [...tree.untold] };
  const from = people(reading, 'from');
  const sender = people(reading, 'sender')[0] ?? null;
  const replyTo = people(reading, 'reply-to');
  const subject = cleanedLine(shownValue(fieldOf(fields, 'subject') ?? '', charset)).slice(0, MAX_SUBJECT);
  const listId = listOf(fields);
  const body = await bodyOf(tree, leavesOf(tree));
  const report = body.report ?? failedRecipients(fields);
  const fullText = cleaned(body.text);
  const folded = fold(fullText, FORWARDS.test(subject));
  return {
    ...placeOf(origin),
    from,
    sender,
    to: people(reading, 'to'),
    cc: people(reading, 'cc'),
    replyTo,
    subject,
    date: dateOf(fieldOf(fields, 'date')),
    received: receivedOf(fields),
    messageId: idsOf(fieldOf(fields, 'message-id'))[0] ?? null,
    inReplyTo: idsOf(fieldOf(fields, 'in-reply-to')).slice(0, MAX_REFERENCES),
    references: idsOf(fieldOf(fields, 'references')).slice(-MAX_REFERENCES),
    listId,
    unsubscribe: unsubscribeOf(fields),
    automatic: automaticOf(fields, subject) ?? (report === null ? null : 'generated'),
    report,
    text: folded.text,
    fullText,
    foldedLines: folded.foldedLines,
    attachments: body.attachments,
    auth: authenticate(
      fields,
      from.map(({ address }) => address),
      origin.authserv ?? [],
    ),
    marks: [...senderMarks({ from, sender, replyTo, listId }), ...body.marks],
    untold: [...reading.untold, ...body.untold],
  };
}

/** Reads a mail; one that breaks the reader itself is told as that, so that no mail can stop the others. */
export const mailReader: MailReader = {
  async read(bytes, origin) {
    try {
      return await read(bytes, origin);
    } catch (error) {
      return unread(origin, `The mail could not be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  },
  attachment(bytes, index) {
    return contentOf(new Tree(bytes), index);
  },
};
