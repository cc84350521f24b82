import type { BlobRef } from '../core/blob.ts';
import type { EventOf, NewEvent } from '../core/event.ts';
import { conversationId, runStream, taskStream } from '../core/ids.ts';
import { canonicalJson } from '../core/text/json.ts';
import type { Label } from '../core/labels.ts';
import type { ModelMessage, UserMessage } from '../core/model.ts';
import type { InboundMessage } from '../core/ports/channel.ts';
import type { Batch } from '../core/ports/store.ts';
import type { DeliverResult } from '../core/api/runtime.ts';
import type { Task } from '../core/task.ts';
import { unknownText } from '../core/text/unknown.ts';
import type { MailDeps } from '../pending/deps.ts';
import { keepFiles } from './files.ts';
import { movedTo } from './moved.ts';
import { openWaits, runOf, waitingIn } from '../pending/pending.ts';

/** Characters of one message. A longer one is refused before anything is stored. */
export const MAX_TEXT = 1_000_000;
/** Files of one message, and their bytes together. */
const MAX_FILES = 20;
const MAX_FILE_BYTES = 50_000_000;
/** Messages that may wait in one conversation, and tasks in all; beyond it the sender is told to come back. */
const MAX_LANE = 100;
const MAX_QUEUED = 10_000;
/** Tasks of a conversation that do not wait for their turn: the one at work, or the one that waits for somebody. */
const HOLDERS = 2;
const OPEN = ['queued', 'running', 'waiting'] as const;
/** Tries to commit beside others that write to the same conversation. */
const MAX_TRIES = 8;

export interface DeliverOptions {
  /** An equal last message of the session, whose answer was not delivered, is meant. */
  join?: boolean;
  /** Earlier messages given with the first one of a conversation. */
  history?: { role: 'user' | 'assistant'; text: string }[];
}

/**
 * Accepts a message: what is reported as accepted is on disk with its task, and a redelivery gives the task it already
 * has. A message in a conversation whose run waits for an answer is that answer.
 */
export async function deliver(
  deps: MailDeps,
  message: InboundMessage,
  options: DeliverOptions,
): Promise<DeliverResult> {
  const names = deps.agents().map((agent) => agent.name);
  if (!names.includes(message.agent)) {
    const said = unknownText('agent', deps.redact(message.agent), { known: names });
    return { ok: false, why: 'unknown-agent', message: said };
  }
  if (message.text.length > MAX_TEXT)
    return {
      ok: false,
      why: 'too-large',
      message: `A message may have at most ${MAX_TEXT} characters. Put longer text in a file.`,
    };
  const bytes = (message.files ?? []).reduce((sum, file) => sum + file.bytes.length, 0);
  if (bytes > MAX_FILE_BYTES || (message.files ?? []).length > MAX_FILES)
    return {
      ok: false,
      why: 'too-large',
      message: `A message may have at most ${MAX_FILES} files and ${MAX_FILE_BYTES / 1_000_000} MB. Put more into the workspace.`,
    };
  // Named after the conversation it was sent to: redelivered after that was handed over, it is the same message.
  const place = message.chat ?? conversationId(message.agent, message.session);
  const key = `message:${message.channel}:${place}:${message.externalId}`;
  const moved = { ...message, agent: await movedTo(deps.store, message, names) };
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const result = await tryDeliver(deps, moved, key, options);
    if (result === 'again') continue;
    return result.ok ? { ok: true, delivered: { agent: moved.agent, ...result.delivered } } : result;
  }
  return { ok: false, why: 'conflict', message: 'Too many messages in this conversation at once. Send it again.' };
}

