import type { AgentDeps, AgentTurn, Turn } from '../run/deps.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import { givenTask, originAfter, noRoom } from '../../core/records/new-task.ts';
import { conversationId, givenKey, taskStream, agentActor } from '../../core/ids.ts';
import { canonicalJson } from '../../core/text/json.ts';
import { askedKey, matterId } from '../../core/records/matter.ts';
import { type Task, isEnded, type NewTaskCall, type TaskCall, type TaskContent } from '../../core/task.ts';
import { handArtefacts } from './artefacts.ts';
import { giveText, refuse } from './results.ts';
import { type RunLog, loadJson, messageOf, waitsFor } from '../run/log.ts';
import { outLabels } from '../run/state.ts';
import type { CallState } from '../run/call.ts';
import type { MatterKind } from '../../core/event.ts';
import { wrapUntrusted } from '../../core/text/untrusted.ts';
import { unknownText } from '../../core/text/unknown.ts';
import { note } from '../run/conversation.ts';
import { putJson, readText } from '../../core/records/json-blob.ts';

/** Characters of what a task is to do. */
const MAX_CONTENT = 1_000_000;

/** Works off one call that makes tasks or looks after them. Returns true if the run has to park before it can be. */
export async function callTask(turn: AgentTurn, call: CallState, asked: TaskCall): Promise<boolean> {
  const { deps, log } = turn;
  if (asked.action === 'create') return create(turn, call, asked);
  const known = await knownTasks(turn, asked.tasks);
  if ('error' in known) refuse(log, call, known.error);
  else if (asked.action === 'wait') await wait(turn, call, known.tasks);
  else {
    if (asked.action === 'cancel')
      for (const { id } of known.tasks) await deps.cancelTask(id, agentActor(log.state.agent));
    const { text, labels } = await describeTasks(deps, call, asked.tasks);
    giveText(turn, call, { ok: true, text, labels });
  }
  return false;
}

async function create(turn: AgentTurn, call: CallState, asked: NewTaskCall): Promise<boolean> {
  const { deps, log } = turn;
  const known = asked.key === null ? null : await deps.store.byKey(givenKey(asked.agent, asked.key));
  if (known?.type === 'task.queued') {
    // One that has not begun finds what this run has written, as a new one would.
    const handed = await handOn(turn, call, []);
    if (Array.isArray(handed)) await join(turn, call, known.data.task.id, asked);
    return handed === 'park';
  }
  const wrong = (await problemOf(turn, asked)) ?? (await guard(turn, asked));
  if (wrong !== null) {
    if (typeof wrong !== 'string') await raise(turn, asked, wrong);
    refuse(log, call, typeof wrong === 'string' ? wrong : `${wrong.why} The owner has been told. No task was made.`);
    return false;
  }
  const artefacts = await handOn(turn, call, asked.artefacts);
  if (!Array.isArray(artefacts)) return artefacts === 'park';
  // In a commit of its own: another run may give a task of this key in the same moment.
  await log.flush(false);
  const task = taskOf(turn, asked, artefacts);
  const causeOf = log.nextIndex;
  created(log, call, task.id, asked, false);
  const key = task.key === null ? {} : { key: task.key };
  log.emit({ type: 'task.queued', data: { task } }, null, { stream: taskStream(task.id), ...key });
  log.queue({ op: 'enqueue', task, causeOf, after: asked.after });
  await follow(turn, call, task.id, { asked, standing: `${task.id} is queued for ${asked.agent}.` });
  await log.flush(true);
  return false;
}

/** What the task gets to read, once the run's changes have landed; or the call waits for a person, or was refused. */
async function handOn(
  turn: AgentTurn,
  call: CallState,
  paths: readonly string[],
): Promise<string[] | 'park' | 'refused'> {
  const handed = await handArtefacts(turn, paths);
  if (handed.state === 'ready') return handed.artefacts;
  if (handed.state === 'refused') refuse(turn.log, call, handed.why);
  return handed.state;
}

/** A task of this key is there. One that has ended is told as that, or the work would seem to be under way. */
async function join(turn: Turn, call: CallState, id: string, asked: NewTaskCall): Promise<void> {
  const { deps, log } = turn;
  const task = await deps.store.task(id);
  created(log, call, id, asked, true);
  if (task !== null && isEnded(task.status)) {
    const { text, labels, done } = await describeTasks(deps, call, [id]);
    const key = JSON.stringify(asked.key);
    const told = `No new task was made: one with the key ${key} has ended before. For new work give another key, or none. What came of it:`;
    return giveText(turn, call, { ok: done, text: `${told}\n\n${text}`, labels });
  }
  joined(log, id);
  const standing = `${id} of ${asked.agent} has this key and is ${task?.status ?? 'queued'}: no second one was made.`;
  return follow(turn, call, id, { asked, standing });
}

function created(log: RunLog, call: CallState, child: string, { agent: to }: NewTaskCall, joined: boolean): void {
  log.emit({ type: 'task.created', data: { call: call.id, child, to, joined } });
}

