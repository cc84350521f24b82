import { fenced } from '../../core/text/untrusted.ts';
import type { AgentTurn, Turn } from '../run/deps.ts';
import type { PolicyCall, PolicyFacts } from '../../core/policy.ts';
import type { Net } from '../../core/ports/net.ts';
import { type Reconciled, type ToolContext, type ToolResult, usualTool } from '../../core/ports/tool.ts';
import type { EgressGrant } from '../../core/ports/egress.ts';
import { unionLabels } from '../../core/labels.ts';
import { SCRIPT } from '../../core/schedule.ts';
import { commandNetwork } from '../../policy/decide.ts';
import { commandDenial, hiddenPath, netGrant, redirectPolicy } from '../../policy/grant.ts';
import {
  blobsOf,
  boundCall,
  type EngineToolCall,
  showCall,
  freshBase,
  callFacts,
  decided,
  judge,
  policyCall,
  policyFacts,
  type ToolCall,
  pinnedNames,
  unseenBy,
  viewOf,
} from './ready.ts';
import { holdWork } from '../finish/hold.ts';
import { labelling } from './labels.ts';
import { openArtefact } from './artefacts.ts';
import { openOutput, shorten, askQuestion, noteText, refuse } from './results.ts';
import { loadJson, messageOf, type RunLog, type ShownCall, zoneOf } from '../run/log.ts';
import { seenAs } from '../run/seen.ts';
import type { ToolRecord } from '../run/blobs.ts';
import { askedKey } from '../../core/records/matter.ts';

/**
 * Runs calls that are allowed: intent, effect, receipt. A call that had started before a crash is reconciled first, and
 * about one whose fate nobody can tell the person is asked.
 */
export async function runCalls(turn: AgentTurn, group: readonly ToolCall[]): Promise<void> {
  const { deps, log, stops } = turn;
  await freshBase(turn, group);
  const unseen = await unseenBy(turn, group);
  const files = await viewOf(turn);
  const begun: { ready: ToolCall; work: () => Promise<{ result: ToolResult; reconciled: boolean }> }[] = [];
  for (const ready of group) {
    const context = toolContext(turn, ready, { files, facts: await callFacts(turn, ready) });
    const again = ready.call.phase === 'started' ? await reconcile(ready, context) : null;
    if (again?.state === 'doubt') {
      const text = `This call had started when it was interrupted, and it is unknown whether it took effect: ${again.why}\n${fenced(showCall(log, ready).text)}\nAnswer "retry" to run it again, or say what happened.`;
      askQuestion(turn, ready.call, { text, reason: 'A step is in doubt after a crash.' }, true);
      continue;
    }
    if (again?.state === 'done') {
      const { result } = again;
      begun.push({ ready, work: () => Promise.resolve({ result, reconciled: true }) });
      continue;
    }
    if (!(await stillAllowed(turn, ready)) || !(await stillApproved(turn, ready))) continue;
    const { call, tool, input } = ready;
    const { effect, idempotent } = tool;
    log.emit({ type: 'tool.started', data: { call: call.id, tool: tool.name, key: call.key, effect, idempotent } });
    begun.push({ ready, work: async () => ({ result: await tool.run(input, context), reconciled: false }) });
  }
  const granted = begun.some(({ ready }) => ready.call.grant !== null);
  if (granted) deps.boundary('grant.use.before');
  // An effect that cannot be repeated must not happen before its intent is safe from a power cut.
  await log.flush(begun.some(({ ready }) => !ready.tool.idempotent));
  if (granted) deps.boundary('grant.use.after');
  const ended = await Promise.allSettled(
    begun.map(({ ready, work }) => finish(turn, ready, { work, unseen: unseen.get(ready.call.id) })),
  );
  void holdWork(turn);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  if (stops.shutdown.aborted) await log.flush(true);
  stops.shutdown.throwIfAborted();
  await settle(
    log,
    begun.map(({ ready }) => ready),
  );
}

