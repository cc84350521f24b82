import { spawn, type ChildProcess } from 'node:child_process';
import { access, readFile, readlink, realpath, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError, type JobResult, type JobState, type Limits } from '../core/ports/sandbox.ts';
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

const CHUNK = 65_536;

/** Numbers of the segments that are there, in order. The wrapper may have removed some in the middle. */
async function segments(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names
    .map((name) => /^out\.(\d+)$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** Hands on what has been added to the output since the last call, until `limit` bytes were handed on in all. */
interface Follower {
  catchUp(): Promise<void>;
  /** True once the limit is reached: what comes later is seen in the result only. */
  full(): boolean;
}

export function followOutput(dir: string, limit: number, onOutput: (chunk: Uint8Array) => void): Follower {
  let current = 0;
  let offset = 0;
  let sent = 0;

  /** False if the segment is not there. */
  const readOn = async (): Promise<boolean> => {
    const file = await open(join(dir, `out.${current}`)).catch(() => null);
    if (file === null) return false;
    try {
      while (sent < limit) {
        const buffer = new Uint8Array(Math.min(CHUNK, limit - sent));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) break;
        offset += bytesRead;
        sent += bytesRead;
        onOutput(buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
    return true;
  };

  return {
    full: () => sent >= limit,
    async catchUp() {
      while (sent < limit) {
        // Asked before reading: a segment is complete only once the next one exists.
        const next = (await segments(dir)).find((number) => number > current);
        await readOn();
        if (next === undefined) return;
        current = next;
        offset = 0;
      }
    },
  };
}

interface Kept {
  output: Uint8Array;
  cutAt: number | null;
}

/**
 * Puts the segments together, at most `limit` bytes: all of them, or equal parts from both ends. `total` is what the
 * command wrote.
 */
async function readOutput(dir: string, total: number, limit: number): Promise<Kept> {
  const numbers = await segments(dir);
  const pieces = await Promise.all(numbers.map((number) => readFile(join(dir, `out.${number}`))));
  const whole = Buffer.concat(pieces);
  if (whole.length >= total && whole.length <= limit) return { output: whole, cutAt: null };
  const gap = numbers.findIndex((number, index) => number !== index);
  const tailPieces = gap === -1 ? [] : pieces.slice(gap);
  const headLength = whole.length - tailPieces.reduce((sum, piece) => sum + piece.length, 0);
  const half = Math.floor(limit / 2);
  const head = whole.subarray(0, Math.min(half, headLength));
  const tail = whole.subarray(Math.max(whole.length - half, gap === -1 ? head.length : headLength));
  return { output: Buffer.concat([head, tail]), cutAt: head.length };
}
