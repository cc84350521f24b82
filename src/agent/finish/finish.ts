import type { AgentDeps, Turn } from '../run/deps.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { EventOf, MatterKind } from '../../core/event.ts';
import { kindOf, runStream, taskStream } from '../../core/ids.ts';
import { deadText, isOutage } from '../../core/records/matter.ts';
import type { ModelMessage } from '../../core/model.ts';
import type { Place } from '../../core/recipient.ts';
import { noAnswerText, recipientOf, telling } from '../../core/records/told.ts';
import { type ReplyContent, replyBody, replyKey, sendingOp } from '../../core/records/reply.ts';
import { sentence } from '../../core/text/sentence.ts';
import { isEnded, makerOf, type Task, type TaskStatus } from '../../core/task.ts';
import { note, resultsMessage } from '../run/conversation.ts';
import { releaseWork, keepUnlanded } from './hold.ts';
import { landingSaid } from './land.ts';
import { messageOf, type RunLog } from '../run/log.ts';
import { seenAtEnd } from '../run/seen.ts';
import { hasLeftOut } from '../think/compact.ts';
import { isQuiet } from '../think/script.ts';
import { answerText, type Failure, outLabels } from '../run/state.ts';
import { mediaTypeOf, plainName } from '../../core/text/media.ts';

/** Milliseconds before the first retry of a task, and at most. */
const RETRY_BASE = 2_000;
const RETRY_MAX = 300_000;

/** Exponential with full jitter, so that tasks that failed together do not come back together. */
const retryDelay = (attempt: number, random: number): number =>
  Math.round(Math.min(RETRY_MAX, RETRY_BASE * 2 ** (attempt - 1)) * (0.5 + random / 2));

/** Half an answer must not pass for a whole one. */
const CUT = '\n\n(The answer ends here because it reached the output limit of the model.)';

/** The person must know what the agent no longer knows, and what to do about it. */
const LEFT_OUT =
  '\n\n(The provider of the model refused something that was said earlier in this conversation. I left that out and go on without it: write on if that is fine. To begin afresh, start a new conversation, with /new in a messenger or New chat on the page.)';

/** Ends the run and its task, with the reply, in one commit. */
export async function succeed(turn: Turn): Promise<void> {
  const { log } = turn;
  const { cut } = log.state;
  const left = (await hasLeftOut(turn)) ? LEFT_OUT : '';
  const content = await withFiles(turn, `${answerText(log.state)}${cut ? CUT : ''}${left}`);
  const ended = await tasksOf(turn);
  const seen = await seenAtEnd(turn);
  await releaseWork(turn);
  endRun(log, 'done', null);
  endTask(turn, ended, {
    status: 'done',
    content,
    messages: isQuiet(log) ? [] : [...log.state.messages, ...noted(log)],
    ...seen,
  });
  await log.flush(true);
}

/**
 * The run is tried again later and goes on where it is now, so that nothing it has done is done twice; or it ends with
 * the reason as reply, and its work is kept aside.
 */
export async function fail(turn: Turn, failure: Failure): Promise<void> {
  const { deps, log } = turn;
  const { state, claim } = log;
  const { task } = claim;
  const after = failure.after ?? (await outageWait(turn, failure));
  const mayPass = failure.retryable && failure.spent !== true;
  if (after !== undefined || (mayPass && task.attempt < task.maxAttempts)) {
    const notBefore = deps.clock.now() + (after ?? retryDelay(task.attempt, deps.random()));
    const attempt = after === undefined ? task.attempt + 1 : task.attempt;
    const data = { task: task.id, run: state.run, attempt, notBefore, error: failure.code };
    log.emit({ type: 'task.retried', data }, null, { stream: taskStream(task.id) });
    log.queue({ op: 'retry', task: task.id, notBefore, ...(after === undefined ? {} : { uncounted: true }) });
    // A blocked landing is reported where it is blocked.
    if (isOutage(failure.code) || failure.after !== undefined) {
      const text = `${sentence(failure.message)} It goes on by itself ${deps.timeText(notBefore)}.`;
      deps.emit({ kind: 'retrying', task: task.id, run: state.run, text, until: notBefore });
    }
    return log.flush(true);
  }
  const status = failure.retryable ? 'dead' : 'failed';
  const text = `I could not finish ${makerOf(task) ?? 'this'}: ${failure.message}${await keepWork(turn)}`;
  const ended = await tasksOf(turn);
  const seen = await seenAtEnd(turn);
  endRun(log, status, failure);
  // A conversation that was only to be summarised, or whose script cannot be run, hears nothing of it.
  const messages = isQuiet(log) ? [] : wholeTurn(log, text);
  endTask(turn, ended, { status, content: { text }, messages, why: failure.message, ...seen });
  const given = MATTERS[failure.code];
  if (given !== undefined)
    log.raise({
      kind: given.kind,
      about: task.id,
      shown: { text: `${state.agent}, ${task.id}: ${text}`, reason: given.reason },
    });
  else if (status === 'dead' && !(await isTogether(turn, failure)))
    log.raise({ kind: 'dead', about: task.id, shown: deadText(task, failure.message) });
  await log.flush(true);
}

