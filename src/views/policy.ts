import type { Answer, Explanation, PolicyDesk, PolicyQuestion, RightsTable } from '../core/api/policy.ts';
import { type Agent, type Governance, SETTINGS_FILE } from '../core/agent.ts';
import type { CriticalValue, PolicyCall, PolicyFacts, Rule } from '../core/policy.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { AnyTool } from '../core/ports/tool.ts';
import { nowhere, ownerAddresses, placeOf } from '../core/recipient.ts';
import type { Json } from '../core/text/json.ts';
import { unknownText } from '../core/text/unknown.ts';
import { callOf } from '../policy/call.ts';
import { explain, type Places } from '../policy/explain.ts';
import { rightsOf } from '../policy/rights.ts';
import { criticalValues } from '../policy/vouch.ts';
import { rightsTable } from '../policy/rights-table.ts';
import { readAskedCall } from './asked-call.ts';

/** Line of a key or item in a file that governs; null if it has none. */
export type LineOf = (file: string, path: readonly (string | number)[]) => number | null;

export interface PolicyDeskOptions {
  governance(): Governance;
  tools(): ReadonlyMap<string, AnyTool>;
  sandboxed(agent: Agent): boolean;
  /** Of the files as they govern. */
  lines(): Promise<LineOf>;
  /** Why a landing that changes this path asks a person; null if it does not. */
  gate(path: string): string | null;
  clock: Clock;
  zone(): string;
}

/** Answers by the rules that govern now; nothing happens and nothing is recorded. */
export function openPolicyDesk(options: PolicyDeskOptions): PolicyDesk {
  return {
    explain: (question) => answer(options, question),
    rights: (agent) => rightsAnswer(options, agent),
    known: () => ({ agents: [...options.governance().agents.keys()], tools: [...options.tools().keys()] }),
  };
}

const wrong = (field: string, why: string): Answer<never> => ({ ok: false, field, why });

const agentFile = (name: string): string => `agents/${name}/AGENT.md`;

const unknownAgent = (name: string, { agents }: Governance): Answer<never> =>
  wrong('agent', unknownText('agent', name, { known: agents.keys() }));

async function answer(options: PolicyDeskOptions, question: PolicyQuestion): Promise<Answer<Explanation>> {
  const governance = options.governance();
  const agent = governance.agents.get(question.agent);
  if (agent === undefined) return unknownAgent(question.agent, governance);
  const read = readCall(options.tools(), question);
  if (!read.ok) return read;
  const { tool, input } = read.value;
  const parsed = tool.parse(input);
  if (!parsed.ok)
    return wrong(
      'call',
      `The arguments of ${tool.name} do not fit: ${parsed.error}. Give them as JSON: ${tool.name}: {"…": "…"}.`,
    );
  const unlike = misnamed(question, tool, governance);
  if (unlike !== null) return unlike;
  const call = callOf({ tool, input: parsed.value, facts: tool.facts(parsed.value) }, agent, governance);
  const facts = factsOf(options, governance, agent, {
    ...question,
    critical: criticalOf(tool, parsed.value, question),
  });
  const places = placesIn(await options.lines(), governance, agent.name);
  const explained = unreachable(call, governance) ?? explain(call, facts, places, agent.name);
  const landing = explained.decision.verdict === 'deny' ? [] : landingOf(options, call);
  const { labels, sandboxed } = facts;
  return { ok: true, value: { agent: agent.name, call, labels, sandboxed, ...explained, landing } };
}

/** A name in the circumstances that nothing bears: the question would be about less than it says. */
function misnamed(
  { sender, queue, vouched = [] }: PolicyQuestion,
  tool: AnyTool,
  { agents }: Governance,
): Answer<never> | null {
  const known = [...agents.keys()];
  if (queue !== undefined && !agents.has(queue)) return wrong('queue', unknownText('queue', queue, { known }));
  const [, giver] = /^agent:(.+)$/.exec(sender ?? '') ?? [];
  if (giver !== undefined && !agents.has(giver)) return wrong('sender', unknownText('agent', giver, { known }));
  if (sender !== undefined && sender !== 'owner' && !/^[^\s:]+:\S/.test(sender))
    return wrong('sender', `"${sender}" is no sender. Give owner, CHANNEL:ADDRESS, agent:NAME, schedule:AGENT/NAME …`);
  const critical = tool.critical ?? [];
  const other = vouched.find((name) => !critical.includes(name));
  if (other === undefined) return null;
  const has = critical.length > 0 ? '' : ` ${tool.name} has none.`;
  return wrong('vouched', `${unknownText('critical argument', other, { known: critical })}${has}`);
}

