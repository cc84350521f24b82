import { runStream, taskStream } from '../core/ids.ts';
import { type ModelError, NO_USAGE } from '../core/model.ts';
import type { Store } from '../core/ports/store.ts';
import { replyKey } from '../core/records/reply.ts';
import type { Pending, TaskOutcome } from '../core/api/runtime.ts';
import { isEnded, type Task } from '../core/task.ts';
import { sentence } from '../core/text/sentence.ts';
import type { Hub } from '../messages/hub.ts';
import { allPendingOf, askedQuestion, runOf, waitingIn } from '../pending/pending.ts';
import { visibleLine, fenced } from '../core/text/untrusted.ts';
import { readJson, readText } from '../core/records/json-blob.ts';
import { isOutage } from '../core/records/matter.ts';

/** So that no line of a call looks like one of ours where the fence around it is shown as it is written. */
const indented = (text: string): string =>
  text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');

/** How a task stands, from the journal. A task that another run has taken in stands as that one does. */
export async function outcomeOf(store: Store, id: string): Promise<TaskOutcome | null> {
  const task = await store.task(id);
  if (task === null) return null;
  const working = task.absorbedBy === null ? task : ((await store.task(task.absorbedBy)) ?? task);
  const run = await runOf(store, working);
  const outcome: TaskOutcome = {
    task: id,
    run,
    agent: task.agent,
    session: task.session,
    status: working.status,
    text: '',
    commit: null,
    message: null,
    cut: false,
    waits: [],
    usage: NO_USAGE,
    costUsd: 0,
    unpriced: false,
  };
  if (run !== null) await addRun(store, run, outcome);
  if (isEnded(task.status)) await addReply(store, task, outcome);
  const holder = await laneHolder(store, working);
  if (holder.status === 'waiting') {
    outcome.waits = await allPendingOf(store, holder);
    if (holder.id === working.id) outcome.message = await askedQuestion(store, holder);
    outcome.text = describeWaits(outcome.waits);
  }
  const later = holder.status === 'queued' ? await laterOf(store, holder) : null;
  return later === null ? outcome : { ...outcome, later };
}

/** The task a queued one waits for, since its lane goes in order; itself if there is none. */
async function laneHolder(store: Store, task: Task): Promise<Task> {
  if (task.status !== 'queued') return task;
  const [first] = await store.tasks({ lane: task.lane, statuses: ['running', 'waiting', 'queued'], limit: 1 });
  return first ?? task;
}

/** When a task is tried again whose model's provider is down; null for one that is queued for another reason. */
async function laterOf(store: Store, task: Task): Promise<TaskOutcome['later'] | null> {
  const { notBefore } = task;
  const run = notBefore === null ? null : await runOf(store, task);
  if (notBefore === null || run === null) return null;
  const last = { reverse: true, limit: 1 } as const;
  for await (const event of store.read({ stream: taskStream(task.id), types: ['task.retried'], ...last }))
    if (event.type !== 'task.retried' || !isOutage(event.data.error)) return null;
  for await (const event of store.read({ stream: runStream(run), types: ['model.failed'], ...last }))
    if (event.type === 'model.failed') {
      const said = await readJson<Partial<ModelError>>(store, event.data.detail);
      return { at: notBefore, text: said?.message ?? 'The model did not answer.' };
    }
  return null;
}

async function addRun(store: Store, run: string, outcome: TaskOutcome): Promise<void> {
  const types = ['landing.finished', 'model.answered', 'run.finished'] as const;
  for await (const event of store.read({ stream: runStream(run), types })) {
    if (event.type === 'landing.finished' && event.data.commit !== null) outcome.commit = event.data.commit;
    if (event.type === 'model.answered' && event.data.purpose === 'turn') outcome.cut = event.data.finish === 'length';
    if (event.type !== 'run.finished') continue;
    const { usage, costUsd, unpriced = false } = event.data;
    Object.assign(outcome, { usage, costUsd, unpriced });
  }
}

async function addReply(store: Store, task: Task, outcome: TaskOutcome): Promise<void> {
  outcome.status = task.status;
  const reply = await store.byKey(replyKey(task.id));
  if (reply?.type === 'message.queued') outcome.message = reply.id;
  // A person who waits for a schedule's answer is told in a line that none comes; here all of it is shown.
  const ref = reply?.type === 'message.queued' && reply.data.told === undefined ? reply.data.content : task.result;
  const text = ref === null ? null : await readText(store, ref);
  outcome.text = text ?? (task.status === 'cancelled' ? 'The task was cancelled.' : '(erased)');
}

/** What a person reads when their message leads to a question or an approval. */
export function describeWaits(waits: readonly Pending[]): string {
  return waits
    .map((wait) =>
      wait.kind === 'question'
        ? `${wait.text}\n(question ${wait.id}: answer with your next message or \`ruche answer ${wait.id} TEXT\`)`
        : `Approval ${wait.id} is needed:\n${fenced(indented(wait.text))}\nWhy: ${visibleLine(wait.reason)}\n(\`ruche approve ${wait.id}\` or \`ruche deny ${wait.id}\`, or send that as a message: approve ${wait.id})`,
    )
    .join('\n\n');
}

/** What keeps a task from going on that only a person can end; null if nothing does. */
type Hindered = (task: string) => { why: string } | null;

/** A landing has been tried for long enough: those who wait are told why, and the task goes on by itself. */
async function hinderedOutcome(store: Store, id: string, why: string): Promise<TaskOutcome | null> {
  const outcome = await outcomeOf(store, id);
  const text = `The changes cannot land yet: ${sentence(why)} They land by themselves once that is mended.`;
  return outcome?.status === 'queued' ? { ...outcome, text } : outcome;
}

/** Resolves once the task has ended, or a person must act before it can; rejects with the signal's reason. */
export async function settledOutcome(
  store: Store,
  hub: Hub,
  id: string,
  { signal, hindered }: { signal: AbortSignal; hindered: Hindered },
): Promise<TaskOutcome> {
  for (;;) {
    signal.throwIfAborted();
    let wake = (): void => {};
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    // Listening begins before looking, so that no change falls between.
    const stops = [hub.listen(id, (delta) => delta.kind === 'changed' && wake())];
    signal.addEventListener('abort', wake, { once: true });
    try {
      const task = await store.task(id);
      if (task === null) throw new Error(`there is no task ${id}`);
      const holder = await laneHolder(store, task);
      for (const other of [task.absorbedBy, holder.id, ...(await awaitedBy(store, holder))])
        if (other !== null && other !== id)
          stops.push(hub.listen(other, (delta) => delta.kind === 'changed' && wake()));
      // While it is queued or at work there is nothing to tell, and looking costs more than the wait.
      const outcome = isEnded(task.status) || holder.status === 'waiting' ? await outcomeOf(store, id) : null;
      if (outcome !== null && (isEnded(outcome.status) || outcome.waits.length > 0)) return outcome;
      const hindrance = holder.status === 'queued' ? hindered(holder.id) : null;
      const stuck = hindrance && (await hinderedOutcome(store, id, hindrance.why));
      if (stuck?.status === 'queued') return stuck;
      await changed;
    } finally {
      for (const stop of stops) stop();
      signal.removeEventListener('abort', wake);
    }
  }
}

/** Tasks whose change may mean that somebody is asked on behalf of this one. */
async function awaitedBy(store: Store, task: Task): Promise<string[]> {
  const awaited: string[] = [];
  for (const each of await waitingIn(store, task)) awaited.push(...(await store.awaited(each.id)));
  return awaited;
}
