import type { Agent, Governance } from '../core/agent.ts';
import { commonReach } from '../core/net/reach.ts';
import type { PolicyFacts } from '../core/policy.ts';
import { canonicalJson } from '../core/text/json.ts';

type Rights = Pick<
  PolicyFacts,
  'rules' | 'agentRules' | 'tools' | 'accounts' | 'network' | 'leave' | 'settingsNetwork'
>;

/** What the files say of an agent's calls. A task has at most the rights of those who gave it: what narrows them narrows it. */
export function rightsOf(
  { settings, agents }: Pick<Governance, 'settings' | 'agents'>,
  agent: Agent,
  senders: readonly string[],
): Rights {
  const givers = senders.flatMap((name) => agents.get(name) ?? []);
  return {
    rules: settings.rules,
    agentRules: [agent, ...givers].flatMap(({ rules }) => rules),
    tools: commonTools(agent, givers),
    ...commonAccounts(agent, givers),
    network: [settings.network ?? null, agent.network, ...givers.map(({ network }) => network)].reduce(commonReach),
    leave: agent.network !== null,
    ...(settings.network === undefined ? {} : { settingsNetwork: settings.network }),
  };
}

const commonTools = (agent: Agent, givers: readonly Agent[]): string[] =>
  agent.tools.filter((tool) => givers.every(({ tools }) => tools.includes(tool)));

/** An agent without any reads no mail by way of another one's. */
const commonAccounts = ({ accounts }: Agent, givers: readonly Agent[]): Pick<PolicyFacts, 'accounts'> =>
  accounts === undefined
    ? {}
    : { accounts: accounts.filter((name) => givers.every((giver) => giver.accounts?.includes(name) ?? false)) };

/**
 * The agent as it works on a task of others: with the tools that all of them have, and its commands confined if theirs are.
 * What narrows the places it reaches, and the rules, `rightsOf` says.
 */
export function within(agent: Agent, givers: readonly Agent[], sandboxed: (agent: Agent) => boolean): Agent {
  if (givers.length === 0) return agent;
  const { sandbox: _own, ...rest } = agent;
  const confined = sandboxed(agent) ? undefined : givers.find(sandboxed);
  const tools = commonTools(agent, givers);
  if (confined === undefined) return { ...agent, tools };
  return { ...rest, tools, ...(confined.sandbox && { sandbox: confined.sandbox }) };
}

/** Whether an agent may do what another may not: a tool, a place, commands that are less confined. */
export function widens(from: Agent, to: Agent): boolean {
  if (to.tools.some((tool) => !from.tools.includes(tool))) return true;
  if (from.network === null) return false;
  return to.network === null || canonicalJson(commonReach(from.network, to.network)) !== canonicalJson(to.network);
}
