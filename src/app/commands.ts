import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AppOptions } from './options.ts';
import type { Event } from '../core/event.ts';
import type { SecretsHome } from './secrets.ts';
import type { ChangePauses } from './pause.ts';
import type { PolicyFiles } from './policy-files.ts';
import type { LogLineOptions } from '../journal/format.ts';
import { machineOf, packageFolder, templateFolder } from './package.ts';
import { freeSpace } from '../platform/disk.ts';
import { makePrivateFolder } from '../platform/private.ts';
import { makeFolder } from '../platform/replace.ts';
import { systemClock as clock, systemRandom as random } from '../platform/system.ts';

// Third composition root: what commands need that work without a running network. Each loads only its own part.

type Env = AppOptions['env'];

/** `template` is a name here; a `token` of null means the one of the home. */
type StartOptions = Omit<AppOptions, 'token' | 'platform' | 'machine' | 'log' | 'secrets'> & { token: string | null };

/** Bytes after which a start begins a new log file; the one before is kept. */
const LOG_SIZE = 10 * 1024 * 1024;

/** Bytes of log lines that wait for a disk that takes nothing; later ones are dropped. */
const LOG_WAITING = 1024 * 1024;

/** Starts the network on a home with its token and log, and says in `gateway.json` where it is. */
export async function startApp(options: StartOptions) {
  const { home, env } = options;
  await makePrivateFolder(home);
  const template = await templateFolder(options.template);
  const { homeToken, localAccess, presenceOf, removePresence, tokenNow, writePresence } = await import('./presence.ts');
  const local = localAccess(home, process.platform, random.bytes);
  const first = options.token ?? (await homeToken(home, random.bytes));
  const open = await import('../secrets/open.ts');
  const secrets = await open.openSecrets({ ...options, values: [first], clock });
  const { log, closeLog } = await openLog(home, env, (text) => secrets.redact(text));
  const token = options.token === null ? tokenNow({ ...options, first, secrets, log }) : () => first;
  const app = await import('./app.ts');
  const machine = machineOf();
  const running = await app.startApp({
    ...options,
    local,
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
    await writePresence(home, presenceOf(running.gateway, local));
    const [status, agents] = await Promise.all([running.runtime.status(), running.runtime.agents()]);
    return {
      url: running.gateway.url,
      loginLink: running.gateway.loginLink() ?? running.gateway.url,
      tokenFile: options.token === null ? join(home, 'token') : null,
      model: status.model,
      demo: status.demo,
      offer: status.offer,
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
  const file = pino.destination({ dest, sync: true, mode: 0o600, maxLength: LOG_WAITING });
  // A full disk must not end the process. The lines wait, and are written with the first one for which there is space again.
  file.on('error', () => undefined);
  const log = pino(
    { base: null, level: env['RUCHE_LOG_LEVEL'] || 'info', timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line: string) => file.write(redact(line)) },
  );
  return { log, closeLog: () => file.end() };
}

/** Pauses agents of a home that nothing runs on, or lets them go on; null where a process runs on it. */
export async function changePauses(options: ChangePauses) {
  return (await import('./pause.ts')).changePauses(options);
}

/** Whether a process holds a home. */
export async function isHeld(home: string) {
  return (await import('./pause.ts')).isHeld(home);
}

/** The secrets of a home that nothing runs on; null where a process does. */
export async function openSecrets(options: SecretsHome) {
  return (await import('./secrets.ts')).openOwnSecrets(options);
}

/** What `ruche skills` needs. */
export async function openSkills({ workspace, env }: { workspace: string; env: Env }) {
  const { openSkills: open } = await import('./skills.ts');
  return open({ workspace, env, bundled: packageFolder('skills'), platform: process.platform });
}

/** What `ruche policy` needs. */
export async function openPolicy(options: PolicyFiles) {
  return (await import('./policy-files.ts')).openPolicy(options);
}

/** Makes a workspace from a template, and an empty home. Rejects if the workspace's folder holds anything. */
export async function initWorkspace(options: {
  home: string;
  workspace: string;
  template: string;
  env: Env;
}): Promise<{ commit: string }> {
  const { workspace: dir, env } = options;
  const { initWorkspace: init, readTemplate } = await import('../workspace/init.ts');
  const files = await readTemplate(await templateFolder(options.template));
  const commit = await init({ dir, files, scripts: true, env, clock });
  await makeFolder(options.home, { mode: 0o700 });
  return { commit };
}

/** Reads a home without disturbing the gateway that may hold it. */
export async function openHomeReadOnly(options: { home: string; workspace: string; again?: string; env: Env }) {
  const { STORE } = await import('./store.ts');
  const { refuseNoDatabase } = await import('./lost.ts');
  await refuseNoDatabase(options, options.env);
  if (!STORE.has(options.home))
    throw new Error(`There is no journal in ${options.home} yet. Start the network first, or give another --home.`);
  const { openRecord } = await import('./record.ts');
  const { eventJson, logLine } = await import('../journal/format.ts');
  const { EVENT_TYPES } = await import('../journal/words.ts');
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

export const freeBytes = (folder: string): Promise<number | null> =>
  freeSpace(folder).then(
    ({ bytes }) => bytes,
    () => null,
  );
