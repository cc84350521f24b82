import type { FileOrigin, FileSource, LabelCause } from '../core/api/views.ts';
import type { Governance } from '../core/agent.ts';
import type { Event } from '../core/event.ts';
import { isPrivatePath, type Label, unionLabels } from '../core/labels.ts';
import type { Reads } from '../core/ports/store.ts';
import type { Workspace } from '../core/ports/workspace.ts';
import type { FileLabels, FileMark } from '../core/records/file-labels.ts';
import type { FileVouch } from '../core/standing.ts';
import { workspacePath } from '../core/text/paths.ts';

export interface OriginOptions {
  store: Reads;
  workspace: Pick<Workspace, 'head' | 'files' | 'lastChange'>;
  fileLabels: FileLabels;
  standing: { fileVouched(path: string, oid: string): FileVouch | null };
  governance(): Governance;
}

/** Where a file on `main` came from: its labels, who brought them in, and who took them away. Null for what never was. */
export async function readOrigin(options: OriginOptions, given: string): Promise<FileOrigin | null> {
  const { store, workspace, fileLabels, standing, governance } = options;
  const checked = workspacePath(given);
  if (!checked.ok) return null;
  const entry = await workspace.files(await workspace.head(), []).stat(checked.path);
  const path = entry?.path ?? checked.path;
  const before = fileLabels.at(path);
  if (entry === null && before.length === 0) return null;
  const own: Label[] = isPrivatePath(path, governance().settings.privatePaths) ? ['private'] : [];
  const marks = entry === null ? [] : fileLabels.marks(entry);
  const sources: FileSource[] = [];
  for (const mark of marks) sources.push(await sourceOf(store, mark));
  const vouched = entry === null ? null : standing.fileVouched(path, entry.oid);
  const written = entry === null ? [] : fileLabels.of(entry);
  const labels = unionLabels(own, vouched === null ? written : written.filter((label) => label !== 'untrusted'));
  const wasLabelled = before.some((mark) => mark.labels.length > 0 && mark.oid !== entry?.oid);
  const change = wasLabelled && marks.length === 0 ? await workspace.lastChange(path) : null;
  const oid = entry?.oid ?? null;
  return { kind: 'file', path, oid, labels, privatePath: own.length > 0, sources, vouched, cleared: change };
}

async function sourceOf(store: Reads, mark: FileMark): Promise<FileSource> {
  const { path, labels, stream, actor } = mark;
  const source: FileSource = { path, labels, by: actor, run: null, task: null, at: null, causes: [], approvedBy: null };
  const missing = new Set<Label>(labels);
  for await (const event of store.read({ stream })) {
    if (event.type === 'run.started')
      Object.assign(source, { run: event.data.run, task: event.data.task, at: event.at });
    if (event.type === 'approval.answered' && event.data.verdict === 'approve' && event.data.by !== 'runtime')
      source.approvedBy = event.data.by;
    const brought = broughtBy(event).filter((label) => missing.delete(label));
    if (brought.length > 0) source.causes.push({ labels: brought, event: event.id, what: whatOf(event) });
    if (missing.size === 0 && source.run !== null && labels.length > 0) break;
  }
  return source;
}

const broughtBy = (event: Event): readonly Label[] =>
  event.type === 'tool.returned' ? event.data.labels : event.labels;

/** What it was, for people. */
function whatOf(event: Event): LabelCause['what'] {
  switch (event.type) {
    case 'tool.returned':
      return `the result of ${event.data.tool} (${event.data.call})`;
    case 'message.taken':
      return 'a message that came while it ran';
    case 'question.answered':
      return 'a file that came with an answer';
    case 'run.started':
      return 'its task, or what was said earlier in its conversation';
    default:
      return 'the instructions of its agent';
  }
}
