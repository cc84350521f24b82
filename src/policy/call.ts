import type { Agent, Governance } from '../core/agent.ts';
import type { CallFacts, PolicyCall } from '../core/policy.ts';
import type { AnyTool } from '../core/ports/tool.ts';
import { addressOf, placeOf } from '../core/recipient.ts';
import { widens } from './rights.ts';

/** The call as the policy looks at it. */
export function callOf(
  { tool, input, facts }: { tool: AnyTool; /** In the tool's own form. */ input: unknown; facts: CallFacts },
  agent: Agent,
  { settings, agents }: Pick<Governance, 'settings' | 'agents'>,
): PolicyCall {
  const place = facts.to === undefined ? null : placeOf(facts.to, settings.channels);
  const to = place === null ? {} : { to: addressOf(place) };
  return { tool: tool.name, effect: tool.effect, ...facts, ...to, ...goesTo(tool, input, agent, agents) };
}

/** Work that goes to an agent that may do more than this one leaves as anything else does. */
function goesTo(tool: AnyTool, input: unknown, agent: Agent, agents: Governance['agents']): Pick<PolicyCall, 'leaves'> {
  if (tool.kind !== 'engine') return {};
  const what = tool.asks(input, agent.name);
  const to =
    what.kind === 'hand-over'
      ? what.to
      : what.kind === 'task' && what.task.action === 'create'
        ? what.task.agent
        : null;
  const other = to === null ? undefined : agents.get(to);
  return other !== undefined && widens(agent, other) ? { leaves: true } : {};
}
