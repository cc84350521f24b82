import { join, resolve } from 'node:path';
import type { ExitCode, Io } from './io.ts';
import { shellWord } from '../core/text/paths.ts';
import type { Options } from './options.ts';

/** `ruche init [dir]`: a workspace from a template; in `dir`, beside an empty home, where commands find both by themselves. */
export async function init(io: Io, options: Options, dir: string | undefined): Promise<ExitCode> {
  const root = dir === undefined ? null : resolve(io.cwd, dir);
  const home = root === null ? options.home : join(root, 'home');
  const workspace = root === null ? options.workspace : join(root, 'workspace');
  const app = await io.loadApp();
  const { commit } = await app.initWorkspace({ home, workspace, template: options.template, env: io.env });
  io.out(
    [
      `Created the workspace ${workspace} from the template "${options.template}" (commit ${commit.slice(0, 10)}).`,
      'Edit ruche.yaml and agents/ there; a saved change applies within a second.',
      `Start it with: ${root === null ? `${io.self} up${options.again}` : startIn(io.self, root)}`,
      '',
    ].join('\n'),
  );
  return 0;
}

/** `npx` finds this program only in the folder it is installed in. */
const startIn = (self: string, root: string): string =>
  self === 'ruche'
    ? `cd ${shellWord(root)} && ruche up`
    : `${self} up --home ${shellWord(join(root, 'home'))} --workspace ${shellWord(join(root, 'workspace'))}`;
