import type { AddressKind } from '../core/net/address.ts';
import type { Verdict } from '../core/event.ts';
import { hostKind, parseTarget, patternFits, type Target } from '../core/net/host.ts';
import { namedPlaces, type Reach, reachesHost, reachVerdict } from '../core/net/reach.ts';
import { workspacePath } from '../core/text/paths.ts';
import type { Decision, PolicyCall, PolicyFacts, Rule } from '../core/policy.ts';
import { notPlain } from './programs.ts';
import { allows, ofVerdict, opensHost, type Part, restricts, type Seen, seeCommand, watchesCommands } from './rules.ts';

const KIND_WORDS: Readonly<Record<AddressKind, string>> = {
  public: 'public',
  loopback: 'this machine itself',
  private: 'the private network',
  'link-local': 'link-local, where cloud machines keep their credentials',
  special: 'a special-purpose range that no server should be at',
};

export const STRICTNESS: Readonly<Record<Verdict, number>> = { allow: 0, ask: 1, deny: 2 };

const builtin = (verdict: Verdict, name: string, reason: string): Decision => ({
  verdict,
  rule: `builtin:${name}`,
  reason,
});

/** Text from a model in a reason that people read: short, and nothing in it that a terminal would obey. */
const shown = (text: string): string =>
  text.slice(0, 200).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`);

/** One part of the policy that spoke of a call; `by`: the rule it is, where it is one of a file. */
export interface Voice extends Decision {
  by?: Rule;
}

function byRule(rule: Rule, whose: string): Voice {
  const reason = rule.reason.trim() === '' ? `A rule of ${whose} says ${rule.verdict}.` : rule.reason;
  const { verdict, id, approvers = 1 } = rule;
  return { verdict, rule: id, reason, ...(verdict === 'ask' && approvers > 1 ? { approvers } : {}), by: rule };
}

/** How strict a decision is: a question to more persons is stricter than one to fewer. */
const strictness = ({ verdict, approvers = 1 }: Decision): number => STRICTNESS[verdict] + (1 - 1 / approvers);

const strictest = (decisions: readonly Decision[]): Decision | null =>
  decisions.reduce<Decision | null>(
    (worst, each) => (worst === null || strictness(each) > strictness(worst) ? each : worst),
    null,
  );

/** The call in canonical form, and what no rule can lift. */
function look(call: PolicyCall, facts: PolicyFacts): { seen: Seen; limits: Decision[] } {
  const limits: Decision[] = [];
  const paths: string[] = [];
  for (const raw of call.paths ?? []) {
    const result = workspacePath(raw);
    if (result.ok) paths.push(result.path);
    else limits.push(builtin('deny', 'outside-workspace', `${shown(raw)}: ${result.reason}.`));
  }
  let target: Target | null = null;
  if (call.url !== undefined) {
    const parsed = parseTarget(call.url);
    if (parsed.ok) target = parsed.target;
    else limits.push(builtin('deny', 'url', `${parsed.reason[0]?.toUpperCase()}${parsed.reason.slice(1)}.`));
  }
  const command = call.command === undefined ? null : seeCommand(call.command);
  const seen = { call, paths, command, target, facts };
  if (target !== null) limits.push(...networkLimits(seen, target, facts));
  limits.push(...accountLimits(call, facts));
  return { seen, limits };
}

function accountLimits({ account }: PolicyCall, { accounts = [] }: PolicyFacts): Decision[] {
  if (account === undefined || (account === null ? accounts.length > 0 : accounts.includes(account))) return [];
  const which =
    account === null ? 'The agent has no account here' : `${shown(account)} is not among the agent's accounts here`;
  return [builtin('deny', 'agent-accounts', `${which}.`)];
}

function networkLimits(seen: Seen, target: Target, facts: PolicyFacts): Decision[] {
  const limits: Decision[] = [];
  const listed = byList(seen, target, facts);
  if (listed === null) limits.push(builtin('deny', 'agent-network', notListed(target, seen, facts)));
  if (listed === 'ask')
    limits.push(builtin('ask', 'network-asks', `The network list says to ask for ${shown(target.host)}.`));
  const kind = hostKind(target.host);
  const named = namedPlaces(facts.settingsNetwork ?? []).some((place) =>
    patternFits({ ...place, literal: true }, target),
  );
  if (kind !== 'public' && !named && !facts.rules.some((rule) => opensHost(rule, seen, target)))
    limits.push(
      builtin(
        'deny',
        'private-address',
        `${shown(target.host)} is ${KIND_WORDS[kind]}. A rule or the network list of ruche.yaml that names exactly this host, without a glob, can open it.`,
      ),
    );
  return limits;
}

