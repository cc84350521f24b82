import { taskStream } from '../../core/ids.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { ReplyContent } from '../../core/records/reply.ts';
import { isEnded, type Task } from '../../core/task.ts';
import { wrapUntrusted } from '../../core/text/untrusted.ts';
import type { AgentDeps } from '../run/deps.ts';
import { giveText } from './results.ts';
import { loadJson, type RunLog } from '../run/log.ts';
import type { CallState } from '../run/state.ts';

/** How the tasks stand, one paragraph each, as the model reads it. */
export async function describeTasks(
  { store }: AgentDeps,
  call: CallState,
  ids: readonly string[],
): Promise<{ text: string; labels: Label[]; done: boolean }> {
  const lines: string[] = [];
  let labels: Label[] = [];
  let done = true;
  for (const id of ids) {
    const task = await store.task(id);
    if (task === null) continue;
    const own = await labelsOf(store, task);
    labels = unionLabels(labels, own);
    done &&= task.status === 'done';
    const said = await saidBy(store, task);
    // What came from outside stays marked on its way from agent to agent.
    const text = own.includes('untrusted') ? wrapUntrusted(said, `the task ${id}`, `${call.key}-${id}`) : said;
    lines.push(`${id} (${task.queue}): ${task.status}${text === '' ? '' : `\n${text}`}`);
  }
  return { text: lines.join('\n\n'), labels, done };
}

async function saidBy(store: AgentDeps['store'], { status, result }: Task): Promise<string> {
  if (!isEnded(status) || result === null) return '';
  if ((await store.getBlob(result)) === null) return '(erased)';
  return ((await loadJson(store, result)) as ReplyContent).text;
}

/** What the task was given, and what its run has read. */
async function labelsOf(store: AgentDeps['store'], { id, labels }: Task): Promise<Label[]> {
  const types = ['task.finished'] as const;
  for await (const event of store.read({ stream: taskStream(id), types })) return unionLabels(labels, event.labels);
  return [...labels];
}

/** Gives a waiting call the results of its tasks, if all of them have ended. */
export async function takeResults(deps: AgentDeps, log: RunLog, call: CallState): Promise<boolean> {
  for (const id of call.tasks) {
    const task = await deps.store.task(id);
    if (task !== null && !isEnded(task.status)) return false;
  }
  const { text, labels, done } = await describeTasks(deps, call, call.tasks);
  giveText(deps, log, call, { ok: done, text, labels });
  // What the tasks have landed is there to be read, unless that would take changes of its own out from under the run.
  const { base, changes } = log.state;
  const head = await deps.workspace.head();
  if (head !== base && (await deps.workspace.untouched(base, head, [...changes.keys()])))
    log.emit({ type: 'base.moved', data: { from: base, to: head } });
  return true;
}
