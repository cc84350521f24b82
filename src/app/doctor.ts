import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppOptions } from './options.ts';
import { type Problem, type Settings, SETTINGS_FILE } from '../core/agent.ts';
import { httpOnly } from '../core/ports/net.ts';
import type { KeptSecrets, PrivateFile } from '../core/ports/secrets.ts';
import type { Lost } from './lost.ts';
import type { SandboxKind } from '../core/ports/sandbox.ts';
import { machineOf, packageFolder } from './package.ts';
import { privateFile } from '../platform/replace.ts';
import { systemClock as clock } from '../platform/system.ts';
import { errorText } from '../core/text/sentence.ts';

type Env = AppOptions['env'];

/** Looks at everything `doctor` reports that is not the process's own. */
export async function diagnose(options: { home: string; workspace: string; again?: string; env: Env }) {
  const [vault, git, sandbox, { images, ...config }, journal] = await Promise.all([
    readVault(options),
    gitVersion(options.env),
    tryHere(options.env, ({ image }) => image !== true),
    readConfig(options),
    readNewest(options),
  ]);
  const joined = sandbox.ok ? { ...sandbox, why: `${sandbox.why} ${await forwarding()}` } : sandbox;
  return { vault, git, sandbox: joined, images: await tryImages(options.env, images), ...config, ...journal };
}

/** What joins commands that have a network with their proxy. */
async function forwarding(): Promise<string> {
  const { findForwarder } = await import('../sandbox/network.ts');
  return (await findForwarder()).kind === 'perl'
    ? 'Commands with a network reach it through Perl.'
    : 'Commands with a network reach it through Node; with Perl they would need less memory.';
}

/** The vault as this terminal can open it; null where there is none. */
async function readVault({ home, env }: { home: string; env: Env }) {
  const { openSecrets } = await import('../secrets/open.ts');
  try {
    const { vault } = await openSecrets({ env, home, clock });
    const [problem, secrets] = [vault.problem(), vault.list().length];
    if (problem === null && secrets === 0) return null;
    return { problem, locked: vault.locked(), secrets, key: await vault.keyPlace().catch(() => null) };
  } catch (error) {
    return { problem: errorText(error), locked: false, secrets: 0, key: null };
  }
}

async function gitVersion(env: Env): Promise<string | null> {
  const { plainGit } = await import('../git/git.ts');
  try {
    return (await plainGit(['version'], env)).stdout.toString('utf8').replace('git version', '').trim();
  } catch {
    return null; // not installed, or not to be run: doctor says how to mend both
  }
}

interface Tried {
  ok: boolean;
  why: string;
  mend: string;
}

