import { spawn } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
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
import { ask, DOUBT, ended, exists, NO_COVERAGE, readResult, readState, stop, unlocked } from './folder.ts';
import { followUntil } from './follow.ts';
import { withoutFiles } from './inherited.ts';
import { followOutput } from './output.ts';
import type { Prepared, Runner } from './runner.ts';
import { wrapper } from './wrapper.ts';

export interface JobsOptions {
  /** `<home>/shells`: a folder a command. */
  dir: string;
  boundary: Boundary;
  clock: Clock;
  runner: Runner;
  /** From `inheritedFiles`: commands do not get them. */
  inherited: readonly number[];
}

const NEVER_RAN: JobResult = { exit: 137, output: new Uint8Array(), outputSize: 0, cutAt: null, ended: 'aborted' };

/** Of a wrapper that was killed, the collector may still write its last file. */
const removeFolder = (dir: string): Promise<void> =>
  rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });

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
      const command = writeFile(join(dir, 'command'), job.command, { mode: 0o600 });
      const [prepared] = await Promise.all([this.#options.runner.prepare(job, dir), command]);
      return prepared;
    } catch (cause) {
      if (cause instanceof SandboxError) throw cause;
      throw new SandboxError('start', cause instanceof Error ? cause.message : String(cause), { cause });
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