/** Its maker alone can cancel it no longer. */
function joined(log: RunLog, id: string): void {
  const data = { task: id, by: log.state.task };
  log.emit({ type: 'task.joined', data }, null, { stream: taskStream(id) });
}

/** The call waits for the task, or is done. */
async function follow(
  turn: Turn,
  call: CallState,
  child: string,
  { asked, standing }: { asked: NewTaskCall; standing: string },
): Promise<void> {
  const { deps, log } = turn;
  if (asked.wait && (await waitsFor(deps, [child], log.state.task)))
    return refuse(log, call, `${child} waits, by way of others, for this very task: wait for neither.`);
  if (asked.wait) log.emit({ type: 'tasks.awaited', data: { call: call.id, children: [child] } });
  else giveText(turn, call, { ok: true, text: standing, labels: [] });
}

async function wait({ deps, log }: Turn, call: CallState, tasks: readonly Task[]): Promise<void> {
  const children = tasks.map(({ id }) => id);
  if (await waitsFor(deps, children, log.state.task))
    return refuse(log, call, 'One of these waits, by way of others, for this very task: that would never end.');
  log.emit({ type: 'tasks.awaited', data: { call: call.id, children } });
}

function taskOf({ deps, log }: Turn, asked: NewTaskCall, artefacts: string[]): Task {
  const { settings } = deps.governance();
  const session = deps.ids.next('ses');
  const { title, text, input } = asked;
  const content: TaskContent = { title, text, input, artefacts };
  return givenTask(asked, {
    id: deps.ids.next('tsk'),
    session,
    from: agentActor(log.state.agent),
    content: putJson(deps.store, content, conversationId(asked.agent, session), deps.redact),
    labels: outLabels(log.state),
    maxAttempts: settings.queues[asked.agent]?.maxAttempts ?? settings.maxAttempts,
    origin: originAfter(log.claim.task),
  });
}

/** Why the task cannot be made, for the model; null if it can. */
async function problemOf({ deps, log }: Turn, asked: NewTaskCall): Promise<string | null> {
  const { agents, settings } = deps.governance();
  const queue = settings.queues[asked.agent];
  if (!agents.has(asked.agent)) return unknownText('agent', asked.agent, { known: agents.keys() });
  if (queue?.state === 'draining') return `The queue ${asked.agent} is draining: it takes no new tasks.`;
  const wrong = queue?.input?.misfit(asked.input) ?? null;
  if (wrong !== null) return `The input does not fit the queue ${asked.agent}: ${wrong}. No task was made.`;
  if (canonicalJson(asked).length > MAX_CONTENT)
    return 'It is too long for a task. Put it in a file and hand that over.';
  const full = await noRoom(deps.store);
  if (full !== null) return full;
  for (const id of asked.after) {
    if ((await deps.store.task(id)) === null) return `"after" names the unknown task ${id}.`;
    if ((await ancestors(deps, log.claim.task)).includes(id))
      return `"after" names ${id}, which leads to this call: the task would wait for itself.`;
  }
  return null;
}

/** The run's own task and all that led to it. */
async function ancestors({ store }: AgentDeps, task: Task): Promise<string[]> {
  const chain: string[] = [];
  for (let each: Task | null = task; each !== null;) {
    chain.push(each.id);
    each = each.origin === undefined ? null : await store.task(each.origin.parent);
  }
  return chain;
}

/** Tasks that this conversation has made or joined; no others are its business. */
async function knownTasks(
  { deps: { store }, log: { state } }: Turn,
  ids: readonly string[],
): Promise<{ tasks: Task[] } | { error: string }> {
  const tasks: Task[] = [];
  for (const id of ids) {
    const task = await store.task(id);
    const parent = task?.origin === undefined ? null : await store.task(task.origin.parent);
    const own = parent?.agent === state.agent && parent.session === state.session;
    if (task === null || (!own && !state.created.includes(id)))
      return { error: `You have made no task ${id} in this conversation.` };
    tasks.push(task);
  }
  return { tasks };
}

/** The owner is asked about a runaway, once for all that one message has led to. */
async function raise({ deps, log }: Turn, asked: NewTaskCall, { kind, why }: Guarded): Promise<void> {
  const { root } = originAfter(log.claim.task);
  if ((await deps.store.byKey(askedKey(matterId(kind, root)))) !== null) return;
  await log.flush(false);
  const text = `${log.state.agent} could not give ${asked.agent} a task. ${why}`;
  log.raise({ kind, about: root, shown: { text, reason: 'A guard against runaway tasks stopped it.' } });
  await log.flush(true);
}

/** Why a task is not made, and what the owner hears about it. */
interface Guarded {
  kind: MatterKind;
  why: string;
}