/** A host that stands in a list under another port, method or path is told apart from one that does not. */
function notListed(target: Target, { call }: Seen, { network, settingsNetwork }: PolicyFacts): string {
  const place = shown(new URL(target.url).host);
  if (network?.some((reach) => reachesHost(reach, target)))
    return `The network list has ${place}, but not this path or not the method ${shown((call.method ?? 'GET').toUpperCase())}.`;
  const beyond = settingsNetwork !== undefined && !settingsNetwork.some((reach) => reachesHost(reach, target));
  return `${place} is not in ${beyond ? 'the network list of ruche.yaml' : "the agent's network list"}.`;
}

/** What the list says of this request; `none`: there is no list. */
function byList(
  { call }: Seen,
  { url, host, port }: Target,
  { network }: PolicyFacts,
): 'allow' | 'ask' | 'none' | null {
  if (network === null) return 'none';
  const http = { method: (call.method ?? 'GET').toUpperCase(), path: new URL(url).pathname };
  return reachVerdict(network, { host, port, http });
}

/** What is told an owner does not leave the house. */
const isOwner = (call: PolicyCall, { owners = [] }: Pick<PolicyFacts, 'owners'>): boolean =>
  call.to !== undefined && owners.includes(call.to);

/** What a part of the call gets where no rule speaks of it. */
function byDefault(part: Part, seen: Seen, facts: PolicyFacts): Decision {
  const { tool, effect, question } = seen.call;
  if (part.kind === 'path')
    return effect === 'read' || effect === 'write'
      ? builtin('allow', 'workspace-files', 'Files in the workspace may be read and written.')
      : builtin('ask', 'unknown', `No rule says what ${shown(tool)} may do with files.`);
  if (part.kind === 'host')
    return facts.leave === true && byList(seen, part.target, facts) === 'allow'
      ? builtin('allow', 'agent-network', `${shown(part.target.host)} is in the agent's network list.`)
      : builtin('ask', 'public-network', `${shown(part.target.host)} is outside.`);
  if (part.kind === 'command')
    return facts.sandboxed
      ? builtin('allow', 'sandboxed-shell', `The command runs confined, ${commandReach(facts)}.`)
      : builtin('ask', 'unsandboxed-shell', 'Nothing confines this command: it has no sandbox.');
  if (seen.call.to !== undefined)
    return isOwner(seen.call, facts)
      ? builtin('allow', 'tell-owner', 'The owner may always be told something.')
      : builtin('ask', 'tell-other', `${shown(seen.call.to)} is not an owner of this network.`);
  if (seen.call.account !== undefined && (effect === 'read' || effect === 'write'))
    return builtin('allow', 'agent-accounts', 'The agent may read and sort what is in its accounts.');
  return question === true && effect === 'read'
    ? builtin('allow', 'question', 'Asking the person is always possible.')
    : builtin('ask', 'unknown', `No rule speaks of ${shown(tool)}.`);
}

function judgePart(part: Part, seen: Seen, facts: PolicyFacts): Decision {
  const unconfined = part.kind === 'command' && !facts.sandboxed;
  const rule = facts.rules.find(
    // Without a sandbox, only a rule that names commands may vouch for one.
    (each) => allows(each, seen, part) && (!unconfined || each.match.command !== undefined),
  );
  return rule ? byRule(rule, 'ruche.yaml') : byDefault(part, seen, facts);
}

/** The commands of a line, each for itself; where a line is not plain and nothing confines it, a question. */
function judgeCommand(seen: Seen, facts: PolicyFacts): Decision[] {
  if (seen.command === null) return [];
  const { line } = seen.command;
  const ask = (why: string): Decision[] => [
    builtin('ask', 'unsandboxed-shell', `Nothing confines this command, and no rule may vouch for it: ${shown(why)}.`),
  ];
  if (line.commands.length === 0 && !facts.sandboxed) return ask(line.unclear ?? 'it holds no command');
  if (line.commands.length === 0) return [byDefault({ kind: 'command', words: [] }, seen, facts)];
  const judged = line.commands.map((words) => judgePart({ kind: 'command', words }, seen, facts));
  const why = line.unclear ?? line.commands.map(notPlain).find((reason) => reason !== null) ?? null;
  const vouched = judged.every((each) => each.verdict === 'allow');
  return !facts.sandboxed && vouched && why !== null ? ask(why) : judged;
}

function judgeParts(seen: Seen, facts: PolicyFacts): Decision[] {
  const decisions = seen.paths.map((path) => judgePart({ kind: 'path', path }, seen, facts));
  decisions.push(...judgeCommand(seen, facts));
  if (seen.target !== null) decisions.push(judgePart({ kind: 'host', target: seen.target }, seen, facts));
  if (decisions.length === 0 || seen.call.effect === 'send') decisions.push(judgePart({ kind: 'call' }, seen, facts));
  return decisions;
}

