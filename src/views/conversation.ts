import type { Event, EventOf } from '../core/event.ts';
import { conversationId, eventSeq, runStream, retriedBy } from '../core/ids.ts';
import type { Reads } from '../core/ports/store.ts';
import { replyKey } from '../core/records/reply.ts';
import type { ConversationEntry, ConversationView } from '../core/api/views.ts';
import { fileViews, readSaid, readSentence } from './exact.ts';
import type { Entry } from './entry.ts';
import type { Facts } from './facts.ts';

type Message = Extract<ConversationEntry, { kind: 'message' }>;
type Reply = Extract<ConversationEntry, { kind: 'reply' }>;

/** What is shown is what was written and answered; a question that was put to a messenger stands with its answer. */
const SHOWN = ['message.received', 'message.queued'] as const;
const isShown = (event: Event): boolean =>
  event.type === 'message.received' ||
  (event.type === 'message.queued' && (event.data.task === null || event.key === replyKey(event.data.task)));

/** The newest entries before an event; null if nothing was ever written there. */
export async function readConversation(
  facts: Facts,
  pushes: (channel: string) => boolean,
  at: { agent: string; session: string },
  before: string | null,
  limit: number,
): Promise<ConversationView | null> {
  const { agent, session } = at;
  const stream = conversationId(agent, session);
  const events: Event[] = [];
  let more = false;
  const from = { stream, types: SHOWN, reverse: true, before: eventSeq(before ?? '') ?? undefined };
  for await (const event of facts.store.read(from)) {
    if (!isShown(event)) continue;
    if (events.length === limit) {
      more = true;
      break;
    }
    events.push(event);
  }
  if (events.length === 0 && before === null) return null;
  const entries: ConversationEntry[] = [];
  for (const event of events.toReversed()) {
    if (event.type === 'message.received') entries.push(await messageEntry(facts, event));
    if (event.type === 'message.queued') entries.push(await replyEntry(facts, pushes, event));
  }
  return { agent, session, entries, earlier: more ? (entries[0]?.id ?? null) : null };
}

async function messageEntry(facts: Facts, event: EventOf<'message.received'>): Promise<Message> {
  const { agent, session, from, channel, content, task } = event.data;
  const entry = await facts.entry(task);
  const { text, files } = await readSaid(facts.store, content.hash);
  const run = entry === null ? null : await runOf(facts, entry);
  const own = entry === null || entry.message?.id === event.id;
  return {
    kind: 'message',
    id: event.id,
    at: event.at,
    from,
    channel,
    text,
    files: fileViews(agent, session, files),
    task,
    run,
    answers: own || run === null ? null : await questionOf(facts.store, run, content.hash),
    repeats: retriedBy(event.key) === null ? null : event.cause,
    standing: entry === null ? UNKNOWN : (await facts.stands(entry)).standing,
  };
}

const UNKNOWN: Message['standing'] = {
  state: 'failed',
  why: 'The record of what became of it is missing.',
  can: [],
  since: null,
  next: null,
};

/** The run that works on a task, or the one that has taken it in. */
async function runOf(facts: Facts, entry: Entry): Promise<string | null> {
  if (entry.run !== null || entry.absorbedBy === null) return entry.run;
  return (await facts.entry(entry.absorbedBy))?.run ?? null;
}

/** The question of the run that this message answered. */
async function questionOf(store: Reads, run: string, content: string): Promise<string | null> {
  const asked = new Map<string, string>();
  const types = ['question.asked', 'question.answered'] as const;
  for await (const event of store.read({ stream: runStream(run), types })) {
    if (event.type === 'question.asked') asked.set(event.data.question, event.data.text.hash);
    if (event.type !== 'question.answered' || event.data.answer.hash !== content) continue;
    const text = asked.get(event.data.question);
    return text === undefined ? null : readSentence(store, text);
  }
  return null;
}

async function replyEntry(
  facts: Facts,
  pushes: (channel: string) => boolean,
  event: EventOf<'message.queued'>,
): Promise<Reply> {
  const { agent, session, task, run, channel, content } = event.data;
  const entry = task === null ? null : await facts.entry(task);
  const { text, files } = await readSaid(facts.store, content.hash);
  return {
    kind: 'reply',
    id: event.id,
    at: event.at,
    task,
    run: run === '' ? null : run,
    text,
    files: fileViews(agent, session, files),
    commit: entry?.commit ?? null,
    costUsd: entry?.costUsd ?? 0,
    unpriced: entry?.unpriced ?? false,
    delivery: await deliveryOf(facts.store, event, pushes(channel)),
  };
}

async function deliveryOf(store: Reads, reply: EventOf<'message.queued'>, pushed: boolean): Promise<Reply['delivery']> {
  const sent = await store.byKey(`sent:${reply.id}`);
  if (sent?.type === 'message.sent')
    return { state: pushed ? 'sent' : 'fetched', repeated: sent.data.repeated, error: '' };
  if (!pushed) return { state: 'waiting', repeated: false, error: '' };
  const types = ['message.held', 'message.sending', 'message.failed', 'message.unsure'] as const;
  let delivery: Reply['delivery'] = { state: 'waiting', repeated: false, error: '' };
  for await (const event of store.read({ stream: reply.stream, types, after: reply.seq })) {
    if (!('message' in event.data) || event.data.message !== reply.id) continue;
    if (event.type === 'message.held') delivery = { ...delivery, until: event.data.until };
    if (event.type === 'message.sending') delivery = { state: 'sending', repeated: false, error: delivery.error };
    if (event.type === 'message.unsure') delivery = { ...delivery, state: 'unsure', error: event.data.error };
    if (event.type === 'message.failed')
      delivery = { ...delivery, state: event.data.final ? 'failed' : 'waiting', error: event.data.error };
  }
  return delivery;
}
