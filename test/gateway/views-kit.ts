import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_USAGE } from '../../src/core/model.ts';
import type { ConversationView, RunSummary, RunView, ViewChange, Views } from '../../src/core/api/views.ts';
import type { KeptSession, SessionKeep } from '../../src/gateway/http/logins.ts';
import type { GatewayOptions } from '../../src/gateway/server.ts';
import { systemRandom } from '../../src/platform/system.ts';

const standing = { state: 'answered' as const, why: 'It was answered.', can: [], since: null, next: null };

export const summary: RunSummary = {
  task: 'tsk_1',
  run: 'run_1',
  agent: 'assistant',
  session: 's1',
  title: 'hello',
  from: 'owner',
  channel: 'http',
  status: 'done',
  standing,
  queuedAt: 1,
  startedAt: 2,
  endedAt: 3,
  deadline: null,
  priority: 0,
  steps: 1,
  model: 'demo/demo',
  usage: NO_USAGE,
  costUsd: 0,
  commit: null,
};

export interface FakeViews extends Views {
  change(change: Partial<ViewChange>): void;
  asked: unknown[];
  watching(): number;
  files: Map<string, { name: string; mediaType: string; bytes: Uint8Array }>;
}

/** Views that answer one thing each and remember what they were asked. */
export function fakeViews(): FakeViews {
  const listeners = new Set<(change: ViewChange) => void>();
  const asked: unknown[] = [];
  const files: FakeViews['files'] = new Map();
  const conversation: ConversationView = { agent: 'assistant', session: 's1', entries: [], earlier: null };
  const run: RunView = { ...summary, request: 'hello', reply: 'hi', base: 'b', config: 'c', list: [] };
  const known = <T>(id: string, value: T): T | null => (id === 'tsk_1' || id === 'run_1' ? value : null);
  return {
    asked,
    files,
    watching: () => listeners.size,
    change: (change) => {
      for (const listener of listeners)
        listener({ task: null, run: null, agent: null, session: null, seq: 1, ...change });
    },
    conversations: async () => [],
    async conversation(...args) {
      asked.push(args);
      return args[1] === 's1' ? conversation : null;
    },
    async runs(query) {
      asked.push(query);
      return { runs: [summary], next: null, total: 1 };
    },
    async board(query) {
      asked.push(query);
      return { lanes: [] };
    },
    chain: async (id) => known(id, { task: 'tsk_1', nodes: [] }),
    run: async (id) => known(id, run),
    exact: async (id, hash) => (hash === 'h1' ? known(id, '{"a":"<script>"}') : null),
    diff: async (id) => known(id, { commit: 'c', files: [], cut: false, labels: {} }),
    file: async (_agent, _session, hash) => files.get(hash) ?? null,
    failures: async () => [],
    async origin(path) {
      asked.push(path);
      return null;
    },
    async net(query) {
      asked.push(query);
      return { sent: [], next: null };
    },
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

export interface MemoryKeep extends SessionKeep {
  kept: KeptSession[];
}

export function memoryKeep(): MemoryKeep {
  const keep: MemoryKeep = {
    kept: [],
    load: async () => keep.kept,
    async save(sessions) {
      keep.kept = [...sessions];
    },
  };
  return keep;
}

/** A folder with a small page in it, and a file beside it that nobody may reach. */
export async function withPage(body: (options: Partial<GatewayOptions>, dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-page-'));
  try {
    const web = join(dir, 'web');
    await mkdir(join(web, 'assets'), { recursive: true });
    await writeFile(join(web, 'index.html'), '<!doctype html><title>the page</title>');
    await writeFile(join(web, 'assets', 'index-a1b2.js'), 'console.log(1)');
    await writeFile(join(web, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
    await writeFile(join(dir, 'secret.txt'), 'a secret');
    await writeFile(join(web, '.hidden.txt'), 'a secret');
    await body({ web, sessions: { keep: memoryKeep(), bytes: systemRandom.bytes }, views: fakeViews() }, dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
