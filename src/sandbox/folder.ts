import { spawn, type ChildProcess } from 'node:child_process';
import { access, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';

import { SandboxError, type JobResult, type JobState, type Limits } from '../core/ports/sandbox.ts';
import { readOutput } from './output.ts';
import { LOOK } from './wrapper.ts';

/** Node adds this one by itself to any environment that does not name it. */
export const NO_COVERAGE = { NODE_V8_COVERAGE: undefined };
/** Only for the programs of the wrapper itself. */
const OWN_PATH = { PATH: '/usr/local/bin:/usr/bin:/bin', ...NO_COVERAGE };

const STATES: readonly JobState[] = ['absent', 'running', 'finished', 'doubt'];
const ENDS: readonly string[] = ['itself', 'timeout', 'memory', 'aborted'] satisfies JobResult['ended'][];
export const DOUBT =
  'The command started, but what watched over it died, or the machine was restarted, before its end could be taken.';

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Resolves when the program has ended, rejects if it could not be started. */
export const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new SandboxError('start', cause.message, { cause })));
    child.once('close', () => resolve());
  });

/** Runs a small program and gives what it prints. */
export async function ask(script: string, ...args: string[]): Promise<string> {
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
export const unlocked = (dir: string): Promise<string> => ask('exec flock -s "$1/lock" true', dir);

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
export async function stop(dir: string): Promise<void> {
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

/** What the wrapper recorded. Rejects with SandboxError if it did not get that far. */
export async function readResult(dir: string, limits: Limits): Promise<JobResult> {
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

/** What a folder says. A start that is under way is cancelled by this. */
export async function readState(dir: string): Promise<JobState> {
  if (!(await exists(dir))) return 'absent';
  const answer = await ask(LOOK, dir);
  const state = STATES.find((known) => known === answer);
  if (state === undefined) throw new Error(`cannot tell what has become of a command: ${dir} cannot be written`);
  if (state !== 'finished') return state;
  // The files a command left are not synced, so after a restart of the machine its end vouches for nothing.
  const boot = (await started(dir))?.boot;
  return boot === (await bootId()) ? 'finished' : 'doubt';
}
