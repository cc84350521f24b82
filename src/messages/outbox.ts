import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { conversationId } from '../core/ids.ts';
import type { Body, EventOf, NewEvent } from '../core/event.ts';
import type { Channel, OutboundMessage, Receipt } from '../core/ports/channel.ts';
import type { Log } from '../core/ports/log.ts';
import type { QueueOp, Store } from '../core/ports/store.ts';
import { draftKey, type ReplyContent, replyKey } from '../core/records/reply.ts';
import type { Claim, Task } from '../core/task.ts';
import type { Channels } from './channels.ts';
import { collect, heldUntil, holding, joined, type ToldDeps } from './told.ts';
import { errorText } from '../core/text/sentence.ts';
import { putJson, readJson } from '../core/records/json-blob.ts';
import { matterRaised, undeliveredText } from '../core/records/matter.ts';

/** Milliseconds before a failed send is tried again, and at most. */
const RETRY_BASE = 1_000;
const RETRY_MAX = 600_000;

export interface OutboxDeps extends ToldDeps {
  channels: Pick<Channels, 'get' | 'has' | 'went'>;
  /** Ends the showing of a reply that is to be sent, and waits for an edit under way. */
  drafts: { settle(task: string): Promise<void> };
  clock: Clock;
  log: Log;
  boundary: Boundary;
  redact(text: string): string;
  random(): number;
}

/** False if the task is somebody else's by now. */
type Commit = (events: readonly NewEvent[], queue: QueueOp[]) => Promise<boolean>;

/**
 * Sends one queued reply, part by part: intent, send, receipt. If an intent without a receipt is found, the fate of that
 * part is unknown: it is sent again, marked, unless the platform itself drops a second one.
 */
export async function sendReply(deps: OutboxDeps, claim: Claim): Promise<void> {
  const { store } = deps;
  const { task, lease } = claim;
  const queued = task.cause === null ? null : await store.event(task.cause);
  if (queued?.type !== 'message.queued') throw new Error(`task ${task.id} names no message`);
  const { agent, session, to } = queued.data;
  const stream = conversationId(agent, session);
  const common = { stream, actor: 'runtime', cause: queued.id, labels: [] } as const;
  const message = queued.id;
  const commit: Commit = async (events, queue) => {
    const result = await store.commit({ events, queue, fence: lease, sync: true });
    if (!result.ok && result.why !== 'lease-lost' && result.why !== 'state')
      throw new Error(`a send was refused: ${JSON.stringify(result)}`);
    return result.ok;
  };
  const channel = deps.channels.get(queued.data.channel);
  const name = queued.data.channel;
  const { done, doubtful } = await sentBefore(store, stream, queued);
  const begun = done.size > 0 || doubtful !== null;
  const messages = await goingOut(deps, { queued, task, begun }, commit);
  if (messages === null) return;
  const contents = messages.map(async (each) => ({ queued: each, content: await readContent(store, each) }));
  const content = joined(deps, await Promise.all(contents));
  if (!channel || content === null) {
    // A channel that is being opened again comes back.
    const final = content === null || !deps.channels.has(name);
    const gone = final ? `the channel ${name} is no longer configured` : `the channel ${name} is not open`;
    const error = content === null ? 'the content was erased' : gone;
    const receipt: Receipt = { state: 'failed', error, retryAfter: null, final };
    return record(deps, claim, receipt, { common, messages, name, repeated: false }, commit);
  }
  const parts = channel.split(content);
  const draftId = await draftOf(deps, queued);
  let repeated = false;
  for (const [part, body] of parts.entries()) {
    if (done.has(part)) continue;
    const draft = part === 0 ? draftId : null;
    const again = doubtful === part && !channel.dedupes;
    // The draft becomes the first part: to edit it twice is no repeat.
    repeated ||= again && draft === null;
    const sending = { message, channel: name, attempt: task.attempt, part, parts: parts.length };
    if (!(await commit([{ ...common, type: 'message.sending', data: sending }], []))) return;
    deps.boundary('channel.send.before');
    const receipt = await sendOver(deps, channel, to, body, { key: `${message}.${part}`, again, draft });
    deps.boundary('channel.send.after');
    deps.channels.went(name, receipt);
    const last = part === parts.length - 1;
    if (receipt.state === 'sent' && !last) {
      const data = { message, channel: name, part, receipt: receipt.id };
      if (!(await commit([{ ...common, type: 'message.progressed', data }], []))) return;
    } else return record(deps, claim, receipt, { common, messages, name, repeated }, commit);
  }
  // Only the word that it all arrived was missing.
  await record(deps, claim, { state: 'sent', id: null }, { common, messages, name, repeated }, commit);
}

/** What is sent now: a reply alone, what is told with all else that waits for its address. Null if it has to wait. */
async function goingOut(
  deps: OutboxDeps,
  { queued, task, begun }: { queued: EventOf<'message.queued'>; task: Task; begun: boolean },
  commit: Commit,
): Promise<EventOf<'message.queued'>[] | null> {
  if (queued.data.told === undefined) return [queued];
  const held = begun ? null : await heldUntil(deps, queued);
  if (held === null) return collect(deps, queued, task, commit);
  const { event, queue } = holding(queued, task.id, held);
  await commit([event], queue);
  return null;
}

