import { rmSync } from 'node:fs';
import { httpOnly } from '../../src/core/ports/net.ts';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentDeps } from '../../src/agent/run/deps.ts';
import { BUILTIN } from '../../src/app/builtin.ts';
import { startApp } from '../../src/app/app.ts';
import type { AppOptions } from '../../src/app/options.ts';
import type { Agent, Governance, Settings } from '../../src/core/agent.ts';
import type { Delta, Runtime, TaskOutcome } from '../../src/core/api/runtime.ts';
import type { Views } from '../../src/core/api/views.ts';
import type { Event } from '../../src/core/event.ts';
import type { ModelChoice } from '../../src/core/model.ts';
import type { Rule } from '../../src/core/policy.ts';
import type { Channel } from '../../src/core/ports/channel.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { JournalRepository } from '../../src/core/ports/journal.ts';
import type { Log } from '../../src/core/ports/log.ts';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import type { KeptSecrets } from '../../src/core/ports/secrets.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { AnyTool, Tool } from '../../src/core/ports/tool.ts';
import { systemClock, systemIds, systemRandom } from '../../src/platform/system.ts';
import { readBundled, skillRules } from '../../src/skills/judge.ts';
import { askTool } from '../../src/tools/ask.ts';
import { type ReadInput, readTool } from '../../src/tools/read.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import type { Trust } from '../../src/trust/trust.ts';
import { readSkills } from '../../src/workspace/governance/skills.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import type { OpenWorkspace } from '../../src/workspace/workspace.ts';
import { anAgent, governing, SETTINGS } from './governance.ts';

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface LoopOptions {
  choices: readonly ModelChoice[];
  tools?: readonly AnyTool[];
  rules?: readonly Rule[];
  agent?: Partial<Agent>;
  /** Agents beside the assistant, like it but for this. */
  others?: readonly (Partial<Agent> & { name: string })[];
  queues?: Settings['queues'];
  limits?: Partial<Settings['limits']>;
  files?: Record<string, string>;
  /** Folder of the skills that come with the package; none without it. */
  skills?: string;
  channels?: readonly Channel[];
  redact?: (text: string) => string;
  maxAttempts?: number;
  nextTry?: AgentDeps['nextTry'];
  /** What comes of a landing that changes what governs. */
  applyLanded?: Trust['applyLanded'];
  clock?: Clock;
  /** Makes the store, in a folder of the test's own. Default: one in memory. */
  store?: (dir: string) => Promise<Store>;
}

const unused = (what: string) => () => Promise.reject(new Error(`no ${what} in this test`));

const SANDBOX: Sandbox = {
  name: 'fake',
  confined: true,
  exec: unused('commands'),
  find: async () => 'absent',
  adopt: unused('commands'),
  forget: async () => {},
  list: async () => [],
};

/** A readable journal that nobody reads. */
function heldInMemory(): JournalRepository {
  let tip = 0;
  return {
    tip: async () => tip,
    append: async (lines) => void (tip = lines.at(-1)?.seq ?? tip),
    lines: async function* () {},
    maintain: async () => {},
    check: async () => true,
    anew: async () => {
      tip = 0;
      return 'kept';
    },
  };
}

/** What governs is what the test says, without a file that could be edited. */
const settledBy = (governance: Governance, applyLanded: Trust['applyLanded'] = async () => {}): Trust => ({
  current: () => governance,
  refused: () => [],
  answerHeld: async () => ({ ok: false, why: 'unknown', message: '' }),
  applyLanded,
  onChange: () => () => undefined,
  onMoved: () => () => undefined,
  look: async () => {},
  settled: async () => {},
  close: async () => {},
});

const hiding = (redact: (text: string) => string): KeptSecrets => ({
  resolve: unused('secret'),
  redact,
  redactPieces: () => ({ push: redact, end: () => '' }),
  hide: () => undefined,
  has: () => false,
  keep: unused('secret'),
  vault: {
    list: () => [],
    has: () => false,
    problem: () => null,
    locked: () => false,
    retry: unused('secret'),
    set: unused('secret'),
    remove: unused('secret'),
    rotateKey: unused('secret'),
    keyPlace: unused('secret'),
    onChange: () => () => undefined,
  },
  peek: unused('secret'),
  settle: async () => undefined,
  onUse: () => () => undefined,
});

function governanceOf(options: LoopOptions, commit: string): Governance {
  const assistant = anAgent({
    name: 'assistant',
    description: 'helps',
    tools: (options.tools ?? []).map(({ name }) => name),
    instructions: 'You help.',
    ...options.agent,
  });
  const agents = [assistant, ...(options.others ?? []).map((other) => ({ ...assistant, ...other }))];
  const settings = {
    ...SETTINGS,
    rules: options.rules ?? [],
    limits: { ...SETTINGS.limits, ...options.limits },
    queues: options.queues ?? {},
    maxAttempts: options.maxAttempts ?? SETTINGS.maxAttempts,
  };
  return governing(agents, { commit, settings });
}

const made = new Map<string, Promise<{ folder: string; commit: string }>>();
const firsts: string[] = [];
// One listener for all of them: Node takes more than ten for a leak.
process.once('exit', () => firsts.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A workspace as `init` makes it. Each is made once and then copied: half of what a test costs are the processes of Git. */
async function initialWorkspace(dir: string, files: Record<string, string>): Promise<string> {
  const key = JSON.stringify(files);
  const make = async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'ruche-first-')), 'workspace');
    firsts.push(join(folder, '..'));
    const env = { PATH: process.env.PATH, HOME: folder };
    const bytes = new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]));
    return { folder, commit: await initWorkspace({ dir: folder, files: bytes, env, clock: systemClock }) };
  };
  if (!made.has(key)) made.set(key, make());
  const { folder, commit } = await (made.get(key) as ReturnType<typeof make>);
  await cp(folder, dir, { recursive: true });
  return commit;
}

