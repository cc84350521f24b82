import { spawn } from 'node:child_process';
import { watch, type FSWatcher } from 'node:fs';
import { mkdir, readdir, rm, writeFile, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { isSafeName } from '../core/ids.ts';
import {
  SandboxError,
  type Job,
  type JobResult,
  type JobState,
  type Limits,
  type Sandbox,
} from '../core/ports/sandbox.ts';
import {
  ask,
  DOUBT,
  ended,
  exists,
  NO_COVERAGE,
  readResult,
  readState,
  stop,
  unlocked,
  followOutput,
} from './folder.ts';
import { wrapper } from './wrapper.ts';
import { errorText } from '../core/text/sentence.ts';
import { removeTree } from '../platform/remove.ts';

interface JobsOptions {
  /** `<home>/shells`: a folder a command. */
  dir: string;
  boundary: Boundary;
  clock: Clock;
  runner: Runner;
  /** From `inheritedFiles`: commands do not get them. */
  inherited: readonly number[];
}

const NEVER_RAN: JobResult = { exit: 137, output: new Uint8Array(), outputSize: 0, cutAt: null, ended: 'aborted' };

/** Of a wrapper that was killed, the collector may still write its last file. A command's own folders may be locked, or too deep. */
const removeFolder = (dir: string): Promise<void> =>
  rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }).catch(() => removeTree(dir));

/** A promise whose failure is looked at only later. */
const settledLater = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined);
  return promise;
};

type Listener = (chunk: Uint8Array) => void;

/** Commands as folders, and wrapper processes that outlive this one. docs/formats/shells.md describes them. */
export class Jobs implements Sandbox {
  readonly name: string;
  readonly confined: boolean;
  readonly #options: JobsOptions;
  readonly #wrapper: string;
  /** Commands this process has started: a start under way must not be taken for one that a crash has left behind. */
  readonly #live = new Map<string, Promise<JobResult>>();

  constructor(options: JobsOptions) {
    this.name = options.runner.name;
    this.confined = options.runner.confined;
    this.#options = options;
    this.#wrapper = wrapper(options.runner.sweep);
  }

  async exec(job: Job, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    const known = this.#live.get(job.key);
    if (known) return known;
    const going = this.#begin(job, onOutput, signal);
    this.#live.set(job.key, going);
    try {
      return await going;
    } finally {
      this.#live.delete(job.key);
    }
  }

  async find(key: string): Promise<JobState> {
    return this.#live.has(key) ? 'running' : this.#look(key);
  }

  async adopt(key: string, limits: Limits, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    return this.#live.get(key) ?? this.#rejoin(key, limits, onOutput, signal);
  }

  async forget(key: string): Promise<void> {
    const { clock, runner } = this.#options;
    const dir = this.#folder(key);
    // `exit` is the last thing the wrapper writes: then there is nothing left to end.
    if ((await exists(dir)) && !(await exists(join(dir, 'exit')))) {
      await stop(dir);
      await unlocked(dir);
      await this.#sweep(dir);
    }
    await this.#live.get(key)?.catch(() => undefined);
    // A killed process may need a moment until it is gone. What is not cleared by then is empty, and taken up by the same key.
    for (let round = 0; round < 40 && !(await runner.clear(key)); round += 1) await clock.sleep(25);
    await removeFolder(dir);
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.#options.dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && isSafeName(entry.name)).map((entry) => entry.name);
  }

  #folder(key: string): string {
    if (!isSafeName(key)) throw new TypeError(`not a key for a command: ${JSON.stringify(key)}`);
    return join(this.#options.dir, key);
  }

  async #sweep(dir: string): Promise<void> {
    await ask(`dir=$1\ncd "$dir" || exit\n${this.#options.runner.sweep}`, dir);
  }

  async #look(key: string): Promise<JobState> {
    const dir = this.#folder(key);
    const state = await readState(dir);
    if (state === 'doubt') await this.#sweep(dir);
    return state;
  }

  async #begin(job: Job, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    const dir = this.#folder(job.key);
    if (await exists(dir)) {
      if ((await this.#look(job.key)) !== 'absent') return this.#rejoin(job.key, job.limits, onOutput, signal);
      await this.#options.runner.clear(job.key);
      await removeFolder(dir);
    }
    return signal.aborted ? NEVER_RAN : this.#start(job, dir, onOutput, signal);
  }

  async #prepare(job: Job, dir: string): Promise<Prepared> {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeFile(join(dir, KIND_FILE), `${this.name}\n`, { mode: 0o600 });
      const command = writeFile(join(dir, 'command'), job.command, { mode: 0o600 });
      const [prepared] = await Promise.all([this.#options.runner.prepare(job, dir), command]);
      return prepared;
    } catch (cause) {
      if (cause instanceof SandboxError) throw cause;
      throw new SandboxError('start', errorText(cause), { cause });
    }
  }

  async #start(job: Job, dir: string, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    const { boundary, inherited } = this.#options;
    const { limits } = job;
    boundary('shell.start.before');
    const { script, args, env, memory, pids } = await this.#prepare(job, dir);
    const seconds = Math.max(limits.timeMs / 1000, 0.001).toFixed(3);
    const half = String(Math.ceil(limits.output / 2));
    const fixed = [dir, seconds, half, memory, pids];
    const words = ['-c', this.#wrapper, 'ruche-shell', ...fixed, script, 'ruche-run', ...args];
    const { child, over } = await withoutFiles(inherited, (stdio) => {
      const own = { env: { ...env, ...NO_COVERAGE }, cwd: '/', stdio, detached: true };
      const started = spawn('/bin/sh', words, own);
      return { child: started, over: settledLater(ended(started)) };
    });
    // A signal before the wrapper has set its trap ends it before it has claimed the command: nothing ran.
    const abort = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await this.#attend(dir, limits, over, onOutput, () => boundary('shell.start.after'));
    } catch (error) {
      if (signal.aborted && error instanceof SandboxError && error.code === 'start') return NEVER_RAN;
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #rejoin(key: string, limits: Limits, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    const dir = this.#folder(key);
    const state = await this.#look(key);
    if (state === 'absent') throw new SandboxError('start', 'The command was never started.');
    if (state === 'doubt') throw new SandboxError('doubt', DOUBT);
    const abort = (): void => void stop(dir);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#attend(dir, limits, unlocked(dir), onOutput, () => {
        if (signal.aborted) abort();
      });
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Follows a command until `over`, then reads its result. */
  async #attend(
    dir: string,
    limits: Limits,
    over: Promise<unknown>,
    onOutput: Listener,
    onStarted: () => void,
  ): Promise<JobResult> {
    const { boundary, clock } = this.#options;
    const follower = followOutput(dir, limits.output, onOutput);
    let seen = false;
    const look = async (): Promise<void> => {
      if (!seen && (await exists(join(dir, 'started')))) {
        seen = true;
        onStarted();
      }
      await follower.catchUp();
    };
    await followUntil({ dir, over, clock, look, enough: () => seen && follower.full() });
    await look();
    boundary('shell.exit.before');
    const result = await readResult(dir, limits);
    boundary('shell.exit.after');
    return result;
  }
}

