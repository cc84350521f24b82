import type { AgentDeps, AgentTurn, Turn } from '../run/deps.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { CallFacts, CriticalValue, Decision, DecisionRecord, PolicyCall, PolicyFacts } from '../../core/policy.ts';
import { decide, leaves } from '../../policy/decide.ts';
import { grantRule } from '../../core/standing.ts';
import type { GrantUse } from '../../policy/standing.ts';
import { callOf } from '../../policy/call.ts';
import { rightsOf } from '../../policy/rights.ts';
import { criticalValues, vouch } from '../../policy/vouch.ts';
import type { AnyTool, EngineTool, Tool } from '../../core/ports/tool.ts';
import type { RunLog, ShownCall } from '../run/log.ts';
import type { CallState } from '../run/call.ts';
import { type RunState, sameCall } from '../run/state.ts';
import type { Change, Files } from '../../core/files.ts';
import { ownerAddresses } from '../../core/recipient.ts';
import type { Skill } from '../../core/skill.ts';
import { canonicalJson, jsonDepth } from '../../core/text/json.ts';
import { workspacePath } from '../../core/text/paths.ts';
import { visible, visibleLine } from '../../core/text/untrusted.ts';
import { isForeign } from '../../core/extract.ts';
import { unknownText } from '../../core/text/unknown.ts';
import { grantUse, recordUse } from './granting.ts';
import { vouchersOf } from './vouching.ts';

/** What every decision of the run rests on, whatever the call. */
export const policyFacts = (turn: AgentTurn): PolicyFacts => ({
  ...rightsOf(turn.deps.governance(), turn.agent, sendersOf(turn)),
  ...runFacts(turn),
});

const sendersOf = ({ log }: AgentTurn): string[] => log.claim.task.origin?.senders ?? [];

function runFacts({ deps, agent, log, zone }: AgentTurn): DecisionRecord['facts'] {
  const governance = deps.governance();
  const { task } = log.claim;
  return {
    sandboxed: deps.sandboxed(agent),
    labels: log.state.labels,
    owners: ownerAddresses(governance.settings.channels),
    sender: task.from,
    ...(log.asker === task.from ? {} : { asker: log.asker }),
    queue: task.queue,
    at: deps.clock.now(),
    zone: zone(),
    costUsd: log.state.costUsd,
  };
}

/** The call as the policy looks at it. */
export const policyCall = ({ deps, agent }: AgentTurn, ready: ReadyCall): PolicyCall =>
  callOf(ready, agent, deps.governance());

/** The facts of one call. Who vouches for its values is looked for only where that can matter: it costs a look at the store. */
export async function callFacts(
  turn: AgentTurn,
  ready: ReadyCall,
  call = policyCall(turn, ready),
): Promise<PolicyFacts> {
  const facts = policyFacts(turn);
  const values = criticalValues(ready.tool, ready.input);
  const { foreign } = turn.log.state;
  if ((facts.labels.length === 0 && foreign.size === 0) || !leaves(call, facts))
    return { ...facts, critical: values.map(({ name, value }) => ({ name, value, vouched: null })) };
  const pays = values.some(({ kind }) => kind === 'amount');
  const vouched = vouch(values, await vouchersOf(turn, ready.call, pays), ready.tool);
  return {
    ...facts,
    critical: vouched.map((each) => (isForeign(each.value, foreign) ? { ...each, foreign: true } : each)),
  };
}

/** How often the calls of one answer may ask a person: among more, nobody finds the one that matters. */
const MAX_ASKED = 10;

/** A decision, what it was made from, and the use of a grant that it rests on. */
export interface Judged {
  decision: Decision;
  record: DecisionRecord;
  use: GrantUse | null;
}

const granted = ({ grant }: GrantUse): Decision => ({
  verdict: 'allow',
  rule: grantRule(grant),
  reason: 'A person has granted calls of this kind.',
});

/** May the call be made? As `decide` says, but that a grant answers for a person, and that an answer asks one only so often. */
export async function judge(turn: AgentTurn, ready: ReadyCall): Promise<Judged> {
  const { deps, log, agent } = turn;
  const call = policyCall(turn, ready);
  const facts = await callFacts(turn, ready, call);
  const decision = decide(call, facts);
  const kept = { ...runFacts(turn), critical: facts.critical ?? [] };
  const config = deps.governance().commit;
  const record = { agent: agent.name, senders: sendersOf(turn), config, call, facts: kept };
  // Nobody has to be asked, or somebody has answered.
  if (decision.verdict !== 'ask' || ready.call.approval !== null) return { decision, record, use: null };
  const use = grantUse(turn, ready, { call, facts, decision });
  if (use !== null) return { decision: granted(use), record, use };
  if (log.state.denied.get(sameCall(ready.call)) === true) return { decision: DENIED, record, use };
  return { decision: asksOf(log.state, ready.call) < MAX_ASKED ? decision : tooOften(), record, use };
}

