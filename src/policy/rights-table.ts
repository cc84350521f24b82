import type { Right, RightsKind } from '../core/api/policy.ts';
import type { Effect } from '../core/event.ts';
import { reachText } from '../core/net/reach.ts';
import type { PolicyCall, PolicyFacts, Rule, RuleMatch } from '../core/policy.ts';
import { decide, STRICTNESS } from './decide.ts';
import type { Places } from './explain.ts';

const KINDS: readonly RightsKind[] = ['tool', 'path', 'command', 'host', 'to'];

export interface KnownTool {
  name: string;
  effect: Effect;
}

/** What an agent may do: every rule that may speak of a call of its, entries of network lists, and what holds elsewhere. */
export function rightsTable(facts: PolicyFacts, tools: readonly KnownTool[], places: Places): Right[] {
  const rights = [
    ...toolRights(facts, tools, places),
    ...facts.rules.flatMap((rule) => ruleRights(rule, facts, places)),
    // An agent's rules only narrow.
    ...facts.agentRules.flatMap((rule) => (rule.verdict === 'allow' ? [] : ruleRights(rule, facts, places))),
    ...hostRights(facts, places),
    ...elsewhere(facts, tools, places),
  ];
  const effects = new Set(tools.flatMap(({ name, effect }) => (facts.tools.includes(name) ? [effect] : [])));
  const rank = ({ kind, what, verdict }: Right): number =>
    KINDS.indexOf(kind) * 100 + (what === null ? 50 : 0) - STRICTNESS[verdict];
  // Nothing is said about what no tool of the agent does.
  const can = ({ kind }: Right): boolean =>
    (kind !== 'command' || effects.has('exec')) && (kind !== 'to' || effects.has('send'));
  return rights.filter(can).toSorted((a, b) => rank(a) - rank(b));
}

const toolRights = (facts: PolicyFacts, tools: readonly KnownTool[], places: Places): Right[] =>
  tools.flatMap(({ name, effect }) => {
    if (facts.tools.includes(name)) return [];
    const decision = decide({ tool: name, effect }, facts);
    return [
      { kind: 'tool', what: name, tool: name, effect, when: '', ...decision, place: places.ofBuiltin(decision.rule) },
    ];
  });

/** What has to hold beside what the row's columns say. */
function whenOf(match: RuleMatch, shown: keyof RuleMatch | null): string {
  const own: readonly string[] = [shown ?? '', 'tool', 'effect'];
  return Object.entries(match)
    .filter(([name]) => !own.includes(name))
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}

function ruleRights(rule: Rule, facts: PolicyFacts, places: Places): Right[] {
  const { match, verdict, id, reason } = rule;
  const { tool = null, effect = null } = match;
  // It speaks of a tool that this agent does not have.
  if (tool !== null && !/[*?]/.test(tool) && !facts.tools.includes(tool)) return [];
  const kind = (['path', 'command', 'host', 'to'] as const).find((each) => match[each] !== undefined) ?? null;
  const what = kind === null ? (tool ?? '*') : (match[kind] ?? null);
  const row = { what, tool, effect, when: whenOf(match, kind), verdict, rule: id, reason, place: places.ofRule(rule) };
  return [{ kind: kind ?? 'tool', ...row }];
}

/** Entries of the network list: what the agent's own gives leave for, or where that of all ends. */
const hostRights = (facts: PolicyFacts, places: Places): Right[] =>
  (facts.network ?? []).map((reach) => {
    const asks = reach.verdict === 'ask' || facts.leave !== true;
    return {
      kind: 'host',
      what: reachText({ ...reach, verdict: 'allow' }),
      tool: null,
      effect: null,
      when: '',
      verdict: asks ? 'ask' : 'allow',
      rule:
        reach.verdict === 'ask' ? 'builtin:network-asks' : asks ? 'builtin:public-network' : 'builtin:agent-network',
      reason: asks && reach.verdict === 'allow' ? 'The list bounds where the agent may go; a person is asked.' : '',
      place: places.ofBuiltin('builtin:agent-network'),
    };
  });

/** One call of each kind that no rule speaks of. The names are such that nobody has them. */
function elsewhere(facts: PolicyFacts, tools: readonly KnownTool[], places: Places): Right[] {
  const plain = { ...facts, rules: [], agentRules: [], labels: [] };
  const has = (effect: Effect): string | undefined =>
    tools.find((tool) => tool.effect === effect && facts.tools.includes(tool.name))?.name;
  const samples: [RightsKind, Effect, Omit<PolicyCall, 'tool' | 'effect'>][] = [
    ['path', 'read', { paths: ['a'] }],
    ['path', 'write', { paths: ['a'] }],
    ['command', 'exec', { command: 'true' }],
    ['host', 'read', { url: 'https://host.invalid.example/' }],
    ['to', 'send', { to: 'a:b' }],
  ];
  return samples.flatMap(([kind, effect, call]) => {
    const tool = has(effect);
    if (tool === undefined) return [];
    const decision = decide({ tool, effect, ...call }, plain);
    const reason = WORDS[decision.rule] ?? decision.reason;
    return [
      { kind, what: null, tool: null, effect, when: '', ...decision, reason, place: places.ofBuiltin(decision.rule) },
    ];
  });
}

/** Reasons of decisions about a sample that would name it. */
const WORDS: Readonly<Record<string, string>> = {
  'builtin:agent-network': 'It is not in the network list.',
  'builtin:public-network': 'The public network needs your approval; private addresses are denied.',
  'builtin:tell-other': 'Owners can always be told something; telling anybody else needs your approval.',
};
