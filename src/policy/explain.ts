import type { Explanation, Otherwise, Place, Spoken } from '../core/api/policy.ts';
import type { Verdict } from '../core/event.ts';
import { bracketed, hostPortText, parseTarget } from '../core/net/host.ts';
import { parseReach, type Reach } from '../core/net/reach.ts';
import type { PolicyCall, PolicyFacts, Rule, RuleMatch } from '../core/policy.ts';
import { decide, STRICTNESS, type Voice, voices } from './decide.ts';

/** Rules shown that only nearly spoke. */
const MOST_NEAR = 8;

/** Where what is in the facts stands. */
export interface Places {
  ofRule(rule: Rule): Place | null;
  /** Of what is built in and reads a list of a file, such as `builtin:agent-tools`. */
  ofBuiltin(name: string): Place | null;
}

export type Explained = Pick<Explanation, 'decision' | 'others' | 'nearly' | 'otherwise'>;

/** Why a call is decided as it is, what nearly spoke of it, and what would have to be otherwise. Pure; decides by `decide` alone. */
export function explain(call: PolicyCall, facts: PolicyFacts, places: Places, agent: string): Explained {
  const placed = ({ by, verdict, rule, reason }: Voice): Spoken => ({
    verdict,
    rule,
    reason,
    place: by === undefined ? places.ofBuiltin(rule) : places.ofRule(by),
  });
  const spoke = spokeOf(call, facts);
  const made = decide(call, facts);
  const is = ({ verdict, rule, reason }: Voice): boolean =>
    verdict === made.verdict && rule === made.rule && reason === made.reason;
  const winner = spoke.find(is);
  const others = spoke.filter((voice) => voice !== winner);
  const near = nearly(call, facts, new Set(spoke.flatMap(({ by }) => by ?? [])));
  return {
    decision: placed(winner ?? made),
    others: others.toSorted((a, b) => STRICTNESS[b.verdict] - STRICTNESS[a.verdict]).map(placed),
    nearly: near.map(({ rule, because }) => ({
      verdict: rule.verdict,
      rule: rule.id,
      reason: rule.reason,
      place: places.ofRule(rule),
      because,
    })),
    otherwise: otherwise(call, facts, { places, agent, spoke }),
  };
}

/** What `decide` hears, each once, with the allow rules that would do as well as the first. */
function spokeOf(call: PolicyCall, facts: PolicyFacts): Voice[] {
  const heard = voices(call, facts);
  const also = facts.rules
    .filter((rule) => rule.verdict === 'allow' && heard.every(({ by }) => by !== rule))
    .flatMap((rule) => alone(rule, call, facts, 'rules').filter(({ by }) => by === rule));
  const known = new Set<string>();
  return [...heard, ...also].filter(({ verdict, rule, reason }) => {
    const key = `${verdict} ${rule} ${reason}`;
    return !known.has(key) && known.add(key);
  });
}

type Own = 'rules' | 'agentRules';

const alone = (rule: Rule, call: PolicyCall, facts: PolicyFacts, own: Own): Voice[] =>
  voices(call, { ...facts, rules: [], agentRules: [], [own]: [rule] });

const without = (match: RuleMatch, field: keyof RuleMatch): RuleMatch =>
  Object.fromEntries(Object.entries(match).filter(([name]) => name !== field));

/** Fields that say nothing of a call by themselves. */
const GENERAL: readonly (keyof RuleMatch)[] = ['tool', 'effect'];

/** What a call has for each field that needs something of it. */
const given = (call: PolicyCall): Partial<Record<keyof RuleMatch, string | undefined>> => ({
  tool: call.tool,
  effect: call.effect,
  path: call.paths?.join(', '),
  command: call.command,
  host: call.url,
  to: call.to,
});

/** Rules that would speak if one of their fields were not there, those that come nearest first. */
function nearly(call: PolicyCall, facts: PolicyFacts, spoke: ReadonlySet<Rule>): { rule: Rule; because: string }[] {
  const has = given(call);
  const found = (['rules', 'agentRules'] as const).flatMap((own) =>
    facts[own].flatMap((rule) => {
      if (spoke.has(rule)) return [];
      const fields = Object.keys(rule.match) as (keyof RuleMatch)[];
      const failing = fields.find((field) => {
        if (field in has && has[field] === undefined) return false;
        if (GENERAL.includes(field) && fields.every((each) => GENERAL.includes(each))) return false;
        const eased = { ...rule, match: without(rule.match, field) };
        return alone(eased, call, facts, own).some(({ by }) => by === eased);
      });
      if (failing === undefined) return [];
      const wanted = JSON.stringify(rule.match[failing]);
      const actual = has[failing];
      const because = `${failing} ${wanted} does not match${actual === undefined ? '' : ` ${actual}`}`;
      return [{ rule, because, fields: fields.length }];
    }),
  );
  return found.toSorted((a, b) => b.fields - a.fields).slice(0, MOST_NEAR);
}

interface Case {
  places: Places;
  agent: string;
  spoke: readonly Voice[];
}

interface Change {
  what: string;
  yaml?: string;
  to(facts: PolicyFacts): PolicyFacts;
}

const STANDS = (place: Place | null): string =>
  place === null ? '' : ` (${place.file}${place.line === null ? '' : `:${place.line}`})`;

