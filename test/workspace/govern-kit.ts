import { overSchedule } from '../../src/config/schedule-words.ts';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Change } from '../../src/core/files.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { skillRules } from '../../src/skills/judge.ts';
import { openGovernanceReader } from '../../src/workspace/governance/reader.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import type { OpenWorkspace } from '../../src/workspace/workspace.ts';
import { KNOWN } from '../fakes/known.ts';

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Time stands still until it is moved; a sleeper wakes when it is due. */
export class StepClock implements Clock {
  time = 1_790_000_000_000;
  readonly #sleepers = new Set<{ due: number; short: boolean; wake: () => void }>();
  /** Of those who wait for the next one to go to sleep. */
  readonly #watchers: (() => void)[] = [];

  now(): number {
    return this.time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper = {
        due: this.time + ms,
        short: ms < 1000,
        wake: () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
      };
      if (signal?.aborted) return stop();
      signal?.addEventListener('abort', stop, { once: true });
      this.#sleepers.add(sleeper);
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
  }

  /** Moves on, wakes who is due, and waits until as many polls sleep again as before. */
  async step(ms: number): Promise<void> {
    const before = this.#short();
    this.time += ms;
    for (const sleeper of this.#sleepers)
      if (sleeper.due <= this.time && this.#sleepers.delete(sleeper)) sleeper.wake();
    await this.sleeping(before);
  }

  /** What something comes to, while time goes by whenever it sleeps. */
  async during<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const ended = work.then(
      () => void (over = true),
      () => void (over = true),
    );
    while (!over) {
      if (this.#short() === 0) await Promise.race([ended, this.#sleep()]);
      await turn();
      if (over || this.#short() === 0) continue;
      this.time += 200;
      for (const sleeper of this.#sleepers)
        if (sleeper.due <= this.time && this.#sleepers.delete(sleeper)) sleeper.wake();
    }
    return work;
  }

  #short(): number {
    return [...this.#sleepers].filter((sleeper) => sleeper.short).length;
  }

  /** Waits until anyone sleeps, however long. */
  async asleep(): Promise<void> {
    await this.#until(() => this.#sleepers.size > 0);
  }

  async sleeping(count: number): Promise<void> {
    await this.#until(() => this.#short() >= count);
  }

  /** By the event: to look again and again took more of the processor than what is waited for. */
  async #until(met: () => boolean): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`${this.#short()} of ${this.#sleepers.size} sleep`)), 20_000);
    try {
      while (!met()) await Promise.race([late.promise, this.#sleep()]);
    } finally {
      clearTimeout(timer);
    }
    await turn();
  }

  /** Until the next one goes to sleep. */
  #sleep(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }
}

const turn = (): Promise<void> => new Promise((go) => setImmediate(go));

export const write = async (dir: string, path: string, text: string | Uint8Array): Promise<void> => {
  await mkdir(dirname(join(dir, path)), { recursive: true });
  await writeFile(join(dir, path), text);
};

const BUNDLED = '---\nname: bundled-one\ndescription: Comes with the package.\n---\nDo it.\n';
const sized = (text: string): { size: number; bytes: Uint8Array } => ({ size: text.length, bytes: Buffer.from(text) });

export const AGENT = '---\nmodel: standard\n---\nYou help.\n';

export interface TestWorkspace {
  root: string;
  dir: string;
  workspace: OpenWorkspace;
  reader: ReturnType<typeof openGovernanceReader>;
  clock: StepClock;
  /** Runs Git as the person would. */
  git(...args: string[]): Promise<string>;
  /** The person writes files and commits them. */
  commit(files: Record<string, string | Uint8Array | null>, message?: string): Promise<string>;
  remove(): Promise<void>;
}

/** A workspace on disk with these files, its reader, and a person's Git. */
export async function makeWorkspace(
  files: Record<string, string | Uint8Array> = { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT },
  ruleProblem: (rule: unknown) => string | null = () => null,
): Promise<TestWorkspace> {
  const root = await mkdtemp(join(tmpdir(), 'ruche-govern-'));
  const dir = join(root, 'workspace');
  const env = { PATH: process.env['PATH'], HOME: root };
  const clock = new StepClock();
  await writeFile(join(root, '.gitconfig'), '[user]\n\tname = Ada\n\temail = ada@example.org\n');
  const bytes = Object.entries(files).map(([path, text]): [string, Uint8Array] => [path, Buffer.from(text)]);
  await initWorkspace({ dir, files: new Map(bytes), env, clock });
  const workspace = await openWorkspace({ dir, env, clock, boundary: () => {} });
  const bundled = new Map([['bundled-one', [{ path: 'SKILL.md', mode: '100644' as const, ...sized(BUNDLED) }]]]);
  const skills = { ...workspace, rules: skillRules(bundled) };
  const reader = openGovernanceReader({
    git: workspace.git,
    ...KNOWN,
    providers: [],
    ruleProblem,
    skills,
    explain: () => null,
    over: overSchedule(clock, () => 'UTC'),
  });
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: dir, env })).stdout.trim();
  return {
    root,
    dir,
    workspace,
    reader,
    clock,
    git,
    async commit(changed, message = 'Change') {
      for (const [path, text] of Object.entries(changed))
        if (text === null) await rm(join(dir, path), { recursive: true });
        else await write(dir, path, text);
      await git('add', '-A', '-f', '--', ...Object.keys(changed));
      await git('commit', '-q', '-m', message);
      return git('rev-parse', 'HEAD');
    },
    async remove() {
      await workspace.close();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** What a run may change: null removes a file. */
export type Edits = Record<string, string | null | { mode: Change['mode']; text: string }>;

/** A run's changes, with their blobs stored. */
export async function changesOf(workspace: OpenWorkspace, edits: Edits): Promise<Change[]> {
  const changes: Change[] = [];
  for (const [path, edit] of Object.entries(edits)) {
    const { mode, text } = typeof edit === 'object' && edit !== null ? edit : { mode: '100644' as const, text: edit };
    const put = text === null ? null : workspace.objects.put('blob', Buffer.from(text));
    await put?.stored;
    changes.push({ path, mode, oid: put?.oid ?? null, was: null });
  }
  return changes;
}
