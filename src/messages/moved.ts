import { conversationId } from '../core/ids.ts';
import type { EventLog } from '../core/ports/store.ts';

/** Who answers in a conversation now: the agent it was handed over to last, if that one is still there. */
export async function movedTo(
  store: EventLog,
  { agent, session }: { agent: string; session: string },
  names: readonly string[],
): Promise<string> {
  let at = agent;
  let seq = 0;
  for (;;) {
    const move = await lastMove(store, conversationId(at, session), seq);
    if (move === null || !names.includes(move.to)) return at;
    // Only what came later counts: it may have been handed back.
    ({ to: at, seq } = move);
  }
}

async function lastMove(store: EventLog, stream: string, after: number): Promise<{ to: string; seq: number } | null> {
  const types = ['conversation.moved'] as const;
  for await (const event of store.read({ stream, types, after, reverse: true, limit: 1 }))
    if (event.type === 'conversation.moved') return { to: event.data.to, seq: event.seq };
  return null;
}