/** Holds a cascade of tasks against the limits of `ruche.yaml`; null if it may go on. */
async function guard(turn: Turn, call: NewTaskCall): Promise<Guarded | null> {
  const { deps, log } = turn;
  const { limits } = deps.governance().settings;
  const { root, hops } = originAfter(log.claim.task);
  if (hops > limits.hops)
    return {
      kind: 'hops',
      why: `It would be task ${hops} in a row; at most ${limits.hops} are allowed (limits.hops).`,
    };
  if (log.state.created.length >= limits.fanOut)
    return { kind: 'fan-out', why: `This run has made ${limits.fanOut} tasks, its limit (limits.fanOut).` };
  const made = await deps.store.tasks({ root, limit: limits.tasks });
  if (made.length >= limits.tasks)
    return { kind: 'tasks', why: `One message has led to ${limits.tasks} tasks, its limit (limits.tasks).` };
  return (await isReturned(turn, call))
    ? { kind: 'ping-pong', why: `${call.agent} has already received or sent the same text in this chain of tasks.` }
    : null;
}

const plain = (text: string): string => text.replace(/\s+/g, ' ').trim().toLowerCase();

const wordsOfTask = ({ title, text, input }: Pick<TaskContent, 'title' | 'text' | 'input'>): string =>
  [title, text, input === null ? null : JSON.stringify(input)].filter(Boolean).join('\n');

/** Whether the same words come back to an agent that had them, or that sent them, further up the chain. */
async function isReturned({ deps: { store }, log: { claim } }: Turn, call: NewTaskCall): Promise<boolean> {
  const words = plain(wordsOfTask(call));
  let task: Task | null = claim.task;
  while (task !== null) {
    const concerns = task.agent === call.agent || task.from === agentActor(call.agent);
    if (concerns && plain(await saidIn(store, task)) === words) return true;
    task = task.origin === undefined ? null : await store.task(task.origin.parent);
  }
  return false;
}

async function saidIn(store: AgentDeps['store'], task: Task): Promise<string> {
  if (task.content !== null) return wordsOfTask(await loadJson<TaskContent>(store, task.content));
  const message = await messageOf(store, task);
  return message === null ? '' : ((await readText(store, message.data.content)) ?? '');
}

/** How the tasks stand, one paragraph each, as the model reads it. */
async function describeTasks(
  { store, mark }: AgentDeps,
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
    const text = own.includes('untrusted') ? wrapUntrusted(said, `the task ${id}`, mark(`${call.key}-${id}`)) : said;
    lines.push(`${id} (${task.queue}): ${task.status}${text === '' ? '' : `\n${text}`}`);
  }
  return { text: lines.join('\n\n'), labels, done };
}

const saidBy = async (store: AgentDeps['store'], { status, result }: Task): Promise<string> =>
  isEnded(status) && result !== null ? ((await readText(store, result)) ?? '(erased)') : '';

/** What the task was given, and what its run has read. */
async function labelsOf(store: AgentDeps['store'], { id, labels }: Task): Promise<Label[]> {
  const types = ['task.finished'] as const;
  for await (const event of store.read({ stream: taskStream(id), types })) return unionLabels(labels, event.labels);
  return [...labels];
}

/** Gives a waiting call the results of its tasks, if all of them have ended. */
export async function takeResults(turn: Turn, call: CallState): Promise<boolean> {
  const { deps, log } = turn;
  for (const id of call.tasks) {
    const task = await deps.store.task(id);
    if (task !== null && !isEnded(task.status)) return false;
  }
  const { text, labels, done } = await describeTasks(deps, call, call.tasks);
  giveText(turn, call, { ok: done, text, labels });
  // What the tasks have landed is there to be read, unless that would take changes of its own out from under the run.
  const { base, changes } = log.state;
  const head = await deps.workspace.head();
  if (head !== base && (await deps.workspace.untouched(base, head, [...changes.keys()])))
    log.emit({ type: 'base.moved', data: { from: base, to: head } });
  return true;
}

/** Moves the conversation to another agent: its next message goes there, and finds the brief. The run itself goes on. */
export function handOver(turn: Turn, call: CallState, { to, brief }: { to: string; brief: string }): void {
  const { deps, log } = turn;
  const { agents } = deps.governance();
  const { agent, session, run } = log.state;
  if (to === agent) return refuse(log, call, 'This conversation is already yours.');
  if (!agents.has(to)) return refuse(log, call, unknownText('agent', to, { known: agents.keys() }));
  const stream = conversationId(to, session);
  const words = note(`${agent} has handed this conversation over to you. What you should know:\n${brief}`);
  const told = deps.store.putBlob(Buffer.from(deps.redact(JSON.stringify(words))), stream);
  const data = { agent, session, to, run, brief: log.put({ text: brief }) };
  log.emit({ type: 'conversation.moved', data }, null, { stream: log.subject });
  log.emit({ type: 'history.given', data: { messages: [told] } }, null, { stream, labels: outLabels(log.state) });
  const text = `The next message of this conversation goes to ${to}, with your brief. Finish your answer.`;
  giveText(turn, call, { ok: true, text, labels: [] });
}
