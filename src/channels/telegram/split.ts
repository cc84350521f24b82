import type { MessageEntity } from 'grammy/types';
import type { Button, MessageFile, OutboundMessage, OutboundPart } from '../../core/ports/channel.ts';
import { type Formatted, render, type Rendered, type Seam } from './markdown.ts';

/** A part as `split` makes it: its text is plain, its marks stand beside it. */
export type TelegramPart =
  | { kind: 'text'; text: string; buttons: readonly Button[]; entities: MessageEntity[] }
  | Extract<OutboundPart, { kind: 'file' }>;

/** What stands before something that may have arrived already. */
export const REPEAT = '(This may be a repeat: it is not known whether the first one arrived.)\n\n';
/** What stands before a reply whose topic is gone. */
export const GONE = '(For a topic that is gone:)\n\n';
/** UTF-16 units of one message, and marks on it; further marks are dropped by Telegram. */
export const MAX_TEXT = 4096;
const MAX_MARKS = 100;
/** A part leaves room for the lines above. */
const PART = MAX_TEXT - REPEAT.length - GONE.length;
/** Bytes of a file that a bot may send. */
const MAX_FILE = 50_000_000;

/** Messages that the text of one reply becomes: a longer one would bury the chat, and takes minutes to send. */
const MOST_MESSAGES = 20;
/** Characters of Markdown that are read for them. */
const MOST_TEXT = 100_000;
const WHOLE = 'whole-reply.md';

export function splitMessage({ text, files, buttons }: OutboundMessage): readonly TelegramPart[] {
  const refused = files.flatMap((file) => refusal(file) ?? []);
  const sent = files.filter((file) => refusal(file) === null);
  const written = [text, ...refused].join('\n\n');
  const texts = cut(render(written.slice(0, MOST_TEXT)), PART);
  if (texts.length > MOST_MESSAGES || written.length > MOST_TEXT) {
    const rest = `(This reply has ${text.length} characters, more than fit here. All of it is in the file \`${WHOLE}\`.)`;
    const told = cut(render([rest, ...refused].join('\n\n')), PART);
    texts.splice(MOST_MESSAGES - 1, Infinity);
    texts.push(...told.slice(0, 1));
    sent.unshift({ name: WHOLE, mediaType: 'text/markdown', bytes: Buffer.from(text) });
  }
  const needsText = sent.length === 0 || buttons.length > 0;
  if (texts.length === 0 && needsText) texts.push({ text: '—', entities: [] });
  return [
    ...texts.map((each, index) => ({
      kind: 'text' as const,
      ...each,
      buttons: index === texts.length - 1 ? buttons : [],
    })),
    ...sent.map((file) => ({ kind: 'file' as const, file })),
  ];
}

/** Why Telegram would not take a file, as Markdown; null if it does. */
function refusal({ name, bytes }: MessageFile): string | null {
  const shown = `\`${name.replaceAll('`', '')}\``;
  if (bytes.length === 0) return `(The file ${shown} is empty, and Telegram takes no empty files.)`;
  if (bytes.length <= MAX_FILE) return null;
  const size = Math.ceil(bytes.length / 1_000_000);
  return `(The file ${shown} was not sent: it has ${size} MB, and Telegram takes 50 MB from a bot.)`;
}

/** Pieces of at most `limit` UTF-16 units that hold all of the text but white space at the cuts. None if nothing can be seen. */
export function cut(whole: Rendered, limit: number): Formatted[] {
  const parts: Formatted[] = [];
  const ahead = looksAhead(whole, limit);
  for (let start = 0; start < whole.text.length;) {
    const near = ahead(start);
    const { at, skip } = nextCut(near, start, limit);
    const part = slice(near, start, at);
    if (isSeen(part.text)) parts.push(part);
    start = at + skip;
  }
  return parts;
}

/**
 * Of all marks and seams those that one message from `start` on can be concerned with; `start` only grows. A hundred thousand
 * of them, looked through for each part, would take minutes in which nobody else is served.
 */
function looksAhead({ text, entities, seams }: Rendered, limit: number): (start: number) => Rendered {
  let [mark, seam] = [0, 0];
  let open: MessageEntity[] = [];
  return (start) => {
    for (; (entities[mark]?.offset ?? Infinity) < start; mark += 1) open.push(...entities.slice(mark, mark + 1));
    open = open.filter(({ offset, length }) => offset + length > start);
    while ((seams[seam]?.at ?? Infinity) <= start) seam += 1;
    // Where the block after the next one begins matters only within reach of a second message.
    let last = seam;
    while ((seams[last]?.at ?? Infinity) <= start + 2 * limit) last += 1;
    const marks = [...open, ...entities.slice(mark, mark + MAX_MARKS + 1)];
    return { text, entities: marks, seams: seams.slice(seam, last) };
  };
}

/** Telegram refuses a text in which there is nothing to see. */
const isSeen = (text: string): boolean => /[^\s\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u.test(text);

function nextCut(whole: Rendered, start: number, limit: number): Pick<Seam, 'at' | 'skip'> {
  const { text, seams } = whole;
  const reach = Math.min(start + limit, marksEnd(whole, start));
  if (reach >= text.length) return { at: text.length, skip: 0 };
  const near = seams.filter(({ at }) => at > start && at <= reach);
  const blocks = near.filter(({ level }) => level === 'block');
  const block = blocks.at(-1);
  if (block) {
    const next = seams.find(({ at, level }) => level === 'block' && at > block.at)?.at ?? text.length;
    // What has to be broken anyway is broken here already, and not sent after half a page of nothing.
    if (next - block.at <= limit) return block;
  }
  const item = near.at(-1);
  const line = text.lastIndexOf('\n', reach);
  if (item && item.at > start + limit / 4) return item;
  const space = text.lastIndexOf(' ', reach);
  for (const at of [line, space]) if (at > start + limit / 4) return { at, skip: 1 };
  // A few words before a long one get a message of their own only if that keeps the long one whole.
  const at = Math.max(line, space);
  const word = /\s/.exec(text.slice(at + 1, at + limit + 2)) !== null || text.length - at <= limit;
  if (at > start && word) return { at, skip: 1 };
  const between = /[\ud800-\udbff]/.test(text.charAt(reach - 1)) && reach - 1 > start;
  return { at: between ? reach - 1 : reach, skip: 0 };
}

/** Where the first mark begins that is one too many for a message that begins at `start`. */
function marksEnd({ entities }: Rendered, start: number): number {
  const ahead = entities.filter(({ offset, length }) => offset + length > start);
  const beyond = ahead[MAX_MARKS]?.offset ?? Infinity;
  return beyond > start ? beyond : Infinity;
}

/** The beginning of a text with the marks on it. */
export function beginning({ text, entities }: Formatted, limit: number): Formatted {
  const end = /[\ud800-\udbff]/.test(text.charAt(limit - 1)) ? limit - 1 : limit;
  return text.length <= limit ? { text, entities } : slice({ text, entities }, 0, end);
}

function slice({ text, entities }: Formatted, start: number, end: number): Formatted {
  const raw = text.slice(start, end);
  const from = start + (/^\n+/.exec(raw)?.[0].length ?? 0);
  const to = Math.max(from, start + raw.trimEnd().length);
  const inside = entities.flatMap((entity) => {
    const offset = Math.max(entity.offset, from);
    const length = Math.min(entity.offset + entity.length, to) - offset;
    return length > 0 ? [{ ...entity, offset: offset - from, length }] : [];
  });
  return { text: text.slice(from, to), entities: inside };
}
