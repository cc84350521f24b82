import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCatFile } from './catfile.ts';
import type { GitObject, ObjectInfo } from './catfile.ts';
import { isLaidOut, openNeutral } from './neutral.ts';
import type { Conversions, Neutral } from './neutral.ts';
import { diskError } from './objects.ts';
import { GitError, runProcess } from './process.ts';
import type { RunOptions, RunResult } from './process.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface GitOptions {
  /** The `.git` directory (see `findGitDir`), or a bare repository. */
  gitDir: string;
  /** Absolute path; none means a bare repository. */
  workTree?: string;
  /** The runtime's environment. Only what names programs and temporary folders is passed on. */
  env: Env;
  /** The person's own ignore patterns. */
  excludesFile?: string | null;
  conversions?: Conversions;
  /** Milliseconds a command may take unless it says otherwise. */
  timeoutMs?: number;
  /** Bytes of output a command may give unless it says otherwise. */
  maxOutput?: number;
  /** Commands at once; further ones wait in order. */
  maxProcesses?: number;
}

/** The one way to run Git on a repository: nothing that stands in it, or in the user's configuration, is executed. */
export interface Git {
  readonly neutral: Neutral;
  readonly workTree: string | null;
  /** Environment of commands on the person's working tree or index: with the conversions built into Git as the person has them. */
  readonly asPerson: Record<string, string>;
  readonly conversions: Conversions;
  /** Runs `git <args>`. Rejects with a GitError unless the exit code is accepted. Put `--` before paths and refs. */
  run(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** stdout as text, without the newline at its end. */
  text(args: readonly string[], options?: RunOptions): Promise<string>;
  /** An object by id or by a name such as `HEAD:path`. Null if there is none; rejects above `maxBytes`. */
  object(name: string, maxBytes?: number): Promise<GitObject | null>;
  info(name: string): Promise<ObjectInfo | null>;
  /** Id of a ref or other revision, null if there is none. */
  resolve(revision: string): Promise<string | null>;
  /** Lays out the runtime's own folder in `.git` again if somebody has removed it. True if that was so. */
  mend(): Promise<boolean>;
  close(): void;
}

const PASSED = ['PATH', 'TMPDIR', 'SYSTEMROOT'];
const MB = 1024 * 1024;

/** Environment of every Git process: an allow-list, and no GIT_* from outside. */
function gitEnv(env: Env, more: Record<string, string> = {}): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of PASSED) if (env[name] !== undefined) passed[name] = env[name];
  return {
    ...passed,
    HOME: '/nonexistent',
    XDG_CONFIG_HOME: '/nonexistent',
    LC_ALL: 'C',
    TZ: 'UTC',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    // For reflogs: without it Git asks the network for this host's name.
    GIT_COMMITTER_NAME: 'ruche',
    GIT_COMMITTER_EMAIL: 'ruche@ruche.invalid',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'false',
    GIT_EDITOR: 'false',
    GIT_PAGER: 'cat',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_ALLOW_PROTOCOL: 'https:ssh',
    GIT_SSH_COMMAND: 'ssh -oBatchMode=yes',
    ...more,
  };
}

/** Runs Git outside of any repository: `init`, `config -f`, `--version`. */
export function plainGit(args: readonly string[], env: Env, options: RunOptions = {}): Promise<RunResult> {
  return runProcess(['git', ...args], gitEnv(env, options.env), {
    timeoutMs: 60_000,
    maxOutput: 16 * MB,
    ...options,
    cwd: options.cwd ?? '/',
  });
}

/** Rejects, saying what to install, when Git is missing or older than 2.38. */
export async function checkGitVersion(env: Env): Promise<string> {
  const version = (await plainGit(['--version'], env)).stdout.toString('utf8').trim();
  const match = /(\d+)\.(\d+)/.exec(version);
  const major = Number(match?.[1] ?? 0);
  if (major < 2 || (major === 2 && Number(match?.[2]) < 38))
    throw new Error(`"${version}" is too old; install Git 2.38 or newer`);
  return version;
}

