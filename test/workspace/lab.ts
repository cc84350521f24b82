import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Boundary } from '../../src/core/ports/boundary.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Change } from '../../src/core/files.ts';
import type { LandingRequest, LandingResult } from '../../src/core/ports/workspace.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import type { OpenWorkspace } from '../../src/workspace/workspace.ts';

export const AT = Date.UTC(2026, 10, 22, 12);

/** Time moves only with what sleeps, which goes on at the next turn of the event loop. */
export function runningClock(): Clock {
  let now = AT;
  return {
    now: () => now,
    sleep: (ms) => {
      now += ms;
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** Environment of a person called Ada, whose global Git configuration is `<root>/gitconfig`. */
export const personEnv = (root: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: root,
  GIT_CONFIG_GLOBAL: join(root, 'gitconfig'),
  GIT_CONFIG_NOSYSTEM: '1',
});

export const FIRST_FILES = {
  'notes.md': 'one\ntwo\nthree\nfour\nfive\nsix\n',
  'docs/guide.md': 'guide\n',
  'docs/deep/er.txt': 'deeper\n',
  'run.sh': '#!/bin/sh\n',
  '.gitignore': '*.log\nbuild/\n.env\n',
};

export interface Lab {
  root: string;
  dir: string;
  env: Record<string, string>;
  ws: OpenWorkspace;
  /** Git as the person runs it, with configuration, hooks and all. */
  git(...args: string[]): string;
  put(path: string, text: string | Uint8Array): Promise<void>;
  read(path: string): Promise<string>;
  /** Puts files over a base, wherever they are, and lands them. Null removes. */
  land(run: string, files: Record<string, string | null>, base?: string): Promise<LandingResult>;
  request(run: string, base: string, changes: readonly Change[]): LandingRequest;
  reopen(options?: { boundary?: Boundary }): Promise<OpenWorkspace>;
  dispose(): Promise<void>;
}

export interface LabOptions {
  files?: Record<string, string>;
  boundary?: Boundary;
  clock?: Clock;
  /** Runs before the workspace is opened. */
  prepare?: (dir: string, root: string, env: Record<string, string>) => Promise<void> | void;
  maxFile?: number;
  lockWaitMs?: number;
}

let seed: Promise<string> | null = null;

/** One repository is made, and copied for each test. */
async function seedRepository(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ruche-seed-'));
  process.once('exit', () => execFileSync('rm', ['-rf', root]));
  const dir = join(root, 'workspace');
  const files = new Map(Object.entries(FIRST_FILES).map(([path, text]) => [path, Buffer.from(text)]));
  await initWorkspace({ dir, files, env: personEnv(root), clock: runningClock() });
  return dir;
}

export async function makeLab(options: LabOptions = {}): Promise<Lab> {
  const root = await mkdtemp(join(tmpdir(), 'ruche-ws-'));
  try {
    return await fillLab(root, options);
  } catch (error) {
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
    throw error;
  }
}

async function fillLab(root: string, options: LabOptions): Promise<Lab> {
  const dir = join(root, 'workspace');
  const env = personEnv(root);
  await writeFile(join(root, 'gitconfig'), '[user]\n\tname = Ada\n\temail = ada@example.org\n');
  if (options.files) {
    const files = new Map(Object.entries(options.files).map(([path, text]) => [path, Buffer.from(text)]));
    await initWorkspace({ dir, files, env, clock: runningClock() });
  } else {
    seed ??= seedRepository();
    await cp(await seed, dir, { recursive: true, preserveTimestamps: true });
  }
  await options.prepare?.(dir, root, env);
  const open = (more: { boundary?: Boundary } = {}): Promise<OpenWorkspace> =>
    openWorkspace({
      dir,
      env,
      clock: options.clock ?? runningClock(),
      boundary: more.boundary ?? options.boundary ?? (() => undefined),
      ...(options.maxFile === undefined ? {} : { maxFile: options.maxFile }),
      lockWaitMs: options.lockWaitMs ?? 0,
    });
  const lab: Lab = {
    root,
    dir,
    env,
    ws: await open(),
    git: (...args) => execFileSync('git', args, { cwd: dir, env, stdio: 'pipe' }).toString('utf8'),
    async put(path, text) {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), text);
    },
    read: (path) => readFile(join(dir, path), 'utf8'),
    async land(run, files, base) {
      const from = base ?? (await lab.ws.head());
      const overlay = lab.ws.files(from, []);
      for (const [path, text] of Object.entries(files))
        if (text === null) await overlay.remove(path);
        else await overlay.place(path, Buffer.from(text));
      return lab.ws.land(lab.request(run, from, overlay.changes()));
    },
    request: (run, base, changes) => ({
      base,
      changes,
      subject: `Work of ${run}`,
      provenance: { run, task: 'tsk_1', agent: 'bot', model: 'demo/demo', costUsd: 0.0125, labels: ['private'] },
      at: AT,
    }),
    async reopen(more) {
      await lab.ws.close();
      lab.ws = await open(more);
      return lab.ws;
    },
    async dispose() {
      await lab.ws.close();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  await lab.ws.recover();
  return lab;
}

/** Runs a test body with a lab of its own. */
export const withLab = (body: (lab: Lab) => Promise<void>, options?: LabOptions) => async (): Promise<void> => {
  const lab = await makeLab(options);
  try {
    await body(lab);
  } finally {
    await lab.dispose();
  }
};
