import { unknownText } from '../core/text/unknown.ts';
import { ApiError } from './http.ts';
import { CliError, type Io } from './io.ts';
import type { Talk } from './talk.ts';
import type { AgentState } from '../core/api/runtime.ts';

/** What a command lists, as it names it. */
type Kind = 'schedule' | 'trigger' | 'escalation' | 'grant' | 'endorsement';

/** Refuses what cannot be the id of a schedule or a trigger before anybody is asked. */
export function needAgentAndName(io: Pick<Io, 'self'>, kind: Kind, id: string): void {
  if (!id.includes('/'))
    throw new CliError(`Invalid ${kind} "${id}". Give AGENT/NAME. List them with: ${io.self} ${kind}s.`);
}

/** Does it, and says in words of the command line that there is no such thing, and which one may be meant. */
export async function ofKind<T>(
  { io, call }: { io: Pick<Io, 'self'>; call: Talk['call'] },
  kind: Kind,
  id: string,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== `unknown_${kind}`) throw error;
    const path = kind === 'schedule' || kind === 'trigger' ? `/api/${kind}s` : `/api/${kind}s?all`;
    const known = await call<Record<string, { id: string }[]>>(path);
    const ids = (known[`${kind}s`] ?? []).map((each) => each.id);
    throw new CliError(unknownText(kind, id, { known: ids, list: `${io.self} ${kind}s` }), 1, { cause: error });
  }
}

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
