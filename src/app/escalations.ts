import type { Adapters } from './adapters.ts';
import type { AgentDeps } from '../agent/run/deps.ts';
import type { Channels } from '../messages/channels.ts';
import { allPending, approve, pendingById } from '../pending/pending.ts';
import { Escalations } from '../scheduler/escalations/escalations.ts';
import type { Trust } from '../trust/trust.ts';

/** Who is told of what waits for a person. */
export function openEscalations(agents: AgentDeps, adapters: Adapters, trust: Trust, channels: Channels): Escalations {
  const { store } = adapters;
  return new Escalations({
    ...agents,
    pending: (id) => pendingById(store, id),
    waiting: () => allPending(store),
    deny: async (approval, reason) => {
      await approve({ store, answerHeld: trust.answerHeld }, approval, 'deny', 'runtime', reason);
    },
    unreachable: (channel) =>
      channels.has(channel) ? (channels.problems().get(channel) ?? null) : `the channel ${channel} is not configured`,
  });
}