/** What showed this reply while it was written. Questions and answers to commands have messages of their own. */
async function draftOf(
  { store, drafts }: OutboxDeps,
  { key, data }: EventOf<'message.queued'>,
): Promise<string | null> {
  if (data.task === null || key !== replyKey(data.task)) return null;
  await drafts.settle(data.task);
  const drafted = await store.byKey(draftKey(data.task));
  return drafted?.type === 'message.drafted' ? drafted.data.draft : null;
}

/** A reply as it was queued, with the bytes of its files; null if it has been erased. */
export async function readContent(store: Store, queued: EventOf<'message.queued'>): Promise<OutboundMessage | null> {
  const reply = await readJson<ReplyContent>(store, queued.data.content);
  if (reply === null) return null;
  const { text, files = [], buttons = [] } = reply;
  const loaded = files.map(async ({ name, mediaType, blob }) => {
    const content = await store.getBlob(blob);
    return content === null ? [] : [{ name, mediaType, bytes: content }];
  });
  return { text, files: (await Promise.all(loaded)).flat(), buttons };
}

/** What the platform says, without secrets. An adapter that breaks in the middle leaves the send in doubt. */
async function sendOver(
  { redact }: OutboxDeps,
  channel: Channel,
  ...args: Parameters<Channel['send']>
): Promise<Receipt> {
  try {
    const receipt = await channel.send(...args);
    return receipt.state === 'sent' ? receipt : { ...receipt, error: redact(receipt.error) };
  } catch (error) {
    return { state: 'unsure', error: redact(errorText(error)) };
  }
}

interface Sent {
  common: Omit<NewEvent, 'type' | 'data'>;
  /** All that went out as one, the one whose task sends it first. */
  messages: readonly EventOf<'message.queued'>[];
  name: string;
  repeated: boolean;
}

async function record(
  deps: OutboxDeps,
  { task }: Claim,
  receipt: Receipt,
  { common, messages, name: channel, repeated }: Sent,
  commit: Commit,
): Promise<void> {
  const of = (queued: EventOf<'message.queued'>, body: Body, key?: string): NewEvent => ({
    ...common,
    stream: queued.stream,
    cause: queued.id,
    ...body,
    ...(key === undefined ? {} : { key }),
  });
  if (receipt.state === 'sent') {
    const sent = { channel, receipt: receipt.id, repeated };
    const events = messages.map((queued) =>
      of(queued, { type: 'message.sent', data: { message: queued.id, ...sent } }, `sent:${queued.id}`),
    );
    await commit(events, [settle(task.id, 'done')]);
    return;
  }
  const { error } = receipt;
  const final = (receipt.state === 'failed' && receipt.final) || task.attempt >= task.maxAttempts;
  const wait = Math.min(RETRY_MAX, RETRY_BASE * 2 ** (task.attempt - 1)) * (0.5 + deps.random() / 2);
  const asked = receipt.state === 'failed' ? (receipt.retryAfter ?? 0) : 0;
  const notBefore = deps.clock.now() + Math.max(wait, asked);
  deps.log.warn({ channel, message: messages[0]?.id, error, final }, 'a reply was not sent');
  // What the platform refused did not arrive, so the next try is no repeat; of an unsure one the intent stays in doubt.
  const events = (final ? messages : messages.slice(0, 1)).map((queued) =>
    receipt.state === 'failed'
      ? of(queued, { type: 'message.failed', data: { message: queued.id, channel, error, final } })
      : of(queued, { type: 'message.unsure', data: { message: queued.id, channel, error } }),
  );
  const raised = new Map<string, NewEvent>();
  if (final)
    for (const queued of messages)
      for (const matter of await undelivered(deps, queued, error)) raised.set(matter.key, { ...common, ...matter });
  const queue: QueueOp = final ? settle(task.id, 'dead') : { op: 'retry', task: task.id, notBefore };
  await commit([...events, ...raised.values()], [queue]);
}

/** A reply that nobody will get is shown to the owner. What tells the owner of something is not: it would go the same way. */
async function undelivered(
  { store, redact }: OutboxDeps,
  queued: EventOf<'message.queued'>,
  why: string,
): Promise<ReturnType<typeof matterRaised>[]> {
  const { task, agent, channel } = queued.data;
  if (task === null) return [];
  const shown = undeliveredText(task, agent, channel, redact(why));
  const matter = matterRaised({ kind: 'undelivered', about: task, shown }, (text) =>
    putJson(store, text, queued.stream),
  );
  return (await store.byKey(matter.key)) === null ? [matter] : [];
}

const settle = (task: string, status: 'done' | 'dead'): QueueOp => ({ op: 'settle', task, status, result: null });

/** Parts that have arrived, and the one whose last intent has no word of how it ended. */
async function sentBefore(
  store: Store,
  stream: string,
  queued: { id: string; seq: number },
): Promise<{ done: Set<number>; doubtful: number | null }> {
  const types = ['message.sending', 'message.progressed', 'message.failed', 'message.unsure'] as const;
  const done = new Set<number>();
  let doubtful: number | null = null;
  for await (const event of store.read({ stream, types, after: queued.seq })) {
    if (!('message' in event.data) || event.data.message !== queued.id) continue;
    if (event.type === 'message.sending') doubtful = event.data.part;
    if (event.type === 'message.failed' || event.type === 'message.progressed') doubtful = null;
    if (event.type === 'message.progressed') done.add(event.data.part);
  }
  return { done, doubtful };
}
