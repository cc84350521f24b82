import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Pending, RuntimeStatus, TaskOutcome } from '../../src/core/api/runtime.ts';
import type { Verification } from '../../src/trace/verify.ts';
import { until } from './until.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Milliseconds for anything the product owes us. */
const PATIENCE = 20_000;

export const AGENT = '---\ndescription: helps\n---\nYou help.\n';

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

export interface HomeOptions {
  /** Files of the workspace's first commit; without them `up` makes one from the template `solo`, or the one `start` names. */
  files?: Record<string, string>;
  /** Environment of `up`, beside PATH and an empty HOME. */
  env?: Record<string, string>;
  /** Servers of the test that end with it, also if it does not start. */
  beside?: readonly { close(): Promise<void> }[];
}

/** A network as its owner has it: a home, a workspace, the real process, and the commands and HTTP that talk to it. */
export class Home {
  readonly dir = mkdtempSync(join(tmpdir(), 'ruche-e2e-'));
  readonly home = join(this.dir, 'home');
  readonly workspace = join(this.dir, 'workspace');
  readonly env: Record<string, string>;
  /** Where commands are given. */
  cwd = this.dir;
  url = '';
  /** What `up` has printed so far. */
  out = '';
  err = '';
  #child: ChildProcess | null = null;
  #port = 0;
  readonly #beside: NonNullable<HomeOptions['beside']>;

  constructor(options: HomeOptions = {}) {
    const coverage = process.env['NODE_V8_COVERAGE'];
    this.env = {
      PATH: process.env['PATH'] ?? '',
      HOME: join(this.dir, 'person'),
      // The tests must not meet an Ollama of the person who runs them.
      OLLAMA_HOST: '127.0.0.1:1',
      ...(coverage === undefined ? {} : { NODE_V8_COVERAGE: coverage }),
      ...options.env,
    };
    this.#beside = options.beside ?? [];
    mkdirSync(join(this.dir, 'person'));
    if (options.files) this.#commitFiles(options.files);
  }

  /** A network that takes turns already. */
  static async up(options: HomeOptions = {}): Promise<Home> {
    const home = new Home(options);
    try {
      await home.start();
      return home;
    } catch (error) {
      await home.close();
      throw error;
    }
  }

