import { labelsOfFile } from '../run/agent-labels.ts';
import type { AgentDeps } from '../run/deps.ts';
import type { FileEntry } from '../../core/files.ts';
import { isPrivatePath, type Label, unionLabels } from '../../core/labels.ts';
import type { ToolContext } from '../../core/ports/tool.ts';
import { SKILLS } from '../../core/skill.ts';
import { namedPaths, speaksOfGit } from '../../policy/reads.ts';

type Source = Pick<FileEntry, 'path' | 'oid'>;

/** Text of skills came from outside, unless it is exactly what a person has approved, or came with the package. */
function skillLabels({ governance }: AgentDeps, { path, oid }: Source): readonly Label[] {
  if (!path.startsWith(`${SKILLS}/`)) return [];
  const approved = governance().skills.some(({ files }) =>
    files.some((file) => file.path === path && file.oid === oid),
  );
  return approved ? [] : ['untrusted'];
}

/** Where text of the workspace comes from, as tools ask for it. */
export function labelling(deps: AgentDeps): Pick<ToolContext, 'labelsOf' | 'nameLabels' | 'readBy'> {
  const { fileLabels } = deps;
  const globs = deps.governance().settings.privatePaths;
  return {
    labelsOf(entry) {
      const own: Label[] = isPrivatePath(entry.path, globs) ? ['private'] : [];
      return unionLabels(own, labelsOfFile(deps, entry), skillLabels(deps, entry));
    },
    nameLabels: (entry) => [...labelsOfFile(deps, entry, fileLabels.ofName(entry))],
    readBy: (command) => ({ named: namedPaths(command), past: speaksOfGit(command) ? fileLabels.ever : [] }),
  };
}
