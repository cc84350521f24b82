import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { AppOptions } from './app-types.ts';
import type { Problem, Settings } from './core/agent.ts';
import type { Event } from './core/event.ts';
import type { PrivateFile, Secrets } from './core/ports.ts';
import type { LogLineOptions } from './journal/format.ts';
import { privateFile } from './private-file.ts';
import { systemClock as clock, systemRandom as random } from './system.ts';

// Third composition root: what commands need that work without a running network. Each loads only its own part.

type Env = AppOptions['env'];

/** `template` is a name here; a `token` of null means the one of the home. */
type StartOptions = Omit<AppOptions, 'token' | 'platform' | 'machine' | 'log' | 'secrets'> & { token: string | null };

/** Bytes after which a start begins a new log file; the one before is kept. */
const LOG_SIZE = 10 * 1024 * 1024;

const machineOf = (): { arch: string; uid: number } => ({ arch: process.arch, uid: process.getuid?.() ?? 0 });

/** Starts the network on a home with its token and log, and says in `gateway.json` where it is. */
export async function startApp(options: StartOptions) {
  const { home, env } = options;
  await mkdir(home, { recursive: true, mode: 0o700 });
  const template = await templateFolder(options.template);
  const { homeToken, removePresence, writePresence } = await import('./gateway/presence.ts');
  const token = options.token ?? (await homeToken(home, random.bytes));
  const { openSecrets } = await import('./secrets/open.ts');
  const secrets = await openSecrets({ env, values: [token], keys: privateFile(join(home, 'keys.json')) });
  const { log, closeLog } = await openLog(home, env, (text) => secrets.redact(text));
  const app = await import('./app.ts');
  const machine = machineOf();
  const running = await app.startApp({
    ...options,
    token,
    template,
    skills: packageFolder('skills'),
    platform: process.platform,
    machine,
    log,
    secrets,
  });
  const stop = async (reason: string): Promise<void> => {
    await removePresence(home, process.pid);
    await running.close(reason);
    closeLog();
  };
  try {
    await writePresence(home, { url: running.gateway.url, pid: process.pid });
    const [status, agents] = await Promise.all([running.runtime.status(), running.runtime.agents()]);
    return {
      url: running.gateway.url,
      loginLink: running.gateway.loginLink() ?? running.gateway.url,
      tokenFile: options.token === null ? join(home, 'token') : null,
      model: status.model,
      demo: status.demo,
      sandbox: status.sandbox,
      agents: agents.map((agent) => agent.name),
      workspace: options.workspace,
      created: running.made,
      problems: status.problems,
      close: stop,
    };
  } catch (error) {
    await stop('the start failed');
    throw error;
  }
}

/** JSON lines in `<home>/logs/ruche.log`, mode 0600, without any secret that is known. */
async function openLog(home: string, env: Env, redact: (text: string) => string) {
  const { pino } = await import('pino');
  const folder = join(home, 'logs');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const dest = join(folder, 'ruche.log');
  const size = await stat(dest).then(
    (info) => info.size,
    () => 0,
  );
  if (size > LOG_SIZE) await rename(dest, `${dest}.1`);
  const file = pino.destination({ dest, sync: true, mode: 0o600 });
  const log = pino(
    { base: null, level: env['RUCHE_LOG_LEVEL'] || 'info', timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line: string) => file.write(redact(line)) },
  );
  return { log, closeLog: () => file.end() };
}

/** What `ruche skills` needs. */
export async function openSkills({ workspace, env }: { workspace: string; env: Env }) {
  const { openSkills: open } = await import('./skill-commands.ts');
  return open({ workspace, env, bundled: packageFolder('skills'), platform: process.platform });
}

/** What `ruche simulate` needs. */
export async function openSimulation() {
  const [{ breaks, play, readOptions }, { live }] = await Promise.all([
    import('./simulate/play.ts'),
    import('./simulate/life.ts'),
  ]);
  return { breaks, play, live: (dir: string) => live(readOptions(dir)) };
}