  #commitFiles(files: Record<string, string>): void {
    mkdirSync(this.workspace, { recursive: true });
    this.git('init', '-q', '-b', 'main');
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    this.git('add', '-A');
    this.commit('start');
  }

  /** Starts `ruche up`; the first time on any free port, later on the same one. Rejects with what it said if it ends. */
  async start(...args: string[]): Promise<void> {
    const ended = await this.tryStart(...args);
    if (ended) throw new Error(`ruche up ended with ${ended.code}:\n${ended.out}${ended.err}`);
  }

  /** The same, but gives how it ended if it does not come to listen. */
  async tryStart(...args: string[]): Promise<Ended | null> {
    // Most tests are about one agent; a workspace that is there keeps its own.
    const template = args.includes('--template') ? [] : ['--template', 'solo'];
    const child = this.#spawn(['up', '--port', String(this.#port), ...template, ...args]);
    this.#child = child;
    this.out = '';
    this.err = '';
    const heard = Promise.withResolvers<void>();
    child.stdout?.on('data', (chunk: Buffer) => {
      this.out += chunk.toString();
      // It is said in one piece.
      if (/listens at \S+\n/.test(this.out)) heard.resolve();
    });
    child.stderr?.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    child.once('close', () => heard.resolve());
    await within(heard.promise, () => `ruche up says nothing:\n${this.out}${this.err}`);
    if (!this.alive) return { code: child.exitCode, out: this.out, err: this.err };
    this.url = /listens at (\S+)/.exec(this.out)?.[1] ?? '';
    this.#port = Number(new URL(this.url).port);
    return null;
  }

  #spawn(args: readonly string[], env = this.env, stdin: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
    const [name = '', ...rest] = args;
    const command = [name, '--home', this.home, '--workspace', this.workspace, ...rest];
    // As the launcher starts itself again: that start is the launcher's own test, and a tenth of each one here.
    const flags = name === 'up' ? ['--max-semi-space-size=4'] : [];
    return spawn(process.execPath, [...flags, join(ROOT, 'bin', 'ruche.js'), ...command], {
      cwd: this.cwd,
      env,
      stdio: [stdin, 'pipe', 'pipe'],
    });
  }

  get pid(): number {
    return this.#running().pid ?? 0;
  }

  get alive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #running(): ChildProcess {
    if (!this.#child) throw new Error('no process runs');
    return this.#child;
  }

  /** Ends the process and gives its exit code: SIGKILL as a crash, SIGTERM in good order. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#running();
    if (!this.alive) return child.exitCode;
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    child.kill(signal);
    await within(gone, () => `${signal} did not end it:\n${this.err}`);
    return child.exitCode;
  }

  /** Runs a command of the CLI to its end. */
  cli = (...args: string[]): Promise<Ended> => this.cliWith(null, ...args);

  /** The same, with something on its standard input. */
  async cliWith(input: string | null, ...args: string[]): Promise<Ended> {
    const child = this.#spawn(args, this.env, input === null ? 'ignore' : 'pipe');
    child.stdin?.end(input);
    let [out, err] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
    await within(gone, () => `ruche ${args.join(' ')} does not end:\n${out}${err}`);
    return { code: child.exitCode, out, err };
  }

  get token(): string {
    return this.env['RUCHE_TOKEN'] ?? readFileSync(join(this.home, 'token'), 'utf8').trim();
  }

  /** A request as a program of the owner makes it. */
  fetch(
    path: string,
    init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', ...init.headers };
    return fetch(this.url + path, { ...init, headers });
  }

  async api<T>(path: string, body?: unknown): Promise<T> {
    const response = await this.fetch(path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return (text === '' ? null : JSON.parse(text)) as T;
  }

  /** Sends a message and gives its task as soon as it is accepted. */
  async say(text: string, session = `s${Math.random().toString(36).slice(2)}`, agent = 'assistant'): Promise<string> {
    return (await this.api<{ task: string }>('/api/messages', { agent, text, session })).task;
  }

  /** The task's end, or what it waits for. */
  async settled(task: string): Promise<TaskOutcome> {
    const outcome = await this.api<TaskOutcome | null>(`/api/tasks/${task}/wait?seconds=20`);
    if (outcome === null)
      throw new Error(`${task} does not end: ${JSON.stringify(await this.status())}\n${this.log()}`);
    return outcome;
  }

  /** One message and what comes of it. */
  async ask(text: string, session?: string, agent?: string): Promise<TaskOutcome> {
    return this.settled(await this.say(text, session, agent));
  }

  answer = (id: string, verdict: 'approve' | 'deny'): Promise<{ task: string | null; again?: boolean }> =>
    this.api(`/api/approvals/${id}`, { verdict });

  async pending(): Promise<Pending[]> {
    return (await this.api<{ pending: Pending[] }>('/api/pending')).pending;
  }

  status = (): Promise<RuntimeStatus> => this.api('/api/status');

  /** What `ruche verify` finds. */
  async verify(): Promise<Verification> {
    // The readable journal lags by a moment while the process runs.
    if (this.alive) await until(async () => isExported(await this.status()), 'journal.git catches up');
    const { code, out, err } = await this.cli('verify', '--json');
    if (code === null || out === '') throw new Error(`verify: ${code} ${err}`);
    return JSON.parse(out) as Verification;
  }

  /** Events of the journal, oldest first. */
  async events(...types: string[]): Promise<{ type: string; at: number; data: Record<string, unknown> }[]> {
    const { out } = await this.cli(
      'log',
      '--json',
      '--limit',
      '0',
      ...(types.length ? ['--type', types.join(',')] : []),
    );
    return out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { type: string; at: number; data: Record<string, unknown> });
  }

  /** The data of the events of one type so far, over HTTP: to wait for one by commands would take the processor from what brings it. */
  async recorded(type: string): Promise<Record<string, unknown>[]> {
    const { head } = (await this.status()).journal;
    const found: Record<string, unknown>[] = [];
    const response = await this.fetch(`/api/events?after=0`);
    let text = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined) continue;
        const event = JSON.parse(data) as { seq: number; type: string; data: Record<string, unknown> };
        if (event.type === type) found.push(event.data);
        if (event.seq >= head) return found;
      }
    }
    return found;
  }

  git(...args: string[]): string {
    const env = { PATH: this.env['PATH'], HOME: this.env['HOME'], GIT_CONFIG_NOSYSTEM: '1' };
    return execFileSync('git', ['-C', this.workspace, ...args], {
      encoding: 'utf8',
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Commits what is staged, as the person. */
  commit(message: string): void {
    this.git('-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', 'commit', '-q', '-m', message);
  }

  path = (path: string): string => join(this.workspace, path);
  read = (path: string): string => readFileSync(this.path(path), 'utf8');
  exists = (path: string): boolean => existsSync(this.path(path));

  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), content);
  }

  /** The process's log. */
  log(): string {
    const path = join(this.home, 'logs', 'ruche.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async close(): Promise<void> {
    if (this.alive) await this.end('SIGKILL');
    for (const server of this.#beside) await server.close();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

const isExported = ({ journal, tasks }: RuntimeStatus): boolean =>
  tasks.running === 0 && journal.exported === journal.head;

async function within(promise: Promise<void>, said: () => string): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(said())), PATIENCE);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