/** Words that would reach nobody are denied before any rule is asked. */
function unreachable(
  { to }: PolicyCall,
  { settings }: Governance,
): Pick<Explanation, 'decision' | 'others' | 'nearly' | 'otherwise'> | null {
  if (to === undefined || placeOf(to, settings.channels) !== null) return null;
  const decision = { verdict: 'deny', rule: 'builtin:unreachable', reason: nowhere(to), place: null } as const;
  return { decision, others: [], nearly: [], otherwise: [] };
}

function readCall(
  tools: ReadonlyMap<string, AnyTool>,
  { call }: PolicyQuestion,
): Answer<{ tool: AnyTool; input: Json }> {
  if (typeof call === 'string') return readAskedCall(call, tools);
  const tool = tools.get(call.tool);
  return tool === undefined
    ? wrong('call', unknownText('tool', call.tool, { known: tools.keys() }))
    : { ok: true, value: { tool, input: call.input } };
}

/** What settles where the call goes. */
const criticalOf = (tool: AnyTool, input: unknown, { vouched = [] }: PolicyQuestion): CriticalValue[] =>
  criticalValues(tool, input).map(({ name, value }) => ({
    name,
    value,
    vouched: vouched.includes(name) ? ('endorsed' as const) : null,
  }));

type Circumstances = Omit<PolicyQuestion, 'call'> & { critical?: readonly CriticalValue[] };

function factsOf(
  { sandboxed, clock, zone }: PolicyDeskOptions,
  governance: Governance,
  agent: Agent,
  { labels = [], sender = 'owner', queue = agent.name, at = clock.now(), costUsd = 0, critical }: Circumstances,
): PolicyFacts {
  const giver = /^agent:(.+)$/.exec(sender)?.[1];
  return {
    ...rightsOf(governance, agent, giver === undefined ? [] : [giver]),
    sandboxed: sandboxed(agent),
    owners: ownerAddresses(governance.settings.channels),
    labels,
    sender,
    queue,
    at,
    zone: zone(),
    costUsd,
    ...(critical === undefined ? {} : { critical }),
  };
}

/** Lists that built-in decisions read. */
const LISTS: Readonly<Record<string, string>> = {
  'builtin:agent-tools': 'tools',
  'builtin:agent-network': 'network',
  'builtin:network-asks': 'network',
};

function placesIn(line: LineOf, { settings, agents }: Governance, agent: string): Places {
  const known = new Map<Rule, { file: string; line: number | null }>();
  const add = (rules: readonly Rule[], file: string, path: readonly string[]): void => {
    for (const [at, rule] of rules.entries()) known.set(rule, { file, line: line(file, [...path, at]) });
  };
  add(settings.rules, SETTINGS_FILE, ['policy', 'rules']);
  for (const { name, rules } of agents.values()) add(rules, agentFile(name), ['rules']);
  return {
    ofRule: (rule) => known.get(rule) ?? null,
    ofBuiltin(name) {
      const key = LISTS[name];
      if (key === undefined) return null;
      const own = line(agentFile(agent), [key]);
      if (own !== null) return { file: agentFile(agent), line: own };
      const shared = line(SETTINGS_FILE, [key]);
      return shared === null ? null : { file: SETTINGS_FILE, line: shared };
    },
  };
}

/** The second gate: what a run changes is looked at as a whole when it lands. */
function landingOf({ gate }: PolicyDeskOptions, { effect, paths = [], command }: PolicyCall): string[] {
  if (command !== undefined)
    return ['If the command changes a protected file, the landing of the run asks a person, whatever this verdict is.'];
  if (effect !== 'write') return [];
  return paths.flatMap((path) => {
    const why = gate(path);
    return why === null
      ? []
      : [`${path} is protected (${why}): the landing of the run asks a person, whatever this verdict is.`];
  });
}

async function rightsAnswer(options: PolicyDeskOptions, name: string): Promise<Answer<RightsTable>> {
  const governance = options.governance();
  const agent = governance.agents.get(name);
  if (agent === undefined) return unknownAgent(name, governance);
  const facts = factsOf(options, governance, agent, { agent: name });
  const places = placesIn(await options.lines(), governance, name);
  return {
    ok: true,
    value: {
      agent: name,
      sandboxed: facts.sandboxed,
      rights: rightsTable(facts, [...options.tools().values()], places),
    },
  };
}
