import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpOnly } from '../../src/core/ports/net.ts';
import type { FileMode, Files } from '../../src/core/files.ts';
import type { Tool, ToolContext, ToolResult } from '../../src/core/ports/tool.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import { openWorkspace, type OpenWorkspace } from '../../src/workspace/workspace.ts';

const clock = { now: () => 1_763_000_000_000, sleep: () => new Promise<void>(() => {}) };

/** A real workspace; each test takes an overlay of its own over it, so that they share nothing they can change. */
export interface Bench {
  dir: string;
  workspace: OpenWorkspace;
  files(): Promise<Files>;
  close(): Promise<void>;
}

export type Content = string | Uint8Array | { link: string };

export async function openBench(content: Record<string, Content>): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), 'ruche-tools-'));
  const dir = join(root, 'workspace');
  const env = { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: '1' };
  await initWorkspace({ dir, files: new Map([['.keep', new Uint8Array()]]), env, clock });
  const workspace = await openWorkspace({ dir, env, clock, boundary: () => {} });
  const files = workspace.files(await workspace.head(), []);
  for (const [path, what] of Object.entries(content)) {
    const [bytes, mode]: [Uint8Array, FileMode] =
      typeof what === 'string'
        ? [Buffer.from(what), '100644']
        : what instanceof Uint8Array
          ? [what, '100644']
          : [Buffer.from(what.link), '120000'];
    await files.write(path, bytes, mode);
  }
  const provenance = { run: 'run_1', task: 'tsk_1', agent: 'a', model: 'demo/demo', costUsd: 0, labels: [] };
  const changes = files.changes();
  const landed = await workspace.land({ base: files.base, changes, subject: 'start', provenance, at: clock.now() });
  if (landed.state !== 'landed') throw new Error(JSON.stringify(landed));
  return {
    dir,
    workspace,
    files: async () => workspace.files(await workspace.head(), []),
    close: async () => {
      await workspace.close();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export const git = (dir: string, ...args: string[]): string =>
  execFileSync('git', ['-C', dir, ...args], { encoding: 'utf8' });

export interface TestContext extends ToolContext {
  /** What the calls so far have shown. */
  looks: Map<string, string | null>;
}

/** A context as the loop makes one. */
export function contextOf(files: Files, more: Partial<ToolContext> = {}): TestContext {
  const looks = new Map<string, string | null>();
  return {
    looks,
    run: 'run_1',
    agent: 'assistant',
    call: 's1c0',
    key: 'run_1-s1c0',
    files,
    open: () => Promise.resolve(null),
    network: null,
    net: httpOnly(() => Promise.reject(new Error('no network in this test'))),
    seen: async (path) => (looks.has(path) ? { oid: looks.get(path) ?? null, known: true } : null),
    mayRead: () => true,
    mayWrite: () => true,
    labelsOf: () => [],
    nameLabels: () => [],
    readBy: () => ({ named: null, past: [] }),
    mark: 'a-mark-of-tests',
    signal: new AbortController().signal,
    boundary: () => {},
    progress: () => {},
    ...more,
  };
}

/** Parses and runs a call, and takes over what it showed, as the loop does. */
export async function call<I>(tool: Tool<I>, args: unknown, ctx: TestContext): Promise<ToolResult> {
  const parsed = tool.parse(args);
  if (!parsed.ok) throw new Error(`${tool.name}: ${parsed.error}`);
  const result = await tool.run(parsed.value, ctx);
  for (const [path, oid] of Object.entries(result.seen ?? {})) ctx.looks.set(path, oid);
  return result;
}