/** Each single change under which the verdict would be another; if none of them allows, two that do together. */
function otherwise(call: PolicyCall, facts: PolicyFacts, about: Case): Otherwise[] {
  const now = decide(call, facts).verdict;
  const tried = (change: Change): Otherwise => {
    const { verdict, rule } = decide(call, change.to(facts));
    return { what: change.what, verdict, rule, ...(change.yaml === undefined ? {} : { yaml: change.yaml }) };
  };
  const changes = [
    ...withoutRules(now, about),
    ...withRule(call),
    ...withTool(call, facts, about),
    ...withHost(call, facts, about),
    ...confined(call, facts),
    ...labelled(facts),
    ...vouched(facts),
  ];
  const single = changes.map(tried).filter(({ verdict }) => verdict !== now);
  if (now === 'allow' || single.some(({ verdict }) => verdict === 'allow')) return single;
  for (const [at, first] of changes.entries())
    for (const second of changes.slice(at + 1)) {
      const both = tried({
        what: `${first.what} and ${second.what}`,
        ...(second.yaml === undefined ? {} : { yaml: second.yaml }),
        to: (before) => second.to(first.to(before)),
      });
      if (both.verdict === 'allow') return [...single, both];
    }
  return single;
}

/** All rules of the verdict at once: as long as one of them stands, it counts. */
function withoutRules(now: Verdict, { spoke, places }: Case): Change[] {
  const rules = spoke.flatMap(({ by, verdict }) => (by !== undefined && verdict === now ? [by] : []));
  if (rules.length === 0) return [];
  const gone = new Set(rules);
  const named = rules.map((rule) => `${rule.id}${STANDS(places.ofRule(rule))}`).join(' and ');
  return [
    {
      what: `without the ${rules.length === 1 ? 'rule' : 'rules'} ${named}`,
      to: (facts) => ({
        ...facts,
        rules: facts.rules.filter((rule) => !gone.has(rule)),
        agentRules: facts.agentRules.filter((rule) => !gone.has(rule)),
      }),
    },
  ];
}

/** The narrowest rule that names the call. */
function withRule(call: PolicyCall): Change[] {
  const match = narrowest(call);
  if (match === null) return [];
  const rule: Rule = { id: `allow-${call.tool.replaceAll('_', '-')}`, verdict: 'allow', match, reason: '' };
  const fields = Object.entries(match).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return [
    {
      what: 'with this rule in ruche.yaml',
      yaml: `- { id: ${rule.id}, allow: { ${fields.join(', ')} }, reason: … }`,
      to: (facts) => ({ ...facts, rules: [...facts.rules, rule] }),
    },
  ];
}

/** A pattern that means the call's own value and nothing more; null where that takes more than one rule or a glob. */
export function narrowest({ tool, paths = [], command, url, to }: PolicyCall): RuleMatch | null {
  const parts: RuleMatch[] = [];
  if (paths.length > 1) return null;
  if (paths[0] !== undefined) parts.push({ path: paths[0] });
  if (command !== undefined) parts.push({ command });
  if (url !== undefined) {
    const parsed = parseTarget(url);
    if (!parsed.ok) return null;
    const { host, port } = parsed.target;
    const usual = port === (url.startsWith('http:') ? 80 : 443);
    parts.push({ host: usual ? bracketed(host) : hostPortText(parsed.target) });
  }
  if (to !== undefined) parts.push({ to });
  const [only] = parts;
  if (parts.length > 1 || (only !== undefined && Object.values(only).some((value) => /[*?]/.test(String(value)))))
    return null;
  return { tool, ...only };
}

function withTool({ tool }: PolicyCall, facts: PolicyFacts, { agent }: Case): Change[] {
  if (facts.tools.includes(tool)) return [];
  return [
    {
      what: `with ${tool} among the tools of agents/${agent}/AGENT.md`,
      to: (before) => ({ ...before, tools: [...before.tools, tool] }),
    },
  ];
}

function withHost({ url }: PolicyCall, { network, settingsNetwork }: PolicyFacts, { agent }: Case): Change[] {
  const parsed = url === undefined ? null : parseTarget(url);
  // Where there is no list, one with a single entry would close everything else.
  if (parsed?.ok !== true || network === null) return [];
  const { host } = parsed.target;
  const entry = parseReach(hostPortText(parsed.target));
  if (entry === null) return [];
  const added = (list: readonly Reach[] | null | undefined): Reach[] => [...(list ?? []), entry];
  const files = [...(settingsNetwork === undefined ? [] : ['ruche.yaml']), `agents/${agent}/AGENT.md`];
  return [
    {
      what: `with ${host} in the network list of ${files.join(' and of ')}`,
      to: (before) => ({
        ...before,
        network: added(before.network),
        leave: true,
        ...(settingsNetwork === undefined ? {} : { settingsNetwork: added(settingsNetwork) }),
      }),
    },
  ];
}

const confined = ({ command }: PolicyCall, { sandboxed }: PolicyFacts): Change[] =>
  command === undefined || sandboxed ? [] : [{ what: 'in a sandbox', to: (facts) => ({ ...facts, sandboxed: true }) }];

/** Without what the run has read; or, where it has read nothing that counts, with all of it. */
function labelled({ labels }: PolicyFacts): Change[] {
  if (labels.length === 0)
    return [
      {
        what: 'in a run that has read text from outside and private data',
        to: (facts) => ({ ...facts, labels: ['private', 'untrusted'] }),
      },
    ];
  return labels.map((label) => ({
    what: `in a run without the label ${label}`,
    to: (facts) => ({ ...facts, labels: facts.labels.filter((each) => each !== label) }),
  }));
}

/** With the values vouched for that settle where the call goes. */
function vouched({ critical = [] }: PolicyFacts): Change[] {
  const open = critical.filter((value) => value.vouched === null);
  if (open.length === 0) return [];
  const names = [...new Set(open.map(({ name }) => name))].join(' and ');
  return [
    {
      what: `with an approved value of ${names}`,
      to: (facts) => ({
        ...facts,
        critical: (facts.critical ?? []).map((each) => ({ ...each, vouched: each.vouched ?? 'endorsed' })),
      }),
    },
  ];
}
