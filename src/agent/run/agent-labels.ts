import { EXTRA_FILES } from '../../core/agent.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { AgentDeps } from './deps.ts';

/**
 * Labels of what governs an agent: its instructions, and the schedules and triggers beside them, as a run has written them.
 * Nobody looks where no file has any.
 */
export async function agentLabels(
  { fileLabels, workspace, governance }: Pick<AgentDeps, 'fileLabels' | 'workspace' | 'governance'>,
  agent: string,
): Promise<Label[]> {
  if (fileLabels.none) return [];
  const files = workspace.files(governance().commit, []);
  const found: (readonly Label[])[] = [];
  for (const name of ['AGENT.md', ...EXTRA_FILES]) {
    const entry = await files.stat(`agents/${agent}/${name}`);
    if (entry !== null) found.push(fileLabels.of(entry));
  }
  return unionLabels(...found);
}
