import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import type { Pending, RuntimeStatus, TaskOutcome } from '../../src/core/api/runtime.ts';
import { type Platform, startPlatform } from '../fakes/platform.ts';
import { until } from '../fakes/until.ts';
import type { Order } from './child.ts';

const TOKEN = 'crash-suite-token-0123456789abcdef';
/** What senders of webhooks know. */
const HOOK_SECRET = 'a-secret-of-the-crash-suite';
/** Milliseconds for anything the product owes us; a run that takes longer has lost something. */
const PATIENCE = 120_000;

/** Milliseconds between two firings of the schedule that goes on through all of it. */
export const TICK_MS = 3_000;
/** Times that it fires at least, however quick everything else is. */
export const FIRINGS = 4;

/** Uses of the grant that is given with each approval of the ledger. */
export const GRANTED = 2;

/** Who is told things. */
export const TOLD = 'told';

/** Who hears about everything that waits. */
export const BOSS = 'boss';

export const CRASH_FILES = (platform: string): Record<string, string> => ({
  'ruche.yaml': `models:
  standard: [demo/demo]
escalation:
  owner: [ { after: 0s, to: "fake:${BOSS}" } ]
policy:
  rules:
    - { id: contracts, ask: { tool: write, path: "contracts/**" }, reason: "Contracts need a person." }
    - { id: ledger, ask: { tool: write, path: "ledger/**" }, reason: "The ledger needs a person." }
    - { id: told, allow: { to: "fake:${TOLD}" }, reason: "Nobody minds." }
    - { id: local, allow: { tool: fetch, host: "${new URL(platform).host}" }, reason: "The test's own server." }
`,
  'agents/assistant/AGENT.md': '---\ndescription: helps\nmodel: standard\n---\nYou help.\n',
  'agents/helper/AGENT.md': `---
description: is asked
model: standard
schedules:
  - { name: tick, every: ${TICK_MS / 1_000}s, missed: all, max: 100, overlap: queue, task: "append ticks.md: tick;" }
triggers:
  - { name: note, on: file.landed, path: [out/c*1.md, out/c*4.md, out/c*7.md], task: "Seen {{path}}." }
  - { name: told, on: webhook, hook: evening, auth: bearer, secret: home:evening, task: "Heard {{body.word}}." }
---
You help.
`,
  '.gitignore': '/tasks/\n',
  'README.md': 'start\n',
  'shared.md': 'start;',
});

/** As it is published: from source each start takes twice as long, and there are many. */
async function bundleChild(dir: string): Promise<void> {
  const bundle = await rolldown({
    input: { child: join(import.meta.dirname, 'child.ts') },
    platform: 'node',
    tsconfig: join(import.meta.dirname, '..', '..', 'tsconfig.json'),
    checks: { circularDependency: false, eval: false },
  });
  await bundle.write({ dir, format: 'esm', entryFileNames: '[name].js' });
  await bundle.close();
}

/** One process after another on one home, and the world around it. */
export class Crashes {
  readonly dir = mkdtempSync(join(tmpdir(), 'ruche-crash-'));
  readonly platform: Platform;
  readonly workspace = join(this.dir, 'workspace');
  readonly home = join(this.dir, 'home');
  kills = 0;
  cycles = 0;
  /** Words that files in the inbox have put into `filed.md`. */
  readonly filed: string[] = [];
  /** Words that somebody is told who has not asked. */
  readonly told: string[] = [];
  /** Deliveries of webhooks, with the task they were answered by; null: nobody has taken it yet. */
  readonly hooked: { word: string; task: string | null }[] = [];
  /** Chat → texts the person said and that need a reply. */
  readonly said: { chat: string; text: string }[] = [];
  #child: ChildProcess | null = null;
  #url = '';
  #log = '';

  constructor(platform: Platform) {
    this.platform = platform;
  }

  static async open(): Promise<Crashes> {
    const crashes = new Crashes(await startPlatform());
    crashes.keysOfOld();
    await bundleChild(join(crashes.dir, 'bundle'));
    for (const [path, text] of Object.entries(CRASH_FILES(crashes.platform.url))) {
      mkdirSync(join(crashes.dir, 'template', path, '..'), { recursive: true });
      writeFileSync(join(crashes.dir, 'template', path), text);
    }
    return crashes;
  }

  /** Leaves the home as an older version would have, with its keys in a file of their own. */
  keysOfOld(): void {
    for (const name of ['secrets.age', 'secrets.key']) rmSync(join(this.home, name), { force: true });
    mkdirSync(this.home, { recursive: true });
    const keys = JSON.stringify({ format: 1, keys: { evening: HOOK_SECRET } });
    writeFileSync(join(this.home, 'keys.json'), keys, { mode: 0o600 });
  }

