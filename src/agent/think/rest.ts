import type { Agent } from '../../core/agent.ts';
import { COMPACTION, KEPT_TURNS } from '../../core/records/compaction.ts';
import { type ModelChoice, NO_USAGE, TIERS } from '../../core/model.ts';
import { summarise } from './compact.ts';
import type { Conversation } from '../run/conversation.ts';
import type { AgentDeps } from '../run/deps.ts';
import { prepare } from './context.ts';
import type { RunLog } from '../run/log.ts';
import { saying } from './script.ts';

/**
 * The models that summarise for an agent at night, the cheapest tier for one that names a tier. One that names its model
 * has a reason, such as where its words may go.
 */
export const restingModels = (deps: Pick<AgentDeps, 'models'>, agent: Agent): readonly ModelChoice[] =>
  deps.models((TIERS as readonly string[]).includes(agent.model) ? { ...agent, model: 'light' } : agent);

/**
 * What stands in for a model in the run that has a resting conversation summarised. The summary takes the place of all
 * but the newest turns; if there is none to be had, everything stays as it is. Null for every other task.
 */
export async function restChoice(
  deps: AgentDeps,
  log: RunLog,
  agent: Agent,
  signal: AbortSignal,
): Promise<ModelChoice | null> {
  if (log.claim.task.from !== COMPACTION) return null;
  const conversation = await deps.conversations.load(deps.store, log.subject);
  const upTo = endOfOld(conversation);
  const [choice] = restingModels(deps, agent);
  if (upTo === null || choice === undefined || choice.provider === 'demo' || (await isDone(deps, log)))
    return said('There was nothing to summarise.');
  const prepared = await prepare(deps, log, agent, conversation);
  const after = await summarise({ deps, log, choice, conversation, prepared, upTo, needed: false }, signal);
  return said(after === conversation ? 'No summary could be had: the conversation stays as it is.' : 'Summarised.');
}

/** Seq of the last turn that is not among the newest; null if there are no others. */
function endOfOld({ messages }: Conversation): number | null {
  const turns = [...new Set(messages.map(({ seq }) => seq))];
  return turns.at(-1 - KEPT_TURNS) ?? null;
}

/** Before a crash, by this very run. */
async function isDone({ store }: AgentDeps, { subject, state }: RunLog): Promise<boolean> {
  const last = { stream: subject, types: ['conversation.compacted'], reverse: true, limit: 1 } as const;
  for await (const event of store.read(last))
    return event.type === 'conversation.compacted' && event.data.run === state.run;
  return false;
}

const said = (delta: string): ModelChoice =>
  saying({ type: 'text', delta }, { type: 'finish', reason: 'stop', usage: NO_USAGE });
