import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConversationCache } from '../../src/agent/run/conversation.ts';
import type { AgentDeps } from '../../src/agent/run/deps.ts';
import { LandingOrder } from '../../src/agent/run/landing-order.ts';
import { runTask } from '../../src/agent/turn.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Agent, Governance, Settings } from '../../src/core/agent.ts';
import type { Event } from '../../src/core/event.ts';
import type { ModelChoice } from '../../src/core/model.ts';
import type { Channel } from '../../src/core/ports/channel.ts';
import type { Log } from '../../src/core/ports/log.ts';
import type { Net } from '../../src/core/ports/net.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { Rule } from '../../src/core/policy.ts';
import { noEscalations, noSchedules, noTriggers } from './no-schedules.ts';
import type { SkillRules } from '../../src/core/ports/skill-rules.ts';
import { OUTBOX } from '../../src/core/records/reply.ts';
import type { Delta, Runtime, TaskOutcome } from '../../src/core/api/runtime.ts';
import type { AnyTool, Tool } from '../../src/core/ports/tool.ts';
import { Hub, observed } from '../../src/messages/hub.ts';
import { buryTask } from '../../src/runtime/end.ts';
import { sendReply } from '../../src/messages/outbox.ts';
import { Pauses } from '../../src/runtime/pauses.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { nextTry } from '../../src/models/choice/retry.ts';
import { heldQueues } from '../../src/scheduler/tasks/deadlines.ts';
import { Worker, type WorkerOptions } from '../../src/scheduler/worker.ts';
import { offeredSkills, openGate } from '../../src/skills/gate.ts';
import { skillRules } from '../../src/skills/judge.ts';
import { askTool } from '../../src/tools/ask.ts';
import { type ReadInput, readTool } from '../../src/tools/read.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { systemClock, systemIds, systemRandom } from '../../src/platform/system.ts';
import { openGovernanceReader } from '../../src/workspace/governance/reader.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import { readSkills } from '../../src/workspace/governance/skills.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

export const SETTINGS: Settings = {
  providers: [],
  tiers: { light: [], standard: [], strong: [] },
  rules: [],
  channels: [],
  concurrency: 50,
  limits: {
    steps: 20,
    runMs: 60_000,
    toolOutput: 2_000,
    shellMs: 10_000,
    shellMemory: 2 ** 30,
    shellProcesses: 64,
    hops: 8,
    tasks: 200,
    fanOut: 25,
  },
  queues: {},
  maxAttempts: 3,
};

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
  /** Skills that come with the package. */
  bundled?: SkillRules['bundled'];
  channels?: readonly Channel[];
  redact?: (text: string) => string;
  maxAttempts?: number;
  nextTry?: AgentDeps['nextTry'];
  clock?: Clock;
  /** Makes the store, in a folder of the test's own. Default: one in memory. */
  store?: (dir: string) => Promise<Store>;
}

const NO_NET: Net = { request: () => Promise.reject(new Error('no network in this test')) };

