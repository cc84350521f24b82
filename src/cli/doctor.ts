import { constants } from 'node:fs';
import { access, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Problem, WORKSPACE } from '../core/agent.ts';
import type { RuntimeStatus } from '../core/api/runtime.ts';
import type { AppPort, Diagnosis } from './app-port.ts';
import { connect } from './connect.ts';
import { findings, type Facts, type Finding } from './findings.ts';
import { callApi, GatewayBusy, GatewayLost, Stranger } from './http.ts';
import { problemText } from './status.ts';
import { asCalled, explain } from './explain.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';

/** `ruche doctor`: what is right and what is wrong, each with its mend. Works with and without a gateway. */
export async function doctor(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const { home, workspace, again } = options;
  const app = await io.loadApp();
  const diagnosis = await app.diagnose({ home, workspace, again, env: io.env });
  const found = findings(await gather(io, options, app, diagnosis));
  if (flags.json) io.out(`${JSON.stringify(found)}\n`);
  else io.out(`${asCalled(found.map(findingText).join('\n'), io.self)}\n`);
  return found.some((finding) => finding.level === 'broken') ? 1 : 0;
}

const SIGNS = { ok: '✓', warning: '!', broken: '✗' } as const;

const findingText = (finding: Finding): string =>
  plain(
    `${SIGNS[finding.level]} ${finding.subject}: ${finding.text}${finding.mend === '' ? '' : `\n    ${finding.mend}`}`,
  );

/** What doctor knows before anything is judged. */
export async function gather(io: Io, options: Options, app: AppPort, diagnosis: Diagnosis): Promise<Facts> {
  const folder = await nearestFolder(options.home);
  const { problems, offer, assumed, channels, listens, ...gateway } = await gatewayState(io, options);
  return {
    ...diagnosis,
    ...(diagnosis.vault && problems && { vault: { ...diagnosis.vault, open: isOpenThere(problems) } }),
    config: diagnosis.config && { problems: together(diagnosis, problems) },
    // A gateway that runs has told of what is safe, as it found it at its start.
    lost: diagnosis.lost.filter(({ safe }) => !safe || problems === null),
    keys: problems === null ? diagnosis.keys : diagnosis.keys.map((key) => keyOf(key, problems)),
    node: process.versions.node,
    home: options.home,
    homeMade: folder === options.home,
    homeMode: folder === options.home && process.platform !== 'win32' ? await modeOf(folder) : null,
    homeProblem: await writeProblem(folder),
    token: await modeOf(join(options.home, 'token')),
    tokenGiven: options.token !== null,
    diskFree: await app.freeBytes(folder),
    ...(await otherDisk(app, folder, await nearestFolder(options.workspace))),
    now: io.clock.now(),
    gateway,
    offer,
    assumed,
    ...(channels && { channels }),
    ...(listens && { listens }),
    start: `${io.self} up${options.again}`,
  };
}

/** The home, or the folder it would be made in. */
async function nearestFolder(path: string): Promise<string> {
  const there = await stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
  return there || dirname(path) === path ? path : nearestFolder(dirname(path));
}

/** Tried for real: permissions do not tell of a read-only mount or a full disk. */
async function writeProblem(folder: string): Promise<string | null> {
  const probe = join(folder, `.ruche-doctor-${process.pid}`);
  try {
    await access(folder, constants.W_OK);
    await mkdir(probe);
    await writeFile(join(probe, 'probe'), 'x'.repeat(8192), { flush: true });
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    await rm(probe, { recursive: true, force: true }).catch(() => undefined); // it could not be made either
  }
}

const modeOf = (path: string): Promise<number | null> =>
  stat(path).then(
    (info) => info.mode & 0o777,
    () => null,
  );

async function otherDisk(app: AppPort, home: string, workspace: string): Promise<Pick<Facts, 'workspaceFree'>> {
  const device = (path: string): Promise<number | null> =>
    stat(path).then(
      (info) => info.dev,
      () => null,
    );
  return (await device(home)) === (await device(workspace)) ? {} : { workspaceFree: await app.freeBytes(workspace) };
}

/** Milliseconds a healthy gateway needs at most to say how it is. */
const PATIENCE = 3_000;

/** A running gateway has the environment that counts, which is seldom this terminal's. */
const keyOf = (key: Facts['keys'][number], problems: readonly Problem[]): Facts['keys'][number] => ({
  ...key,
  present: !problems.some((problem) => problem.key === `models.providers.${key.provider}.apiKey`),
});

/** A running gateway has the vault open. Its service may have a passphrase or a credential that this terminal has not. */
const isOpenThere = (told: readonly Problem[]): boolean => !told.some(({ file }) => file === 'secrets.age');

const OF_SECRETS = /\.(?:secret|apiKey|value)$/;

/**
 * What a running gateway says, too: `status` and doctor must not differ. Secrets are missing where it runs, or nowhere, and it
 * knows which runs wait for the workspace.
 */
function together({ config, keys, vault }: Diagnosis, told: readonly Problem[] | null): readonly Problem[] {
  // Behind a passphrase that the next start asks for, nobody knows what is missing.
  const isUnknown = ({ key, message }: Problem): boolean =>
    vault?.locked === true && OF_SECRETS.test(key) && message.includes('cannot be read');
  if (told === null) return (config?.problems ?? []).filter((problem) => !isUnknown(problem));
  const ownKeys = new Set(keys.map(({ provider }) => `models.providers.${provider}.apiKey`));
  const here = (config?.problems ?? []).filter(({ file, key }) => file !== WORKSPACE && !OF_SECRETS.test(key));
  const there = told.filter(({ key, message }) => !ownKeys.has(key) && message !== vault?.problem);
  return [...new Map([...here, ...there].map((problem) => [problemText(problem), problem])).values()];
}

type GatewayState = Facts['gateway'] &
  Pick<Facts, 'offer' | 'assumed' | 'channels' | 'listens'> & { problems: readonly Problem[] | null };

async function gatewayState(io: Io, options: Options): Promise<GatewayState> {
  const late = new AbortController();
  const done = new AbortController();
  io.clock.sleep(PATIENCE, done.signal).then(
    () => late.abort(new Error(`It listens but does not answer within ${PATIENCE / 1000} s.`)),
    () => undefined,
  );
  try {
    const {
      problems,
      offer,
      assumed = {},
      channels,
      gateway: listens,
    } = await callApi<RuntimeStatus>(await connect(io, options), '/api/status', {
      signal: late.signal,
    });
    return { state: 'running', detail: '', problems, offer, assumed, channels, listens };
  } catch (error) {
    // It runs, and what it would say of itself is not known now.
    if (error instanceof GatewayBusy) return { state: 'running', detail: '', problems: null, offer: null, assumed: {} };
    const stranger = error instanceof Stranger;
    const away = error instanceof GatewayLost || (error instanceof CliError && error.exitCode === 2 && !stranger);
    const seen = away
      ? ({ state: 'stopped', detail: '' } as const)
      : ({ state: 'odd', detail: explain(error) } as const);
    return { ...seen, problems: null, offer: null, assumed: {} };
  } finally {
    done.abort();
  }
}
