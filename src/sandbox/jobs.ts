import { spawn, type ChildProcess } from 'node:child_process';
import { access, mkdir, readFile, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Boundary } from '../core/boundary.ts';
import type { Clock } from '../core/clock.ts';
import { isSafeName } from '../core/ids.ts';
import { SandboxError, type Job, type JobResult, type JobState, type Limits, type Sandbox } from '../core/ports.ts';
import { followUntil } from './follow.ts';
import { followOutput, readOutput } from './output.ts';
import type { Runner } from './runner.ts';
import { LOOK, wrapper } from './wrapper.ts';

export interface JobsOptions {
  /** `<home>/shells`: a folder a command. */
  dir: string;
  boundary: Boundary;
  clock: Clock;
  runner: Runner;
}

/** Node adds this one by itself to any environment that does not name it. */
const NO_COVERAGE = { NODE_V8_COVERAGE: undefined };
/** Only for the programs of the wrapper itself. */
const OWN_PATH = { PATH: '/usr/local/bin:/usr/bin:/bin', ...NO_COVERAGE };

const STATES: readonly JobState[] = ['absent', 'running', 'finished', 'doubt'];
const DOUBT =
  'The command started, but what watched over it died, or the machine was restarted, before its end could be taken.';
const NEVER_RAN: JobResult = { exit: 137, output: new Uint8Array(), outputSize: 0, cutAt: null, ended: 'aborted' };

type Listener = (chunk: Uint8Array) => void;

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });

