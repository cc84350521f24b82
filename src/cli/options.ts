import { shellWord } from '../core/text/paths.ts';
import { join, relative, resolve } from 'node:path';
import { CliError } from './io.ts';

export interface Flags {
  home?: string;
  workspace?: string;
  template?: string;
  host?: string;
  port?: string;
  acceptLoss?: boolean;
}

export interface Place {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  userHome: string;
  isFolder(path: string): boolean;
}

export interface Options {
  home: string;
  workspace: string;
  template: string;
  host: string;
  port: number;
  /** The start may go on without events or a workspace that are gone. */
  acceptLoss: boolean;
  /** From RUCHE_TOKEN; null means the file in the home. */
  token: string | null;
  /** The flags that name another command the same places, as they were given here, with a space before; else ''. */
  again: string;
}

const DEFAULT_PORT = 4747;

/** Flag beats environment beats a folder that holds `home/` and `workspace/` beats `~/.ruche`. */
export function resolveOptions(flags: Flags, place: Place): Options {
  const { cwd } = place;
  const path = (value: string): string => resolve(cwd, value.replace(/^~(?=$|\/)/, place.userHome));
  const given = variables(place.env);
  const here = place.isFolder(join(cwd, 'home')) && place.isFolder(join(cwd, 'workspace'));

  const named = flags.home ?? given('RUCHE_HOME');
  const home = named === undefined ? (here ? join(cwd, 'home') : join(place.userHome, '.ruche')) : path(named);
  const usual = named === undefined && here ? join(cwd, 'workspace') : join(home, 'workspace');
  const chosen = flags.workspace ?? given('RUCHE_WORKSPACE');
  const workspace = chosen === undefined ? usual : path(chosen);
  if (isWithin(home, workspace))
    throw new CliError(
      `The home ${home} is inside the workspace ${workspace}, where agents could read its keys. Choose another --home or --workspace.`,
    );
  return {
    home,
    workspace,
    template: flags.template ?? 'network',
    host: flags.host ?? '127.0.0.1',
    acceptLoss: flags.acceptLoss ?? false,
    port: portOf(flags.port, given('RUCHE_PORT')),
    token: given('RUCHE_TOKEN') ?? null,
    again: [flags.home && ` --home ${shellWord(home)}`, flags.workspace && ` --workspace ${shellWord(workspace)}`].join(
      '',
    ),
  };
}

/** An empty variable is one that was not given. */
const variables =
  (env: Place['env']) =>
  (name: string): string | undefined =>
    env[name] === '' ? undefined : env[name];

function portOf(flag: string | undefined, variable: string | undefined): number {
  const text = flag ?? variable;
  if (text === undefined) return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new CliError(
    `Invalid ${flag === undefined ? 'RUCHE_PORT' : '--port'} "${text}". Give a number from 0 to 65535.`,
  );
}

function isWithin(inner: string, outer: string): boolean {
  const way = relative(outer, inner);
  return way === '' || (!way.startsWith('..') && !way.startsWith('/'));
}
