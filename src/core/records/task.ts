import type { BlobRef } from '../blob.ts';
import { conversationId, givenKey } from '../ids.ts';
import type { Label } from '../labels.ts';
import type { NewTaskCall, TaskContent } from '../task-call.ts';
import type { Origin, Task } from '../task.ts';

/** What only whoever gives the task knows. */
export interface GivenBy {
  id: string;
  session: string;
  /** `agent:<name>`, `file:<name>` … */
  from: string;
  content: BlobRef;
  labels: readonly Label[];
  maxAttempts: number;
  cause: string | null;
  origin?: Origin;
  escalation?: string;
}

/** A task for an agent, in a conversation of its own. */
export function givenTask(call: Omit<NewTaskCall, 'wait' | 'after' | keyof TaskContent>, by: GivenBy): Task {
  const { agent, key, priority, notBefore, deadline } = call;
  const { id, session, from, content, labels, maxAttempts, cause, origin, escalation } = by;
  return {
    id,
    queue: agent,
    lane: conversationId(agent, session),
    agent,
    session,
    from,
    content,
    priority,
    notBefore,
    deadline,
    key: key === null ? null : givenKey(agent, key),
    attempt: 1,
    maxAttempts,
    status: 'queued',
    labels: [...labels],
    cause,
    absorbedBy: null,
    result: null,
    ...(origin === undefined ? {} : { origin }),
    ...(escalation === undefined ? {} : { escalation }),
  };
}

/** Who a task is from that has a resting conversation summarised. */
export const COMPACTION = 'runtime:compaction';

/** One for each time a conversation comes to rest: `seq` is that of its last turn. */
export const compactionKey = (lane: string, seq: number): string => `compaction:${lane}@${seq}`;

/** Newest turns that a night leaves as they are, word for word. */
export const KEPT_TURNS = 2;
