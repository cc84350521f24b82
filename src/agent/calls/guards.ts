import type { MatterKind } from '../../core/event.ts';
import type { NewTaskCall, TaskContent } from '../../core/task-call.ts';
import type { Origin, Task } from '../../core/task.ts';
import type { AgentDeps } from '../run/deps.ts';
import { loadJson, messageOf, type RunLog } from '../run/log.ts';

/** Why a task is not made, and what the owner is told of it. */
export interface Guarded {
  kind: MatterKind;
  why: string;
}

/** Where a task that this run makes would come from. */
export function originOf({ claim: { task }, state }: RunLog): Origin {
  const { origin } = task;
  return {
    root: origin?.root ?? task.id,
    parent: task.id,
    hops: (origin?.hops ?? 0) + 1,
    senders: [...(origin?.senders ?? []), state.agent],
  };
}

/** Holds a cascade of tasks against the limits of `ruche.yaml`; null if it may go on. */
export async function guard(deps: AgentDeps, log: RunLog, call: NewTaskCall): Promise<Guarded | null> {
  const { limits } = deps.governance().settings;
  const { root, hops } = originOf(log);
  if (hops > limits.hops)
    return { kind: 'hops', why: `It would be task ${hops} in a row, and ${limits.hops} are allowed (limits.hops).` };
  if (log.state.created.length >= limits.fanOut)
    return { kind: 'fan-out', why: `This run has made ${limits.fanOut} tasks, which is all it may (limits.fanOut).` };
  const made = await deps.store.tasks({ root, limit: limits.tasks });
  if (made.length >= limits.tasks)
    return { kind: 'tasks', why: `One message has led to ${limits.tasks} tasks, which is all it may (limits.tasks).` };
  return (await isReturned(deps, log, call))
    ? { kind: 'ping-pong', why: `${call.agent} has had, or has sent, the same words in this chain of tasks already.` }
    : null;
}

const plain = (text: string): string => text.replace(/\s+/g, ' ').trim().toLowerCase();

export const wordsOfTask = ({ title, text, input }: Pick<TaskContent, 'title' | 'text' | 'input'>): string =>
  [title, text, input === null ? null : JSON.stringify(input)].filter(Boolean).join('\n');

/** Whether the same words come back to an agent that had them, or that sent them, further up the chain. */
async function isReturned({ store }: AgentDeps, { claim }: RunLog, call: NewTaskCall): Promise<boolean> {
  const words = plain(wordsOfTask(call));
  let task: Task | null = claim.task;
  while (task !== null) {
    const concerns = task.agent === call.agent || task.from === `agent:${call.agent}`;
    if (concerns && plain(await saidIn(store, task)) === words) return true;
    task = task.origin === undefined ? null : await store.task(task.origin.parent);
  }
  return false;
}

async function saidIn(store: AgentDeps['store'], task: Task): Promise<string> {
  if (task.content !== null) return wordsOfTask((await loadJson(store, task.content)) as TaskContent);
  const message = await messageOf(store, task);
  if (message === null) return '';
  const { parts } = (await loadJson(store, message.data.content)) as { parts: { type: string; text?: string }[] };
  return parts.map((part) => part.text ?? '').join('\n');
}
