import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { GitError, endProcess } from './process.ts';

export interface GitObject {
  oid: string;
  type: 'blob' | 'tree' | 'commit' | 'tag';
  bytes: Buffer;
}

export interface ObjectInfo {
  oid: string;
  type: GitObject['type'];
  /** Bytes. */
  size: number;
}

/** A long-lived `git cat-file --batch-command`: an object in a tenth of a millisecond instead of a process each. */
export interface CatFile {
  /** Null if there is no such object. */
  info(name: string): Promise<ObjectInfo | null>;
  contents(name: string): Promise<GitObject | null>;
  close(): void;
}

interface Request {
  kind: 'info' | 'contents';
  name: string;
  retried: boolean;
  resolve: (found: (ObjectInfo & { bytes: Buffer }) | null) => void;
  reject: (error: Error) => void;
}

const EMPTY = Buffer.alloc(0);
const HEADER = /^([0-9a-f]{40,64}) (blob|tree|commit|tag) (\d+)$/;

/** Splits the replies of one process. */
class Replies {
  #chunks: Buffer[] = [];
  #size = 0;
  #header: (ObjectInfo & { bytes: Buffer }) | null = null;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  #flat(): Buffer {
    const flat = this.#chunks.length === 1 ? (this.#chunks[0] ?? EMPTY) : Buffer.concat(this.#chunks);
    this.#chunks = [flat];
    return flat;
  }

  #take(count: number): Buffer {
    const flat = this.#flat();
    const rest = flat.subarray(count);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#size -= count;
    return flat.subarray(0, count);
  }

  /** The next whole reply, null for a missing object, or undefined if more bytes are needed. */
  next(kind: Request['kind']): (ObjectInfo & { bytes: Buffer }) | null | undefined {
    if (!this.#header) {
      if (this.#size === 0) return undefined;
      const end = this.#flat().indexOf(10);
      if (end < 0) return undefined;
      const match = HEADER.exec(this.#take(end + 1).toString('utf8', 0, end));
      if (!match) return null;
      this.#header = {
        oid: match[1] ?? '',
        type: match[2] as GitObject['type'],
        size: Number(match[3]),
        bytes: EMPTY,
      };
    }
    const header = this.#header;
    if (kind === 'contents') {
      if (this.#size < header.size + 1) return undefined;
      header.bytes = this.#take(header.size + 1).subarray(0, header.size);
    }
    this.#header = null;
    return header;
  }
}

export interface CatFileOptions {
  argv: readonly string[];
  env: Record<string, string>;
  cwd: string;
  /** Requests that may wait at once; further ones are refused. */
  maxPending?: number;
  /** Milliseconds without an answer after which the process is started anew. */
  timeoutMs?: number;
}

/** Starts the process with the first request, and again when it dies; a request is tried twice at most. */
export function openCatFile(options: CatFileOptions): CatFile {
  return new Batch(options);
}

class Batch implements CatFile {
  readonly #options: CatFileOptions;
  #child: ChildProcessWithoutNullStreams | null = null;
  #pending: Request[] = [];
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: CatFileOptions) {
    this.#options = options;
  }

  info(name: string): Promise<ObjectInfo | null> {
    return this.#ask('info', name);
  }

  contents(name: string): Promise<GitObject | null> {
    return this.#ask('contents', name);
  }

  close(): void {
    this.#closed = true;
    const last = this.#child;
    if (!last) return;
    this.#died(last, 'closed');
    last.stdin.end();
    endProcess(last);
  }

  #ask(kind: Request['kind'], name: string): Promise<(ObjectInfo & { bytes: Buffer }) | null> {
    const { maxPending = 10_000 } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#closed) reject(new GitError('aborted', 'the repository is closed', null, ''));
      else if (name === '' || /[\n\0]/.test(name))
        reject(new Error('an object name may not be empty or hold a newline'));
      else if (this.#pending.length >= maxPending)
        reject(new GitError('output', `more than ${maxPending} reads wait for git cat-file`, null, ''));
      else this.#send({ kind, name, retried: false, resolve, reject });
    });
  }

  #send(request: Request): void {
    this.#child ??= this.#start();
    this.#pending.push(request);
    this.#child.stdin.write(`${request.kind} ${request.name}\n`);
    if (this.#pending.length === 1) this.#watch();
  }

  /** While something is awaited the process keeps the event loop alive; idle it does not. */
  #watch(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const child = this.#child;
    if (!child) return;
    const busy = this.#pending.length > 0;
    for (const part of [child, child.stdout, child.stdin, child.stderr] as { ref?(): void; unref?(): void }[])
      if (busy) part.ref?.();
      else part.unref?.();
    if (busy) this.#timer = setTimeout(() => endProcess(child), this.#options.timeoutMs ?? 60_000);
  }

  #died(dead: ChildProcessWithoutNullStreams, why: string): void {
    if (this.#child !== dead) return;
    const waiting = this.#pending;
    this.#pending = [];
    this.#watch();
    this.#child = null;
    for (const request of waiting) {
      if (request.retried || this.#closed)
        request.reject(new GitError('exit', `git cat-file ended: ${why}`, null, why));
      else this.#send({ ...request, retried: true });
    }
  }

  #start(): ChildProcessWithoutNullStreams {
    const { argv, env, cwd } = this.#options;
    const child = spawn(argv[0] ?? 'git', argv.slice(1), { cwd, env, stdio: 'pipe', detached: true });
    const replies = new Replies();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-2000);
    });
    // A write to a process that died is seen as its end.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.#died(child, error.message));
    child.on('close', () => this.#died(child, stderr.trim()));
    child.stdout.on('data', (chunk: Buffer) => {
      replies.push(chunk);
      for (let first = this.#pending[0]; first && this.#child === child; first = this.#pending[0]) {
        const reply = replies.next(first.kind);
        if (reply === undefined) break;
        this.#pending.shift();
        first.resolve(reply);
      }
      this.#watch();
    });
    return child;
  }
}
