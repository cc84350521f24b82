import type { Adapters } from './adapters.ts';
import { placesIn } from '../config/places.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { type Governance, SETTINGS_FILE } from '../core/agent.ts';
import type { PolicyDesk } from '../core/api/policy.ts';
import type { SavedFile } from '../core/ports/governance.ts';
import { SKILLS } from '../core/skill.ts';
import { canonicalJson } from '../core/text/json.ts';
import { foldedPath } from '../core/text/paths.ts';
import { type LineOf, openPolicyDesk } from '../views/policy.ts';
import { obeyedOutside } from '../workspace/governance/outside.ts';
import { placeOf } from '../workspace/governance/protected.ts';
import type { OpenWorkspace } from '../workspace/workspace.ts';

const FILE = '100644';

/** Why the landing of a change to this path asks a person; null if it does not. */
export function gate(path: string): string | null {
  if (placeOf(path, [FILE]) !== null) return 'it governs the network or stands where such a file does';
  if (foldedPath(path).startsWith(`${SKILLS}/`)) return 'skills become part of what agents are told and run';
  return obeyedOutside(foldedPath(path));
}

/** The files that govern: those of a commit, and over them what was saved since. */
export async function filesOf(
  workspace: Pick<OpenWorkspace, 'git'>,
  { commit, agents }: Governance,
  saved: readonly SavedFile[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = [SETTINGS_FILE, ...[...agents.keys()].map((name) => `agents/${name}/AGENT.md`)];
  const read = async (path: string): Promise<[string, Uint8Array]> => {
    const standing = saved.find((file) => file.path === path)?.bytes;
    const object = standing ? null : await workspace.git.object(`${commit}:${path}`);
    return [path, standing ?? object?.bytes ?? Buffer.of()];
  };
  return new Map(await Promise.all(files.map(read)));
}

/** Finds lines in them. */
export function linesIn(files: ReadonlyMap<string, Uint8Array>): LineOf {
  const places = new Map([...files].map(([path, bytes]) => [path, placesIn(bytes, path)]));
  return (file, path) => places.get(file)?.(path) ?? null;
}

export const linesOf = async (...of: Parameters<typeof filesOf>): Promise<LineOf> => linesIn(await filesOf(...of));

/** What the policy of a running network would say. */
export function openLivePolicy(
  { workspace, reader }: Pick<Adapters, 'workspace' | 'reader'>,
  agents: Pick<AgentDeps, 'governance' | 'tools' | 'sandboxed' | 'clock' | 'zone'>,
): PolicyDesk {
  let last: { governs: Governance; head: string; found: Promise<LineOf> } | null = null;
  return openPolicyDesk({
    ...agents,
    gate,
    async lines() {
      const governs = agents.governance();
      const head = await workspace.head();
      // A line that moved without a change of what it says is shown where it stands now.
      if (last?.governs !== governs || last.head !== head)
        last = { governs, head, found: standingNow(head, governs).then((at) => linesOf(workspace, at, [])) };
      return last.found;
    },
  });

  async function standingNow(head: string, governs: Governance): Promise<Governance> {
    const now = await reader.load(head);
    const says = ({ settings, agents: all }: Governance): string => canonicalJson({ settings, all: [...all] });
    return now.ok && says(now.governance) === says(governs) ? now.governance : governs;
  }
}