/** A folder of the package. The source, the bundle and its chunks lie at different depths. */
function packageFolder(name: string): string {
  let root = import.meta.dirname;
  while (!existsSync(join(root, 'templates')) && dirname(root) !== root) root = dirname(root);
  return join(root, name);
}

/** `templates/<name>` of the package. Rejects with the names there are. */
async function templateFolder(name: string): Promise<string> {
  const folder = packageFolder('templates');
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  if (!names.includes(name)) throw new Error(`There is no template "${name}". The templates are: ${names.join(', ')}.`);
  return join(folder, name);
}

/** Makes a workspace from a template. Rejects if the folder holds anything. */
export async function initWorkspace(options: {
  workspace: string;
  template: string;
  env: Env;
}): Promise<{ commit: string }> {
  const { workspace: dir, env } = options;
  const { initWorkspace: init } = await import('./workspace/init.ts');
  const { readTemplate } = await import('./workspace/template.ts');
  const files = await readTemplate(await templateFolder(options.template));
  return { commit: await init({ dir, files, scripts: true, env, clock }) };
}

/** Reads a home without disturbing the gateway that may hold it. */
export async function openHomeReadOnly(options: { home: string; workspace: string; env: Env }) {
  if (!existsSync(join(options.home, 'ruche.sqlite')))
    throw new Error(`There is no journal in ${options.home} yet. Start the network first, or give another --home.`);
  const { openRecord } = await import('./record.ts');
  const { eventJson, logLine } = await import('./journal/format.ts');
  const { EVENT_TYPES } = await import('./journal/words.ts');
  const record = await openRecord(options);
  return {
    store: record.store,
    types: EVENT_TYPES,
    line: (event: Event, form: LogLineOptions) => logLine(event, record.store, form),
    json: (event: Event) => eventJson(event, record.store),
    verify: (onProgress: (events: number) => void) => record.verify((counts) => onProgress(counts.events)),
    close: () => record.close(),
  };
}

