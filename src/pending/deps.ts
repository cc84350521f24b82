import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';
import type { Store } from '../core/ports/store.ts';
import type { AgentAbout, AnswerResult } from '../core/api/runtime.ts';

export interface MailDeps {
  store: Store;
  clock: Clock;
  ids: Ids;
  redact(text: string): string;
  /** True for channels the runtime sends to; others come and fetch their reply. */
  pushes(channel: string): boolean;
  /** The agents that can be addressed. */
  agents(): readonly AgentAbout[];
  maxAttempts(): number;
  /** Answers an approval that no run asked for: a change of what governs the network that came from outside. */
  answerHeld(approval: string, verdict: 'approve' | 'deny', by: string): Promise<AnswerResult>;
}