const DENIED: Decision = {
  verdict: 'deny',
  rule: 'builtin:denied-before',
  reason:
    'A person has denied this very call already. Do not make it again: go on without it, or say what you would need it for.',
};

/** Puts a decision on record with what it was made from. */
export function decided({ log }: AgentTurn, { call }: ReadyCall, { decision, record, use }: Judged): void {
  const facts: BlobRef = log.put(record);
  const endorsed = endorsedIn(record.facts.critical ?? []);
  const rests = endorsed.length === 0 ? {} : { endorsed };
  log.emit({ type: 'decision.made', data: { call: call.id, tool: call.tool, ...decision, facts, ...rests } });
  if (use !== null) recordUse(log, call, use);
}

const endorsedIn = (critical: readonly CriticalValue[]): string[] =>
  critical.flatMap(({ vouched, by }) => (vouched === 'endorsed' && by !== undefined ? [by] : []));

/** The same for a question, which no rule has to allow. Other questions of the same answer that are still to come count too. */
export const mayStillAsk = ({ log }: AgentTurn, call: CallState): boolean =>
  asksOf(log.state, call) +
    log.state.calls.filter(({ tool, phase }) => tool === call.tool && phase === 'allowed').length <
  MAX_ASKED;

export const tooOften = (): Decision => ({
  verdict: 'deny',
  rule: 'builtin:approval-limit',
  reason: `The calls of this answer already ask a person ${MAX_ASKED} times, which is the most at once. Wait for those answers, then ask for what is still needed.`,
});

/** How often the other calls of the answer ask a person. */
const asksOf = ({ calls }: RunState, except: CallState): number =>
  calls.filter(
    (call) => call !== except && (call.phase === 'asking' || call.approval !== null || call.question !== null),
  ).length;

interface Ready<Kind extends AnyTool> {
  call: CallState;
  tool: Kind;
  input: unknown;
  facts: CallFacts;
}

export type ToolCall = Ready<Tool>;
export type EngineToolCall = Ready<EngineTool>;
/** A call made ready: its tool and its arguments in the tool's own form. */
export type ReadyCall = ToolCall | EngineToolCall;

/** Whether the engine answers the call; if not, its tool runs. */
export const isForEngine = (ready: ReadyCall): ready is EngineToolCall => ready.tool.kind === 'engine';

/** Nested lists and objects of one call. What is deeper would exhaust the stack of whatever walks through it. */
const MAX_DEPTH = 64;

/** Finds the tool and parses the arguments, or says what the model should be told. */
export function readCall(deps: AgentDeps, call: CallState): ReadyCall | { error: string } {
  const tool = deps.tools().get(call.tool);
  if (!tool) return { error: unknownText('tool', call.tool, { known: deps.tools().keys() }) };
  if (jsonDepth(call.args, MAX_DEPTH) > MAX_DEPTH)
    return { error: `The arguments are nested deeper than ${MAX_DEPTH} levels; nothing was run.` };
  let args: unknown;
  try {
    args = JSON.parse(call.args === '' ? '{}' : call.args);
  } catch (error) {
    return { error: `The arguments are not valid JSON (${(error as Error).message}); nothing was run.` };
  }
  const parsed = tool.parse(args);
  if (!parsed.ok) return { error: `The arguments do not fit: ${parsed.error}` };
  return { call, tool, input: parsed.value, facts: tool.facts(parsed.value) } as ReadyCall;
}

/**
 * Commits what people have changed before it is read, and lets the run go on from there, unless that would take changes
 * of its own out from under it. A command that a person is asked for gets its view then, and keeps it once approved.
 */
export async function freshBase(turn: Turn, group: readonly ReadyCall[]): Promise<void> {
  const looking = group.filter(({ call, tool, facts }) => {
    const approvedCommand = call.approval !== null && tool.effect === 'exec';
    const begins = call.phase === 'asking' || (call.phase === 'allowed' && !approvedCommand);
    return begins && (tool.readsTree === true || facts.paths !== undefined);
  });
  if (looking.length === 0) return;
  const all = looking.some(({ tool }) => tool.readsTree === true);
  await freshPaths(turn, all ? null : looking.flatMap(({ facts }) => facts.paths ?? []));
}

/** The same for paths (null: all) that are looked at otherwise. */
export async function freshPaths({ deps, log }: Turn, paths: string[] | null): Promise<void> {
  const person = await deps.workspace.commitPerson(paths);
  const { base, changes } = log.state;
  if (person !== null) {
    const { commit, author, paths: committed } = person;
    const data = { commit, author, paths: committed.length };
    // Their doing, whichever run was about to read it.
    log.emit({ type: 'person.committed', data }, null, { stream: 'workspace', actor: 'person:owner', labels: [] });
    // It may be a script, which is seen as it was approved: what the person has just saved is.
    await deps.governanceLook();
  }
  // Another run may have committed them a moment ago; nothing is pulled from under a run that has seen nothing yet.
  const to = person?.commit ?? (isFirstLook(log.state) ? await deps.workspace.head() : base);
  if (to !== base && (await deps.workspace.untouched(base, to, [...changes.keys()])))
    log.emit({ type: 'base.moved', data: { from: base, to } });
}