/** Looks at everything `doctor` reports that is not the process's own. */
export async function diagnose(options: { home: string; workspace: string; env: Env }) {
  const [git, sandbox, config, journal] = await Promise.all([
    gitVersion(options.env),
    trySandbox(options.env),
    readConfig(options),
    readNewest(options),
  ]);
  return { git, sandbox, ...config, ...journal };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function gitVersion(env: Env): Promise<string | null> {
  const { plainGit } = await import('./workspace/git.ts');
  try {
    return (await plainGit(['version'], env)).stdout.toString('utf8').replace('git version', '').trim();
  } catch {
    return null; // not installed, or not to be run: doctor says how to mend both
  }
}

/** Tried in a folder of its own, so that looking makes no home. */
async function trySandbox(env: Env): Promise<{ ok: boolean; why: string; mend: string }> {
  const { probeSandbox } = await import('./sandbox/probe.ts');
  const dir = await mkdtemp(join(tmpdir(), 'ruche-doctor-'));
  try {
    return await probeSandbox({ dir, path: env['PATH'] ?? '', platform: process.platform, machine: machineOf() });
  } catch (error) {
    return { ok: false, why: messageOf(error), mend: 'Correct what it names, then run doctor again.' };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

interface Config {
  /** Why the workspace cannot be used. */
  workspace: string | null;
  /** Null if there is none yet. */
  config: { problems: Problem[] } | null;
  keys: { provider: string; name: string; present: boolean }[];
}

type OpenWorkspace = Awaited<ReturnType<typeof import('./workspace/workspace.ts').openWorkspace>>;

async function readConfig({
  home,
  workspace: dir,
  env,
}: {
  home: string;
  workspace: string;
  env: Env;
}): Promise<Config> {
  const none: Config = { workspace: null, config: null, keys: [] };
  const standing = await readdir(dir).catch(() => []);
  if (standing.length === 0) return none;
  const { openWorkspace } = await import('./workspace/workspace.ts');
  try {
    const workspace = await openWorkspace({ dir, env, clock, boundary: () => undefined });
    try {
      return { ...none, ...(await judgeConfig(workspace, home, env)) };
    } finally {
      await workspace.close();
    }
  } catch (error) {
    return { ...none, workspace: messageOf(error) };
  }
}

async function judgeConfig(workspace: OpenWorkspace, home: string, env: Env): Promise<Pick<Config, 'config' | 'keys'>> {
  const { openModels, PROVIDERS } = await import('./models/choose.ts');
  const { openFound } = await import('./models/found.ts');
  const { openKept } = await import('./models/kept.ts');
  const { openSecrets } = await import('./secrets/open.ts');
  const inHome = (name: string): PrivateFile => privateFile(join(home, name));
  const secrets = await openSecrets({ env, keys: inHome('keys.json') });
  // What is wrong in a file may be a secret itself.
  const plain = (found: readonly Problem[]): Problem[] =>
    found.map((problem) => ({
      ...problem,
      message: secrets.redact(problem.message),
      key: secrets.redact(problem.key),
    }));
  const { settings, problems } = await readGovernance(workspace, PROVIDERS, secrets);
  if (settings === null) return { config: { problems: plain(problems) }, keys: [] };
  const net = { request: () => Promise.reject(new Error('doctor contacts nobody')) };
  const found = openFound({ env, kept: await openKept(inHome('models.json')), net, secrets });
  const models = openModels({ settings, found, net, secrets, clock });
  const keys = models.providers().flatMap((provider) => {
    const name = provider.source === 'built in' ? undefined : /^env:(.+)$/.exec(provider.apiKey ?? '')?.[1];
    return name === undefined ? [] : [{ provider: provider.name, name, present: secrets.has(`env:${name}`) }];
  });
  const told = new Set(keys.map(({ provider }) => `models.providers.${provider}.apiKey`));
  // Keys that are missing are told once, with the key.
  const others = models.problems().filter((problem) => !told.has(problem.key));
  return { config: { problems: plain([...problems, ...others]) }, keys };
}

/** What the next look of a gateway would find: `main`, and over it what a person has saved since. */
async function readGovernance(
  workspace: OpenWorkspace,
  providers: readonly string[],
  secrets: Pick<Secrets, 'resolve'>,
): Promise<{ settings: Settings | null; problems: readonly Problem[] }> {
  const [
    { openGovernanceReader, SETTINGS_FILE },
    { liveProblems },
    { TOOL_NAMES },
    { ruleProblem },
    { readCron },
    { readCondition },
  ] = await Promise.all([
    import('./workspace/governance.ts'),
    import('./live-problems.ts'),
    import('./core/tool.ts'),
    import('./policy/rules.ts'),
    import('./cron.ts'),
    import('./conditions.ts'),
  ]);
  const { standingFiles } = await import('./workspace/watch.ts');
  const known = { tools: TOOL_NAMES, providers, ruleProblem, readCron, readCondition };
  const [{ readBundled }, { skillRules }] = await Promise.all([
    import('./skills/folder.ts'),
    import('./skills/judge.ts'),
  ]);
  const skills = { ...workspace, rules: skillRules(await readBundled(packageFolder('skills'))) };
  const reader = openGovernanceReader({ git: workspace.git, skills, ...known });
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
  if (!foreseen.ok) return { settings: null, problems: broken };
  const { settings, agents, problems } = foreseen.governance;
  const others = broken.length === 0 ? problems : problems.filter(({ file }) => file !== SETTINGS_FILE);
  return {
    settings,
    problems: [...broken, ...others, ...(await liveProblems({ reader, workspace, secrets }, agents))],
  };
}

async function readNewest(options: {
  home: string;
  workspace: string;
  env: Env;
}): Promise<{ newestEvent: number | null; database: string | null }> {
  const path = join(options.home, 'ruche.sqlite');
  if (!existsSync(path)) return { newestEvent: null, database: null };
  try {
    const { openRecord } = await import('./record.ts');
    const record = await openRecord(options);
    try {
      for await (const event of record.store.read({ reverse: true, limit: 1 }))
        return { newestEvent: event.at, database: null };
      return { newestEvent: null, database: null };
    } finally {
      await record.close();
    }
  } catch (error) {
    return { newestEvent: null, database: messageOf(error) };
  }
}
