import type { Agent } from '../../core/agent.ts';
import type { CallFacts, PolicyFacts } from '../../core/policy.ts';
import type { Tool } from '../../core/ports/tool.ts';
import type { AgentDeps } from '../run/deps.ts';
import type { RunLog } from '../run/log.ts';
import type { CallState } from '../run/state.ts';

/** Tool whose call is a question to the person: it has no effect of its own. */
export const ASK = 'ask';

/** Hosts that both lists allow; null allows all. */
function commonHosts(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  if (a === null || b === null) return a ?? b;
  const allowedBy = (list: readonly string[]) => (host: string) =>
    list.includes(host) || list.includes(host.replace(/:\d+$/, ''));
  return [...new Set([...a.filter(allowedBy(b)), ...b.filter(allowedBy(a))])];
}

export function policyFacts(deps: AgentDeps, agent: Agent, log: RunLog): PolicyFacts {
  const { agents, settings } = deps.governance();
  // A task has at most the rights of those who gave it: what narrows them narrows it.
  const senders = (log.claim.task.origin?.senders ?? []).flatMap((name) => agents.get(name) ?? []);
  return {
    rules: settings.rules,
    agentRules: [agent, ...senders].flatMap(({ rules }) => rules),
    tools: agent.tools,
    network: [agent, ...senders].map(({ network }) => network).reduce(commonHosts),
    sandboxed: deps.sandboxed,
    labels: log.state.labels,
  };
}

/** A call made ready: its tool and its arguments in the tool's own form. */
export interface ReadyCall {
  call: CallState;
  tool: Tool;
  input: unknown;
  facts: CallFacts;
}

/** Finds the tool and parses the arguments, or says what the model should be told. */
export function readCall(deps: AgentDeps, call: CallState): ReadyCall | { error: string } {
  const tool = deps.tools().get(call.tool);
  if (!tool) return { error: `There is no tool "${call.tool}". Tools: ${[...deps.tools().keys()].join(', ')}.` };
  let args: unknown;
  try {
    args = JSON.parse(call.args === '' ? '{}' : call.args);
  } catch (error) {
    return { error: `The arguments are not valid JSON (${(error as Error).message}); nothing was run.` };
  }
  const parsed = tool.parse(args);
  if (!parsed.ok) return { error: `The arguments do not fit: ${parsed.error}` };
  return { call, tool, input: parsed.value, facts: tool.facts(parsed.value) };
}