/** By call: that files it looks at hold something of a person's that it does not see, and why. */
export async function unseenBy({ deps }: Turn, group: readonly ToolCall[]): Promise<ReadonlyMap<string, string>> {
  const told = new Map<string, string>();
  for (const { call, tool, facts } of group) {
    if (tool.readsTree !== true && facts.paths === undefined) continue;
    const unseen = await deps.workspace.unseen(tool.readsTree === true ? null : (facts.paths ?? []));
    const lines = unseen.map(({ path, why }) => {
      const what = path === '' ? 'Some files have' : `${path} has`;
      return `[${what} changes of the owner that are not committed and not in what you see: ${why}.]`;
    });
    if (lines.length > 0) told.set(call.id, lines.join('\n'));
  }
  return told;
}

const isFirstLook = ({ step, calls }: RunState): boolean =>
  step <= 1 && calls.every((call) => call.phase !== 'returned' && call.phase !== 'started');

/** Skills as they lie in an agent's view: those of the workspace for everybody, bundled ones for who has enabled them. */
function skillsFor({ deps, agent }: AgentTurn): Skill[] {
  const { skills } = deps.governance();
  return skills.filter(({ name, source }) => source === 'workspace' || agent.skills?.includes(name));
}

/** Names and hashes of what `viewOf` pins. */
export function pinnedNames(turn: AgentTurn): string[] {
  const { hash, pinned } = turn.deps.governance().scripts;
  const skills = skillsFor(turn).map((skill) => `${skill.name} ${skill.hash}`);
  return pinned.length === 0 ? skills : [...skills, `scripts ${hash}`];
}

/**
 * What a run's tools see: its base, over it skills and scripts as they were approved, over them its own changes. What
 * somebody landed there without approval is thus neither read nor run.
 */
export async function viewOf(turn: AgentTurn): Promise<Files> {
  const { deps, log } = turn;
  const { base, changes } = log.state;
  let pinned = await pinsOver(turn, base);
  if (pinned.length > 0) {
    // It may differ because the person has committed a moment ago.
    await deps.governanceLook();
    pinned = await pinsOver(turn, base);
  }
  return deps.workspace.files(base, [...pinned, ...changes.values()]);
}

/** What stands where the call goes: the difference that a person has approved is against this. */
export async function blobsOf(
  files: Files,
  { facts }: Pick<ReadyCall, 'facts'>,
): Promise<Record<string, string | null>> {
  const blobs: Record<string, string | null> = {};
  for (const raw of facts.paths ?? []) {
    const checked = workspacePath(raw);
    if (checked.ok) blobs[checked.path] = (await files.stat(checked.path))?.oid ?? null;
  }
  return blobs;
}

async function pinsOver(turn: AgentTurn, base: string): Promise<Change[]> {
  const { deps } = turn;
  const skills = skillsFor(turn);
  const { scripts } = deps.governance();
  return skills.length === 0 && scripts.files.length === 0 ? [] : deps.reader.pinned(base, skills, scripts);
}

/**
 * What an approval is bound to: tool, arguments, the files that a difference was shown against and, for a command, the bytes
 * of every file it could start, those that are pinned (`pinnedNames`) among them. Nobody else
 * can change the run's view, so naming base and overlay binds them all; what is run is compared once more.
 */
export function boundCall(
  log: RunLog,
  { call, tool, input }: ReadyCall,
  { skills = [], was = null }: Around = {},
): string {
  const { base, changes } = log.state;
  const overlay = [...changes.values()].map(({ path, oid, mode }) => ({ path, oid, mode }));
  // Nothing more is said where there are none: what was asked before there were skills stays valid.
  const pinned = skills.length > 0 ? { skills } : {};
  return canonicalJson({ tool: call.tool, input, view: tool.effect === 'exec' ? { base, overlay, ...pinned } : was });
}

/** What an approval is bound to beside the call: skills and scripts a command could start; the files a difference is against. */
interface Around {
  skills?: readonly string[];
  was?: Record<string, string | null> | null;
}

export function showCall(log: RunLog, ready: ReadyCall, around: Around = {}): ShownCall {
  // Null stands for an argument that was not given.
  const given = Object.entries(ready.input as Record<string, unknown>).filter(([, value]) => value !== null);
  const { url, paths = [] } = ready.facts;
  const lines = given.map(([name, value]) => {
    const text = typeof value === 'string' ? value : canonicalJson(value);
    // A break within an address is not shown as one: it is not where the address ends.
    if (text === url || paths.includes(text)) return `${name}: ${visibleLine(text)}`;
    // Nor may a line of a text look like the next argument.
    return `${name}: ${visible(text).replaceAll('\n', '\n  ')}`;
  });
  return { text: [ready.call.tool, ...lines].join('\n'), bound: boundCall(log, ready, around) };
}