  /** Starts the process and waits until it takes turns. False if it ends before, as it does where it was ordered to die. */
  async start(order: Order | null = null): Promise<boolean> {
    const env = {
      PATH: process.env.PATH,
      HOME_DIR: this.home,
      WORKSPACE: this.workspace,
      TEMPLATE: join(this.dir, 'template'),
      PLATFORM: this.platform.url,
      TOKEN,
      ...(order === null ? {} : { ORDER: JSON.stringify(order) }),
      NODE_COMPILE_CACHE: join(tmpdir(), 'ruche-crash-cache'),
    };
    const child = spawn(process.execPath, [join(this.dir, 'bundle', 'child.js')], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-20_000)));
    const message = await this.#message<{ ready: string }>(child);
    if (message) this.#url = message.ready;
    return message !== null;
  }

  /** The next message of the child; null if it ends first. */
  #message<T>(child: ChildProcess): Promise<T | null> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the process says nothing:\n${this.#log}`)), PATIENCE);
      const end = (value: T | null): void => {
        clearTimeout(timer);
        child.off('exit', ended);
        child.off('message', told);
        resolve(value);
      };
      const ended = (): void => end(null);
      const told = (value: unknown): void => end(value as T);
      child.once('exit', ended);
      child.once('message', told);
    });
  }

  async order(order: Order): Promise<void> {
    const child = this.#running();
    const told = this.#message(child);
    child.send(order);
    await told;
  }

  async counts(): Promise<Record<string, number>> {
    const child = this.#running();
    const told = this.#message<{ counts: Record<string, number> }>(child);
    child.send('counts');
    return (await told)?.counts ?? {};
  }

  #running(): ChildProcess {
    if (!this.#child) throw new Error('no process runs');
    return this.#child;
  }

  get alive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when the process is dead; false if it is still alive after `ms`. */
  async died(ms: number): Promise<boolean> {
    const child = this.#running();
    if (!this.alive) return true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  async kill(): Promise<void> {
    this.#running().kill('SIGKILL');
    await this.died(PATIENCE);
  }

  async stop(): Promise<number | null> {
    const child = this.#running();
    child.kill('SIGTERM');
    if (!(await this.died(PATIENCE))) throw new Error(`SIGTERM did not end it:\n${this.#log}`);
    return child.exitCode;
  }

  async api<T>(path: string, body?: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(this.#url + path, init);
    if (response.status === 204) return null as T;
    const json = (await response.json()) as T;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(json)}`);
    return json;
  }

  /** One person's evening: every kind of step the product has, in conversations of their own. */
  say({ filing = false, hooking = false, telling = false } = {}): void {
    const n = (this.cycles += 1);
    const say = (chat: string, text: string): void => {
      this.said.push({ chat: `c${n}${chat}`, text });
      this.platform.say(`c${n}${chat}`, text);
    };
    writeFileSync(join(this.workspace, 'README.md'), `edited by a person ${n}\n`);
    if (filing) this.#file(n);
    if (hooking || n % 3 === 1) this.hooked.push({ word: `w${n}`, task: null });
    if (telling) this.#tell(n, say);
    say('a', `write out/c${n}.md: one, then run: wc -c out/c${n}.md`);
    say('b', `append shared.md: c${n};`);
    say('c', 'read README.md');
    say('d', `fetch ${this.platform.url}/page`);
    say('e', 'ask me: which colour?');
    say('f', `write contracts/c${n}.md: signed`);
    // The first is approved, the next two are granted with it, and the last one has to ask again.
    const lines = [1, 2, 3, 4].map((line) => `append ledger/c${n}.md: ${line};`);
    say('l', lines.join(', then '));
    say('h', `write out/h${n}.md: handed, then ask helper with out/h${n}.md to: append helped.md: h${n};`);
    say('i', `write out/i${n}.md: begun, then hand over to helper: go on with out/i${n}.md`);
    say('g', `run: echo ran >> ran-c${n}.txt; sleep 0.2; cat ran-c${n}.txt`);
  }

  /** Two words for somebody who asks for nothing. More than three within a minute would wait, so not every evening has some. */
  #tell(n: number, say: (chat: string, text: string) => void): void {
    this.told.push(`t${n}a;`, `t${n}b;`);
    say('t', `tell fake:${TOLD}: t${n}a;, then tell fake:${TOLD}: t${n}b;`);
  }

  /** A file in an inbox: it has to be still for a second, so not every evening has one. */
  #file(n: number): void {
    this.filed.push(`f${n};`);
    const inbox = join(this.workspace, 'tasks', 'helper', 'inbox');
    mkdirSync(inbox, { recursive: true });
    writeFileSync(join(inbox, `c${n}.json`), JSON.stringify({ text: `append filed.md: f${n};` }));
  }

  /** Pauses the schedule once it has fired often enough, and waits until nothing is left to do. */
  async rest(): Promise<void> {
    const ticks = (): number =>
      existsSync(join(this.workspace, 'ticks.md')) ? this.read('ticks.md').split('tick;').length - 1 : 0;
    await until(() => ticks() >= FIRINGS, 'the schedule has fired', PATIENCE);
    await this.api('/api/schedules/helper%2Ftick/pause', {});
    const idle = async (): Promise<boolean> => {
      const { tasks } = await this.api<RuntimeStatus>('/api/status');
      return tasks.queued + tasks.running + tasks.waiting === 0;
    };
    // What has landed or ended a moment ago may still become a task: triggers follow the journal.
    let since = 0;
    const quiet = async (): Promise<boolean> => {
      since = (await idle()) ? since || Date.now() : 0;
      return since > 0 && Date.now() - since > 1_000;
    };
    await until(quiet, 'nothing is left to do', PATIENCE);
  }

  /** Answers what is asked until every message has its reply. */
  async finish(): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    const answered = (): Set<string> => new Set(this.replies.map((sent) => sent.to));
    for (;;) {
      await this.#deliverHooks();
      const open = this.said.filter(({ chat }) => !answered().has(chat));
      const left = existsSync(join(this.workspace, 'filed.md')) ? this.read('filed.md') : '';
      if (open.length === 0 && this.filed.every((word) => left.includes(word))) return;
      if (Date.now() > deadline) {
        const tasks = await this.api('/api/status').catch(String);
        throw new Error(`no reply to ${JSON.stringify(open)}\n${JSON.stringify(tasks)}\n${this.#log}`);
      }
      await this.answerPending();
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  /** A sender sends until it is answered, and once more: both are one delivery. */
  async #deliverHooks(): Promise<void> {
    for (const each of this.hooked) {
      if (each.task !== null) continue;
      const post = async (): Promise<{ status: number; task: string }> => {
        const headers = {
          authorization: `Bearer ${HOOK_SECRET}`,
          'idempotency-key': each.word,
          'content-type': 'application/json',
        };
        const response = await fetch(`${this.#url}/hooks/evening`, {
          method: 'POST',
          headers,
          body: JSON.stringify({ word: each.word }),
        });
        const { task } = (await response.json()) as { task: string };
        return { status: response.status, task };
      };
      const { status, task } = await post();
      if (status !== 200 && status !== 202) throw new Error(`webhook ${each.word}: ${status}`);
      each.task = task;
      const again = await post();
      if (again.status !== 200 || again.task !== task) throw new Error(`webhook ${each.word} has led to two tasks`);
    }
  }

  /** Says yes to approvals, to those of the ledger for more than once, `blue` to questions, and `retry` to steps in doubt. */
  async answerPending(): Promise<void> {
    const { pending } = await this.api<{ pending: Pending[] }>('/api/pending');
    for (const wait of pending) {
      const doubt = wait.reason.includes('in doubt');
      const more = wait.text.includes('ledger/') ? { scope: 'standing', count: GRANTED } : {};
      const [path, body] =
        wait.kind === 'approval'
          ? [`/api/approvals/${wait.id}`, { verdict: 'approve', ...more }]
          : [`/api/questions/${wait.id}`, { text: doubt ? 'retry' : 'blue' }];
      await this.api(path, body).catch((error: unknown) => {
        if (this.alive && !String(error).includes('409')) throw error;
      });
    }
  }

  /** What was sent as an answer, and not to ask something. */
  get replies(): Platform['sent'] {
    return this.platform.sent.filter(({ asks }) => !asks);
  }

  outcome = (task: string): Promise<TaskOutcome> => this.api(`/api/tasks/${task}`);

  git = (...args: string[]): string => execFileSync('git', ['-C', this.workspace, ...args], { encoding: 'utf8' });

  read = (path: string): string => readFileSync(join(this.workspace, path), 'utf8');

  get log(): string {
    return this.#log;
  }

  async close(): Promise<void> {
    if (this.alive) await this.kill();
    await this.platform.close();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
