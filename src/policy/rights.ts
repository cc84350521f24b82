import type { Agent, Governance } from '../core/agent.ts';
import { commonReach } from '../core/net/reach.ts';
import type { PolicyFacts } from '../core/policy.ts';
import { canonicalJson } from '../core/text/json.ts';

type Rights = Pick<PolicyFacts, 'rules' | 'agentRules' | 'tools' | 'network' | 'leave' | 'settingsNetwork'>;

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
    tools: agent.tools,
    network: [settings.network ?? null, agent.network, ...givers.map(({ network }) => network)].reduce(commonReach),
    leave: agent.network !== null,
    ...(settings.network === undefined ? {} : { settingsNetwork: settings.network }),
  };
}

/** Whether an agent may do what another may not: a tool, a place, commands that are less confined. */
export function widens(from: Agent, to: Agent): boolean {
  if (to.tools.some((tool) => !from.tools.includes(tool))) return true;
  if (from.network === null) return false;
  return to.network === null || canonicalJson(commonReach(from.network, to.network)) !== canonicalJson(to.network);
}
