import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { App, AppOptions } from './app-types.ts';
import { ConversationCache } from './agent/conversation.ts';
import type { AgentDeps } from './agent/deps.ts';
import { liveKeys } from './agent/live.ts';
import { runTask } from './agent/turn.ts';
import type { Governance } from './core/agent.ts';
import { startGateway } from './gateway/server.ts';
import { startExport } from './journal/export.ts';
import { Hub, observed } from './mail/hub.ts';
import { startChannels } from './mail/channels.ts';
import { describeAgents, describeNetwork } from './mail/describe.ts';
import { OUTBOX, sendReply } from './mail/outbox.ts';
import { createRuntime } from './mail/runtime.ts';
import { nextTry } from './models/call.ts';
import { openModels, PROVIDERS } from './models/choose.ts';
import { openNet } from './net/guard.ts';
import { ruleProblem } from './policy/rules.ts';
import { openSandbox } from './sandbox/open.ts';
import { startTrust } from './scheduler/trust.ts';
import { record, Worker, type WorkerOptions } from './scheduler/worker.ts';
import { envSecrets } from './secrets/env.ts';
import { lockHome } from './store/lock.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { systemClock as clock, systemIds as ids, systemRandom as random } from './system.ts';
import { builtinTools, TOOL_NAMES } from './tools/builtin.ts';
import { openCheckouts } from './workspace/checkouts.ts';
import { openGovernanceReader } from './workspace/governance.ts';
import { ensureWorkspace } from './workspace/template.ts';
import { openJournalRepository } from './workspace/journal-repository.ts';
import { openWatch } from './workspace/watch.ts';
import { openWorkspace } from './workspace/workspace.ts';

/** Replies sent at once. */
const SENDS = 10;
/** Milliseconds that running steps have at the end; the rest of the promised ten seconds is for closing. */
const GRACE_MS = 6_000;

/** Puts the network together and starts it. Rejects with advice for a person, and leaves nothing open then. */
export async function startApp(options: AppOptions): Promise<App> {
  const parts = new AsyncDisposableStack();
  try {
    return await compose(options, parts);
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

async function compose(options: AppOptions, parts: AsyncDisposableStack): Promise<App> {
  const { home, env, log, token, boundary = () => undefined } = options;
  const [startedAt, worker, hub] = [clock.now(), ids.next('wrk'), new Hub()];
  await mkdir(home, { recursive: true, mode: 0o700 });
  parts.adopt(lockHome(home), (lock) => lock.release());
  const path = join(home, 'ruche.sqlite');
  const store = observed(await openSqliteStore({ path, clock, random: random.bytes, boundary }), hub);
  parts.defer(() => store.close());
  const made = await ensureWorkspace({ ...options, clock });
  const workspace = await openWorkspace({ dir: options.workspace, env, clock, boundary });
  parts.defer(() => workspace.close());
  await workspace.recover();
  const secrets = envSecrets({ env, values: [token] });
  const net = parts.adopt(openNet({ clock, log }), (each) => each.close());
  const common = { store, workspace, net, clock, ids, log, boundary, worker };

  const sandbox = await openSandbox({ ...options, path: env.PATH ?? '', boundary, clock });
  const checkouts = await openCheckouts({ workspace, dir: join(home, 'checkouts'), boundary });
  parts.defer(() => checkouts.close());
  const plug = ({ settings }: Governance) => ({
    tools: builtinTools({ sandbox, checkouts }, settings),
    models: openModels({ settings, env, net, secrets, clock }),
  });
  const reader = openGovernanceReader({ git: workspace.git, tools: TOOL_NAMES, providers: PROVIDERS, ruleProblem });
  const watch = openWatch({ git: workspace.git, clock, log });
  let plugged: ReturnType<typeof plug> | null = null;
  const trust = await startTrust({ ...common, reader, watch, onChange: (now) => (plugged = plug(now)) });
  parts.defer(() => trust.close());
  const current = (): ReturnType<typeof plug> => (plugged ??= plug(trust.current()));
  const channels = new Map((options.channels?.({ net, secrets, log }) ?? []).map((each) => [each.name, each]));

  const agents: AgentDeps = {
    ...common,
    reader,
    governance: () => trust.current(),
    governanceLanded: (commit) => trust.applyLanded(commit),
    models: (agent) => current().models.choices(agent.model),
    nextTry,
    tools: () => current().tools,
    sandboxed: sandbox.confined,
    pushes: (channel) => channels.has(channel),
    redact: (text) => secrets.redact(text),
    emit: (delta) => hub.emit(delta),
    conversations: new ConversationCache(),
    random: random.number,
  };
  const pool = { ...common, onWork: (listener: () => void) => hub.onWork(listener) };
  const handle: WorkerOptions['handle'] = (claim, stops) => runTask(agents, claim, stops);
  const concurrency = (): number => trust.current().settings.concurrency;
  const runs = new Worker({ ...pool, concurrency, except: [OUTBOX], handle });
  const send: WorkerOptions['handle'] = (claim) => sendReply({ ...agents, channels }, claim);
  const sends = new Worker({ ...pool, concurrency: () => SENDS, only: [OUTBOX], handle: send });
  const repository = await openJournalRepository({ dir: join(home, 'journal.git'), env, boundary, log });
  parts.defer(() => repository.close());
  const exporter = await startExport({ store, repository, clock, log });
  parts.defer(() => exporter.close());

  let state: 'starting' | 'ready' | 'stopping' = 'starting';
  const runtime = createRuntime({
    ...common,
    hub,
    redact: (text) => secrets.redact(text),
    maxAttempts: () => trust.current().settings.maxAttempts,
    answerHeld: (approval, verdict, by) => trust.answerHeld(approval, verdict, by),
    accepting: () => state === 'ready',
    stopTask: (task) => runs.cancel(task),
    situation: async () => ({
      ...describeNetwork(options, trust.current(), current().models, trust.refused()),
      startedAt,
      sandbox: sandbox.name,
      notReady: state === 'ready' ? (runs.problem ?? sends.problem) : `It is ${state}.`,
      journal: { head: await store.head(), exported: exporter.exported() },
    }),
    agents: () => describeAgents(trust.current(), current().models),
  });
  const gateway = await startGateway({ ...options, ...common, runtime });
  parts.defer(() => gateway.close());
  const live = await liveKeys(store);
  for (const tool of current().tools.values()) await tool.sweep?.(live);
  await checkouts.recover([...live]);
  const recovered = await store.releaseAll();
  await record(store, { type: 'gateway.started', data: { version: options.version, recovered } });
  for (const each of [runs, sends]) each.start();
  state = 'ready';
  const listening = startChannels(channels, runtime, log);

  return {
    gateway,
    runtime,
    made,
    async close(reason) {
      state = 'stopping';
      listening.stop();
      await Promise.all([runs.stop(GRACE_MS), sends.stop(GRACE_MS)]);
      await record(store, { type: 'gateway.stopped', data: { reason } });
      await parts.disposeAsync();
    },
  };
}
