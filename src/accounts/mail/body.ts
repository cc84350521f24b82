// The text that a person would read in a mail, and what is odd about it.
import type { MailAttachment, MailMark, MailReport } from '../../core/mail.ts';
import { decodeBytes } from './charset.ts';
import { seenHtml } from './html.ts';
import { shownValue } from './header.ts';
import { bodyBytes, fieldsWithin, filesOf, isMail, nameOf, type Leaf } from './leaves.ts';
import { fieldOf, isMultipart, type Part, type Tree } from './mime.ts';
import { idsOf, readReport, reportKind } from './notices.ts';
import { cleanedLine, invisibleIn } from './shown.ts';

export interface Body {
  text: string;
  attachments: MailAttachment[];
  marks: MailMark[];
  report: MailReport | null;
  untold: string[];
}

/** Bytes of one text, and characters of all: nobody reads more, and everyone else waits meanwhile. */
const MAX_PART = 4 * 1024 * 1024;
const MAX_TEXT = 1_000_000;
/** Characters of HTML: to read it takes a second a million, and everyone else waits. */
const MAX_PAGE = 500_000;

/** Text that says it is Base64 and is none: words with spaces between. */
function honest(tree: Tree, part: Part): Part {
  if (!part.encoding.includes('base64')) return part;
  const start = tree.bytes.toString('latin1', part.start, Math.min(part.end, part.start + 2000));
  const words = start.match(/\w [\w(]/g)?.length ?? 0;
  return words > 3 && words > start.length / 40 ? { ...part, encoding: '8bit' } : part;
}

/** RFC 3676: lines that end in a space go on in the next. */
function flowed(text: string, deletesSpace: boolean): string {
  const out: string[] = [];
  let goesOn = false;
  let depth = 0;
  for (const line of text.split(/\r?\n/)) {
    const quote = /^>*/.exec(line)?.[0] ?? '';
    const plain = line.slice(quote.length).replace(/^ /, '');
    const signature = plain === '-- ';
    if (goesOn && !signature && quote.length === depth) out.push(`${out.pop() ?? ''}${plain}`);
    else out.push(quote === '' ? plain : `${quote} ${plain}`);
    goesOn = !signature && plain.endsWith(' ');
    depth = quote.length;
    if (goesOn && deletesSpace) out.push((out.pop() ?? '').slice(0, -1));
  }
  return out.join('\n');
}

/** What a page says of its own encoding. */
const metaCharset = (bytes: Buffer): string | null =>
  /<meta[^>]{1,200}?charset\s*=\s*["']?([\w:.-]{1,40})/i.exec(bytes.toString('latin1', 0, 4096))?.[1] ?? null;

class Reader {
  readonly marks = new Map<MailMark['mark'], string>();
  readonly untold: string[] = [];
  readonly #tree: Tree;
  #hidden = 0;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  tell(sentence: string): void {
    if (!this.untold.includes(sentence)) this.untold.push(sentence);
  }

  mark(mark: MailMark['mark'], detail: string): void {
    if (!this.marks.has(mark)) this.marks.set(mark, detail);
  }

  hide(characters: number): void {
    this.#hidden += characters;
    if (this.#hidden > 0)
      this.marks.set('hidden-text', `${this.#hidden} characters that a reader would not see were left out.`);
  }

  /** A text part as it was written. */
  raw({ part: given, text: kind }: Pick<Leaf, 'part' | 'text'>): string {
    const part = honest(this.#tree, given);
    if (part.end - part.start > MAX_PART) this.tell('A text was too long; only its beginning was read.');
    const bytes = bodyBytes(this.#tree, part, MAX_PART);
    const named = part.type.parameters.get('charset') ?? (kind === 'html' ? metaCharset(bytes) : null);
    const { text, sure } = decodeBytes(bytes, named);
    if (!sure) this.tell(`The encoding of a text is not what it says (${named ?? 'it says none'}); it was guessed.`);
    if (!/^flowed$/i.test(part.type.parameters.get('format') ?? '')) return text;
    return flowed(text, /^yes$/i.test(part.type.parameters.get('delsp') ?? ''));
  }

  plain(leaves: readonly Leaf[]): string {
    const texts = leaves.map((leaf) => {
      const text = this.raw(leaf);
      return leaf.part.type.value === 'text/enriched' ? text.replace(/<[^<>]{0,200}>/g, '') : text;
    });
    return bounded(texts.join('\n\n'), this);
  }

  async html(leaves: readonly Leaf[]): Promise<string> {
    const texts: string[] = [];
    let left = MAX_PAGE;
    for (const leaf of leaves) {
      const page = this.raw(leaf);
      texts.push(await this.page(page.slice(0, left)));
      if (page.length > left) this.tell('The HTML was too long; only its beginning was read.');
      left = Math.max(0, left - page.length);
    }
    return texts.join('\n\n');
  }

  async page(html: string): Promise<string> {
    const { text, hidden, elsewhere } = await seenHtml(html);
    this.hide(hidden);
    const [link] = elsewhere;
    if (link !== undefined) this.mark('link-elsewhere', `The link "${link.text}" leads to ${link.host}.`);
    return text;
  }
}

function bounded(text: string, reader: Reader): string {
  if (text.length <= MAX_TEXT) return text;
  reader.tell('The text was too long; only its first million characters were read.');
  return text.slice(0, MAX_TEXT);
}

const MAX_WORDS = 5000;
const wordsOf = (text: string): Set<string> =>
  new Set(
    (
      text
        .slice(0, 50_000)
        .toLowerCase()
        .replace(/https?:\/\/\S+/g, ' ')
        .match(/[\p{L}\p{N}]{3,}/gu) ?? []
    ).slice(0, MAX_WORDS),
  );

/** True if two texts that should be the same have less than half of the one's words in common. */
function differ(plain: string, html: string): boolean {
  const one = wordsOf(plain);
  const other = wordsOf(html);
  if (one.size < 8 || other.size < 8) return one.size < 8 && other.size >= 24;
  const common = [...one].filter((word) => other.has(word)).length;
  return common < one.size / 2 || common < other.size / 2;
}

/** Of the same text in two forms, the plain one; where they differ, the one that people see. */
async function chosen(reader: Reader, leaves: readonly Leaf[]): Promise<string> {
  const plainLeaves = leaves.filter((leaf) => leaf.text === 'plain');
  const htmlLeaves = leaves.filter((leaf) => leaf.text === 'html');
  if (htmlLeaves.length === 0) {
    // Two plain texts of a choice: the later is the better one.
    return reader.plain(plainLeaves.slice(-1));
  }
  const html = await reader.html(htmlLeaves);
  const plain = reader.plain(plainLeaves);
  if (plain.trim() === '') return html;
  if (html.trim() === '') return plain;
  if (!differ(plain, html)) return plain;
  if (wordsOf(plain).size >= 8)
    reader.mark('parts-differ', 'Its plain text says something else than its HTML, which is shown here.');
  return html;
}

/** The texts of the mail in their order: a choice is made once, where it begins. */
async function texts(reader: Reader, leaves: readonly Leaf[]): Promise<string> {
  const out: string[] = [];
  let length = 0;
  const groups = Map.groupBy(
    leaves.filter((leaf) => leaf.text !== null),
    (leaf) => leaf.choice ?? leaf.part,
  );
  for (const [owner, group] of groups) {
    if (length > MAX_TEXT) break;
    const [first] = group;
    if (first === undefined) continue;
    const alone = first.choice !== owner;
    const text = !alone
      ? await chosen(reader, group)
      : first.text === 'html'
        ? await reader.html(group)
        : reader.plain(group);
    if (text.trim() !== '') out.push(text.trimEnd());
    length += text.length;
  }
  return bounded(out.join('\n\n'), reader);
}

const OID = '2a864886f70d0107';

/** What kind of S/MIME it is, by what it says or by the first object within. */
function smimeKind(tree: Tree, part: Part): 'signed' | 'encrypted' {
  const said = part.type.parameters.get('smime-type')?.toLowerCase() ?? '';
  if (said !== '') return said.startsWith('signed') || said.startsWith('certs') ? 'signed' : 'encrypted';
  const head = bodyBytes(tree, part, 400).toString('hex');
  return head.includes(`${OID}02`) ? 'signed' : 'encrypted';
}

/** Seals and ciphers are shown as such; nothing is opened or checked here. */
function seals(tree: Tree, leaves: readonly Leaf[], reader: Reader, text: string): string[] {
  const notes: string[] = [];
  for (const { part } of leaves) {
    const type = part.type.value;
    if (
      /^application\/(?:x-)?pkcs7-mime$/.test(type) ||
      (type === 'application/octet-stream' && /\.p7m$/i.test(nameOf(part) ?? ''))
    ) {
      const kind = smimeKind(tree, part);
      reader.mark(kind, kind === 'signed' ? 'Signed with S/MIME; not checked.' : 'Encrypted with S/MIME.');
      notes.push(
        kind === 'signed'
          ? '[The text is inside an S/MIME signature and cannot be read here.]'
          : '[The mail is encrypted with S/MIME.]',
      );
    }
    if (/^application\/(?:x-)?pkcs7-signature$/.test(type)) reader.mark('signed', 'Signed with S/MIME; not checked.');
    if (type === 'application/pgp-signature') reader.mark('signed', 'Signed with PGP; not checked.');
    if (type === 'application/pgp-encrypted') {
      reader.mark('encrypted', 'Encrypted with PGP.');
      notes.push('[The mail is encrypted with PGP.]');
    }
  }
  if (text.includes('-----BEGIN PGP MESSAGE-----')) reader.mark('encrypted', 'Encrypted with PGP.');
  if (text.includes('-----BEGIN PGP SIGNED MESSAGE-----')) reader.mark('signed', 'Signed with PGP; not checked.');
  return notes;
}

/** The signature around a text is not part of what it says. */
const withoutArmour = (text: string): string =>
  text.includes('-----BEGIN PGP SIGNED MESSAGE-----')
    ? text
        .replace(/-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[A-Za-z]{1,20}:[^\n]*\n)*\r?\n?/, '')
        .replace(/-----BEGIN PGP SIGNATURE-----[^]*?(?:-----END PGP SIGNATURE-----|$)/, '')
        .replace(/^- (?=-)/gm, '')
    : text;

function invitation(attachments: readonly MailAttachment[], reader: Reader): void {
  const found = attachments.find(
    (file) => file.method !== undefined || /^(?:text\/calendar|application\/ics)$/.test(file.type),
  );
  if (found !== undefined)
    reader.mark('invitation', `A calendar part (${found.method ?? 'no method'}): ${found.name}.`);
}

function reportOf(leaves: readonly Leaf[], reader: Reader): MailReport | null {
  for (const leaf of leaves) {
    const kind = reportKind(leaf.part.type.value);
    if (kind !== null) return readReport(kind, reader.raw(leaf));
  }
  return null;
}

/** A mail within this one is a file; who reads should know of it. */
function enclosedMails(tree: Tree, leaves: readonly Leaf[]): string[] {
  const within = leaves.filter(({ part }) => isMail(part.type.value)).slice(0, 20);
  return within.map(({ part }) => {
    const fields = fieldsWithin(tree, part);
    const say = (name: string): string => cleanedLine(shownValue(fieldOf(fields, name) ?? '')).slice(0, 200);
    return `[Enclosed mail: "${say('subject')}" from ${say('from') || 'nobody named'}]`;
  });
}

/** Bounces name the mail they are about in the copy that they enclose. */
function aboutOf(tree: Tree, leaves: readonly Leaf[]): string | null {
  const original = leaves.find(({ part }) =>
    /^(?:message\/(?:rfc822|global)|text\/rfc822-headers)$/.test(part.type.value),
  );
  if (original === undefined) return null;
  return idsOf(fieldOf(fieldsWithin(tree, original.part), 'message-id'))[0] ?? null;
}

export async function bodyOf(tree: Tree, leaves: readonly Leaf[]): Promise<Body> {
  const reader = new Reader(tree);
  const { files, text: packed, html: packedHtml, untold } = filesOf(tree, leaves);
  const attachments = files.map(({ file }) => file);
  let text = await texts(reader, leaves);
  if (text.trim() === '' && packed !== null) text = bounded(packed, reader);
  if (text.trim() === '' && packedHtml !== null) text = await reader.page(packedHtml);
  const written = leaves.filter((leaf) => leaf.text !== null && !isMultipart(leaf.part));
  if (written.length > 0 && written.every((leaf) => leaf.text === 'html'))
    reader.mark('html-only', 'The mail has no plain text.');
  const notes = seals(tree, leaves, reader, text);
  invitation(attachments, reader);
  reader.hide(invisibleIn(text));
  const report = reportOf(leaves, reader);
  if (report !== null) report.about ??= aboutOf(tree, leaves);
  const marks = [...reader.marks].map(([mark, detail]) => ({ mark, detail }));
  if (report === null) notes.push(...enclosedMails(tree, leaves));
  const whole = [withoutArmour(text), ...notes].filter((each) => each.trim() !== '').join('\n\n');
  return { text: whole, attachments, marks, report, untold: [...reader.untold, ...untold] };
}