/** Runs one call and records its receipt, unless the process is going down: then the step is found again after the start. */
async function finish(
  { deps, log, worked }: Turn,
  { call, tool }: ToolCall,
  { work, unseen }: { work: () => Promise<{ result: ToolResult; reconciled: boolean }>; unseen: string | undefined },
): Promise<void> {
  const { run, task } = log.state;
  deps.emit({ kind: 'tool.started', task, run, call: call.id, tool: tool.name, args: call.args });
  const before = worked();
  const { result, reconciled } = await work();
  const ms = worked() - before;
  const said = [result.text, unseen, noteText(call)].filter((part) => part !== undefined);
  const text = deps.redact(said.join('\n'));
  const limit = deps.governance().settings.limits.toolOutput;
  const record: ToolRecord = {
    ok: result.ok,
    ...shorten(text, limit, { call: call.id, reader: usualTool(deps.tools(), 'reading') }),
    changes: result.changes,
    seen: result.seen ?? {},
    ...(result.records && { records: result.records }),
  };
  const data = {
    call: call.id,
    tool: tool.name,
    ok: result.ok,
    result: log.put(record),
    // What an account answers is private, whatever it says.
    labels: deps.usedSecret(run) ? unionLabels(result.labels, ['private']) : result.labels,
    ms,
    reconciled,
  };
  log.emit({ type: 'tool.returned', data }, record);
  deps.emit({ kind: 'tool.returned', task, run, call: call.id, tool: tool.name, ok: result.ok, text: record.text });
}

/** What a tool keeps for the case of a crash is given up only once the receipt is on disk. */
async function settle(log: RunLog, group: readonly ToolCall[]): Promise<void> {
  const keeping = group.filter(({ tool, call }) => tool.settled !== undefined && call.phase === 'returned');
  if (keeping.length === 0) return;
  await log.flush(true);
  for (const { tool, call } of keeping) await tool.settled?.(call.key);
}

async function reconcile({ tool, input }: ToolCall, context: ToolContext): Promise<Reconciled> {
  if (tool.reconcile) return tool.reconcile(input, context);
  if (tool.idempotent) return { state: 'not-started' };
  return { state: 'doubt', why: 'this tool cannot check.' };
}

/** Rules, tools and labels may have become stricter since it was decided on: while a person was asked, or by the calls before it. */
export async function stillAllowed(turn: AgentTurn, ready: ToolCall | EngineToolCall): Promise<boolean> {
  const { log } = turn;
  const { call } = ready;
  const judged = await judge(turn, ready);
  const { verdict } = judged.decision;
  if (verdict === 'ask' && call.approval !== null) return true;
  // What a rule had allowed, and one has come to ask for, rests on a grant from now on.
  const anew = judged.use !== null && judged.use.grant !== call.grant;
  // The record says what it was let through with, not what was known before the calls beside it had read.
  const tainted = call.approval === null && log.state.labels.length > call.labels.length;
  if (verdict !== 'allow' || anew || tainted) decided(turn, ready, judged);
  return verdict === 'allow';
}

/** An approval is for the exact call that was shown. */
async function stillApproved(turn: AgentTurn, ready: ToolCall): Promise<boolean> {
  const { deps, log } = turn;
  const { approval } = ready.call;
  if (approval === null) return true;
  const asked = await deps.store.byKey(askedKey(approval));
  const shown = asked?.type === 'approval.asked' ? await loadJson<ShownCall>(deps.store, asked.data.shown) : null;
  const was = shown?.was === undefined ? null : await blobsOf(await viewOf(turn), ready);
  if (shown?.bound === deps.redact(boundCall(log, ready, { skills: pinnedNames(turn), was }))) return true;
  refuse(log, ready.call, 'The call differs from the approved one. Nothing was run.');
  return false;
}

