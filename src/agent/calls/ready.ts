import { hash } from 'node:crypto';
import type { AgentDeps, AgentTurn, Turn } from '../run/deps.ts';
import type { CallFacts, Decision, PolicyCall, PolicyFacts } from '../../core/policy.ts';
import { decide } from '../../policy/decide.ts';
import { rightsOf } from '../../policy/rights.ts';
import { type GrantUse, kindValues } from '../../policy/standing.ts';
import type { AnyTool, EngineTool, Tool } from '../../core/ports/tool.ts';
import type { RunLog, ShownCall } from '../run/log.ts';
import type { CallState } from '../run/call.ts';
import type { RunState } from '../run/state.ts';
import type { Change, Files } from '../../core/files.ts';
import type { Label } from '../../core/labels.ts';
import { addressOf, ownerAddresses, placeOf } from '../../core/recipient.ts';
import { SKILLS, type Skill } from '../../core/skill.ts';
import { grantRule, grantStream, grantUseKey, type NamedValue } from '../../core/standing.ts';
import { canonicalJson, isObject, jsonDepth } from '../../core/text/json.ts';
import { visible, visibleLine } from '../../core/text/untrusted.ts';
import { unknownText } from '../../core/text/unknown.ts';

export function policyFacts({ deps, agent, log }: AgentTurn): PolicyFacts {
  const governance = deps.governance();
  return {
    ...rightsOf(governance, agent, log.claim.task.origin?.senders ?? []),
    sandboxed: deps.sandboxed(agent),
    labels: log.state.labels,
    owners: ownerAddresses(governance.settings.channels),
  };
}

/** How often the calls of one answer may ask a person: among more, nobody finds the one that matters. */
const MAX_ASKED = 10;

/** May the call be made? As `decide` says, but that a grant answers for a person, and that an answer asks one only so often. */
export function judge(turn: AgentTurn, ready: ReadyCall): Judged {
  const { call } = ready;
  const decision = decide(policyCall(turn, ready), policyFacts(turn));
  const granted = decision.verdict === 'ask' && call.approval === null ? byGrant(turn, ready, decision) : null;
  if (granted !== null) return granted;
  if (decision.verdict === 'ask' && call.approval === null && asked(turn.log.state, call) >= MAX_ASKED)
    return tooOften();
  return decision;
}

function policyCall(turn: AgentTurn, { tool, facts }: ReadyCall): PolicyCall {
  const { channels } = turn.deps.governance().settings;
  const place = facts.to === undefined ? null : placeOf(facts.to, channels);
  const to = place === null ? {} : { to: addressOf(place) };
  return { tool: tool.name, effect: tool.effect, ...facts, ...to };
}

/** A decision, and the use of a grant that it rests on. */
type Judged = Decision & { use?: GrantUse };

/** What people have granted in the place of being asked. Where a rule wants several of them, each is asked. */
function byGrant(turn: AgentTurn, ready: ReadyCall, { approvers = 1 }: Decision): Judged | null {
  const { deps, log, agent } = turn;
  if (approvers > 1) return null;
  const { run, task, labels } = log.state;
  const kind = { agent: agent.name, tool: ready.tool.name, values: kindOf(turn, ready) };
  const use = deps.standing.grantFor({ ...kind, run, task, labels, call: ready.call.id });
  if (use === null) return null;
  return { verdict: 'allow', rule: grantRule(use.grant), reason: 'A person has granted calls of this kind.', use };
}

/** What makes the call what it is, so that another one can be the same again. */
export function kindOf(turn: AgentTurn, ready: ReadyCall): NamedValue[] {
  const whole = (): string => hash('sha256', canonicalJson(ready.input), 'base64url');
  return kindValues(policyCall(turn, ready), criticalValues(ready), whole);
}

/** The arguments that the tool calls critical, a list of them one by one. */
function criticalValues({ tool, input }: ReadyCall): NamedValue[] {
  const given = isObject(input) ? input : {};
  return (tool.critical ?? []).flatMap((name) =>
    [given[name]]
      .flat()
      .filter((value) => value !== null && value !== undefined)
      .map((value) => ({ name, value: typeof value === 'string' ? value : canonicalJson(value) })),
  );
}

/** Puts a decision on record, with the use of the grant that it rests on. */
export function recordDecision({ log }: Turn, { id, tool, grant }: CallState, { use, ...decision }: Judged): void {
  log.emit({ type: 'decision.made', data: { call: id, tool, ...decision } });
  if (use === undefined || use.recorded || grant === use.grant) return;
  const { run } = log.state;
  const data = { grant: use.grant, run, call: id, use: use.use };
  const key = grantUseKey(use.grant, use.use ?? `${run}/${id}`);
  log.emit({ type: 'grant.used', data }, null, { stream: grantStream(use.grant), key });
}

/** The same for a question, which no rule has to allow. Other questions of the same answer that are still to come count too. */
export const mayStillAsk = ({ log }: AgentTurn, call: CallState): boolean =>
  asked(log.state, call) +
    log.state.calls.filter(({ tool, phase }) => tool === call.tool && phase === 'allowed').length <
  MAX_ASKED;

export const tooOften = (): Decision => ({
  verdict: 'deny',
  rule: 'builtin:approval-limit',
  reason: `The calls of this answer already ask a person ${MAX_ASKED} times, which is the most at once. Wait for those answers, then ask for what is still needed.`,
});

const asked = ({ calls }: RunState, except: CallState): number =>
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
type ReadyCall = ToolCall | EngineToolCall;

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

async function pinsOver(turn: AgentTurn, base: string): Promise<Change[]> {
  const { deps } = turn;
  const skills = skillsFor(turn);
  const { scripts } = deps.governance();
  return skills.length === 0 && scripts.files.length === 0 ? [] : deps.reader.pinned(base, skills, scripts);
}

/** Text of skills came from outside, unless it is exactly what a person has approved, or came with the package. */
export function skillLabels(deps: AgentDeps, path: string, oid: string): Label[] {
  if (!path.startsWith(`${SKILLS}/`)) return [];
  const approved = deps
    .governance()
    .skills.some(({ files }) => files.some((file) => file.path === path && file.oid === oid));
  return approved ? [] : ['untrusted'];
}

/**
 * What an approval is bound to: tool, arguments and, for a command, the bytes of every file it could start, those that
 * are pinned (`pinnedNames`) among them. Nobody else
 * can change the run's view, so naming base and overlay binds them all; what is run is compared once more.
 */
export function boundCall(log: RunLog, { call, tool, input }: ReadyCall, skills: readonly string[]): string {
  const { base, changes } = log.state;
  const overlay = [...changes.values()].map(({ path, oid, mode }) => ({ path, oid, mode }));
  // Nothing more is said where there are none: what was asked before there were skills stays valid.
  const pinned = skills.length > 0 ? { skills } : {};
  return canonicalJson({ tool: call.tool, input, view: tool.effect === 'exec' ? { base, overlay, ...pinned } : null });
}

export function showCall(log: RunLog, ready: ReadyCall, skills: readonly string[]): ShownCall {
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
  return { text: [ready.call.tool, ...lines].join('\n'), bound: boundCall(log, ready, skills) };
}
