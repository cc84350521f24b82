import type { BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { conversationId, runKey, runStream } from '../core/ids.ts';
import type { Reads } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { DiffView, Views, FileView } from '../core/api/views.ts';
import type { Button } from '../core/ports/channel.ts';
import type { FileLabels } from '../core/records/file-labels.ts';
import { readJson } from '../core/records/json-blob.ts';

/** Bytes of all patches of one commit. */
const MAX_DIFF = 1_000_000;

/** The parts of a request, by hash. */
interface Manifest {
  model: string;
  system: string;
  tools: string;
  messages: BlobRef[];
}

/** The exact JSON behind a hash that an event of this run names; null for any other, and for what was erased. */
export async function readExact(store: Reads, id: string, hash: string): Promise<string | null> {
  const run = await runNamed(store, id);
  if (run === null) return null;
  for await (const event of store.read({ stream: runStream(run) })) {
    if (!hashesOf(event).includes(hash)) continue;
    if (event.type === 'model.called') return readRequest(store, hash);
    const bytes = await store.getBlob({ hash });
    return bytes === null ? null : Buffer.from(bytes).toString('utf8');
  }
  return null;
}

/** The run of this name, or the one that worked on the task of this name. */
async function runNamed(store: Reads, id: string): Promise<string | null> {
  if (id.startsWith('run_')) return id;
  const task = await store.task(id);
  const started = await store.byKey(runKey(task?.absorbedBy ?? id));
  return started?.type === 'run.started' ? started.data.run : null;
}

/** What an event names: every field of its body that is a blob. */
const hashesOf = (event: Event): string[] =>
  Object.values(event.data as Record<string, unknown>).flatMap((value) => (isRef(value) ? [value.hash] : []));

const isRef = (value: unknown): value is BlobRef =>
  value !== null && typeof value === 'object' && 'hash' in value && 'subject' in value;

/** The request as it was sent, put together from its parts. */
async function readRequest(store: Reads, hash: string): Promise<string | null> {
  const manifest = await readJson<Manifest>(store, { hash });
  if (manifest === null) return null;
  const { model } = manifest;
  const system = await readJson(store, { hash: manifest.system });
  const tools = await readJson(store, { hash: manifest.tools });
  const messages: unknown[] = [];
  for (const ref of manifest.messages) messages.push(await readJson(store, ref));
  return JSON.stringify({ model, system, tools, messages }, null, 2);
}

/** What the run's commit changed; null if it changed nothing, or the commit is gone. */
export async function readDiff(
  store: Reads,
  { workspace, fileLabels }: { workspace: Pick<Workspace, 'commitDiff'>; fileLabels: FileLabels },
  id: string,
): Promise<DiffView | null> {
  const run = await runNamed(store, id);
  if (run === null) return null;
  for await (const event of store.read({ stream: runStream(run), types: ['landing.finished'], reverse: true })) {
    if (event.type !== 'landing.finished' || event.data.commit === null) continue;
    const { commit } = event.data;
    const diff = await workspace.commitDiff(commit, MAX_DIFF);
    return diff && { commit, ...diff, labels: fileLabels.writtenIn(runStream(run)) };
  }
  return null;
}

/** A file that a message or a reply of this conversation names, the newest of that hash. */
export async function readFile(store: Reads, agent: string, session: string, hash: string): ReturnType<Views['file']> {
  const types = ['message.received', 'message.queued'] as const;
  for await (const event of store.read({ stream: conversationId(agent, session), types, reverse: true })) {
    if (event.type !== 'message.received' && event.type !== 'message.queued') continue;
    const { files } = await readSaid(store, event.data.content.hash);
    const file = files.find(({ blob }) => blob.hash === hash);
    if (!file) continue;
    const bytes = await store.getBlob({ hash });
    return bytes && { name: file.name, mediaType: file.mediaType, bytes };
  }
  return null;
}

// What the views read of the blobs that events name. All of it may be gone: erased with its conversation.

type Blobs = Pick<Reads, 'getBlob'>;

const ERASED = '(erased)';

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

const read = (store: Blobs, hash: string): Promise<Content | null> => readJson(store, { hash });

/** What the inbox adds for the model, behind a message that brought files. */
const FILES_NOTE = /\n*\[Files that came with this message: [^\n]*\]$/;

interface Said {
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
