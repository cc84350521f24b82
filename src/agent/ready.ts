import type { Agent } from '../core/agent.ts';
import type { CallFacts, PolicyFacts } from '../core/policy.ts';
import type { Tool } from '../core/tool.ts';
import type { AgentDeps } from './deps.ts';
import type { RunLog } from './run-log.ts';
import type { CallState } from './state.ts';

/** Tool whose call is a question to the person: it has no effect of its own. */
export const ASK = 'ask';

export function policyFacts(deps: AgentDeps, agent: Agent, log: RunLog): PolicyFacts {
  return {
    rules: deps.governance().settings.rules,
    agentRules: agent.rules,
    tools: agent.tools,
    network: agent.network,
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
