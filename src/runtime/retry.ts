import type { EventOf, NewEvent } from '../core/event.ts';
import { taskStream, retryKey } from '../core/ids.ts';
import { answeredKey, askedKey, matterId } from '../core/records/matter.ts';
import type { CommitResult, Store } from '../core/ports/store.ts';
import type { RetryResult } from '../core/api/runtime.ts';
import { isEnded, type Task } from '../core/task.ts';
import type { MailDeps } from '../pending/pending.ts';
import { unknownText } from '../core/text/unknown.ts';
import { noRoom } from '../core/records/new-task.ts';
import { putJson } from '../core/records/json-blob.ts';

type RetryDeps = Pick<MailDeps, 'store' | 'ids' | 'agents' | 'maxAttempts'>;

const refuse = (why: Extract<RetryResult, { ok: false }>['why'], message: string): RetryResult => ({
  ok: false,
  why,
  message,
});

/**
 * Delivers the message of a task that failed or was cancelled once more: a message of its own, caused by the first one,
 * with a task of its own. What stands on record of the first stays as it is.
 */
export async function retryTask(deps: RetryDeps, id: string, by: string): Promise<RetryResult> {
  const { store } = deps;
  const task = await store.task(id);
  if (task === null) return refuse('unknown', unknownText('task', id, { list: 'ruche tasks' }));
  const before = await store.byKey(retryKey(id));
  if (before?.type === 'message.received') return repeated(before);
  if (before?.type === 'task.queued') return resubmitted(before);
  if (!isEnded(task.status)) return refuse('not-ended', 'It has not ended yet. Wait for it, or cancel it.');
  if (task.status === 'done') return refuse('answered', 'It was answered. Write again if something is missing.');
  const message = task.cause === null ? null : await store.event(task.cause);
  if (message?.type !== 'message.received' && task.content === null)
    return refuse('refused', 'It did not begin with a message, so there is nothing to send again.');
  if (!deps.agents().some((agent) => agent.name === task.agent))
    return refuse('refused', `The agent "${task.agent}" no longer exists.`);
  const full = await noRoom(store, task.lane);
  if (full !== null) return refuse('refused', full);
  return message?.type === 'message.received' ? commitRetry(deps, task, message, by) : resubmit(deps, task, by);
}

/** The same, for a task that no message led to. Those who waited for the first have its end already. */
async function resubmit(deps: RetryDeps, task: Task, by: string): Promise<RetryResult> {
  const { store } = deps;
  const again = { ...anew(deps, task), ...(await chainOf(store, task)) };
  const event: NewEvent = {
    type: 'task.queued',
    stream: taskStream(again.id),
    actor: by,
    cause: task.cause,
    labels: task.labels,
    key: retryKey(task.id),
    data: { task: again },
  };
  const enqueue = { op: 'enqueue', task: again, causeOf: 0 } as const;
  const events = [event, ...(await settling(store, task, by, `Resubmitted as ${again.id}.`))];
  const result = await store.commit({ events, queue: [enqueue], sync: true });
  if (result.ok) return { ok: true, task: again.id, message: result.events[0]?.id ?? '' };
  if (isSettled(result)) return resubmit(deps, task, by);
  if (result.why === 'duplicate' && result.existing?.type === 'task.queued') return resubmitted(result.existing);
  throw new Error(`a repeat was refused: ${JSON.stringify(result)}`);
}

const resubmitted = (event: EventOf<'task.queued'>): RetryResult => ({
  ok: true,
  task: event.data.task.id,
  message: event.id,
});

/** The chain of escalation that it names, which is on record with its beginning only. */
async function chainOf(store: Store, { id }: Task): Promise<Pick<Task, 'escalation'>> {
  for await (const event of store.read({ stream: taskStream(id), types: ['task.queued'], limit: 1 })) {
    const escalation = event.type === 'task.queued' ? event.data.task.escalation : undefined;
    return escalation === undefined ? {} : { escalation };
  }
  return {};
}

/** The task once more, with all its attempts before it. */
const anew = (deps: RetryDeps, task: Task): Task => ({
  ...task,
  id: deps.ids.next('tsk'),
  key: null,
  notBefore: null,
  attempt: 1,
  maxAttempts: task.content === null ? deps.maxAttempts() : task.maxAttempts,
  status: 'queued',
  cause: null,
  absorbedBy: null,
  result: null,
});

async function commitRetry(
  deps: RetryDeps,
  task: Task,
  message: EventOf<'message.received'>,
  by: string,
): Promise<RetryResult> {
  const { store } = deps;
  const again = anew(deps, task);
  const { id } = again;
  const common = { actor: by, labels: message.labels } as const;
  const events: NewEvent[] = [
    {
      ...common,
      type: 'message.received',
      stream: message.stream,
      cause: message.id,
      key: retryKey(task.id),
      data: { ...message.data, task: id },
    },
    { ...common, type: 'task.queued', stream: taskStream(id), cause: 0, data: { task: again } },
    ...(await settling(store, task, by, `Sent again as ${id}.`)),
  ];
  const result = await store.commit({ events, queue: [{ op: 'enqueue', task: again, causeOf: 0 }], sync: true });
  if (result.ok) return { ok: true, task: id, message: result.events[0]?.id ?? '' };
  if (isSettled(result)) return commitRetry(deps, task, message, by);
  if (result.why === 'duplicate' && result.existing?.type === 'message.received') return repeated(result.existing);
  throw new Error(`a repeat was refused: ${JSON.stringify(result)}`);
}

const repeated = (event: EventOf<'message.received'>): RetryResult => ({
  ok: true,
  task: event.data.task,
  message: event.id,
});

/** Takes a failed task off the list of failures; it stays on record. False if it is none. */
export async function dismissTask({ store }: Pick<MailDeps, 'store'>, id: string, by: string): Promise<boolean> {
  const task = await store.task(id);
  if (task?.status !== 'failed' && task?.status !== 'dead') return false;
  const dismissed: NewEvent = {
    type: 'task.dismissed',
    stream: taskStream(id),
    actor: by,
    cause: task.cause,
    labels: [],
    key: `dismissed:${id}`,
    data: { task: id },
  };
  const events = [dismissed, ...(await settling(store, task, by, 'Dismissed.'))];
  const result = await store.commit({ events, sync: true });
  if (isSettled(result)) return dismissTask({ store }, id, by);
  return result.ok || result.why === 'duplicate';
}

/** That a task is dead need not be looked at any more. Nothing if nobody was to, or somebody has. */
async function settling(store: Store, { id }: Task, by: string, text: string): Promise<NewEvent[]> {
  const matter = matterId('dead', id);
  const raised = await store.byKey(askedKey(matter));
  if (raised?.type !== 'matter.raised' || (await store.byKey(answeredKey(matter))) !== null) return [];
  const answer = putJson(store, { text }, raised.data.text.subject);
  const common = { stream: raised.stream, actor: by, cause: raised.id, labels: [], key: answeredKey(matter) };
  return [{ ...common, type: 'matter.settled', data: { matter, by, answer } }];
}

/** Somebody has answered in between. */
const isSettled = (result: CommitResult): boolean =>
  !result.ok && result.why === 'duplicate' && result.existing?.type === 'matter.settled';
