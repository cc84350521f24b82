import { hash } from 'node:crypto';
import type { AgentTurn } from '../run/deps.ts';
import { type EngineToolCall, kindOf, type ToolCall } from './ready.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { CriticalValue } from '../../core/policy.ts';
import type { AskedAbout, LabelSource } from '../../core/standing.ts';
import { canonicalJson } from '../../core/text/json.ts';
import { visibleLine } from '../../core/text/untrusted.ts';
import { messageOf } from '../run/log.ts';

type Ready = ToolCall | EngineToolCall;

/** What a person who is asked for a call should know beside the call. */
export async function aboutCall(turn: AgentTurn, ready: Ready): Promise<AskedAbout> {
  const { deps, log } = turn;
  const { labels, costUsd, unpriced } = log.state;
  const { rule = '', reason = '' } = ready.call.asks ?? {};
  const values = kindOf(turn, ready).map(({ name, value }): CriticalValue => {
    const endorsed = deps.standing.vouchedBy(name, value);
    const vouched = endorsed === null ? { vouched: null } : { vouched: 'endorsed' as const, by: endorsed };
    return { name, value, ...vouched };
  });
  const sources = labels.length === 0 ? [] : await sourcesOf(turn);
  return { rule, reason, labels, sources, values, costUsd, ...(unpriced ? { unpriced } : {}) };
}

/** Where the run's labels came from: what it has met itself, and before that what it began with. */
async function sourcesOf({ deps, log }: AgentTurn): Promise<LabelSource[]> {
  const { labels, sources } = log.state;
  const { task } = log.claim;
  const message = await messageOf(deps.store, task);
  const began = message === null ? `the task from ${task.from}` : `a message of ${message.data.from}`;
  const before = labels.flatMap((label): LabelSource[] => {
    if (task.labels.includes(label)) return [{ label, what: visibleLine(began) }];
    return sources.some((each) => each.label === label) ? [] : [{ label, what: 'earlier in this conversation' }];
  });
  return [...before, ...sources];
}

/**
 * Equal for calls of a kind, by which it is known that the same was approved before. It says nothing by itself: the
 * conversation may be erased, and this is not.
 */
export function kindRef(turn: AgentTurn, ready: Ready): BlobRef {
  const kind = { agent: turn.agent.name, tool: ready.tool.name, values: kindOf(turn, ready) };
  return turn.log.putCommon({ kind: hash('sha256', canonicalJson(kind), 'base64url') });
}
