import { createHash } from 'node:crypto';
import type { BlobRef } from '../core/blob.ts';
import type { EventOf, NewEvent } from '../core/event.ts';
import { conversationId, runStream, taskStream } from '../core/ids.ts';
import type { Label } from '../core/labels.ts';
import { type ModelMessage, type UserMessage, type FileRef, type Part } from '../core/model.ts';
import type { InboundMessage, MessageFile } from '../core/ports/channel.ts';
import type { Batch, Store } from '../core/ports/store.ts';
import type { DeliverResult, LooseRequest } from '../core/api/runtime.ts';
import { isEnded, type Task } from '../core/task.ts';
import { type MailDeps, openWaits, runOf, waitingIn } from '../pending/pending.ts';
import { plainName } from '../core/text/media.ts';
import { unknownText } from '../core/text/unknown.ts';
import { newTask, noRoom } from '../core/records/new-task.ts';
import { putJson } from '../core/records/json-blob.ts';
import { answeredKey } from '../core/records/matter.ts';
import { imageIn, tooLarge } from '../core/image.ts';

/** Characters of one message. A longer one is refused before anything is stored. */
const MAX_TEXT = 1_000_000;
/** Files of one message, and their bytes together. */
const MAX_FILES = 20;
const MAX_FILE_BYTES = 50_000_000;
/** Tries to commit beside others that write to the same conversation. */
const MAX_TRIES = 8;

interface DeliverOptions {
  /** An equal last message of the session, whose answer was not delivered, is meant. */
  join?: boolean;
  /** With `join`: it was sent before, so an equal one that others have come after is meant as well. */
  again?: boolean;
  /** Earlier messages given with the first one of a conversation. */
  history?: { role: 'user' | 'assistant'; text: string }[];
  /** It names no conversation: its bytes alone say which one is sent again. */
  request?: LooseRequest;
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
  if (options.request) return deliverLoose(deps, message, options, options.request);
  // Named after the conversation it was sent to: redelivered after that was handed over, it is the same message.
  const place = message.chat ?? conversationId(message.agent, message.session);
  const key = messageKey(message.channel, place, message.externalId);
  const moved = { ...message, agent: await movedTo(deps.store, message, names) };
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const result = await tryDeliver(deps, moved, key, options);
    if (result === 'again' || result === 'known') continue;
    return result.ok ? { ok: true, delivered: { agent: moved.agent, ...result.delivered } } : result;
  }
  return TOO_MANY;
}

/** Unique key of a message as its platform names it. */
export const messageKey = (channel: string, place: string, externalId: string): string =>
  `message:${channel}:${place}:${externalId}`;

const TOO_MANY: DeliverResult = {
  ok: false,
  why: 'conflict',
  message: 'Too many messages in this conversation at once. Send it again.',
};

/** Milliseconds after which no client sends a request again by itself, so that equal bytes are a new one. */
const SENT_AGAIN = 2 * 3_600_000;
/** Equal requests that are looked at for one whose answer has reached nobody. */
const MAX_EQUAL = 20;

/**
 * Accepts a request that names no conversation. Equal ones are numbered, because two people may say the same; one that is
 * sent again joins the newest of them whose answer has reached nobody.
 */
async function deliverLoose(
  deps: MailDeps,
  message: InboundMessage,
  options: DeliverOptions,
  { bytes, again }: LooseRequest,
): Promise<DeliverResult> {
  const { store } = deps;
  const keyOf = (number: number): string => `message:${message.channel}:request:${bytes}:${number}`;
  const free = (): Promise<number> => firstFree(async (each) => (await store.byKey(keyOf(each))) !== null);
  let number = await free();
  for (let each = number - 1; again && each >= Math.max(0, number - MAX_EQUAL); each -= 1) {
    const task = await sentBefore(deps, keyOf(each));
    if (task !== null) return { ok: true, delivered: { task, joined: true, agent: message.agent } };
  }
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const result = await tryDeliver(deps, message, keyOf(number), options);
    if (result === 'known') {
      // An equal request has come in the same moment and has this number. As many as that may come, so none of it is a try.
      number = await free();
      tries = -1;
    } else if (result !== 'again')
      return result.ok ? { ok: true, delivered: { agent: message.agent, ...result.delivered } } : result;
  }
  return TOO_MANY;
}

