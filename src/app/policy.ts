import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Adapters } from './adapters.ts';
import { BUILTIN, isConfined, knownOf, openSandbox, openTools } from './builtin.ts';
import { openGovernance } from './governance.ts';
import { machineOf, packageFolder } from './package.ts';
import { placesIn } from '../config/places.ts';
import { openScheduleBook } from '../config/schedule-book.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { type Governance, SETTINGS_FILE } from '../core/agent.ts';
import type { PolicyDesk } from '../core/api/policy.ts';
import type { SavedFile } from '../core/ports/governance.ts';
import type { ToolParts } from '../core/ports/tool.ts';
import { SKILLS } from '../core/skill.ts';
import { canonicalJson } from '../core/text/json.ts';
import { foldedPath } from '../core/text/paths.ts';
import { machineZone, systemClock as clock } from '../platform/system.ts';
import { readBundled } from '../skills/judge.ts';
import { type LineOf, openPolicyDesk } from '../views/policy.ts';
import { standingFiles } from '../workspace/edits/watch.ts';
import { obeyedOutside } from '../workspace/governance/outside.ts';
import { placeOf } from '../workspace/governance/protected.ts';
import { type OpenWorkspace, openWorkspace } from '../workspace/workspace.ts';

type Env = Readonly<Record<string, string | undefined>>;

const FILE = '100644';

/** Why the landing of a change to this path asks a person; null if it does not. */
function gate(path: string): string | null {
  if (placeOf(path, [FILE]) !== null) return 'it governs the network or stands where such a file does';
  if (foldedPath(path).startsWith(`${SKILLS}/`)) return 'skills become part of what agents are told and run';
  return obeyedOutside(foldedPath(path));
}

/** Finds lines in the files that govern: those of a commit, and over them what was saved since. */
async function linesOf(
  workspace: Pick<OpenWorkspace, 'git'>,
  { commit, agents }: Governance,
  saved: readonly SavedFile[],
): Promise<LineOf> {
  const files = [SETTINGS_FILE, ...[...agents.keys()].map((name) => `agents/${name}/AGENT.md`)];
  const read = async (path: string): Promise<[string, ReturnType<typeof placesIn>]> => {
    const standing = saved.find((file) => file.path === path)?.bytes;
    const object = standing ? null : await workspace.git.object(`${commit}:${path}`);
    return [path, placesIn(standing ?? object?.bytes ?? Buffer.of(), path)];
  };
  const places = new Map(await Promise.all(files.map(read)));
  return (file, path) => places.get(file)?.(path) ?? null;
}

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

/** Nothing of this is used by a tool that only says what a call would be. */
const nothingRuns = (): Promise<never> => Promise.reject(new Error('no call is made while a policy is explained'));
const IDLE: Pick<ToolParts, 'checkouts' | 'egress'> = {
  checkouts: {
    take: nothingRuns,
    adopt: nothingRuns,
    watch: (_checkout, over) => over,
    collect: nothingRuns,
    release: nothingRuns,
    held: nothingRuns,
  },
  egress: { open: nothingRuns, forget: nothingRuns, list: nothingRuns },
};

/** The same by the files of a workspace, whether or not anything runs on it. Rejects with a sentence for a person. */
export async function openPolicy({ workspace: dir, env }: { workspace: string; env: Env }) {
  const parts = new AsyncDisposableStack();
  try {
    const workspace = await openWorkspace({ dir, env, clock, boundary: () => undefined });
    parts.defer(() => workspace.close());
    const bundled = await readBundled(packageFolder('skills'));
    const reader = openGovernance(workspace, { known: knownOf(BUILTIN), bundled, clock });
    const saved = await standingFiles(workspace.git);
    const loaded = await reader.foresee(await workspace.head(), saved);
    if (!loaded.ok)
      throw new Error(
        loaded.problems
          .map(({ file, line, message }) => `${file}${line === null ? '' : `:${line}`}: ${message}`)
          .join('\n'),
      );
    const { governance } = loaded;
    const sandbox = await openHere(env, parts);
    const zone = (): string => governance.settings.timezone ?? machineZone();
    const { settings } = governance;
    const book = openScheduleBook({ reader, clock, settings, zone });
    const tools = openTools(BUILTIN, { ...IDLE, sandbox, book, limits: settings.limits });
    const desk = openPolicyDesk({
      governance: () => governance,
      tools: () => tools,
      sandboxed: ({ sandbox: picked }) => isConfined(BUILTIN, sandbox, picked),
      lines: () => linesOf(workspace, governance, saved),
      gate,
      clock,
      zone,
    });
    return { ...desk, close: () => parts.disposeAsync() };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

/** What would confine commands on this machine. */
async function openHere(env: Env, parts: AsyncDisposableStack) {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-policy-'));
  parts.defer(() => rm(dir, { recursive: true, force: true }));
  const machine = machineOf();
  const path = env['PATH'] ?? '';
  return openSandbox(BUILTIN, {
    dir,
    path,
    platform: process.platform,
    machine,
    env,
    boundary: () => undefined,
    clock,
  });
}