/** The first sandbox of a sort, tried in a folder of its own, so that looking makes no home. */
async function tryHere(env: Env, sort: (kind: SandboxKind) => boolean, image?: string): Promise<Tried> {
  const { BUILTIN } = await import('./builtin.ts');
  const kind = BUILTIN.sandboxes.find(sort);
  if (kind === undefined) return { ok: false, why: 'No sandbox is built in.', mend: '' };
  const dir = await mkdtemp(join(tmpdir(), 'ruche-doctor-'));
  const machine = machineOf();
  try {
    return await kind.probe({ dir, path: env['PATH'] ?? '', platform: process.platform, machine, env }, image);
  } catch (error) {
    return { ok: false, why: errorText(error), mend: 'Correct what it names, then run doctor again.' };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Each image that agents name. If none is named, what would run one, if anything here does. */
async function tryImages(env: Env, images: readonly string[]): Promise<(Tried & { image: string | null })[]> {
  const takesOne = ({ image }: SandboxKind): boolean => image === true;
  if (images.length === 0) {
    const here = await tryHere(env, takesOne);
    return here.ok ? [{ ...here, image: null }] : [];
  }
  const tried: (Tried & { image: string })[] = [];
  for (const image of images) tried.push({ ...(await tryHere(env, takesOne, image)), image });
  return tried;
}

interface Config {
  /** Why the workspace cannot be used. */
  workspace: string | null;
  /** Null if there is none yet. */
  config: { problems: Problem[] } | null;
  keys: { provider: string; name: string; present: boolean }[];
  /** Refs of runs' work that name objects which are gone. */
  refs: string[];
  /** Images that agents run commands in. */
  images: string[];
}

type OpenWorkspace = Awaited<ReturnType<typeof import('../workspace/workspace.ts').openWorkspace>>;

async function readConfig({
  home,
  workspace: dir,
  env,
}: {
  home: string;
  workspace: string;
  env: Env;
}): Promise<Config> {
  const none: Config = { workspace: null, config: null, keys: [], refs: [], images: [] };
  const standing = await readdir(dir).catch(() => []);
  if (standing.length === 0) return none;
  const { openWorkspace } = await import('../workspace/workspace.ts');
  try {
    const workspace = await openWorkspace({ dir, env, clock, boundary: () => undefined });
    try {
      const { workspaceProblems } = await import('./problems.ts');
      const wrong = await workspaceProblems({ workspace }, new Map());
      const { config, keys, images } = await judgeConfig(workspace, home, env);
      return {
        ...none,
        config: { problems: [...wrong, ...(config?.problems ?? [])] },
        keys,
        images,
        refs: await workspace.brokenRefs(),
      };
    } finally {
      await workspace.close();
    }
  } catch (error) {
    return { ...none, workspace: errorText(error) };
  }
}

async function judgeConfig(
  workspace: OpenWorkspace,
  home: string,
  env: Env,
): Promise<Pick<Config, 'config' | 'keys' | 'images'>> {
  const { openModels } = await import('../models/choice/choose.ts');
  const { openFound } = await import('../models/choice/found.ts');
  const { openKept } = await import('../models/choice/kept.ts');
  const { openSecrets } = await import('../secrets/open.ts');
  const inHome = (name: string): PrivateFile => privateFile(join(home, name));
  const secrets = await openSecrets({ env, home, clock });
  // What is wrong in a file may be a secret itself.
  const plain = (found: readonly Problem[]): Problem[] =>
    found.map((problem) => ({
      ...problem,
      message: secrets.redact(problem.message),
      key: secrets.redact(problem.key),
    }));
  const { settings, images, problems } = await readGovernance(workspace, secrets);
  if (settings === null) return { config: { problems: plain(problems) }, keys: [], images };
  const net = httpOnly(() => Promise.reject(new Error('doctor contacts nobody')));
  const { BUILTIN } = await import('./builtin.ts');
  const kinds = BUILTIN.providers;
  const offered = openFound({
    env,
    kept: await openKept(inHome('models.json'), kinds),
    net,
    secrets,
    kinds,
    used: [],
  });
  const models = openModels({ settings, found: offered, net, secrets, clock });
  const keys = models.providers().flatMap((provider) => {
    const name = provider.source === 'built in' ? undefined : /^env:(.+)$/.exec(provider.apiKey ?? '')?.[1];
    return name === undefined ? [] : [{ provider: provider.name, name, present: secrets.has(`env:${name}`) }];
  });
  const told = new Set(keys.map(({ provider }) => `models.providers.${provider}.apiKey`));
  // Keys that are missing are told once, with the key.
  const others = models.problems().filter((problem) => !told.has(problem.key));
  return { config: { problems: plain([...problems, ...others]) }, keys, images };
}

/** What the next look of a gateway would find: `main`, and over it what a person has saved since. */
async function readGovernance(
  workspace: OpenWorkspace,
  secrets: Pick<KeptSecrets, 'peek'>,
): Promise<{ settings: Settings | null; images: string[]; problems: readonly Problem[] }> {
  const { standingFiles } = await import('../workspace/edits/watch.ts');
  const { readBundled } = await import('../skills/judge.ts');
  const { liveProblems } = await import('./problems.ts');
  const { BUILTIN, knownOf } = await import('./builtin.ts');
  const { openGovernance } = await import('./governance.ts');
  const bundled = await readBundled(packageFolder('skills'));
  const reader = openGovernance(workspace, { known: knownOf(BUILTIN), bundled, clock });
  const head = await workspace.head();
  const standing = await standingFiles(workspace.git);
  let foreseen = await reader.foresee(head, standing);
  const broken = foreseen.ok ? [] : foreseen.problems;
  // A settings file that is refused leaves the one before it in force, beside which the agents are judged.
  if (!foreseen.ok)
    foreseen = await reader.foresee(
      head,
      standing.filter(({ path }) => path !== SETTINGS_FILE),
    );
  if (!foreseen.ok) return { settings: null, images: [], problems: broken };
  const { settings, agents, problems } = foreseen.governance;
  const others = broken.length === 0 ? problems : problems.filter(({ file }) => file !== SETTINGS_FILE);
  const picked = [...agents.values()].flatMap(({ sandbox }) => sandbox?.image ?? []);
  const looked = { reader, workspace, secrets, clock };
  return {
    settings,
    images: [...new Set(picked)],
    problems: [...broken, ...others, ...(await liveProblems(looked, agents, settings.secrets))],
  };
}

interface Newest {
  newestEvent: number | null;
  database: string | null;
  lost: Lost[];
}

async function readNewest(options: { home: string; workspace: string; again?: string; env: Env }): Promise<Newest> {
  const { STORE } = await import('./store.ts');
  const { findLost } = await import('./lost.ts');
  if (!STORE.has(options.home))
    return { newestEvent: null, database: null, lost: await findLost(options, null, options.env) };
  try {
    const { openRecord } = await import('./record.ts');
    const record = await openRecord(options);
    try {
      const lost = await findLost(options, record.store, options.env);
      const database = (await STORE.damage?.(options.home)) ?? null;
      for await (const event of record.store.read({ reverse: true, limit: 1 }))
        return { newestEvent: event.at, database, lost };
      return { newestEvent: null, database, lost };
    } finally {
      await record.close();
    }
  } catch (error) {
    return { newestEvent: null, database: errorText(error), lost: [] };
  }
}
