import type { Adapters } from './adapters.ts';
import { ConversationCache } from '../agent/run/conversation.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import { LandingOrder } from '../agent/run/landing-order.ts';
import { Pauses } from '../runtime/pauses.ts';
import type { Messengers } from './messengers.ts';
import { nextTry } from '../models/choice/retry.ts';
import type { Plugged } from './models.ts';
import type { Trust } from '../trust/trust.ts';
import { offeredSkills } from '../skills/gate.ts';

/** All that runs can reach, and who of the agents is paused. */
export async function openAgents(
  adapters: Adapters,
  trust: Trust,
  plugged: Plugged,
  channels: Messengers['channels'],
  cancelTask: AgentDeps['cancelTask'],
): Promise<{ agents: AgentDeps; pauses: Pauses }> {
  const { store, secrets, hub, sandbox, random } = adapters;
  const redact = (text: string): string => secrets.redact(text);
  const pauses = await Pauses.open(store, redact, () => hub.work());
  const agents: AgentDeps = {
    ...adapters,
    governance: () => trust.current(),
    governanceLanded: (commit) => trust.applyLanded(commit),
    skills: (agent) => offeredSkills(adapters.gate, trust.current(), agent),
    models: (agent) => plugged().models.choices(agent.model),
    nextTry,
    tools: () => plugged().tools,
    sandboxed: sandbox.confined,
    paused: (agent) => pauses.of(agent) !== null,
    pushes: (channel) => channels.has(channel),
    redact,
    redactPieces: () => secrets.redactPieces(),
    emit: (delta) => hub.emit(delta),
    cancelTask,
    conversations: new ConversationCache(),
    landingOrder: new LandingOrder(adapters.clock),
    random: random.number,
  };
  return { agents, pauses };
}
