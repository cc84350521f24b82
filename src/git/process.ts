import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export interface RunOptions {
  /** Written to stdin, which is then closed. A promise lets the process start before it is known. */
  input?: Uint8Array | string | Promise<string>;
  /** Added to the environment; the caller vouches for it (GIT_INDEX_FILE, author …). */
  env?: Record<string, string>;
  cwd?: string;
  /** Exit codes that are not errors; [0] unless given. */
  accept?: readonly number[];
  /** Bytes of stdout after which the command is ended with an error. */
  maxOutput?: number;
  /** `cut`: what came before the bound is the result, and not an error. */
  overflow?: 'cut';
  /** Milliseconds. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface RunResult {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/** A Git command failed. `stderr` is shortened. */
export class GitError extends Error {
  readonly code: number | null;
  readonly stderr: string;
  readonly why: 'exit' | 'timeout' | 'output' | 'aborted' | 'spawn';
  constructor(why: GitError['why'], message: string, code: number | null, stderr: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GitError';
    this.why = why;
    this.code = code;
    this.stderr = stderr;
  }
}

const STDERR_KEPT = 16_384;
const KILL_AFTER_MS = 2000;

/** Ends a Git process so that it can remove its lock files, and by force if it does not. */
export function endProcess(child: ChildProcess): void {
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  force.unref();
  child.once('close', () => clearTimeout(force));
}

/** Runs one process to its end. Rejects with a GitError; never leaves the process behind. */
export function runProcess(
  argv: readonly string[],
  env: Record<string, string>,
  options: RunOptions & { cwd: string; maxOutput: number; timeoutMs: number },
): Promise<RunResult> {
  const command = argv.find((arg, at) => at > 0 && /^[a-z-]+$/.test(arg) && !arg.startsWith('-')) ?? '';
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) {
      reject(new GitError('aborted', `git ${command} was aborted`, null, ''));
      return;
    }
    // Its own process group: a Ctrl-C in the terminal must not cut a landing in two.
    const child = spawn(argv[0] ?? 'git', argv.slice(1), { cwd: options.cwd, env, stdio: 'pipe', detached: true });
    const chunks: Buffer[] = [];
    let size = 0;
    let stderr = '';
    let failure: GitError | null = null;
    let cut = false;
    const stop = (why: GitError['why'], message: string): void => {
      failure ??= new GitError(why, message, null, stderr);
      endProcess(child);
    };
    const timer = setTimeout(
      () => stop('timeout', `git ${command} took longer than ${options.timeoutMs} ms`),
      options.timeoutMs,
    );
    const onAbort = (): void => stop('aborted', `git ${command} was aborted`);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= options.maxOutput || (options.overflow === 'cut' && !cut)) chunks.push(chunk);
      if (size <= options.maxOutput || cut) return;
      cut = options.overflow === 'cut';
      if (cut) endProcess(child);
      else stop('output', `git ${command} gave more than ${options.maxOutput} bytes`);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < STDERR_KEPT) stderr += chunk.toString('utf8').slice(0, STDERR_KEPT - stderr.length);
    });
    // A command may end before it has read its input; its exit code says what was wrong.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      failure ??= new GitError(
        'spawn',
        `git could not be started: ${error.message}; install Git 2.38 or newer`,
        null,
        '',
        {
          cause: error,
        },
      );
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      const exit = code ?? -1;
      if (failure) reject(failure);
      else if (cut) resolve({ code: 0, stdout: Buffer.concat(chunks).subarray(0, options.maxOutput), stderr });
      else if ((options.accept ?? [0]).includes(exit)) resolve({ code: exit, stdout: Buffer.concat(chunks), stderr });
      else {
        const how = signal ? `was ended by ${signal}` : `failed (exit ${exit})`;
        reject(new GitError('exit', `git ${command} ${how}: ${stderr.trim().slice(0, 2000)}`, exit, stderr));
      }
    });
    const { input } = options;
    if (input instanceof Promise)
      input.then((text) => child.stdin.end(text)).catch(() => stop('aborted', 'no input came'));
    else child.stdin.end(input ?? '');
  });
}