/** Makes an empty repository with branch `main`, without the user's template directory and its hooks. */
export async function initRepository(dir: string, env: Env, options: { bare: boolean }): Promise<void> {
  const bare = options.bare ? ['--bare'] : [];
  await plainGit(['init', '--quiet', '--template=', '--initial-branch=main', ...bare, '--', dir], env);
}

/**
 * What a branch names, from its own file: each run begins with a look at `main`, and Git in between costs more than the rest
 * of that look. Null if Git has to be asked: the ref is packed, symbolic, kept in another form, or no branch at all.
 */
function looseRef({ commonDir }: Neutral, revision: string): string | null {
  if (!/^refs\/heads\/[\w-]+$/.test(revision)) return null;
  try {
    return /^([0-9a-f]{40,64})\n$/.exec(readFileSync(join(commonDir, revision), 'latin1'))?.[1] ?? null;
  } catch {
    // Not there, or no plain file.
    return null;
  }
}

/** Waits for a free place, so that fifty runs do not start fifty processes on two cores. */
function limiter(places: number): <T>(job: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = places;
  return async (job) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await job();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

/** Opens a repository for the runtime. See `neutral.ts` for what makes it safe. */
export async function openGit(options: GitOptions): Promise<Git> {
  const { env, conversions = { autocrlf: null, eol: null, attributesFile: null, filters: [] } } = options;
  const layOut = (): Promise<Neutral> =>
    openNeutral({
      gitDir: options.gitDir,
      bare: options.workTree === undefined,
      excludesFile: options.excludesFile ?? null,
      conversions,
      readConfig: async (file) => (await plainGit(['config', '-z', '--list', '-f', file], env)).stdout.toString('utf8'),
    });
  const neutral = await layOut().catch((error: unknown) => {
    throw diskError(error, options.gitDir);
  });
  const workTree = options.workTree ?? null;
  const cwd = workTree ?? neutral.dir;
  const base = gitEnv(env, {
    GIT_DIR: neutral.dir,
    GIT_OBJECT_DIRECTORY: neutral.objects,
    GIT_INDEX_FILE: neutral.index,
    GIT_LITERAL_PATHSPECS: '1',
    ...(workTree === null ? {} : { GIT_WORK_TREE: workTree }),
  });
  const argv = ['git', '--no-pager'];
  const limited = limiter(options.maxProcesses ?? 6);
  const catFile = openCatFile({ argv: [...argv, 'cat-file', '--batch-command'], env: base, cwd });

  const run = (args: readonly string[], given: RunOptions = {}): Promise<RunResult> =>
    limited(() =>
      runProcess(
        [...argv, ...args],
        { ...base, ...given.env },
        {
          timeoutMs: options.timeoutMs ?? 120_000,
          maxOutput: options.maxOutput ?? 256 * MB,
          ...given,
          cwd: given.cwd ?? cwd,
        },
      ),
    );

  const object = async (name: string, maxBytes?: number): Promise<GitObject | null> => {
    if (maxBytes !== undefined) {
      const info = await catFile.info(name);
      if (!info) return null;
      if (info.size > maxBytes)
        throw new GitError('output', `object ${info.oid} has ${info.size} bytes, more than ${maxBytes}`, null, '');
      return catFile.contents(info.oid);
    }
    return catFile.contents(name);
  };

  return {
    neutral,
    workTree,
    asPerson: { GIT_DIR: neutral.personDir },
    conversions,
    run,
    object,
    text: async (args, given) => (await run(args, given)).stdout.toString('utf8').replace(/\n$/, ''),
    info: (name) => catFile.info(name),
    resolve: async (revision) => looseRef(neutral, revision) ?? (await catFile.info(revision))?.oid ?? null,
    mend: async () => {
      if (await isLaidOut(neutral)) return false;
      await layOut();
      return true;
    },
    close: () => catFile.close(),
  };
}
