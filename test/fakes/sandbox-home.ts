import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Clock } from '../../src/core/ports/clock.ts';
import type { Checkout } from '../../src/core/ports/workspace.ts';
import type { Limits } from '../../src/core/ports/sandbox.ts';
import type { BwrapFeatures } from '../../src/sandbox/bwrap.ts';
import type { Machine } from '../../src/core/ports/sandbox.ts';
import { probeSandbox } from '../../src/sandbox/probe.ts';
import { requirePeer } from './require-peer.ts';

const exec = promisify(execFile);

export const machine: Machine = { arch: process.arch, uid: process.getuid?.() ?? -1 };

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      });
    }),
};

export const limits: Limits = { timeMs: 20_000, memory: 256 << 20, processes: 64, output: 1 << 20 };

export const git = async (cwd: string, ...args: string[]): Promise<string> => {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C' };
  const who = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', '-c', 'init.defaultBranch=main'];
  return (await exec('git', [...who, ...args], { cwd, env })).stdout.trim();
};

/** A home with a workspace in a temporary folder, and checkouts as the workspace would hand them out. */
export interface SandboxHome {
  dir: string;
  shells: string;
  workspace: string;
  checkout(name: string): Promise<Checkout>;
  remove(): Promise<void>;
}

export async function sandboxHome(): Promise<SandboxHome> {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-sandbox-'));
  const workspace = join(dir, 'workspace');
  await mkdir(workspace);
  await git(workspace, 'init', '-q');
  await writeFile(join(workspace, 'a.txt'), 'one\n');
  await git(workspace, 'add', '.');
  await git(workspace, 'commit', '-q', '-m', 'first');
  const head = await git(workspace, 'rev-parse', 'HEAD');
  const objects = join(workspace, '.git', 'objects');
  return {
    dir,
    shells: join(dir, 'shells'),
    workspace,
    async checkout(name) {
      const checkout = { id: name, dir: join(dir, 'checkouts', name), git: join(dir, 'throwaway', name), objects };
      await mkdir(join(checkout.dir, '.git'), { recursive: true });
      await mkdir(checkout.git, { recursive: true });
      await git(checkout.git, 'init', '-q', '--bare', '--template=', '.');
      await writeFile(join(checkout.git, 'config'), '[core]\n\trepositoryformatversion = 0\n\tbare = false\n');
      await mkdir(join(checkout.git, 'objects', 'info'), { recursive: true });
      await writeFile(join(checkout.git, 'objects', 'info', 'alternates'), `${objects}\n`);
      const there = [`--git-dir=${checkout.git}`, `--work-tree=${checkout.dir}`];
      await git(checkout.dir, ...there, 'update-ref', 'HEAD', head);
      await git(checkout.dir, ...there, 'reset', '-q', '--hard');
      return checkout;
    },
    remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** What this machine's bubblewrap can do, and the reason to skip where there is none. A sandbox that leaks is no reason. */
export async function bwrapHere(): Promise<{ features: BwrapFeatures | null; skip: string | false }> {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-probe-'));
  const path = process.env['PATH'] ?? '';
  const probe = await probeSandbox({ dir, path, platform: process.platform, machine });
  await rm(dir, { recursive: true });
  if (!probe.ok && probe.why.includes('does not hold')) throw new Error(probe.why);
  return { features: probe.ok ? probe.features : null, skip: requirePeer(`bubblewrap (${probe.why})`, probe.ok) };
}

/** Process ids that work in a folder. */
export async function processesIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc'))
    if (/^\d+$/.test(name) && (await readlink(`/proc/${name}/cwd`).catch(() => '')) === folder)
      found.push(Number(name));
  return found;
}

/** Process ids whose command line holds the text. */
export async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(text)) found.push(Number(name));
  }
  return found;
}
