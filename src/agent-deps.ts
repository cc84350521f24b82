import type { Adapters } from './adapters.ts';
import { ConversationCache } from './agent/conversation.ts';
import type { AgentDeps } from './agent/deps.ts';
import type { Messengers } from './messengers.ts';
import { nextTry } from './models/call.ts';
import type { Plugged } from './plugs.ts';
import type { Trust } from './scheduler/trust.ts';

/** All that a run can reach, out of what is plugged in. */
export function agentDeps(
  adapters: Adapters,
  trust: Trust,
  plugged: Plugged,
  channels: Messengers['channels'],
  cancelTask: AgentDeps['cancelTask'],
): AgentDeps {
  const { secrets, hub, sandbox, random } = adapters;
  return {
    ...adapters,
    governance: () => trust.current(),
    governanceLanded: (commit) => trust.applyLanded(commit),
    models: (agent) => plugged().models.choices(agent.model),
    nextTry,
    tools: () => plugged().tools,
    sandboxed: sandbox.confined,
    pushes: (channel) => channels.has(channel),
    redact: (text) => secrets.redact(text),
    redactPieces: () => secrets.redactPieces(),
    emit: (delta) => hub.emit(delta),
    cancelTask,
    conversations: new ConversationCache(),
    random: random.number,
  };
}