/** How long work by the clock waits for a provider unless told, in milliseconds, and the shortest and longest step of it. */
const PATIENCE_MS = 3_600_000;
const STEP_MS = { min: 30_000, max: 600_000 };

/** An outage is one matter for all that it costs (scheduler/upkeep/outages.ts), but for what a person gave a chain of its own. */
async function isTogether({ deps, log }: Turn, { code }: Failure): Promise<boolean> {
  const { task } = log.claim;
  if (!isOutage(code) || isByClock(task)) return isOutage(code);
  for await (const event of deps.store.read({ stream: taskStream(task.id), types: ['task.queued'], limit: 1 }))
    return event.type === 'task.queued' && event.data.task.escalation === undefined;
  return true;
}

/** Nobody waits for its answer now, and it is worth as much a little later. */
const isByClock = ({ from }: Task): boolean => ['schedule', 'trigger'].includes(kindOf(from));

/**
 * Milliseconds until work by the clock asks a provider again that is down; undefined for other work and other failures, and
 * once it has waited as long as it should. Each wait is about as long as all before it, so that the tries are spread.
 */
async function outageWait({ deps, log }: Turn, { code, retryable, spent }: Failure): Promise<number | undefined> {
  if (!retryable || spent === true || !isOutage(code) || !isByClock(log.claim.task)) return undefined;
  const { patienceMs = PATIENCE_MS } = deps.governance().settings;
  await log.flush(false);
  const now = deps.clock.now();
  const left = patienceMs - (now - (await failingSince(deps.store, log.state.run, now)));
  if (left <= 0) return undefined;
  const wait = Math.max(STEP_MS.min, Math.min(STEP_MS.max, patienceMs - left));
  return Math.min(left, Math.round(wait * (0.75 + deps.random() / 4)));
}

/** When the first of the models' failures came since one has answered. */
async function failingSince(store: AgentDeps['store'], run: string, now: number): Promise<number> {
  let since = now;
  const types = ['model.failed', 'model.answered'] as const;
  for await (const event of store.read({ stream: runStream(run), types, reverse: true })) {
    if (event.type === 'model.answered') break;
    since = event.at;
  }
  return since;
}

/** Failures of which the owner hears, wherever the task is from: nobody else can mend them. */
const MATTERS: Readonly<Record<string, { kind: MatterKind; reason: string }>> = {
  'landing.conflict': { kind: 'conflict', reason: 'Changes conflicted and were given up.' },
  'agent.missing': { kind: 'gone', reason: 'Its agent is gone. When it is back, run `ruche tasks retry`.' },
};

/** Keeps what the run has changed and not landed; says where, for the end of a sentence. */
async function keepWork(turn: Turn): Promise<string> {
  const { kept, text } = await keepUnlanded(turn.deps, turn.log.state);
  if (kept) await releaseWork(turn);
  return text;
}

/** What the next turn of the conversation sees of a turn that broke off: valid for every provider, with its end told. */
function wholeTurn(log: RunLog, text: string): BlobRef[] {
  const { state } = log;
  const results = state.calls.length > 0 ? [log.put(resultsMessage(state))] : [];
  const end: ModelMessage = { role: 'assistant', parts: [{ type: 'text', text }] };
  return [...state.messages, ...results, ...state.arrived, ...noted(log), log.put(end)];
}

/** What was said with the answer for its landing: the agent knows it from its next turn on. */
function noted(log: RunLog): BlobRef[] {
  const said = landingSaid(log.state);
  return said === null ? [] : [log.put(note(said))];
}

function endRun(log: RunLog, status: TaskStatus, failure: Failure | null): void {
  const { run, usage, costUsd, unpriced, step } = log.state;
  const detail = failure ? log.put(failure) : null;
  const cost = { costUsd, ...(unpriced ? { unpriced } : {}) };
  const data = { run, status, error: failure?.code ?? null, detail, usage, ...cost, steps: step };
  log.emit({ type: 'run.finished', data }, null, { key: `end:${run}` });
}

type Ending = Extract<TaskStatus, 'done' | 'failed' | 'dead' | 'cancelled'>;

/** A task that ends with the run, and the message it answers. */
interface Ended {
  task: Task;
  message: EventOf<'message.received'> | null;
  /** Of a task that no message led to: whom its schedule or trigger tells. */
  told: Place | null;
}

/** The run's task and those it has taken in. Read before the end is emitted, which must be whole or not at all. */
async function tasksOf(turn: Turn): Promise<Ended[]> {
  const {
    deps: { store },
    log: { state, claim },
  } = turn;
  const tasks = [claim.task];
  for (const id of state.absorbed) {
    const task = await store.task(id);
    if (task && !isEnded(task.status)) tasks.push(task);
  }
  return Promise.all(
    tasks.map(async (task) => {
      const message = await messageOf(store, task);
      const { channels } = turn.deps.governance().settings;
      return { task, message, told: message === null ? await recipientOf(store, task, channels) : null };
    }),
  );
}

