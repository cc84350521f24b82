import { type Label, unionLabels } from '../core/labels.ts';
import type { Settings } from '../core/agent.ts';
import type { NewEvent } from '../core/event.ts';
import { conversationId, runStream, taskStream } from '../core/ids.ts';
import { deadText, matterRaised } from '../core/records/matter.ts';
import { NO_USAGE } from '../core/model.ts';
import type { Batch, QueueOp, Store } from '../core/ports/store.ts';
import { noAnswerText, recipientOf, telling } from '../core/records/told.ts';
import { replyBody, replyKey, sendingOp } from '../core/records/reply.ts';
import { type Claim, isEnded, type Task } from '../core/task.ts';
import { type MailDeps, runOf } from '../pending/pending.ts';
import { errorText, sentence } from '../core/text/sentence.ts';
import { putJson } from '../core/records/json-blob.ts';

export interface EndDeps extends Pick<MailDeps, 'store' | 'ids' | 'redact' | 'pushes'> {
  governance(): { settings: Pick<Settings, 'channels' | 'approvalMs'> };
}

interface End {
  status: 'cancelled' | 'dead';
  by: string;
  /** What everybody who waits for the task is told. */
  text: string;
  /** What the conversation remembers. */
  remembered: string;
  /** What the owner hears about a dead letter. */
  why?: string;
  /** What the run's end is filed under; the status unless given. */
  code?: string;
}

/** Ends a task for good, whatever it was doing, and then all that it has led to. False if it had ended already, or never was. */
export async function cancelTask(deps: EndDeps, id: string, by: string, text?: string): Promise<boolean> {
  const cancelled = await cancelOne(deps, id, by, text);
  if (!cancelled) return false;
  for (const child of await ledTo(deps.store, id))
    if (!(await isWantedBeside(deps.store, child, id))) await cancelTask(deps, child.id, by);
  return true;
}

/** The open tasks that a task's run has made, or joined by their key. */
async function ledTo(store: Store, id: string): Promise<Task[]> {
  const statuses = ['queued', 'running', 'waiting'] as const;
  const found = await store.tasks({ parent: id, statuses });
  const run = await runOf(store, { id });
  if (run === null) return found;
  for await (const event of store.read({ stream: runStream(run), types: ['task.created'] })) {
    const joined = event.type === 'task.created' && event.data.joined ? await store.task(event.data.child) : null;
    if (joined !== null && !isEnded(joined.status)) found.push(joined);
  }
  return found;
}

/** Whether somebody other than a cancelled task wants it: its maker, or somebody who has joined it by its key. */
async function isWantedBeside(store: Store, { id, origin }: Task, cancelled: string): Promise<boolean> {
  // What a file or a clock has made is wanted whatever a run thinks of it.
  if (origin === undefined) return true;
  const wanting = [origin.parent];
  for await (const event of store.read({ stream: taskStream(id), types: ['task.joined'] }))
    if (event.type === 'task.joined') wanting.push(event.data.by);
  for (const by of wanting) if (by !== cancelled && (await store.task(by))?.status !== 'cancelled') return true;
  return false;
}

const cancelOne = (deps: EndDeps, id: string, by: string, text = 'The task was cancelled.'): Promise<boolean> =>
  endUnlessEnded(deps, id, { status: 'cancelled', by, text, remembered: '[cancelled]' });

/** Ends a task that nobody works on as a dead letter, and says why to all who wait for it. */
export async function setTaskAside(deps: EndDeps, id: string, code: string, why: string): Promise<void> {
  const text = `I could not finish this. ${why}`;
  await endUnlessEnded(deps, id, { status: 'dead', by: 'runtime', text, remembered: text, why, code });
}

/** False if it had ended already, or never was, or ends with the one that has taken it in. */
async function endUnlessEnded(deps: EndDeps, id: string, end: End): Promise<boolean> {
  for (;;) {
    const task = await deps.store.task(id);
    if (task === null || isEnded(task.status) || task.absorbedBy !== null) return false;
    const batch = await buildEnd(deps, task, end);
    const result = await deps.store.commit(batch);
    if (result.ok) {
      if (!batch.events.some((event) => event.type === 'run.finished')) await endLateRun(deps, task, end);
      return true;
    }
    // Its run has gone on meanwhile: look again.
  }
}

/** A run whose beginning was committed in the same moment as the end of its task, unseen by it, ends too. */
async function endLateRun({ store }: EndDeps, task: Task, end: End): Promise<void> {
  const run = await runOf(store, task);
  if (run === null) return;
  await store.commit({ events: [runEnd(run, end, { actor: end.by, cause: task.cause, labels: [] })], sync: true });
}

