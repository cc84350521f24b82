// What hangs on a mail's tree: its texts, and its files with their numbers.
import type { MailAttachment } from '../../core/mail.ts';
import { plainName } from '../../core/text/media.ts';
import { fieldsOf, parameter, shownValue, type Field } from './header.ts';
import { decoded, decodedSize, fieldOf, isMultipart, type Part, type Tree } from './mime.ts';
import { reportKind } from './notices.ts';
import { isTnef, readTnef } from './tnef.ts';

export interface Leaf {
  part: Part;
  /** The outermost multipart/alternative around it: of its texts only one is read. */
  choice: Part | null;
  /** Inside multipart/related: the pictures of a text. */
  related: boolean;
  /** What kind of text of the mail itself it is; null for a file. */
  text: 'plain' | 'html' | null;
}

const MAX_TNEF = 20 * 1024 * 1024;

export const nameOf = (part: Part, charset: string | null = null): string | null => {
  const given = parameter(part.disposition, 'filename', charset) ?? parameter(part.type, 'name', charset);
  return given === null ? null : plainName(given) || null;
};

function textKind(part: Part, isRoot: boolean): Leaf['text'] {
  const { value } = part.type;
  if (isMultipart(part)) return 'plain';
  if (part.disposition.value === 'attachment') return null;
  // A page with a name is a file; plain text with a name is shown, and a file besides.
  if (value === 'text/html') return isRoot || nameOf(part) === null ? 'html' : null;
  return /^text\/(?:plain|enriched|markdown|x-.{1,40})$/.test(value) ? 'plain' : null;
}

/** The leaves in the order of the mail. A multipart in which no part was found is a text. */
export function leavesOf(tree: Tree): Leaf[] {
  const found: Leaf[] = [];
  const todo: Omit<Leaf, 'text'>[] = [{ part: tree.root, choice: null, related: false }];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { part, choice, related } = next;
    if (part.children.length === 0) {
      found.push({ ...next, text: textKind(part, part === tree.root) });
      continue;
    }
    const within = {
      choice: choice ?? (part.type.value === 'multipart/alternative' ? part : null),
      related: related || part.type.value === 'multipart/related',
    };
    for (const child of part.children.toReversed()) todo.push({ part: child, ...within });
  }
  return found;
}

export const bodyBytes = (tree: Tree, part: Part, most = Infinity): Buffer =>
  decoded(tree.bytes.subarray(part.start, Math.min(part.end, part.start + most)), part.encoding);

/** Parts for machines: what they say stands elsewhere in the mail. */
const SILENT = /^application\/(?:(?:x-)?pkcs7-signature|pgp-signature|pgp-encrypted)$/;

const ENDINGS: Readonly<Record<string, string>> = {
  'text/calendar': '.ics',
  'application/ics': '.ics',
  'application/pdf': '.pdf',
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/gif': '.gif',
  'text/html': '.html',
  'text/plain': '.txt',
  'text/csv': '.csv',
  'text/rfc822-headers': '.txt',
  'application/pkcs7-mime': '.p7m',
  'application/x-pkcs7-mime': '.p7m',
};

interface File {
  file: MailAttachment;
  bytes: () => Buffer;
}

export const isMail = (type: string): boolean => /^message\/(?:rfc822|global|news)$/.test(type);

/** The fields of a mail within this one. */
export const fieldsWithin = (tree: Tree, part: Part): Field[] =>
  fieldsOf(
    bodyBytes(tree, part, 64 * 1024)
      .toString('latin1')
      .split(/\r?\n\r?\n/)[0] ?? '',
  );

function enclosed(tree: Tree, part: Part): string {
  const subject = shownValue(fieldOf(fieldsWithin(tree, part), 'subject') ?? '').replaceAll(/[/\\]/g, '-');
  return `${subject === '' ? 'message' : plainName(subject)}.eml`;
}

function fileOf(tree: Tree, { part, related }: Leaf, index: number): File {
  const type = part.type.value;
  const name =
    nameOf(part, null) ?? (isMail(type) ? enclosed(tree, part) : `attachment-${index + 1}${ENDINGS[type] ?? ''}`);
  const method = /^(?:text\/calendar|application\/ics)$/.test(type) ? part.type.parameters.get('method') : undefined;
  const inline = part.disposition.value === 'inline' || (related && part.disposition.value !== 'attachment');
  const size = decodedSize(tree.bytes.subarray(part.start, part.end), part.encoding);
  const file: MailAttachment = { index, name, type, size, inline };
  if (method !== undefined) file.method = method.toUpperCase().slice(0, 40);
  return { file, bytes: () => bodyBytes(tree, part) };
}

/** The files of a mail, with those that Outlook packed into `winmail.dat`. */
export function filesOf(
  tree: Tree,
  leaves: readonly Leaf[],
): { files: File[]; text: string | null; html: string | null; untold: string[] } {
  const files: File[] = [];
  const untold: string[] = [];
  let text: string | null = null;
  let html: string | null = null;
  for (const leaf of leaves) {
    const type = leaf.part.type.value;
    const named = leaf.text === 'plain' && leaf.part !== tree.root && nameOf(leaf.part) !== null;
    if ((leaf.text !== null && !named) || SILENT.test(type) || reportKind(type) !== null) continue;
    if (!isTnef(type, nameOf(leaf.part))) {
      files.push(fileOf(tree, leaf, files.length));
      continue;
    }
    const tnef = readTnef(bodyBytes(tree, leaf.part, MAX_TNEF));
    text ??= tnef?.text ?? null;
    html ??= tnef?.html ?? null;
    if (tnef === null || !tnef.whole) untold.push('A winmail.dat of Outlook could not be read whole.');
    if (tnef === null || tnef.files.length === 0) {
      files.push(fileOf(tree, leaf, files.length));
      continue;
    }
    for (const each of tnef.files) {
      const index = files.length;
      const name = plainName(each.name) || `attachment-${index + 1}`;
      files.push({
        file: { index, name, type: each.type, size: each.data.length, inline: false },
        bytes: () => each.data,
      });
    }
  }
  return { files, text, html, untold };
}

export function contentOf(tree: Tree, index: number): { file: MailAttachment; bytes: Uint8Array } | null {
  const found = filesOf(tree, leavesOf(tree)).files[index];
  return found === undefined ? null : { file: found.file, bytes: found.bytes() };
}