/** The first number that is not taken, where all before it are. Few looks, because a program may ask the same every minute. */
async function firstFree(isTaken: (number: number) => Promise<boolean>): Promise<number> {
  let [below, step] = [-1, 1];
  while (await isTaken(below + step)) [below, step] = [below + step, step * 2];
  let free = below + step;
  while (free - below > 1) {
    const middle = Math.floor((below + free) / 2);
    if (await isTaken(middle)) below = middle;
    else free = middle;
  }
  return free;
}

async function sentBefore(deps: MailDeps, key: string): Promise<string | null> {
  const event = await deps.store.byKey(key);
  if (event?.type !== 'message.received') return null;
  const task = await deps.store.task(event.data.task);
  const old = deps.clock.now() - event.at > SENT_AGAIN;
  if (task === null || (old && isEnded(task.status))) return null;
  return undelivered(deps, event.stream, event.data.content, 1);
}

async function tryDeliver(
  deps: MailDeps,
  message: InboundMessage,
  key: string,
  options: DeliverOptions,
): Promise<DeliverResult | 'again' | 'known'> {
  const { store } = deps;
  const stream = conversationId(message.agent, message.session);
  const known = await store.byKey(key);
  // The chat may have gone on to another conversation since; equal words have equal names only under its key.
  if (known?.type === 'message.received' && options.request) return 'known';
  if (known?.type === 'message.received')
    return redelivered(known, putMessage(deps, key, message, known.data.content.subject));
  const content = putMessage(deps, key, message, stream);
  const version = await store.version(stream);
  if (options.join) {
    const task = await undelivered(deps, stream, content, options.again === true ? MAX_EQUAL : 1);
    if (task !== null) return { ok: true, delivered: { task, joined: true } };
  }
  const full = await noRoom(store, stream);
  if (full !== null) return { ok: false, why: 'busy', message: full };
  const question = await openQuestion(deps, stream);
  const task = question ? null : taskOf(deps, message);
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
  return putJson(deps.store, message, subject);
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
  return putJson(deps.store, message, subject);
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
  const { agent, session, channel, replyTo, chat = replyTo, sender: from, parts: rest } = message;
  const place = chat === replyTo ? {} : { chat };
  const answering = task?.id ?? question?.task ?? '';
  const events: NewEvent[] = [
    {
      ...common,
      type: 'message.received',
      stream,
      key,
      data: {
        agent,
        session,
        channel,
        from,
        replyTo,
        ...place,
        content,
        task: answering,
        ...(rest && { parts: rest }),
      },
    },
  ];
  if (task) events.push({ ...common, type: 'task.queued', stream: taskStream(task.id), data: { task } });
  if (question)
    events.push({
      ...common,
      type: 'question.answered',
      stream: runStream(question.run),
      key: answeredKey(question.id),
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

/** A file, or what is forwarded, is from outside, even where an owner passes it on: what stands in it is data. */
const labelsOf = ({ files = [], foreign = false }: InboundMessage): readonly Label[] =>
  foreign || files.length > 0 ? ['untrusted'] : [];

const taskOf = (deps: MailDeps, message: InboundMessage): Task =>
  newTask({
    id: deps.ids.next('tsk'),
    agent: message.agent,
    session: message.session,
    from: message.sender,
    maxAttempts: deps.maxAttempts(),
    labels: labelsOf(message),
  });

function history(deps: MailDeps, given: { role: 'user' | 'assistant'; text: string }[], stream: string): NewEvent {
  const messages = given.map(({ role, text }) => putText(deps, role, text, stream));
  return { type: 'history.given', stream, actor: 'runtime', cause: null, labels: [], data: { messages } };
}

/** The oldest question the conversation's run waits for. */
async function openQuestion(deps: MailDeps, lane: string): Promise<OpenQuestion | null> {
  const [waiting] = await deps.store.tasks({ lane, statuses: ['waiting'], limit: 1 });
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

/**
 * The task of the newest message of the conversation that is equal and whose answer has not reached anybody. `back`: so many
 * of its last messages are looked at, and none that no client would send again by itself.
 */
async function undelivered(deps: MailDeps, stream: string, content: BlobRef, back: number): Promise<string | null> {
  const types = ['message.received', 'message.queued', 'message.sent'] as const;
  const sent = new Set<string>();
  const answered = new Map<string, string>();
  let left = back;
  for await (const event of deps.store.read({ stream, types, reverse: true })) {
    if (event.type === 'message.sent') sent.add(event.data.message);
    if (event.type === 'message.queued' && event.data.task !== null && event.data.told === undefined)
      answered.set(event.data.task, event.id);
    if (event.type !== 'message.received') continue;
    const { task } = event.data;
    left -= 1;
    if (event.data.content.hash !== content.hash) {
      if (left === 0 || deps.clock.now() - event.at > SENT_AGAIN) return null;
      continue;
    }
    const question = await openQuestion(deps, stream);
    // The same words may answer the next question, once that has been put.
    const reply = answered.get(task) ?? (question?.task === task ? question.event : undefined);
    return reply !== undefined && sent.has(reply) ? null : task;
  }
  return null;
}

/** Who answers in a conversation now: the agent it was handed over to last, if that one is still there. */
async function movedTo(
  store: Store,
  { agent, session }: { agent: string; session: string },
  names: readonly string[],
): Promise<string> {
  let at = agent;
  let seq = 0;
  for (;;) {
    const move = await lastMove(store, conversationId(at, session), seq);
    if (move === null || !names.includes(move.to)) return at;
    // Only what came later counts: it may have been handed back.
    ({ to: at, seq } = move);
  }
}

async function lastMove(store: Store, stream: string, after: number): Promise<{ to: string; seq: number } | null> {
  const types = ['conversation.moved'] as const;
  for await (const event of store.read({ stream, types, after, reverse: true, limit: 1 }))
    if (event.type === 'conversation.moved') return { to: event.data.to, seq: event.seq };
  return null;
}

interface KeptFiles {
  files: FileRef[];
  images: Part[];
  /** For the model: what came, and where it is. */
  note: string;
}

const sizeOf = (bytes: number): string =>
  bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;

/**
 * Keeps the files of a message: each has a place in the workspace's `inbox/`, in a folder that belongs to this one
 * message (`key`), and images that models can see are shown to them besides.
 */
function keepFiles(given: readonly MessageFile[], key: string, put: (bytes: Uint8Array) => BlobRef): KeptFiles {
  const folder = createHash('sha256').update(key).digest('hex').slice(0, 16);
  const kept: KeptFiles = { files: [], images: [], note: '' };
  const lines: string[] = [];
  for (const { name: called, mediaType, bytes } of given) {
    const name = freeName(plainName(called), kept.files);
    const blob = put(bytes);
    const path = `inbox/${folder}/${name}`;
    kept.files.push({ name, mediaType, path, blob });
    // By its bytes: one that the provider cannot read would be refused with every later message, too.
    const image = imageIn(bytes);
    const why = image === null ? null : tooLarge(image, bytes.length);
    if (image !== null && why === null) kept.images.push({ type: 'image', ...image, name, blob });
    const hidden = why === null ? '' : `; you cannot see it: ${why}`;
    lines.push(`${path} (${mediaType}, ${sizeOf(bytes.length)}${hidden})`);
  }
  kept.note = `[Files that came with this message: ${lines.join(', ')}]`;
  return kept;
}

/** Two files of one name must not become one. */
function freeName(name: string, taken: readonly FileRef[]): string {
  const used = new Set(taken.map((file) => file.name.toLowerCase()));
  const dot = name.lastIndexOf('.');
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  let free = name;
  for (let n = 2; used.has(free.toLowerCase()); n += 1) free = `${stem}-${n}${ending}`;
  return free;
}
