import type { Agent } from '../../core/agent.ts';
import type { Files } from '../../core/files.ts';
import type { Label } from '../../core/labels.ts';
import { SKILLS, type Skill } from '../../core/skill.ts';
import type { AgentDeps } from '../run/deps.ts';
import type { RunLog } from '../run/log.ts';

/** Skills as they lie in an agent's view: those of the workspace for everybody, bundled ones for who has enabled them. */
function skillsFor(deps: AgentDeps, agent: Agent): Skill[] {
  const { skills = [] } = deps.governance();
  return skills.filter(({ name, source }) => source === 'workspace' || agent.skills?.includes(name));
}

/** Names and hashes of what `viewOf` pins. */
export const pinnedSkills = (deps: AgentDeps, agent: Agent): string[] =>
  skillsFor(deps, agent).map(({ name, hash }) => `${name} ${hash}`);

/**
 * What a run's tools see: its base, over it the skills as they were approved, over them its own changes. What somebody
 * landed in a skill's folder without approval is thus neither read nor run.
 */
export async function viewOf(deps: AgentDeps, log: RunLog, agent: Agent): Promise<Files> {
  const { base, changes } = log.state;
  const skills = skillsFor(deps, agent);
  const pinned = skills.length === 0 ? [] : await deps.reader.pinned(base, skills);
  return deps.workspace.files(base, [...pinned, ...changes.values()]);
}

/** Text of skills came from outside, unless it is exactly what a person has approved, or came with the package. */
export function skillLabels(deps: AgentDeps, path: string, oid: string): Label[] {
  if (!path.startsWith(`${SKILLS}/`)) return [];
  const approved = deps
    .governance()
    .skills?.some(({ files }) => files.some((file) => file.path === path && file.oid === oid));
  return approved === true ? [] : ['untrusted'];
}
