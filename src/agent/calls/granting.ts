import { hash } from 'node:crypto';
import type { AgentTurn } from '../run/deps.ts';
import type { CallState } from '../run/call.ts';
import type { RunLog } from '../run/log.ts';
import type { Decision, PolicyCall, PolicyFacts } from '../../core/policy.ts';
import { type CallKind, grantStream, grantUseKey } from '../../core/standing.ts';
import { canonicalJson } from '../../core/text/json.ts';
import { type GrantUse, kindValues } from '../../policy/standing.ts';

interface Deciding {
  call: PolicyCall;
  facts: Pick<PolicyFacts, 'critical'>;
  decision: Decision;
}

/** What makes a call what it is, so that another one can be the same again. */
export function kindOfCall(
  { agent }: Pick<AgentTurn, 'agent'>,
  input: unknown,
  { call, facts }: Pick<Deciding, 'call' | 'facts'>,
): CallKind {
  const whole = (): string => hash('sha256', canonicalJson(input), 'base64url');
  return { agent: agent.name, tool: call.tool, values: kindValues(call, facts.critical ?? [], whole) };
}

/** What people have granted in the place of being asked; null if nothing of it fits. Where a rule wants several persons, each is asked. */
export function grantUse(
  turn: AgentTurn,
  ready: { call: CallState; input: unknown },
  asking: Deciding,
): GrantUse | null {
  if ((asking.decision.approvers ?? 1) > 1) return null;
  const { run, task, labels } = turn.log.state;
  const kind = kindOfCall(turn, ready.input, asking);
  return turn.deps.standing.grantFor({ ...kind, run, task, labels, call: ready.call.id });
}

/** Puts the use of a grant on record, once for a call. */
export function recordUse(log: RunLog, call: CallState, { grant, use, recorded }: GrantUse): void {
  if (recorded || call.uses.has(grant)) return;
  call.uses.add(grant);
  const { run } = log.state;
  const data = { grant, run, call: call.id, use };
  const key = grantUseKey(grant, use ?? `${run}/${call.id}`);
  log.emit({ type: 'grant.used', data }, null, { stream: grantStream(grant), key });
}
