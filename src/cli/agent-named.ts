import type { AgentState } from '../core/api/runtime.ts';
import { unknownText } from '../core/text/unknown.ts';
import { CliError } from './io.ts';
import type { Talk } from './talk.ts';

/** Names of the agents, the front desk first. */
export const agentNames = async (gateway: Talk): Promise<string[]> =>
  (await gateway.call<{ agents: AgentState[] }>('/api/agents')).agents.map(({ name }) => name);

/** The agent that is wanted, or the front desk. */
export function agentNamed(names: readonly string[], wanted: string | undefined): string {
  const [name] = wanted === undefined ? names : names.filter((each) => each === wanted);
  if (name !== undefined) return name;
  if (names.length > 0) throw new CliError(unknownText('agent', wanted ?? '', { known: names }));
  throw new CliError('No agents are running. Find out why with: ruche doctor.');
}
