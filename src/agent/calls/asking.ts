import { hash } from 'node:crypto';
import type { AgentTurn } from '../run/deps.ts';
import { kindOfCall } from './granting.ts';
import { callFacts, policyCall, type ReadyCall } from './ready.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { AskedAbout, AskedValue, CallKind, LabelSource } from '../../core/standing.ts';
import { canonicalJson } from '../../core/text/json.ts';
import { visibleLine } from '../../core/text/untrusted.ts';
import { messageOf } from '../run/log.ts';

/** What a person who is asked for a call should know beside the call. */
export async function aboutCall(turn: AgentTurn, ready: ReadyCall): Promise<{ about: AskedAbout; kind: BlobRef }> {
  const { log } = turn;
  const { labels, costUsd, unpriced } = log.state;
  const { rule = '', reason = '' } = ready.call.asks ?? {};
  const call = policyCall(turn, ready);
  const facts = await callFacts(turn, ready, call);
  const kind = kindOfCall(turn, ready.input, { call, facts });
  // The critical ones come first, in their order.
  const values = kind.values.map((each, index): AskedValue => {
    const { vouched = null, by } = facts.critical?.[index] ?? {};
    if (facts.critical?.[index] === undefined) return { ...each, vouched: null, critical: false };
    return { ...each, vouched, ...(by === undefined ? {} : { by }) };
  });
  const sources = labels.length === 0 ? [] : await sourcesOf(turn);
  const about = { rule, reason, labels, sources, values, costUsd, ...(unpriced ? { unpriced } : {}) };
  return { about, kind: kindRef(turn, kind) };
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
function kindRef(turn: AgentTurn, kind: CallKind): BlobRef {
  return turn.log.putCommon({ kind: hash('sha256', canonicalJson(kind), 'base64url') });
}
