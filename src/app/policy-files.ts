import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { BUILTIN, isConfined, knownOf, openSandbox, openTools } from './builtin.ts';
import { openGovernance } from './governance.ts';
import { machineOf, packageFolder } from './package.ts';
import { filesOf, gate, linesIn, linesOf } from './policy.ts';
import { openScheduleBook } from '../config/schedule-book.ts';
import { environmentPlaces } from '../config/secret-places.ts';
import { type Governance, type Problem, SETTINGS_FILE } from '../core/agent.ts';
import type { Answer, Explanation } from '../core/api/policy.ts';
import type { PolicyCase } from '../config/policy-cases.ts';
import type { Store } from '../core/ports/store.ts';
import type { SavedFile } from '../core/ports/governance.ts';
import type { ToolParts } from '../core/ports/tool.ts';
import { machineZone, systemClock as clock } from '../platform/system.ts';
import { readBundled } from '../skills/judge.ts';
import { type Governed, rehearse, type RehearseOptions } from '../trace/rehearse.ts';
import { policyStats } from '../views/policy-stats.ts';
import { openPolicyDesk } from '../views/policy.ts';
import { weaknesses } from '../views/weaknesses.ts';
import { standingFiles } from '../workspace/edits/watch.ts';
import { type OpenWorkspace, openWorkspace } from '../workspace/workspace.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Nothing of this is used by a tool that only says what a call would be. */
const nothingRuns = (): Promise<never> => Promise.reject(new Error('no call is made while a policy is explained'));
const IDLE: Pick<ToolParts, 'checkouts' | 'egress' | 'accounts'> = {
  accounts: { mailbox: nothingRuns, reader: nothingRuns },
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

export interface PolicyFiles {
  home: string;
  workspace: string;
  env: Env;
  /** Channels that `ruche.yaml` does not name and the files may. */
  channels?: readonly string[];
}

/** A path that may be one, and what may be the name of a commit. */
interface At {
  path: string;
  name: string;
}

type Reader = ReturnType<typeof openGovernance>;

/** The policy by the files of a workspace, whether or not anything runs on it. Rejects with a sentence for a person. */
export async function openPolicy({ home, workspace: dir, env, channels = [] }: PolicyFiles) {
  const parts = new AsyncDisposableStack();
  try {
    const workspace = await openWorkspace({ dir, env, clock, boundary: () => undefined });
    parts.defer(() => workspace.close());
    const bundled = await readBundled(packageFolder('skills'));
    const reader = openGovernance(workspace, { known: { ...knownOf(BUILTIN), channels }, bundled, clock });
    const saved = await standingFiles(workspace.git);
    const loaded = await reader.foresee(await workspace.head(), saved);
    const governance = loaded.ok ? loaded.governance : valid(loaded);
    const { settings } = governance;
    const sandbox = await openHere(env, parts);
    const zone = (): string => settings.timezone ?? machineZone();
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
    return {
      ...desk,
      /** `at` null: the workspace as it stands. */
      async rehearse({ since, at, onChange }: { since: number; at: At | null } & Pick<RehearseOptions, 'onChange'>) {
        const changed = at === null ? governance : await proposed(at, { workspace, reader, saved });
        const told = { since, changed, onChange, governedBy: governedBy(reader) };
        return withRecord({ home, workspace: dir, env }, (store) => rehearse({ ...told, store }));
      },
      /** What rules have asked people for, by the record of the home. */
      stats: (since: number) => withRecord({ home, workspace: dir, env }, (store) => policyStats(store, since)),
      /** Holds each case of a file against what would be decided. */
      async test(path: string) {
        const { parseCases } = await import('../config/policy-cases.ts');
        const { cases, problems } = parseCases(await readFile(path), path);
        if (cases === null) throw new Error(problems.map(lineText).join('\n'));
        const found: CaseOutcome[] = [];
        for (const each of cases) found.push({ ...each, answer: await desk.explain(each.question) });
        return found;
      },
      weaknesses: async () => weakened(governance, [...tools.values()], await filesOf(workspace, governance, saved)),
      close: () => parts.disposeAsync(),
    };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

async function withRecord<T>(options: PolicyFiles, job: (store: Store) => Promise<T>): Promise<T> {
  const { openRecord } = await import('./record.ts');
  const record = await openRecord(options);
  try {
    return await job(record.store);
  } finally {
    await record.close();
  }
}

/** A case of a file, and what is decided. */
export interface CaseOutcome extends PolicyCase {
  answer: Answer<Explanation>;
}

const weakened = (
  governance: Governance,
  tools: Parameters<typeof weaknesses>[0]['tools'],
  files: ReadonlyMap<string, Uint8Array>,
) =>
  weaknesses({
    ...governance,
    tools,
    confines: (choice) => isConfined(BUILTIN, { confined: true }, choice),
    line: linesIn(files),
    environment: [...files].flatMap(([file, bytes]) =>
      environmentPlaces(file, Buffer.from(bytes).toString('utf8')).map((place) => ({ file, ...place })),
    ),
  });

const lineText = ({ file, line, key, message }: Problem): string =>
  `${file}${line === null ? '' : `:${line}`}: ${key === '' ? '' : `${key} `}${message}`;

/** What a file says that is not in order governs nothing, so nothing can be said by it. */
function valid(loaded: Awaited<ReturnType<Reader['load']>>): Governance {
  const problems = (loaded.ok ? loaded.governance.problems : loaded.problems).filter(
    ({ severity }) => severity === 'error',
  );
  if (loaded.ok && problems.length === 0) return loaded.governance;
  throw new Error(problems.map(lineText).join('\n'));
}

/** Commits whose rules are kept at once: decisions come in the order in which these governed. */
const MOST_KEPT = 16;

function governedBy(reader: Reader): RehearseOptions['governedBy'] {
  const kept = new Map<string, Promise<Governed | null>>();
  return (commit) => {
    const known = kept.get(commit) ?? reader.load(commit).then((loaded) => (loaded.ok ? loaded.governance : null));
    kept.set(commit, known);
    const [oldest] = kept.keys();
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    return known;
  };
}

/** The rules that are tried: those of a commit or branch, or of files that lie somewhere, over those of the workspace. */
async function proposed(
  { path, name }: At,
  { workspace, reader, saved }: { workspace: OpenWorkspace; reader: Reader; saved: readonly SavedFile[] },
): Promise<Governed> {
  const files = await filesAt(path);
  const head = await workspace.head();
  if (files !== null) {
    const over = new Set(files.map(({ path }) => path));
    return valid(await reader.foresee(head, [...saved.filter(({ path }) => !over.has(path)), ...files]));
  }
  const commit = /^\w[\w./@^~-]*$/.test(name) ? await workspace.git.resolve(`${name}^{commit}`) : null;
  if (commit === null)
    throw new Error(
      `There is no file, folder, commit or branch "${name}". Give a ruche.yaml, an AGENT.md or a folder that has them.`,
    );
  return valid(await reader.load(commit));
}

/** Files that govern, at a path that is one or a folder of such; null if nothing is there. */
async function filesAt(path: string): Promise<SavedFile[] | null> {
  const found = await stat(path).catch(() => null);
  if (found === null) return null;
  const read = async (as: string, from: string): Promise<SavedFile[]> => {
    const bytes = await readFile(from).catch(() => null);
    return bytes === null ? [] : [{ path: as, bytes, clean: false }];
  };
  if (!found.isDirectory()) {
    if (/\.ya?ml$/.test(path)) return read(SETTINGS_FILE, path);
    if (basename(path) === 'AGENT.md') return read(`agents/${basename(dirname(path))}/AGENT.md`, path);
    throw new Error(`${path} is no file of rules. Give a ruche.yaml, an AGENT.md or a folder that has them.`);
  }
  const names = await readdir(join(path, 'agents')).catch(() => []);
  const agents = names.map((name) => `agents/${name}/AGENT.md`);
  const files = (await Promise.all([SETTINGS_FILE, ...agents].map((file) => read(file, join(path, file))))).flat();
  if (files.length === 0) throw new Error(`${path} has no ruche.yaml and no agents/NAME/AGENT.md.`);
  return files;
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