/** Values out of texts that a conversation remembers as somebody else's. */
const MAX_FOREIGN = 1_000;

function endTask(
  turn: Turn,
  ended: readonly Ended[],
  {
    status,
    content,
    why,
    ...turnEnd
  }: {
    status: Ending;
    content: ReplyContent;
    messages: BlobRef[];
    seen?: BlobRef;
    /** Of one that did not end well: the reason. */
    why?: string;
  },
): void {
  const { deps, log } = turn;
  const { state, claim } = log;
  const { run, cold } = state;
  const result = log.put(content);
  const foreign = state.foreign.size === 0 ? {} : { foreign: log.put([...state.foreign].slice(-MAX_FOREIGN)) };
  const data = { run, task: claim.task.id, status, ...turnEnd, ...(cold && { cold }), ...foreign };
  log.emit({ type: 'turn.ended', data }, null, {
    stream: log.subject,
  });
  const told = new Set<string>();
  for (const { task, message, told: recipient } of ended) {
    log.emit({ type: 'task.finished', data: { task: task.id, run, status, result } }, null, {
      stream: taskStream(task.id),
      labels: outLabels(state),
    });
    // Where the runtime sends, two messages that one answer covers get it once.
    const sent =
      message && deps.pushes(message.data.channel) ? `${message.data.channel} ${message.data.replyTo}` : null;
    if (message && (sent === null || !told.has(sent))) reply(turn, task, message, result);
    if (sent !== null) told.add(sent);
    // A script that found what it had found before has nothing to tell.
    if (recipient === null || (status === 'done' && isQuiet(log))) continue;
    const ill = status === 'done' || why === undefined ? null : noAnswerText(task, status, why);
    tell(turn, task, recipient, ill === null ? result : log.put({ text: ill }));
  }
  log.queue({ op: 'settle', task: claim.task.id, status, result });
}

/** Queues the answer for somebody who did not ask in a message. Its key is that of a reply, so it is sent once. */
function tell({ deps, log }: Turn, task: Task, place: Place, content: BlobRef): void {
  const { run, labels } = log.state;
  const { agent, session, from } = task;
  const by = { agent, session, task: task.id, run };
  const told = telling({ id: deps.ids.next('tsk'), by, place, content, labels, from });
  const causeOf = log.nextIndex;
  log.emit(told.event, null, { stream: log.subject, key: replyKey(task.id) });
  log.queue({ op: 'enqueue', task: told.task, causeOf });
}

/** Queues the reply to the sender. Channels that are called, rather than asked, get a task of their own to send it. */
function reply({ deps, log }: Turn, task: Task, message: EventOf<'message.received'>, content: BlobRef): void {
  const { run, labels } = log.state;
  const causeOf = log.nextIndex;
  log.emit(replyBody(task, message, run, content), null, { stream: log.subject, key: replyKey(task.id) });
  if (deps.pushes(message.data.channel)) log.queue(sendingOp(message, { id: deps.ids.next('tsk'), causeOf, labels }));
}

/** Files a run leaves here go with its reply, and no others. */
const FOLDER = 'outbox/';
/** Files of one reply, and bytes of all of them: what is beyond stays in the workspace, and the reply says so. */
const MAX_FILES = 10;
const MAX_BYTES = 50_000_000;

/** The reply, with what the run has left in the outbox folder. */
async function withFiles({ deps, log }: Turn, text: string): Promise<ReplyContent> {
  const { state } = log;
  const paths = [...state.changes.values()]
    .filter((change) => change.path.startsWith(FOLDER) && change.oid !== null && change.mode !== '120000')
    .map((change) => change.path)
    .concat([...state.landed].filter((path) => path.startsWith(FOLDER) && !state.changes.has(path)))
    .sort();
  if (paths.length === 0) return { text };
  const view = deps.workspace.files(state.base, [...state.changes.values()]);
  const files: NonNullable<ReplyContent['files']> = [];
  const left: string[] = [];
  let bytes = 0;
  for (const path of paths) {
    const size = (await view.stat(path))?.size ?? 0;
    const found = files.length < MAX_FILES && bytes + size <= MAX_BYTES ? await view.read(path) : null;
    if (found === null) {
      left.push(path);
      continue;
    }
    bytes += size;
    // Those who get it see the name without the folder, and it must not look like another one.
    const name = plainName(path);
    files.push({ name, mediaType: mediaTypeOf(name), blob: deps.store.putBlob(found.bytes, log.subject) });
  }
  const note = left.length > 0 ? `\n\n(Too much to send, and kept in the workspace: ${left.join(', ')}.)` : '';
  return { text: text + note, files };
}
