import { type ModelError, wordsOf } from '../../core/model.ts';
import { type Conversation, note } from '../run/conversation.ts';
import type { Turn } from '../run/deps.ts';
import { estimateTokens } from './model-call.ts';

const LEFT_OUT =
  'Earlier turns of this conversation are left out, because the provider of the model refused them. If you need something from them, ask.';

/** Whether what was said earlier may be what a provider does not take: a picture it cannot read, words that its filter knows. */
export const mayBeHistory = (error: ModelError, { messages }: Conversation): boolean =>
  messages.length > 0 &&
  !error.retryable &&
  error.asks === undefined &&
  (error.kind === 'refused' || error.kind === 'invalid');

/** The conversation as if it began now, with what was summed up before. */
export async function withoutHistory({ deps, log }: Turn, conversation: Conversation): Promise<Conversation> {
  const { summary } = conversation;
  const parts = summary === null ? [] : (await deps.conversations.message(deps.store, summary)).parts;
  const earlier = parts.map(wordsOf).join('\n');
  const kept = earlier === '' ? note(LEFT_OUT) : note(`${LEFT_OUT}\n\n${earlier}`);
  return { ...conversation, messages: [], summary: log.put(kept) };
}

/** Without its history it was answered: from now on it is left out, or each further message would be refused first. */
export async function leaveOut({ log }: Turn, before: Conversation, { summary }: Conversation): Promise<void> {
  const upTo = before.messages.at(-1)?.seq ?? 0;
  if (summary === null) return;
  const [tokensBefore, tokensAfter] = [estimateTokens(before.messages), Math.ceil(summary.size / 4)];
  const data = { run: log.state.run, upTo, summary, tokensBefore, tokensAfter };
  log.emit({ type: 'conversation.compacted', data }, null, { stream: log.subject });
  await log.flush(true);
}