async function tryDeliver(
  deps: MailDeps,
  message: InboundMessage,
  key: string,
  options: DeliverOptions,
): Promise<DeliverResult | 'again'> {
  const { store } = deps;
  const stream = conversationId(message.agent, message.session);
  const known = await store.byKey(key);
  // The chat may have gone on to another conversation since; equal words have equal names only under its key.
  if (known?.type === 'message.received')
    return redelivered(known, putMessage(deps, key, message, known.data.content.subject));
  const content = putMessage(deps, key, message, stream);
  const version = await store.version(stream);
  if (options.join) {
    const task = await undelivered(deps, stream, content);
    if (task !== null) return { ok: true, delivered: { task, joined: true } };
  }
  const open = await deps.store.tasks({ lane: stream, statuses: OPEN, limit: MAX_LANE + HOLDERS });
  const busy = await backlog(deps, open);
  if (busy) return busy;
  const question = await openQuestion(deps, open);
  const task = question ? null : newTask(deps, message, stream);
  const batch = buildBatch(message, { stream, version, content, key, question, task });
  if (version === 0 && options.history?.length) batch.events.unshift(history(deps, options.history, stream));
  const first = version === 0 && options.history?.length ? 1 : 0;
  const result = await store.commit({ ...batch, queue: batch.queue(first) });
  if (result.ok) return { ok: true, delivered: { task: task?.id ?? question?.task ?? '', joined: false } };
  if (result.why === 'duplicate' || result.why === 'conflict' || result.why === 'state') return 'again';
  throw new Error(`a message was refused: ${JSON.stringify(result)}`);
}

/** Taken for the same message although it says something else, it would be lost without a word. */
function redelivered({ data }: EventOf<'message.received'>, content: BlobRef): DeliverResult {
  const { task, agent } = data;
  if (data.content.hash === content.hash) return { ok: true, delivered: { task, joined: true, agent } };
  const message = 'Another message of this conversation already has this id. Send it with a new id.';
  return { ok: false, why: 'conflict', message };
}

const putText = (deps: MailDeps, role: 'user' | 'assistant', text: string, subject: string): BlobRef => {
  const message: ModelMessage = { role, parts: [{ type: 'text', text: deps.redact(text.toWellFormed()) }] };
  return deps.store.putBlob(Buffer.from(canonicalJson(message)), subject);
};

/** The message with its files. The same message gives the same bytes, which a redelivery is known by. */
function putMessage(deps: MailDeps, key: string, { text, files = [] }: InboundMessage, subject: string): BlobRef {
  if (files.length === 0) return putText(deps, 'user', text, subject);
  const kept = keepFiles(files, key, (bytes) => deps.store.putBlob(bytes, subject));
  const said = deps.redact([text, kept.note].filter(Boolean).join('\n\n').toWellFormed());
  const message: UserMessage = {
    role: 'user',
    parts: [{ type: 'text', text: said }, ...kept.images],
    files: kept.files,
  };
  return deps.store.putBlob(Buffer.from(canonicalJson(message)), subject);
}

interface OpenQuestion {
  id: string;
  run: string;
  task: string;
  /** The event that asked. */
  event: string;
  /** True if the run waits for nothing else. */
  last: boolean;
  /** Of the run's stream when it was looked at. */
  version: number;
}

interface Parts {
  stream: string;
  version: number;
  content: BlobRef;
  key: string;
  question: OpenQuestion | null;
  task: Task | null;
}

type Building = Omit<Batch, 'events' | 'queue'> & { events: NewEvent[]; queue: (first: number) => Batch['queue'] };

function buildBatch(message: InboundMessage, parts: Parts): Building {
  const { stream, version, content, key, question, task } = parts;
  const actor = message.sender;
  const common = { actor, cause: null, labels: labelsOf(message) };
  const { agent, session, channel, replyTo, sender: from } = message;
  const answering = task?.id ?? question?.task ?? '';
  const events: NewEvent[] = [
    {
      ...common,
      type: 'message.received',
      stream,
      key,
      data: { agent, session, channel, from, replyTo, content, task: answering },
    },
  ];
  if (task) events.push({ ...common, type: 'task.queued', stream: taskStream(task.id), data: { task } });
  if (question)
    events.push({
      ...common,
      type: 'question.answered',
      stream: runStream(question.run),
      key: `answered:${question.id}`,
      data: { question: question.id, by: from, answer: content },
    });
  return {
    events,
    // An approval that is given in the same moment must see this answer, or the run would be woken by neither.
    expect: { [stream]: version, ...(question ? { [runStream(question.run)]: question.version } : {}) },
    sync: true,
    queue: (first) => {
      if (task) return [{ op: 'enqueue', task, causeOf: first }];
      return question?.last ? [{ op: 'wake', task: question.task }] : [];
    },
  };
}