function runEnd(
  run: string,
  { status, code = status }: End,
  common: Pick<NewEvent, 'actor' | 'cause' | 'labels'>,
): NewEvent {
  const data = { run, status, error: code, detail: null, usage: NO_USAGE, costUsd: 0, steps: 0 };
  return { ...common, type: 'run.finished', stream: runStream(run), key: `end:${run}`, data };
}

/**
 * Ends a task that breaks every worker as a dead letter: the senders hear of it, and the lane goes on. Its work is
 * kept before by `keep`, which says where.
 */
export async function buryTask(
  deps: EndDeps,
  { task, lease }: Claim,
  error: unknown,
  keep: (task: Task) => Promise<string>,
): Promise<void> {
  const why = `${sentence(deps.redact(errorText(error)))}${await keep(task)}`;
  const text = `I could not finish this. Something in Ruche went wrong: ${why}`;
  for (;;) {
    const batch = await buildEnd(deps, task, { status: 'dead', by: 'runtime', text, remembered: text, why });
    const result = await deps.store.commit({ ...batch, fence: lease });
    if (result.ok || result.why === 'lease-lost') return;
    if (result.why === 'duplicate') throw new Error(`the end of ${task.id} was refused: ${result.key} stands already`);
  }
}

/** Tells the one who should get the answer of a schedule or trigger that none comes; null for nobody. */
async function tellEnd(
  { store, ids, redact, governance }: EndDeps,
  task: Task,
  run: string | null,
  { status, by, why }: End,
): Promise<ReturnType<typeof telling> | null> {
  // The next firing took its place: its answer comes.
  if (status === 'cancelled' && by === 'runtime') return null;
  const { agent, session, from, labels } = task;
  const place = await recipientOf(store, task, governance().settings.channels);
  if (place === null) return null;
  const content = putJson(
    store,
    { text: noAnswerText(task, status, why ?? '') },
    conversationId(agent, session),
    redact,
  );
  return telling({ id: ids.next('tsk'), by: { agent, session, task: task.id, run }, place, content, labels, from });
}

/** The end of a task from outside its run: of the run, of the turn, of those it has taken in, and the replies. */
async function buildEnd(deps: EndDeps, task: Task, end: End): Promise<Batch> {
  const { store } = deps;
  const { status, by: actor } = end;
  const stream = conversationId(task.agent, task.session);
  const put = (value: unknown) => putJson(store, value, stream);
  const common = { actor, cause: task.cause, labels: [] } as const;
  const run = await runOf(store, task);
  const result = put({ text: end.text });
  const queue: QueueOp[] = [{ op: 'settle', task: task.id, status, result }];
  const events: NewEvent[] = [];
  // What the run does meanwhile, such as taking in a further message, must not be missed.
  const expect: Record<string, number> = {};
  if (run !== null) {
    expect[runStream(run)] = await store.version(runStream(run));
    events.push(runEnd(run, end, common));
  }
  const messages = [];
  let labels: Label[] = [];
  for (const each of [task, ...(await store.tasks({ absorbedBy: task.id }))]) {
    if (isEnded(each.status)) continue;
    const finished = { task: each.id, run, status, result };
    events.push({ ...common, type: 'task.finished', stream: taskStream(each.id), data: finished });
    const message = each.cause === null ? null : await store.event(each.cause);
    if (message?.type !== 'message.received') {
      const told = await tellEnd(deps, each, run, end);
      if (told !== null) queue.push({ op: 'enqueue', task: told.task, causeOf: events.length });
      if (told !== null) events.push({ ...common, ...told.event, labels: each.labels, stream, key: replyKey(each.id) });
      continue;
    }
    messages.push(message.data.content);
    labels = unionLabels(labels, message.labels);
    const causeOf = events.length;
    events.push({ ...common, ...replyBody(each, message, run ?? '', result), stream, key: replyKey(each.id) });
    if (deps.pushes(message.data.channel))
      queue.push(sendingOp(message, { id: deps.ids.next('tsk'), causeOf, labels: [] }));
  }
  if (status === 'dead') {
    const shown = deadText(task, end.why ?? end.text);
    const matter = matterRaised({ kind: 'dead', about: task.id, shown }, put);
    events.push({ ...common, ...matter, labels: task.labels });
  }
  // The conversation goes on knowing what was asked, and how that ended. What was withdrawn unread leaves no trace in it.
  if (messages.length > 0 && (run !== null || status === 'dead')) {
    messages.push(put({ role: 'assistant', parts: [{ type: 'text', text: end.remembered }] }));
    events.push({
      ...common,
      labels,
      type: 'turn.ended',
      stream,
      data: { run: run ?? '', task: task.id, status, messages },
    });
  }
  return { events, queue, expect, sync: true };
}