/** The loop with everything real but the disk of the store, the model and the tools. */
export async function openLoop(options: LoopOptions) {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-loop-'));
  const env = { PATH: process.env.PATH, HOME: dir };
  const clock = options.clock ?? systemClock;
  const boundary = (): void => undefined;
  const base = { 'README.md': 'hello\n', ...options.files };
  const files = new Map(Object.entries(base).map(([path, text]) => [path, Buffer.from(text)]));
  await initWorkspace({ dir: join(dir, 'workspace'), files, env, clock });
  const workspace = await openWorkspace({ dir: join(dir, 'workspace'), env, clock, boundary });
  const tools = new Map<string, AnyTool>((options.tools ?? []).map((tool) => [tool.name, tool]));
  const skills = { ...workspace, rules: skillRules(options.bundled ?? new Map()) };
  const reader = openGovernanceReader({
    git: workspace.git,
    skills,
    tools: [...tools.values()],
    messengers: [],
    providers: ['scripted'],
    ruleProblem: () => null,
  });
  const agent: Agent = {
    name: 'assistant',
    description: 'helps',
    model: 'standard',
    tools: [...tools.keys()],
    rules: [],
    network: null,
    schedules: [],
    instructions: 'You help.',
    ...options.agent,
  };
  const governance: Governance = {
    commit: await workspace.head(),
    settings: {
      ...SETTINGS,
      rules: options.rules ?? [],
      limits: { ...SETTINGS.limits, ...options.limits },
      queues: options.queues ?? {},
    },
    agents: new Map(
      [agent, ...(options.others ?? []).map((other) => ({ ...agent, ...other }))].map((each) => [each.name, each]),
    ),
    problems: [],
  };
  governance.skills = (await readSkills(skills, workspace.git, governance.commit, governance.agents)).skills;
  const gate = openGate({ platform: 'linux', path: '/usr/bin:/bin', hasVariable: () => false, clock });
  const hub = new Hub();
  const raw: Store = (await options.store?.(dir)) ?? openMemoryStore({ clock, random: systemRandom.bytes });
  const store = observed(raw, hub);
  const channels = new Map((options.channels ?? []).map((channel) => [channel.name, channel]));
  const deltas: Delta[] = [];
  const deps: AgentDeps = {
    store,
    workspace,
    reader,
    skills: (of) => offeredSkills(gate, governance, of),
    governance: () => governance,
    governanceLanded: async () => {},
    models: () => options.choices,
    nextTry:
      options.nextTry ??
      ((...args) => {
        const next = nextTry(...args);
        return next && { ...next, wait: 0 };
      }),
    tools: () => tools,
    net: NO_NET,
    sandboxed: true,
    pushes: (name) => channels.has(name),
    redact: options.redact ?? ((text) => text),
    redactPieces: () => ({ push: options.redact ?? ((text) => text), end: () => '' }),
    emit: (delta) => {
      deltas.push(delta);
      hub.emit(delta);
    },
    cancelTask: (task, by) => runtime.cancel(task, by),
    conversations: new ConversationCache(),
    landingOrder: new LandingOrder(systemClock),
    clock,
    ids: systemIds,
    random: () => 0,
    log: quiet,
    boundary,
    worker: 'wrk_test',
  };
  const common = {
    store,
    clock,
    log: quiet,
    worker: 'wrk_test',
    onWork: (listener: () => void) => hub.onWork(listener),
    onCancelled: (listener: (task: string) => void) => hub.onCancelled(listener),
  };
  /** The two workers of a process. */
  const begin = () => {
    const handle: WorkerOptions['handle'] = (claim, stops) => runTask(deps, claim, stops);
    const send: WorkerOptions['handle'] = (claim) =>
      sendReply(
        {
          store,
          channels,
          drafts: { settle: async () => {} },
          clock,
          log: quiet,
          boundary,
          redact: deps.redact,
          random: () => 0,
        },
        claim,
      );
    const held: WorkerOptions['held'] = (running) => heldQueues(governance.settings.queues, running);
    const bury: WorkerOptions['bury'] = (claim, error) => buryTask(deps, claim, error);
    const except = (): string[] => [OUTBOX, ...pauses.names()];
    const runs = new Worker({ ...common, concurrency: () => 50, except, held, handle, bury });
    const sends = new Worker({ ...common, concurrency: () => 10, only: [OUTBOX], handle: send });
    runs.start();
    sends.start();
    return { runs, sends };
  };
  let pauses = await Pauses.open(store, deps.redact, () => hub.work());
  deps.paused = (name) => pauses.of(name) !== null;
  let workers = begin();
  const runtime: Runtime = createRuntime({
    store,
    clock,
    ids: systemIds,
    redact: deps.redact,
    pushes: deps.pushes,
    agents: () =>
      [...new Set(['assistant', ...governance.agents.keys()])].map((name) => ({ name, description: '', models: [] })),
    maxAttempts: () => options.maxAttempts ?? 3,
    pair: async () => ({ ok: false, message: 'no channels here' }),
    schedules: noSchedules,
    triggers: noTriggers,
    escalations: noEscalations,
    answerHeld: async () => ({ ok: false, why: 'unknown', message: '' }),
    hub,
    pauses: {
      of: (...args) => pauses.of(...args),
      pause: (...args) => pauses.pause(...args),
      resume: (...args) => pauses.resume(...args),
    },
    accepting: () => true,
    situation: () => Promise.reject(new Error('not in this test')),
  });
  let count = 0;
  const deliver = async (
    text: string,
    session = 'one',
    more: { channel?: string; id?: string } = {},
  ): Promise<string> => {
    const result = await runtime.deliver({
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
  const settled = (task: string): Promise<TaskOutcome> => runtime.settled(task, AbortSignal.timeout(10_000));
  return {
    dir,
    deps,
    store,
    /** The store below the one that tells the hub. */
    raw,
    runtime,
    paused: (name: string) => pauses.of(name),
    workspace,
    governance,
    deltas,
    deliver,
    settled,
    send: async (text: string, session?: string): Promise<TaskOutcome> => settled(await deliver(text, session)),
    events: async (stream?: string): Promise<Event[]> =>
      Array.fromAsync(store.read(stream === undefined ? {} : { stream })),
    /** Stops the workers in the middle and starts others, as a new process would. */
    async restart(): Promise<void> {
      await Promise.all([workers.runs.stop(50), workers.sends.stop(1_000)]);
      await store.releaseAll();
      deps.conversations = new ConversationCache();
      pauses = await Pauses.open(store, deps.redact, () => hub.work());
      workers = begin();
    },
    async close(): Promise<void> {
      await Promise.all([workers.runs.stop(1_000), workers.sends.stop(1_000)]);
      await store.close();
      await workspace.close();
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