/** A file, or what is forwarded, is from outside, whoever passes it on: what stands in it is data. */
const labelsOf = ({ files = [], foreign = false }: InboundMessage): readonly Label[] =>
  foreign || files.length > 0 ? ['untrusted'] : [];

function newTask(deps: MailDeps, message: InboundMessage, lane: string): Task {
  return {
    id: deps.ids.next('tsk'),
    queue: message.agent,
    lane,
    agent: message.agent,
    session: message.session,
    from: message.sender,
    content: null,
    priority: 0,
    notBefore: null,
    deadline: null,
    key: null,
    attempt: 1,
    maxAttempts: deps.maxAttempts(),
    status: 'queued',
    labels: [...labelsOf(message)],
    cause: null,
    absorbedBy: null,
    result: null,
  };
}

function history(deps: MailDeps, given: { role: 'user' | 'assistant'; text: string }[], stream: string): NewEvent {
  const messages = given.map(({ role, text }) => putText(deps, role, text, stream));
  return { type: 'history.given', stream, actor: 'runtime', cause: null, labels: [], data: { messages } };
}

/** `open`: the tasks of the conversation. */
async function backlog(deps: MailDeps, open: readonly Task[]): Promise<DeliverResult | null> {
  if (open.filter(({ status }) => status === 'queued').length >= MAX_LANE)
    return { ok: false, why: 'busy', message: `${MAX_LANE} messages wait in this conversation. Try again later.` };
  const counts = await deps.store.counts();
  if (counts.queued >= MAX_QUEUED)
    return { ok: false, why: 'busy', message: `${MAX_QUEUED} tasks are queued. Try again later.` };
  return null;
}

/** The oldest question the conversation's run waits for. */
async function openQuestion(deps: MailDeps, open: readonly Task[]): Promise<OpenQuestion | null> {
  const waiting = open.find(({ status }) => status === 'waiting');
  // What a task asks that this conversation waits for is asked here.
  for (const task of waiting ? await waitingIn(deps.store, waiting) : []) {
    const run = await runOf(deps.store, task);
    if (run === null) continue;
    const version = await deps.store.version(runStream(run));
    const open = await openWaits(deps.store, run);
    const asked = open.find((wait) => wait.type === 'question.asked');
    if (asked?.type === 'question.asked')
      return { id: asked.data.question, run, task: task.id, event: asked.id, last: open.length === 1, version };
  }
  return null;
}

/** The task of the last message of the conversation, if that message is equal and its answer has not reached anybody. */
async function undelivered(deps: MailDeps, stream: string, content: BlobRef): Promise<string | null> {
  const types = ['message.received', 'message.queued', 'message.sent'] as const;
  const sent = new Set<string>();
  const answered = new Map<string, string>();
  for await (const event of deps.store.read({ stream, types, reverse: true })) {
    if (event.type === 'message.sent') sent.add(event.data.message);
    if (event.type === 'message.queued' && event.data.task !== null) answered.set(event.data.task, event.id);
    if (event.type !== 'message.received') continue;
    const { task } = event.data;
    if (event.data.content.hash !== content.hash) return null;
    const question = await openQuestion(deps, await deps.store.tasks({ lane: stream, statuses: ['waiting'], limit: 1 }));
    // The same words may answer the next question, once that has been put.
    const reply = answered.get(task) ?? (question?.task === task ? question.event : undefined);
    return reply !== undefined && sent.has(reply) ? null : task;
  }
  return null;
}
