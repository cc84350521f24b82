import type { BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { conversationId, runKey, runStream } from '../core/ids.ts';
import type { Reads } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { DiffView, Views } from '../core/api/views.ts';
import { readJson, readSaid, readText } from './blobs.ts';

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
    return readText(store, hash);
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
  const manifest = (await readJson(store, hash)) as Manifest | null;
  if (manifest === null) return null;
  const { model } = manifest;
  const system = await readJson(store, manifest.system);
  const tools = await readJson(store, manifest.tools);
  const messages: unknown[] = [];
  for (const ref of manifest.messages) messages.push(await readJson(store, ref.hash));
  return JSON.stringify({ model, system, tools, messages }, null, 2);
}

/** What the run's commit changed; null if it changed nothing, or the commit is gone. */
export async function readDiff(
  store: Reads,
  workspace: Pick<Workspace, 'commitDiff'>,
  id: string,
): Promise<DiffView | null> {
  const run = await runNamed(store, id);
  if (run === null) return null;
  for await (const event of store.read({ stream: runStream(run), types: ['landing.finished'], reverse: true })) {
    if (event.type !== 'landing.finished' || event.data.commit === null) continue;
    const { commit } = event.data;
    const diff = await workspace.commitDiff(commit, MAX_DIFF);
    return diff && { commit, ...diff };
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
