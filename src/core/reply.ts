import type { BlobRef } from './blob.ts';
import type { Body, EventOf } from './event.ts';
import type { Label } from './labels.ts';
import type { Button, QueueOp } from './ports.ts';
import type { Task } from './task.ts';

/** Queue of the tasks that send replies. */
export const OUTBOX = 'outbox';
/** Tries to send a reply before it is given up. */
const SEND_ATTEMPTS = 20;

/** Unique key of the reply to a task: there is one, whoever ends the task. */
export const replyKey = (task: string): string => `reply:${task}`;

/** Unique key of what shows the reply to a task while it is written. */
export const draftKey = (task: string): string => `draft:${task}`;

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
  answered: Task,
  message: EventOf<'message.received'>,
  about: { id: string; causeOf: number; labels: readonly Label[] },
): QueueOp {
  const { channel, replyTo } = message.data;
  const task: Task = {
    ...answered,
    id: about.id,
    queue: OUTBOX,
    lane: `outbox:${channel}:${replyTo}`,
    from: `agent:${answered.agent}`,
    content: null,
    notBefore: null,
    deadline: null,
    key: null,
    attempt: 1,
    maxAttempts: SEND_ATTEMPTS,
    status: 'queued',
    labels: [...about.labels],
    cause: null,
    absorbedBy: null,
    result: null,
  };
  return { op: 'enqueue', task, causeOf: about.causeOf };
}
