import type { BlobRef } from '../blob.ts';
import type { Body, EventOf } from '../event.ts';
import type { Label } from '../labels.ts';
import type { Button } from '../ports/channel.ts';
import type { QueueOp } from '../ports/store.ts';
import type { Task } from '../task.ts';
import { newTask } from './new-task.ts';
import { agentActor } from '../ids.ts';

/** Queue of the tasks that send replies. */
export const OUTBOX = 'outbox';
/** Tries to send a reply before it is given up: a week, at ten minutes between two. A platform that is down over a weekend costs nobody an answer. */
const SEND_ATTEMPTS = 1_000;

/** Unique key of the reply to a task: there is one, whatever ends the task. */
export const replyKey = (task: string): string => `reply:${task}`;

/** Unique key of what shows the reply to a task while it is written. */
export const draftKey = (task: string): string => `draft:${task}`;

/** Unique key of what puts a question or an approval before a person. */
export const putKey = (wait: string): string => `put:${wait}`;

/** The blob of `message.queued`. */
export interface ReplyContent {
  text: string;
  files?: { name: string; mediaType: string; blob: BlobRef }[];
  buttons?: Button[];
}

/** The reply to the message that a task answers. */
export function replyBody(
  { id: task, agent, session }: Task,
  message: EventOf<'message.received'>,
  run: string,
  content: BlobRef,
): Extract<Body, { type: 'message.queued' }> {
  const { channel, replyTo: to } = message.data;
  return { type: 'message.queued', data: { agent, session, task, run, channel, to, content } };
}

/**
 * The task that sends a reply, for channels that the runtime sends to. `causeOf`: index of the reply in its batch.
 * Replies to one address go out in their order.
 */
export function sendingOp(
  message: EventOf<'message.received'>,
  about: { id: string; causeOf: number; labels: readonly Label[] },
): QueueOp {
  const { agent, session, channel } = message.data;
  return { op: 'enqueue', task: sendingTask({ ...about, agent, session, channel }), causeOf: about.causeOf };
}

/** What is sent to one conversation goes out in its order. */
export function sendingTask(about: {
  id: string;
  agent: string;
  session: string;
  channel: string;
  labels: readonly Label[];
}): Task {
  const { agent, session, channel } = about;
  return newTask({
    id: about.id,
    queue: OUTBOX,
    lane: `outbox:${channel}:${agent}/${session}`,
    agent,
    session,
    from: agentActor(agent),
    maxAttempts: SEND_ATTEMPTS,
    labels: about.labels,
  });
}