/** Rules of both files that say deny or ask, and what they cannot see. */
function restrictions(seen: Seen, facts: PolicyFacts): Decision[] {
  const sources: [readonly Rule[], string][] = [
    [facts.rules, 'ruche.yaml'],
    [facts.agentRules, 'the agent'],
  ];
  return sources.flatMap(([rules, whose]) => {
    const restricting = [...ofVerdict(rules, 'deny'), ...ofVerdict(rules, 'ask')];
    const decisions = restricting.filter((rule) => restricts(rule, seen)).map((rule) => byRule(rule, whose));
    const hidden = seen.command?.hidden ?? null;
    const watcher = hidden === null ? undefined : restricting.find((rule) => watchesCommands(rule, seen));
    if (watcher !== undefined)
      decisions.push(
        builtin('ask', 'hidden-command', `Rule ${watcher.id} looks at commands, and this line hides some: ${hidden}.`),
      );
    return decisions;
  });
}

/** Where commands of the agent get by themselves: to entries of its own list that ask nobody. */
export const commandNetwork = ({ network, leave }: Pick<PolicyFacts, 'network' | 'leave'>): readonly Reach[] =>
  leave === true && network !== null && network.some(({ verdict }) => verdict === 'allow') ? network : [];

const commandReach = (facts: PolicyFacts): string =>
  commandNetwork(facts).length === 0 ? 'without network' : "with the agent's network list";

/** Whether a call leaves the house or cannot be undone; telling an owner something does not. */
export function leaves(call: PolicyCall, facts: Pick<PolicyFacts, 'owners' | 'network' | 'leave'>): boolean {
  if (call.leaves !== undefined) return call.leaves;
  if (call.command !== undefined && commandNetwork(facts).length > 0) return true;
  return call.url !== undefined || (call.effect === 'send' && !isOwner(call, facts));
}

/**
 * The rule of two: of text from outside, private data and an effect that leaves, a run has at most two without a question.
 * What came from outside could make it carry the private data anywhere, unless somebody who may has said where. A command
 * that reaches hosts brings in from outside by itself.
 */
function flow(seen: Seen, facts: PolicyFacts): Decision[] {
  const { call } = seen;
  if (!facts.labels.includes('private') || !leaves(call, facts)) return [];
  const reaching = call.command !== undefined && commandNetwork(facts).length > 0;
  if (!facts.labels.includes('untrusted') && !reaching) return [];
  const critical = facts.critical ?? [];
  const open = critical.filter(({ vouched }) => vouched === null);
  if (critical.length > 0 && open.length === 0) return [];
  // Names alone: the values are somebody's words, which events do not hold.
  const named = [...new Set(open.map(({ name }) => shown(name)))];
  const why = reaching
    ? 'The run has read private data, and this command could send it to hosts of the network list'
    : 'The run has read private data and text from outside, and this leaves or cannot be undone';
  const what = open.length === 0 ? '' : ` Nobody has vouched for: ${named.join(', ')}.`;
  return [builtin('ask', 'rule-of-two', `${why}, so a person decides.${what}`)];
}

/** A value out of a text from outside says nothing by itself, but may be what somebody wants a call to be about. */
function takenOut(seen: Seen, facts: PolicyFacts): Decision[] {
  if (!leaves(seen.call, facts)) return [];
  const open = (facts.critical ?? []).filter(({ vouched, foreign }) => foreign === true && vouched === null);
  if (open.length === 0) return [];
  const named = [...new Set(open.map(({ name }) => shown(name)))].join(', ');
  const why = `A value was taken out of a text from outside, and nobody has vouched for it: ${named}.`;
  return [builtin('ask', 'foreign-value', why)];
}

/** Everything that speaks of a call, of which the strictest counts. */
export function voices(call: PolicyCall, facts: PolicyFacts): Voice[] {
  // Tool names are what providers accept; anything else, such as config.patch, is no tool whatever a list says.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(call.tool))
    return [builtin('deny', 'unknown-tool', `There is no tool ${shown(call.tool)}.`)];
  if (!facts.tools.includes(call.tool))
    return [builtin('deny', 'agent-tools', `${call.tool} is not among the agent's tools.`)];
  const { seen, limits } = look(call, facts);
  return [
    ...limits,
    ...restrictions(seen, facts),
    ...judgeParts(seen, facts),
    ...flow(seen, facts),
    ...takenOut(seen, facts),
  ];
}

/**
 * May this call be made? Pure, total, closed by default. Deny beats ask beats allow; the order of rules plays no part in
 * the verdict. See `docs/formats/policy.md`.
 */
export function decide(call: PolicyCall, facts: PolicyFacts): Decision {
  const found = strictest(voices(call, facts)) ?? builtin('deny', 'unknown', 'Nothing is known about this call.');
  const { verdict, rule, reason, approvers } = found;
  return { verdict, rule, reason, ...(approvers === undefined ? {} : { approvers }) };
}