/** The network as it is started, with everything real but the disk of the store, the model, the tools and what governs. */
export async function openLoop(options: LoopOptions) {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-loop-'));
  const env = { PATH: process.env.PATH, HOME: dir };
  const clock = options.clock ?? systemClock;
  const folder = join(dir, 'workspace');
  const first = await initialWorkspace(folder, { 'README.md': 'hello\n', ...options.files });
  const governance = governanceOf(options, first);
  const raw: Store = (await options.store?.(dir)) ?? openMemoryStore({ clock, random: systemRandom.bytes });
  const journal = heldInMemory();
  const deltas: Delta[] = [];
  let deps!: AgentDeps;
  let workspace!: OpenWorkspace;
  const wrap: AppOptions['wrap'] = {
    store: async () => raw,
    workspace: async (open) => {
      workspace = await open();
      const skills = {
        ...workspace,
        rules: skillRules(options.skills ? await readBundled(options.skills) : new Map()),
      };
      governance.skills = (await readSkills(skills, workspace.git, governance.commit, governance.agents)).skills;
      return workspace;
    },
    journal: async () => journal,
    net: () => httpOnly(unused('network')),
    sandbox: async () => SANDBOX,
    trust: async () => settledBy(governance, options.applyLanded),
    models: (open) => ({ ...open(), choices: () => [...options.choices], prepare: async () => {} }),
    agents: (open) => {
      const given = open();
      const emit: AgentDeps['emit'] = (delta) => {
        deltas.push(delta);
        given.emit(delta);
      };
      const nextTry: AgentDeps['nextTry'] = (...args) => {
        const next = given.nextTry(...args);
        return next && { ...next, wait: 0 };
      };
      deps = { ...given, emit, nextTry: options.nextTry ?? nextTry };
      return deps;
    },
  };
  const start = () =>
    startApp({
      version: '0.0.0-test',
      home: join(dir, 'home'),
      workspace: folder,
      template: dir,
      ...(options.skills ? { skills: options.skills } : {}),
      host: '127.0.0.1',
      port: 0,
      token: () => 'a-token-of-the-tests-0123456789',
      env,
      platform: 'linux',
      machine: { arch: process.arch, uid: 0 },
      log: quiet,
      secrets: hiding(options.redact ?? ((text) => text)),
      channels: () => (options.channels ?? []).map((channel) => ({ channel, owners: [], agent: null })),
      system: { clock, ids: systemIds, random: { bytes: systemRandom.bytes, number: () => 0 } },
      builtin: { ...BUILTIN, tools: options.tools ?? [], messengers: [] },
      wrap,
    });
  let app = await start();
  let count = 0;
  const deliver = async (
    text: string,
    session = 'one',
    more: { channel?: string; id?: string } = {},
  ): Promise<string> => {
    const result = await app.runtime.deliver({
      channel: more.channel ?? 'http',
      sender: 'person:owner',
      agent: 'assistant',
      session,
      text,
      replyTo: 'owner',
      externalId: more.id ?? `m${(count += 1)}`,
    });
    if (!result.ok) throw new Error(result.message);
    return result.delivered.task;
  };
  const settled = (task: string): Promise<TaskOutcome> => app.runtime.settled(task, AbortSignal.timeout(60_000));
  return {
    dir,
    governance,
    deltas,
    /** The store below the one that tells the hub. */
    raw,
    get deps(): AgentDeps {
      return deps;
    },
    get store(): Store {
      return deps.store;
    },
    get workspace(): OpenWorkspace {
      return workspace;
    },
    /** What pages show. */
    get views(): Views {
      return app.views;
    },
    get runtime(): Runtime {
      return app.runtime;
    },
    deliver,
    settled,
    send: async (text: string, session?: string): Promise<TaskOutcome> => settled(await deliver(text, session)),
    events: async (stream?: string): Promise<Event[]> =>
      Array.fromAsync(raw.read(stream === undefined ? {} : { stream })),
    /** Stops the process in the middle and starts another one. */
    async restart(): Promise<void> {
      await app.close('a restart');
      app = await start();
    },
    async close(): Promise<void> {
      await app.close('the test is over');
      await raw.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export type Loop = Awaited<ReturnType<typeof openLoop>>;

/** Tools small enough to see through. `log` counts what really happened. */
export function testTools(log: string[]) {
  const tool = (more: Partial<Tool> & Pick<Tool, 'name' | 'effect' | 'run'>): Tool => ({
    description: more.name,
    idempotent: false,
    schema: { type: 'object' },
    parse: (value) => ({ ok: true, value }),
    facts: (input) => {
      const { path } = input as { path?: string };
      return path === undefined ? {} : { paths: [path] };
    },
    ...more,
  });
  const done = (text: string, changes: Awaited<ReturnType<Tool['run']>>['changes'] = []) => ({
    ok: true,
    text,
    labels: [],
    changes,
  });
  const read: Tool = {
    ...readTool,
    run: (input, ctx) => {
      log.push(`read ${(input as { path: string }).path}`);
      return readTool.run(input as ReadInput, ctx);
    },
  };
  const write = tool({
    name: 'write',
    usualFor: 'writing',
    effect: 'write',
    idempotent: true,
    run: async (input, ctx) => {
      const { path, content } = input as { path: string; content: string };
      log.push(`write ${path}`);
      return done(`wrote ${path}`, [await ctx.files.write(path, Buffer.from(content))]);
    },
  });
  const once = tool({
    name: 'once',
    effect: 'write',
    run: async (input) => {
      log.push(`once ${JSON.stringify(input)}`);
      return done('done once');
    },
  });
  return { read, write, once, ask: askTool };
}
