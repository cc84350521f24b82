import type { BlobRef } from '../../core/blob.ts';
import type { EventOf } from '../../core/event.ts';
import { readJson } from '../../core/records/json-blob.ts';
import { replyKey, sendingTask } from '../../core/records/reply.ts';
import type { TaskContent } from '../../core/task-call.ts';
import type { Task } from '../../core/task.ts';
import type { Turn } from '../run/deps.ts';

/** A place of a messenger. */
export type Place = Pick<EventOf<'message.queued'>['data'], 'channel' | 'to'>;

/** Whom a schedule or trigger wants told; the first owner of the first messenger for `owner`. */
export async function recipientOf({ deps }: Turn, task: Task): Promise<Place | null> {
  if (!/^(?:schedule|trigger):/.test(task.from) || !task.content) return null;
  const { to } = (await readJson<Pick<TaskContent, 'to'>>(deps.store, task.content)) ?? {};
  if (to === undefined) return null;
  if (to !== 'owner') return { channel: to.slice(0, to.indexOf(':')), to: to.slice(to.indexOf(':') + 1) };
  const { channels } = deps.governance().settings;
  const owned = channels.find(({ owners }) => owners.length > 0);
  return owned === undefined ? null : { channel: owned.name, to: owned.owners[0] ?? '' };
}

/** Queues the answer for somebody who did not ask in a message. Its key is that of a reply, so it is sent once. */
export function tell({ deps, log }: Turn, { id: task, agent, session }: Task, place: Place, content: BlobRef): void {
  const { run, labels } = log.state;
  const causeOf = log.nextIndex;
  const data = { agent, session, task, run, ...place, content };
  log.emit({ type: 'message.queued', data }, null, { stream: log.subject, key: replyKey(task) });
  const sending = sendingTask({ id: deps.ids.next('tsk'), agent, session, channel: place.channel, labels });
  log.queue({ op: 'enqueue', task: sending, causeOf });
}
