import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { timed } from './measure.ts';
import { startModelServer, type ModelServer } from './model-server.ts';
import { Served } from './served.ts';

const root = join(import.meta.dirname, '..');
const launcherOf = (folder: string): string => join(folder, 'bin', 'ruche.js');
const launcher = launcherOf(root);
const run = promisify(execFile);

const NOT_WATCHED: { flags: string[]; env?: NodeJS.ProcessEnv } = { flags: [] };

/** A temporary place with a model server, homes and workspaces for Ruche, and the floor. */
export class Lab {
  readonly dir: string;
  readonly model: ModelServer;
  readonly #env: NodeJS.ProcessEnv;
  readonly #served = new Set<Served>();
  /** The checkout of Ruche that takes the floor's place; null for the bare one. */
  readonly beside: string | null;
  #floors = 0;

  private constructor(dir: string, model: ModelServer, beside: string | null) {
    this.dir = dir;
    this.model = model;
    this.beside = beside;
    // No Git configuration, keys or settings of whoever runs this.
    this.#env = { PATH: process.env.PATH, HOME: dir };
    // Copies, because memory shared with another Node of this machine would count for a part only.
    for (const name of ['node-ruche', 'node-floor']) copyFileSync(process.execPath, join(dir, name));
  }

  static async open(beside: string | null = null): Promise<Lab> {
    const lab = new Lab(mkdtempSync(join(tmpdir(), 'ruche-bench-')), await startModelServer(), beside);
    const floor = await rolldown({ input: join(import.meta.dirname, 'floor.ts'), platform: 'node' });
    await floor.write({ file: join(lab.dir, 'floor.mjs'), format: 'esm' });
    await floor.close();
    return lab;
  }

  home = (name: string): string => join(this.dir, name, 'home');
  workspace = (name: string): string => join(this.dir, name, 'workspace');

  /** A home and a workspace of one agent, with the model server for a model, and further files and settings. */
  async network(name: string, files: Readonly<Record<string, string>> = {}, more = '', by = launcher): Promise<string> {
    const init = [by, 'init', join(this.dir, name), '--template', 'solo'];
    await run(join(this.dir, 'node-ruche'), init, { env: this.#env });
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.workspace(name), path)), { recursive: true });
      writeFileSync(join(this.workspace(name), path), text);
    }
    const provider = `{ type: openai-compatible, baseUrl: ${this.model.url} }`;
    const settings = `models:\n  providers:\n    bench: ${provider}\n  standard: [bench/bench]\nconcurrency: 50\n${more}`;
    writeFileSync(join(this.workspace(name), 'ruche.yaml'), settings);
    const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.invalid'];
    await run('git', ['-C', this.workspace(name), 'add', '-A'], { env: this.#env });
    await run('git', ['-C', this.workspace(name), ...who, 'commit', '-qm', 'bench'], { env: this.#env });
    return name;
  }

  copy(from: string, to: string): string {
    cpSync(join(this.dir, from), join(this.dir, to), { recursive: true });
    return to;
  }

  /** Node's flags for a process that `probe.ts` watches: it writes what it saw to `file`, and its CPU profile to `profile`. */
  watched = (file: string, profile: string | null = null): { flags: string[]; env: NodeJS.ProcessEnv } => ({
    flags: ['--import', join(import.meta.dirname, 'probe.ts')],
    env: { ...this.#env, PROBE_FILE: file, ...(profile !== null && { PROFILE_FILE: profile }) },
  });

  /** The real process, as `npm start` would start it. */
  async ruche(name: string, { flags, env } = NOT_WATCHED, by = launcher): Promise<Served> {
    const token = (): string => readFileSync(join(this.home(name), 'token'), 'utf8').trim();
    const places = ['--home', this.home(name), '--workspace', this.workspace(name)];
    const argv = [join(this.dir, 'node-ruche'), ...flags, by, 'up', ...places, '--port', '0'];
    return this.#keep(await Served.start(argv, { env: env ?? this.#env, cwd: this.dir, token }));
  }

  /** `files`: of its workspace, where the floor is another Ruche. With the name of an earlier one it has its data. */
  async floor(
    watched = NOT_WATCHED,
    files: Readonly<Record<string, string>> = {},
    name = `floor-${(this.#floors += 1)}`,
  ): Promise<Served> {
    const folder = join(this.dir, name);
    if (this.beside !== null) {
      const by = launcherOf(this.beside);
      if (!existsSync(folder)) await this.network(name, files, '', by);
      return this.ruche(name, watched, by);
    }
    const { flags, env } = watched;
    mkdirSync(folder, { recursive: true });
    const argv = [join(this.dir, 'node-floor'), ...flags, join(this.dir, 'floor.mjs'), this.model.url, folder];
    return this.#keep(await Served.start(argv, { env: env ?? this.#env, cwd: this.dir, token: () => 'none' }));
  }

  /** Milliseconds of one command in the network's folder. */
  command(name: string, args: readonly string[]): Promise<number> {
    return timed(() => run(join(this.dir, 'node-ruche'), args, { env: this.#env, cwd: join(this.dir, name) }));
  }

  ruchesCommand = (name: string, ...args: string[]): Promise<number> => this.command(name, [launcher, ...args]);

  /** Runs a file of this folder to its end and gives what it printed. */
  script = async (file: string, ...args: string[]): Promise<string> =>
    (await run(process.execPath, [join(import.meta.dirname, file), ...args], { env: this.#env })).stdout;

  git = (dir: string, ...args: string[]): string =>
    execFileSync('git', ['-C', dir, ...args], { env: this.#env, encoding: 'utf8' });

  async close(): Promise<void> {
    for (const served of this.#served) await served.stop();
    await this.model.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #keep(served: Served): Served {
    this.#served.add(served);
    return served;
  }
}