/** Runs a small program and gives what it prints. */
async function ask(script: string, ...args: string[]): Promise<string> {
  const child = spawn('/bin/sh', ['-c', script, 'ruche-shell', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: OWN_PATH,
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await ended(child);
  return text.trim();
}

/** Resolves when nobody holds the lock any more, without polling. */
const unlocked = (dir: string): Promise<string> => ask('exec flock -s "$1/lock" true', dir);

const bootId = (): Promise<string> =>
  readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => '-',
  );

/** Process id of the wrapper and the boot it was started in; null if it has not got that far. */
async function started(dir: string): Promise<{ pid: number; boot: string } | null> {
  const text = await readFile(join(dir, 'started'), 'utf8').catch(() => '');
  const match = /^(\d+) (\S+)\n$/.exec(text);
  return match ? { pid: Number(match[1]), boot: match[2] ?? '-' } : null;
}

/** Asks the wrapper to end. Its number is used only while its working folder proves that it is still the same process. */
async function stop(dir: string): Promise<void> {
  const pid = (await started(dir))?.pid;
  if (pid === undefined) return;
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
  if (cwd !== (await realpath(dir).catch(() => null))) return;
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const ENDS: readonly string[] = ['itself', 'timeout', 'memory', 'aborted'] satisfies JobResult['ended'][];

async function readResult(dir: string, limits: Limits): Promise<JobResult> {
  const text = await readFile(join(dir, 'exit'), 'utf8').catch(() => '');
  const match = /^(\d+) (\d+) (\w+) \.\n$/.exec(text);
  const why = match?.[3] ?? '';
  if (!match || !ENDS.includes(why)) {
    if (await exists(join(dir, 'started'))) throw new SandboxError('doubt', DOUBT);
    throw new SandboxError('start', `The command could not be started: its wrapper ended at once (see ${dir}).`);
  }
  const total = Number(match[2]);
  const kept = await readOutput(dir, total, limits.output);
  const outputSize = Math.max(total, kept.output.length);
  return { exit: Number(match[1]), ...kept, outputSize, ended: why as JobResult['ended'] };
}

/** Commands as files and wrapper processes that outlive this one. docs/formats/shells.md describes them. */
export function openJobs({ dir: root, boundary, clock, runner }: JobsOptions): Sandbox {
  /** Commands this process has started: a start under way must not be taken for one that a crash has left behind. */
  const live = new Map<string, Promise<JobResult>>();
  const script = wrapper(runner.sweep);

  const folder = (key: string): string => {
    if (!isSafeName(key)) throw new TypeError(`not a key for a command: ${JSON.stringify(key)}`);
    return join(root, key);
  };

  const kill = async (key: string, dir: string): Promise<void> => {
    await stop(dir);
    await unlocked(dir);
    if (runner.sweep !== '') await ask(`key=$1\n${runner.sweep}`, key);
  };

  /** Follows a command until `over`, then reads its result. */
  const attend = async (
    dir: string,
    limits: Limits,
    over: Promise<unknown>,
    onOutput: Listener,
    onStarted: () => void,
  ): Promise<JobResult> => {
    const follower = followOutput(dir, limits.output, onOutput);
    let seen = false;
    const catchUp = async (): Promise<void> => {
      if (!seen && (await exists(join(dir, 'started')))) {
        seen = true;
        onStarted();
      }
      await follower.catchUp();
    };
    await followUntil({ dir, over, clock, look: catchUp, enough: () => seen && follower.full() });
    await catchUp();
    boundary('shell.exit.before');
    const result = await readResult(dir, limits);
    boundary('shell.exit.after');
    return result;
  };

  const start = async (job: Job, dir: string, onOutput: Listener, signal: AbortSignal): Promise<JobResult> => {
    const { limits } = job;
    boundary('shell.start.before');
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const [prepared] = await Promise.all([
      runner.prepare(job, dir),
      writeFile(join(dir, 'command'), job.command, { mode: 0o600 }),
    ]);
    const seconds = Math.max(limits.timeMs / 1000, 0.001).toFixed(3);
    const half = String(Math.ceil(limits.output / 2));
    const key = runner.sweep === '' ? '' : job.key;
    const fixed = [dir, seconds, half, prepared.memory, prepared.pids, key];
    const args = ['-c', script, 'ruche-shell', ...fixed, prepared.script, 'ruche-run', ...prepared.args];
    const env = { ...prepared.env, ...NO_COVERAGE };
    const child = spawn('/bin/sh', args, { detached: true, stdio: 'ignore', env, cwd: '/' });
    // A signal before the wrapper has set its trap ends it before it has claimed the command: nothing ran.
    const abort = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await attend(dir, limits, ended(child), onOutput, () => boundary('shell.start.after'));
    } catch (error) {
      if (signal.aborted && error instanceof SandboxError && error.code === 'start') return NEVER_RAN;
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  };

  /** What the folder says. Cancels a start that is under way, so it must not be one of this process. */
  const look = async (key: string): Promise<JobState> => {
    const dir = folder(key);
    if (!(await exists(dir))) return 'absent';
    const answer = await ask(LOOK, dir);
    const state = STATES.find((known) => known === answer);
    if (state === undefined) throw new Error(`cannot tell what has become of a command: ${dir} cannot be written`);
    if (state !== 'finished' && state !== 'doubt') return state;
    // The files a command left are not synced, so after a restart of the machine its end vouches for nothing.
    const boot = (await started(dir))?.boot;
    if (state === 'finished' && boot === (await bootId())) return 'finished';
    if (runner.sweep !== '') await ask(`key=$1\n${runner.sweep}`, key);
    return 'doubt';
  };

  const rejoin: Sandbox['adopt'] = async (key, limits, onOutput, signal) => {
    const dir = folder(key);
    const state = await look(key);
    if (state === 'absent') throw new SandboxError('start', 'The command was never started.');
    if (state === 'doubt') throw new SandboxError('doubt', DOUBT);
    const abort = (): void => void stop(dir).catch(() => undefined);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await attend(dir, limits, unlocked(dir), onOutput, () => {
        if (signal.aborted) abort();
      });
    } finally {
      signal.removeEventListener('abort', abort);
    }
  };

  const begin = async (job: Job, onOutput: Listener, signal: AbortSignal): Promise<JobResult> => {
    const dir = folder(job.key);
    if (await exists(dir)) {
      if ((await look(job.key)) !== 'absent') return rejoin(job.key, job.limits, onOutput, signal);
      await runner.clear(job.key);
      await rm(dir, { recursive: true, force: true });
    }
    return signal.aborted ? NEVER_RAN : start(job, dir, onOutput, signal);
  };

  return {
    name: runner.name,
    confined: runner.confined,

    find: async (key) => (live.has(key) ? 'running' : look(key)),
    adopt: async (key, ...rest) => live.get(key) ?? rejoin(key, ...rest),

    async exec(job, onOutput, signal) {
      const known = live.get(job.key);
      if (known) return known;
      const going = begin(job, onOutput, signal);
      live.set(job.key, going);
      try {
        return await going;
      } finally {
        live.delete(job.key);
      }
    },

    async forget(key) {
      const dir = folder(key);
      if (await exists(dir)) {
        await kill(key, dir);
        await live.get(key)?.catch(() => undefined);
      }
      await runner.clear(key);
      await rm(dir, { recursive: true, force: true });
    },

    async list() {
      const entries = await readdir(root, { withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory() && isSafeName(entry.name)).map((entry) => entry.name);
    },
  };
}
