import type { BlobRef } from '../blob.ts';
import { conversationId, givenKey } from '../ids.ts';
import type { Label } from '../labels.ts';
import type { Store } from '../ports/store.ts';
import type { Origin, Task, NewTaskCall } from '../task.ts';

/** Tasks that may be queued in all, and in one conversation. */
const MAX_QUEUED = 10_000;
const MAX_LANE = 100;

/** Why nothing more is taken in for now, in a sentence for the sender; null if there is room. `lane`: a conversation. */
export async function noRoom(store: Pick<Store, 'counts' | 'tasks'>, lane?: string): Promise<string | null> {
  if (lane !== undefined && (await store.tasks({ lane, statuses: ['queued'], limit: MAX_LANE })).length >= MAX_LANE)
    return `${MAX_LANE} messages wait in this conversation. Try again later.`;
  return (await store.counts()).queued >= MAX_QUEUED ? `${MAX_QUEUED} tasks are queued. Try again later.` : null;
}

type Given = Pick<Task, 'id' | 'agent' | 'session' | 'from' | 'maxAttempts'>;

/** A task as it is queued first, with what most tasks have where nothing else is given. */
export const newTask = (about: Given & Partial<Omit<Task, 'labels'>> & { labels?: readonly Label[] }): Task => ({
  queue: about.agent,
  lane: conversationId(about.agent, about.session),
  content: null,
  priority: 0,
  notBefore: null,
  deadline: null,
  key: null,
  attempt: 1,
  status: 'queued',
  cause: null,
  absorbedBy: null,
  result: null,
  ...about,
  labels: [...(about.labels ?? [])],
});

/** What only the giver of the task knows. */
interface GivenBy {
  id: string;
  session: string;
  /** `agent:<name>`, `file:<name>` … */
  from: string;
  content: BlobRef;
  labels: readonly Label[];
  maxAttempts: number;
  origin?: Origin;
  escalation?: string;
}

/** A task for an agent, in a conversation of its own. */
export const givenTask = (
  {
    agent,
    key,
    priority,
    notBefore,
    deadline,
  }: Pick<NewTaskCall, 'agent' | 'key' | 'priority' | 'notBefore' | 'deadline'>,
  by: GivenBy,
): Task => newTask({ ...by, agent, priority, notBefore, deadline, key: key === null ? null : givenKey(agent, key) });

/** Where a task comes from that this one has led to. Its rules, and those of all before it, hold for it too. */
export const originAfter = ({ id, agent, origin }: Task): Origin => ({
  root: origin?.root ?? id,
  parent: id,
  hops: (origin?.hops ?? 0) + 1,
  senders: [...(origin?.senders ?? []), agent],
});
