import { conversationId } from '../core/ids.ts';
import { canonicalJson } from '../core/text/json.ts';
import { type ReplyContent, sendingTask } from '../core/records/reply.ts';
import type { MailDeps } from '../pending/deps.ts';

export interface Notice {
  agent: string;
  session: string;
  channel: string;
  to: string;
  content: ReplyContent;
  /** Unique: the same notice is sent once. */
  key: string;
}

/** Queues something the runtime says by itself in a chat: durable, and sent like any reply. */
export async function queueNotice(deps: Pick<MailDeps, 'store' | 'ids' | 'redact'>, notice: Notice): Promise<void> {
  const { agent, session, channel, to, key } = notice;
  const stream = conversationId(agent, session);
  const content = deps.store.putBlob(Buffer.from(deps.redact(canonicalJson(notice.content))), stream);
  const data = { agent, session, task: null, run: null, channel, to, content };
  const event = { type: 'message.queued' as const, stream, actor: 'runtime', cause: null, labels: [], key, data };
  const task = sendingTask({ id: deps.ids.next('tsk'), agent, session, channel, labels: [] });
  const result = await deps.store.commit({
    events: [event],
    queue: [{ op: 'enqueue', task, causeOf: 0 }],
    sync: true,
  });
  if (!result.ok && result.why !== 'duplicate') throw new Error(`a notice was refused: ${JSON.stringify(result)}`);
}
