import type { BlobRef } from '../core/blob.ts';
import { taskStream } from '../core/ids.ts';
import type { ModelMessage } from '../core/model.ts';
import type { Task, TaskStatus } from '../core/task.ts';
import { resultsMessage } from './context.ts';
import type { AgentDeps } from './deps.ts';
import { landingRequest } from './land.ts';
import { messageOf, type RunLog } from './run-log.ts';
import type { RunState } from './state.ts';
import type { Failure } from './think.ts';

/** Milliseconds before the first retry of a task, and at most. */
const RETRY_BASE = 2_000;
const RETRY_MAX = 300_000;

/** Exponential with full jitter, so that tasks that failed together do not come back together. */
export const retryDelay = (attempt: number, random: number): number =>
  Math.round(Math.min(RETRY_MAX, RETRY_BASE * 2 ** (attempt - 1)) * (0.5 + random / 2));

const textOf = (message: ModelMessage | null): string =>
  (message?.parts ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('');

/** Ends the run and its task, with the reply, in one commit. */
export async function succeed(deps: AgentDeps, log: RunLog): Promise<void> {
  const text = textOf(log.state.answer);
  endRun(log, 'done', null);
  await endTask(deps, log, 'done', text, log.state.messages);
  await log.flush(true);
}

/** Ends the run; its task is tried again later, or ends with the reason as reply. Its work is kept aside. */
export async function fail(deps: AgentDeps, log: RunLog, failure: Failure): Promise<void> {
  const { state, claim } = log;
  const { task } = claim;
  if (state.changes.size > 0 && state.landing !== 'done')
    await deps.workspace.keepUnlanded(landingRequest(state, deps.clock.now()));
  const again = failure.retryable && task.attempt < task.maxAttempts;
  endRun(log, 'failed', failure);
  if (again) {
    const notBefore = deps.clock.now() + retryDelay(task.attempt, deps.random());
    const data = { task: task.id, run: state.run, attempt: task.attempt + 1, notBefore, error: failure.code };
    log.emit({ type: 'task.retried', data }, null, { stream: taskStream(task.id) });
    log.queue({ op: 'retry', task: task.id, notBefore });
  } else {
    const kept =
      state.changes.size > 0 && state.landing !== 'done'
        ? ` Its changes are kept at refs/ruche/unlanded/${state.run}.`
        : '';
    const text = `I could not finish this: ${failure.message}${kept}`;
    await endTask(deps, log, failure.retryable ? 'dead' : 'failed', text, wholeTurn(log, text));
  }
  await log.flush(true);
}

/** What the next turn of the conversation sees of a turn that broke off: valid for every provider, with its end told. */
function wholeTurn(log: RunLog, text: string): BlobRef[] {
  const { state } = log;
  const results = state.calls.length > 0 ? [log.put(resultsMessage(state.calls))] : [];
  const end: ModelMessage = { role: 'assistant', parts: [{ type: 'text', text }] };
  return [...state.messages, ...results, ...state.arrived, log.put(end)];
}

function endRun(log: RunLog, status: TaskStatus, failure: Failure | null): void {
  const { run, usage, costUsd, step } = log.state;
  const detail = failure ? log.put(failure) : null;
  const data = { run, status, error: failure?.code ?? null, detail, usage, costUsd, steps: step };
  log.emit({ type: 'run.finished', data }, null, { key: `end:${run}` });
}

type Ending = Extract<TaskStatus, 'done' | 'failed' | 'dead' | 'cancelled'>;

async function endTask(deps: AgentDeps, log: RunLog, status: Ending, text: string, messages: BlobRef[]): Promise<void> {
  const { state, claim } = log;
  const { run } = state;
  const result = log.put({ text });
  log.emit({ type: 'turn.ended', data: { run, task: claim.task.id, status, messages } }, null, { stream: log.subject });
  const ended: Task[] = [claim.task];
  for (const id of state.absorbed) {
    const task = await deps.store.task(id);
    if (task) ended.push(task);
  }
  for (const task of ended) {
    log.emit({ type: 'task.finished', data: { task: task.id, run, status, result } }, null, {
      stream: taskStream(task.id),
    });
    await reply(deps, log, state, task, text);
  }
  log.queue({ op: 'settle', task: claim.task.id, status, result });
}

/** Queues the reply to whoever asked. Channels that are called, rather than asked, get a task of their own to send it. */
async function reply(deps: AgentDeps, log: RunLog, state: RunState, task: Task, text: string): Promise<void> {
  const message = await messageOf(deps.store, task);
  if (message === null) return;
  const { channel, replyTo: to } = message.data;
  const content = log.put({ text });
  const { agent, session, run } = state;
  const causeOf = log.nextIndex;
  log.emit({ type: 'message.queued', data: { agent, session, task: task.id, run, channel, to, content } }, null, {
    stream: log.subject,
    key: `reply:${task.id}`,
  });
  if (!deps.pushes(channel)) return;
  log.queue({
    op: 'enqueue',
    causeOf,
    task: {
      ...task,
      id: deps.ids.next('tsk'),
      queue: 'outbox',
      lane: `outbox:${channel}:${to}`,
      from: `agent:${agent}`,
      content: null,
      notBefore: null,
      deadline: null,
      key: null,
      attempt: 1,
      maxAttempts: 20,
      status: 'queued',
      absorbedBy: null,
      result: null,
    },
  });
}
