import type { BlobRef } from '../core/blob.ts';
import type { Button } from '../core/ports/channel.ts';
import type { Reads } from '../core/ports/store.ts';
import type { FileView } from '../core/api/views.ts';

// What the views read of the blobs that events name. All of it may be gone: erased with its conversation.

export type Blobs = Pick<Reads, 'getBlob'>;

const ERASED = '(erased)';

/** The parsed JSON of a blob; null if it has been erased. */
export async function readJson(store: Blobs, hash: string): Promise<unknown> {
  const text = await readText(store, hash);
  return text === null ? null : JSON.parse(text);
}

export async function readText(store: Blobs, hash: string): Promise<string | null> {
  const bytes = await store.getBlob({ hash });
  return bytes === null ? null : Buffer.from(bytes).toString('utf8');
}

interface FileOfMessage {
  name: string;
  mediaType: string;
  blob: BlobRef;
}

/** Every form the content of a message, a reply, or something shown has. */
interface Content {
  text?: string;
  reason?: string;
  message?: string;
  title?: string;
  input?: unknown;
  parts?: { type: string; text?: string; tool?: string; args?: string }[];
  files?: FileOfMessage[];
  buttons?: Button[];
}

const read = async (store: Blobs, hash: string): Promise<Content | null> =>
  (await readJson(store, hash)) as Content | null;

/** What the inbox adds for the model, behind a message that brought files. */
const FILES_NOTE = /\n*\[Files that came with this message: [^\n]*\]$/;

export interface Said {
  text: string;
  reasoning: string;
  files: FileOfMessage[];
}

/** A message of a person or a model, or a reply. */
export async function readSaid(store: Blobs, hash: string): Promise<Said> {
  const content = await read(store, hash);
  if (content === null) return { text: ERASED, reasoning: '', files: [] };
  const { parts, files = [] } = content;
  const words = (type: string): string =>
    (parts ?? []).map((part) => (part.type === type ? (part.text ?? '') : '')).join('');
  const text = content.text ?? words('text');
  return { text: files.length > 0 ? text.replace(FILES_NOTE, '') : text, reasoning: words('reasoning'), files };
}

/** The first words of a text, on one line. */
export function firstWords(text: string, most = 100): string {
  const line = text
    .slice(0, most * 8)
    .replace(/\s+/g, ' ')
    .trim();
  const chars = Array.from(line);
  return chars.length <= most ? line : `${chars.slice(0, most - 1).join('')}…`;
}

/** What a task is about. */
export async function readTitle(
  store: Blobs,
  entry: { message: { content: string } | null; content: string | null },
): Promise<string> {
  if (entry.message !== null) {
    const { text, files } = await readSaid(store, entry.message.content);
    return firstWords(text) || files.map((file) => file.name).join(', ');
  }
  if (entry.content === null) return '';
  const content = await read(store, entry.content);
  return content === null ? ERASED : firstWords(content.title ?? content.text ?? JSON.stringify(content.input ?? ''));
}

/** The whole of what a task is to do. */
export async function readOrder(store: Blobs, hash: string): Promise<string> {
  const content = await read(store, hash);
  if (content === null) return ERASED;
  const { title, text, input } = content;
  const parts = [title, text, input === undefined || input === null ? null : JSON.stringify(input, null, 2)];
  return parts.filter((part) => part !== null && part !== undefined && part !== '').join('\n\n');
}

/** The sentence in what is shown to a person, or of what went wrong. */
export async function readSentence(store: Blobs, hash: string): Promise<string> {
  const content = await read(store, hash);
  return content === null ? ERASED : (content.text ?? content.message ?? '');
}

export const fileViews = (agent: string, session: string, files: readonly FileOfMessage[]): FileView[] =>
  files.map(({ name, mediaType, blob }) => ({
    name,
    mediaType,
    size: blob.size,
    href: `/api/files/${[agent, session, blob.hash].map(encodeURIComponent).join('/')}`,
  }));