const CLOSE_ON_EXEC = 0o2000000;

/**
 * Files this process was started with beyond the standard three. Node's own are closed in programs it starts, these are
 * not: a command would get whatever the terminal, the service manager or a parent had open.
 */
export async function inheritedFiles(): Promise<number[]> {
  const numbers = (await readdir('/proc/self/fd').catch(() => [])).map(Number).filter((number) => number > 2);
  const inherited = await Promise.all(
    numbers.map(async (number) => {
      const info = await readFile(`/proc/self/fdinfo/${number}`, 'utf8').catch(() => '');
      const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
      return flags !== undefined && (parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
    }),
  );
  return numbers.filter((_, index) => inherited[index]);
}

type Stdio = ('ignore' | number)[];

/** Starts a program with no file of ours open: what was inherited is replaced by /dev/null. */
async function withoutFiles<T>(inherited: readonly number[], start: (stdio: Stdio) => T): Promise<T> {
  const none: Stdio = ['ignore', 'ignore', 'ignore'];
  if (inherited.length === 0) return start(none);
  const nothing = await open('/dev/null', 'r+');
  try {
    const all = Array.from({ length: Math.max(...inherited) + 1 }, (_, number) =>
      inherited.includes(number) ? nothing.fd : 'ignore',
    );
    return start(all);
  } finally {
    await nothing.close();
  }
}

/** How a command is run within its wrapper: the one thing in which the sandboxes differ. */
export interface Runner {
  name: string;
  confined: boolean;
  /**
   * Puts what the command needs in its folder and gives the shell program that runs it there, with arguments. Its
   * standard output and error become the command's output.
   */
  prepare(job: Job, dir: string): Promise<Prepared>;
  /** Undoes what `prepare` has made outside the folder; false if something of the command is still in it. */
  clear(key: string): Promise<boolean>;
  /** Text of a program that ends what may have strayed from the command of the folder `$dir`, which is its working folder. */
  sweep: string;
}

/**
 * In the sandbox's folder: how the runtime is, for scripts that look after it. Commands can read it and nothing else of
 * the runtime. A key never begins with a dot.
 */
export const STATUS_FILE = '.status';

/** In a command's folder: the name of the sandbox it was started in. */
export const KIND_FILE = 'sandbox';

interface Prepared {
  script: string;
  args: string[];
  /** Environment of the wrapper. */
  env: Record<string, string>;
  /** Cgroups, '' for none. */
  memory: string;
  pids: string;
}

/** How often to look when the machine can watch no more files, and how often to look anyway. */
const POLL_MS = 200;
const WATCHED_POLL_MS = 2000;

/** Calls `look` whenever the folder changes, until `over`. Does not poll faster than a person could notice. */
async function followUntil(options: {
  dir: string;
  over: Promise<unknown>;
  clock: Clock;
  look: () => Promise<void>;
  enough: () => boolean;
}): Promise<void> {
  const { dir, clock, look, enough } = options;
  let wake = (): void => undefined;
  let pending = false;
  let finished = false;
  const nudge = (): void => {
    pending = true;
    wake();
  };
  const over = options.over.finally(() => {
    finished = true;
    nudge();
  });
  // The failure is the caller's; here it only ends the waiting.
  over.catch(() => undefined);
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(dir, { persistent: false }, nudge);
    watcher.on('error', () => watcher?.close());
  } catch {
    // No inotify watch left: the clock wakes us instead.
    watcher = null;
  }
  try {
    while (!finished) {
      await look();
      if (enough()) break;
      if (pending) {
        pending = false;
        continue;
      }
      const pause = new AbortController();
      await Promise.race([
        new Promise<void>((resolve) => (wake = resolve)),
        clock.sleep(watcher === null ? POLL_MS : WATCHED_POLL_MS, pause.signal).catch(() => undefined),
      ]);
      pause.abort();
      pending = false;
    }
  } finally {
    watcher?.close();
  }
  await over;
}