export function toolContext(
  turn: AgentTurn,
  ready: ToolCall,
  { files, facts }: { files: ToolContext['files']; facts: PolicyFacts },
): ToolContext {
  const { deps, log, agent, stops } = turn;
  const { run, task } = log.state;
  const { call } = ready;
  const asked = policyCall(turn, ready);
  // What it holds back at the end comes with the result.
  const shown = deps.redactPieces();
  return {
    run,
    agent: agent.name,
    call: call.id,
    key: call.key,
    files,
    open: async (path) => (await openOutput(deps.store, log.state, path)) ?? openArtefact(turn, path),
    net: grantedNet(turn, asked, facts),
    network: grantedNetwork(turn, ready),
    sandbox: agent.sandbox,
    seen: (path) => seenAs(turn, path),
    mayRead: mayTouch('read', usualTool(deps.tools(), 'reading'), asked, facts),
    mayWrite: mayTouch('write', usualTool(deps.tools(), 'writing'), asked, facts),
    ...labelling(deps),
    mark: deps.mark(call.key),
    chat: async () => {
      const message = await messageOf(deps.store, log.claim.task);
      if (message === null || !deps.pushes(message.data.channel)) return null;
      const { channel, replyTo, chat = replyTo } = message.data;
      return `${channel}:${chat}`;
    },
    zone: () => zoneOf(deps, log.claim.task),
    ...(facts.accounts === undefined ? {} : { accounts: facts.accounts }),
    signal: stops.cancel,
    boundary: deps.boundary,
    progress: (text) => deps.emit({ kind: 'tool.output', task, run, call: call.id, text: shown.push(text) }),
  };
}

/**
 * Whether a call that names a folder, or a command, may read or write a single path: what a rule keeps from the file
 * tools it keeps from commands too.
 */
function mayTouch(
  effect: 'read' | 'write',
  fileTool: string,
  call: PolicyCall,
  facts: PolicyFacts,
): (path: string) => boolean {
  if (![...facts.rules, ...facts.agentRules].some((rule) => rule.verdict !== 'allow')) return () => true;
  const anyTool = { ...facts, tools: [...facts.tools, fileTool] };
  const own = hiddenPath({ ...call, effect }, facts);
  const asFileTool = hiddenPath({ tool: fileTool, effect, paths: [] }, anyTool);
  return (path) => !own(path) && !asFileTool(path);
}

/**
 * What a command of this call reaches by itself: the list of its agent as the rules are at each connection, so that what
 * the owner removes while it runs is closed for it too.
 */
function grantedNetwork(turn: AgentTurn, { tool, facts: about }: ToolCall): EgressGrant | null {
  const { deps, log } = turn;
  // What a script of a schedule sees is what the model is woken for: it looks at files.
  if (log.state.model === SCRIPT || commandNetwork(policyFacts(turn)).length === 0) return null;
  const { name } = turn.agent;
  const { run } = log.state;
  const now = (): PolicyFacts | null => {
    const agent = deps.governance().agents.get(name);
    return agent === undefined ? null : policyFacts({ ...turn, agent });
  };
  const call = { tool: tool.name, effect: tool.effect, ...about };
  return {
    agent: name,
    run,
    forWhom: () => {
      const facts = now();
      const own = { who: `tool:${tool.name}`, agent: name, run };
      if (facts === null) return { ...own, privateHosts: [], only: [] };
      return { ...own, privateHosts: netGrant(facts).privateHosts, only: commandNetwork(facts) };
    },
    denied: (place) => {
      const facts = now();
      return facts === null ? 'its agent has been removed' : commandDenial(call, facts)(place);
    },
  };
}

/** The network as this one call may use it: what was decided for its address holds at every hop. */
function grantedNet({ deps, agent, log }: AgentTurn, call: PolicyCall, facts: PolicyFacts): Net {
  const grant = { ...netGrant(facts), who: `tool:${call.tool}`, agent: agent.name, run: log.state.run };
  const onRedirect = redirectPolicy(call, facts);
  return {
    request: (request) => deps.net.request({ ...request, onRedirect }, grant),
    dial: (dial) => deps.net.dial(dial, grant),
    websocket: (wanted) => deps.net.websocket(wanted, grant),
  };
}
