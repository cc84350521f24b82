import { EXTRA_FILES } from '../../core/agent.ts';
import type { FileEntry } from '../../core/files.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { AgentDeps } from './deps.ts';

/** Labels of a file's content. Who vouches for it answers for where it came from: what is private stays so. */
export function labelsOfFile(
  { fileLabels, standing }: Pick<AgentDeps, 'fileLabels' | 'standing'>,
  entry: Pick<FileEntry, 'path' | 'oid'>,
  labels = fileLabels.of(entry),
): readonly Label[] {
  if (!labels.includes('untrusted') || standing.fileVouched(entry.path, entry.oid) === null) return labels;
  return labels.filter((label) => label !== 'untrusted');
}

/**
 * Labels of what governs an agent: its instructions, and the schedules and triggers beside them, as a run has written them.
 * Nobody looks where no file has any.
 */
export async function agentLabels(
  deps: Pick<AgentDeps, 'fileLabels' | 'standing' | 'workspace' | 'governance'>,
  agent: string,
): Promise<Label[]> {
  const { fileLabels, workspace, governance } = deps;
  if (fileLabels.none) return [];
  const files = workspace.files(governance().commit, []);
  const found: (readonly Label[])[] = [];
  for (const name of ['AGENT.md', ...EXTRA_FILES]) {
    const entry = await files.stat(`agents/${agent}/${name}`);
    if (entry !== null) found.push(labelsOfFile(deps, entry));
  }
  return unionLabels(...found);
}
