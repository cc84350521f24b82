import type { ApprovalVerdict } from '../core/agreed.ts';
import type { EventOf, NewEvent } from '../core/event.ts';
import { runKey, runStream, type Ids, runOfStream } from '../core/ids.ts';
import type { QueueOp, Store } from '../core/ports/store.ts';
import type { AnswerResult, Pending, AgentAbout } from '../core/api/runtime.ts';
import { isEnded, type Task } from '../core/task.ts';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { SETTINGS_FILE } from '../core/agent.ts';
import { unknownText } from '../core/text/unknown.ts';
import { readJson, putJson } from '../core/records/json-blob.ts';
import { askedKey, answeredKey, LANDING_REASON } from '../core/records/matter.ts';
import { sendingTask } from '../core/records/reply.ts';
import { toldLane } from '../core/records/told.ts';
import { Mutex } from '../core/time/mutex.ts';
import type { AskedAbout } from '../core/standing.ts';
import { visibleLine } from '../core/text/untrusted.ts';
import type { Standing } from './standing.ts';
import { likeApproved, votesFor } from '../core/records/votes.ts';

export type Asked = EventOf<'approval.asked'> | EventOf<'question.asked'>;

/** The run that works on the task; null before its first step. */
export async function runOf(store: Store, task: Pick<Task, 'id'>): Promise<string | null> {
  const started = await store.byKey(runKey(task.id));
  return started?.type === 'run.started' ? started.data.run : null;
}

/** What a run has asked and nobody has answered, oldest first. */
export async function openWaits(store: Store, run: string): Promise<Asked[]> {
  const open = new Map<string, Asked>();
  const types = ['approval.asked', 'approval.answered', 'question.asked', 'question.answered', 'run.finished'] as const;
  for await (const event of store.read({ stream: runStream(run), types })) {
    if (event.type === 'approval.asked') open.set(event.data.approval, event);
    if (event.type === 'question.asked') open.set(event.data.question, event);
    if (event.type === 'approval.answered') open.delete(event.data.approval);
    if (event.type === 'question.answered') open.delete(event.data.question);
    if (event.type === 'run.finished') open.clear();
  }
  return [...open.values()];
}

/** The question the run waits for, if it does: what has to reach the person before an answer to it can be one. */
export async function askedQuestion(store: Store, task: Task): Promise<string | null> {
  const run = await runOf(store, task);
  const open = run === null ? [] : await openWaits(store, run);
  return open.find((wait) => wait.type === 'question.asked')?.id ?? null;
}

/** The task, if it waits, and the waiting ones among those it waits for, by way of others too. */
export async function waitingIn(store: Store, task: Task): Promise<Task[]> {
  const seen = new Set([task.id]);
  const waiting: Task[] = [];
  const open = [task];
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    if (next.status !== 'waiting') continue;
    waiting.push(next);
    for (const id of await store.awaited(next.id)) {
      const other = seen.has(id) ? null : await store.task(id);
      seen.add(id);
      if (other !== null) open.push(other);
    }
  }
  return waiting;
}

/** What waits for a person in one task, and in those it waits for. */
export async function allPendingOf(store: Store, task: Task): Promise<Pending[]> {
  const pending: Pending[] = [];
  for (const each of await waitingIn(store, task)) pending.push(...(await pendingOf(store, each)));
  return pending;
}

/** What waits for a person in one task. */
async function pendingOf(store: Store, task: Task): Promise<Pending[]> {
  const run = await runOf(store, task);
  if (run === null) return [];
  const pending: Pending[] = [];
  for (const event of await openWaits(store, run)) pending.push(await describe(store, task, run, event));
  return pending;
}

async function describe(store: Store, task: Task, run: string, event: Asked): Promise<Pending> {
  const approval = event.type === 'approval.asked';
  const shown = await readShown(store, approval ? event.data.shown.hash : event.data.text.hash);
  return {
    id: approval ? event.data.approval : event.data.question,
    kind: approval ? 'approval' : 'question',
    run,
    task: task.id,
    agent: task.agent,
    session: task.session,
    tool: approval ? event.data.tool : null,
    ...(approval && event.data.call === 'landing' ? { changes: changesOf(shown.text) } : {}),
    text: shown.text,
    reason: shown.reason || (approval ? await reasonOf(store, run, event.data.call) : ''),
    at: event.at,
    ...(approval && shown.about !== undefined ? await behind(store, event, shown.about) : {}),
  };
}

/** What a person should know beside the call. */
async function behind(
  store: Store,
  asked: EventOf<'approval.asked'>,
  { values, sources, ...about }: AskedAbout,
): Promise<Pick<Pending, 'about' | 'approvers' | 'approved'>> {
  const shown = {
    ...about,
    values: values.map((each) => ({ ...each, value: visibleLine(each.value) })),
    sources: sources.map((each) => ({ ...each, what: visibleLine(each.what) })),
  };
  const { approvers: needed = 1 } = asked.data;
  if (needed === 1) return { about: shown, approved: await likeApproved(store, asked) };
  const have = (await votesFor(store, asked)).map(({ by }) => by);
  return { about: shown, approvers: { needed, have } };
}

/** Each file of a difference has a heading; lines of a file have a sign before them. */
const changesOf = (text: string): 'settings' | 'files' =>
  text.startsWith(`${SETTINGS_FILE}\n`) && !/\n\n(?![-+ @\\])/.test(text) ? 'settings' : 'files';

interface Shown {
  text: string;
  reason: string;
  about?: AskedAbout;
}

async function readShown(store: Store, hash: string): Promise<Shown> {
  const shown = await readJson<{ text: string; reason?: string; about?: AskedAbout }>(store, { hash });
  return { text: '(erased)', ...shown, reason: shown?.reason ?? '' };
}

/** The rule that asked, in its own words. */
async function reasonOf(store: Store, run: string, call: string): Promise<string> {
  if (call === 'landing') return LANDING_REASON;
  for await (const event of store.read({ stream: runStream(run), types: ['decision.made'], reverse: true }))
    if (event.type === 'decision.made' && event.data.call === call) return `${event.data.rule}: ${event.data.reason}`;
  return '';
}

/** Everything that waits for a person, changes from outside to what governs the network included. */
export async function allPending(store: Store, matters = new OpenMatters(store)): Promise<Pending[]> {
  const pending: Pending[] = [];
  for (const task of await store.tasks({ statuses: ['waiting'] })) pending.push(...(await pendingOf(store, task)));
  for (const event of await openHeld(store)) pending.push(await describeHeld(store, event));
  for (const event of await matters.list()) pending.push(await describeMatter(store, event));
  return pending.sort((a, b) => a.at - b.at);
}

async function describeHeld(store: Store, { data, at }: EventOf<'config.held'>): Promise<Pending> {
  const { text } = await readShown(store, data.shown.hash);
  const reason = 'It came from outside and changes what governs the network.';
  const none = { run: null, task: null, agent: null, session: null, tool: null };
  return { id: data.approval, kind: 'approval', ...none, changes: changesOf(text), text, reason, at };
}

async function describeMatter(store: Store, { data, at }: EventOf<'matter.raised'>): Promise<Pending> {
  const { matter: id, about } = data;
  const task = await store.task(about);
  const { text, reason } = await readShown(store, data.text.hash);
  const where = {
    run: null,
    task: task?.id ?? null,
    agent: task?.agent ?? null,
    session: task?.session ?? null,
    tool: null,
  };
  return { id, kind: 'question', ...where, text, reason, at };
}

/** What waits under this id; null once it is answered, or its task has ended. A run that goes on with other things still waits. */
export async function pendingById(store: Store, id: string): Promise<Pending | null> {
  const asked = await store.byKey(askedKey(id));
  if (asked === null || (await store.byKey(answeredKey(id))) !== null) return null;
  if (asked.type === 'config.held') return describeHeld(store, asked);
  if (asked.type === 'matter.raised') return describeMatter(store, asked);
  if (asked.type !== 'approval.asked' && asked.type !== 'question.asked') return null;
  const started = await startOf(store, asked.stream);
  const task = started && (await store.task(started.data.task));
  return started && task && !isEnded(task.status) ? describe(store, task, started.data.run, asked) : null;
}

/** The owner has dealt with it: once. */
async function settleMatter(
  deps: Pick<MailDeps, 'redact'> & Resending,
  raised: EventOf<'matter.raised'>,
  text: string,
  by: string,
): Promise<AnswerResult> {
  const { matter, text: ref, kind } = raised.data;
  const to =
    kind === 'undelivered' ? /^(?:send (?:it )?to )?`?([a-z][a-z0-9-]{0,31}):([\w:-]+)`?$/i.exec(text.trim()) : null;
  const again = to === null ? null : await sentElsewhere(deps, raised, to[1] ?? '', to[2] ?? '');
  if (typeof again === 'string') return { ok: false, why: 'wrong-kind', message: again };
  const answer = putJson(deps.store, { text }, ref.subject, deps.redact);
  const common = { stream: raised.stream, actor: by, cause: raised.id, labels: [], key: answeredKey(matter) };
  const event = { ...common, type: 'matter.settled' as const, data: { matter, by, answer } };
  const result = await deps.store.commit({ ...again, events: [event, ...(again?.events ?? [])], sync: true });
  if (result.ok) return { ok: true, task: null };
  if (result.why === 'duplicate' && result.existing) return answered(result.existing, null, matter);
  throw new Error(`an answer was refused: ${JSON.stringify(result)}`);
}

/** What it takes to send a reply that could not be delivered to another place. */
type Resending = Pick<MailDeps, 'store' | 'ids' | 'pushes'>;

/** The same reply for another place; or why it cannot be sent there. */
async function sentElsewhere(
  { store, ids, pushes }: Resending,
  raised: EventOf<'matter.raised'>,
  channel: string,
  to: string,
): Promise<{ events: NewEvent[]; queue: QueueOp[] } | string> {
  const lost = raised.cause === null ? null : await store.event(raised.cause);
  if (lost?.type !== 'message.queued') return 'The reply is not on record any more, so it cannot be sent.';
  if (!pushes(channel)) return `No channel "${channel}" is configured. Write CHANNEL:ADDRESS with one of ruche.yaml.`;
  const { stream, labels, data } = lost;
  const event = { stream, actor: 'runtime', cause: raised.id, labels, key: `elsewhere:${raised.data.matter}` };
  const { agent, session } = data;
  const sending = sendingTask({ id: ids.next('tsk'), agent, session, channel, labels });
  // What is told stands in the line of its address: in that of the conversation it would take replies to others with it.
  const task = data.told === undefined ? sending : { ...sending, lane: toldLane({ channel, to }) };
  return {
    events: [{ ...event, type: 'message.queued', data: { ...data, channel, to } }],
    // Behind the word that the matter is settled.
    queue: [{ op: 'enqueue', task, causeOf: 1 }],
  };
}

/** How many those are: for those who look often, such as supervisors. */
export async function countPending(store: Store, matters: OpenMatters): Promise<number> {
  let count = (await openHeld(store)).length + (await matters.list()).length;
  for (const task of await store.tasks({ statuses: ['waiting'] })) {
    const run = await runOf(store, task);
    if (run !== null) count += (await openWaits(store, run)).length;
  }
  return count;
}

/** Changes of what governs the network that nobody has answered. Few are ever held, of many approvals. */
async function openHeld(store: Store): Promise<EventOf<'config.held'>[]> {
  const held: EventOf<'config.held'>[] = [];
  for await (const event of store.read({ types: ['config.held'] }))
    if (event.type === 'config.held' && (await store.byKey(answeredKey(event.data.approval))) === null)
      held.push(event);
  return held;
}

export const wrongKind = (message: string): AnswerResult => ({ ok: false, why: 'wrong-kind', message });

export async function answer(
  deps: Pick<MailDeps, 'redact'> & Resending,
  id: string,
  text: string,
  by: string,
): Promise<AnswerResult> {
  const asked = await deps.store.byKey(askedKey(id));
  if (asked?.type === 'approval.asked' || asked?.type === 'config.held')
    return wrongKind(`${id} is an approval. Use \`ruche approve ${id}\` or \`ruche deny ${id}\`.`);
  if (asked?.type === 'matter.raised') return settleMatter(deps, asked, text, by);
  if (asked?.type !== 'question.asked')
    return { ok: false, why: 'unknown', message: unknownText('question', id, { list: 'ruche approvals' }) };
  const message = { role: 'user', parts: [{ type: 'text', text: deps.redact(text) }] };
  const content = putJson(deps.store, message, asked.data.text.subject);
  return settleWait(deps, asked, { type: 'question.answered', data: { question: id, by, answer: content } }, by, id);
}

/** Records an answer once, with what is said beside it, and lets the run go on. */
export async function settleWait(
  deps: Pick<MailDeps, 'store'>,
  asked: Asked,
  body:
    | { type: 'approval.answered'; data: EventOf<'approval.answered'>['data'] }
    | { type: 'question.answered'; data: EventOf<'question.answered'>['data'] },
  by: string,
  id: string,
  also: readonly NewEvent[] = [],
): Promise<AnswerResult> {
  const { store } = deps;
  const task = await taskOf(store, asked.stream);
  const event = { ...body, stream: asked.stream, actor: by, cause: asked.id, labels: [], key: answeredKey(id) };
  const current = task === null ? null : await store.task(task);
  if (task === null || current?.status !== 'waiting') {
    const before = await store.byKey(answeredKey(id));
    if (before) return answered(before, task, id);
    return { ok: false, why: 'unknown', message: `The run that asked ${id} has ended. Nothing waits for the answer.` };
  }
  // Read before what is open: an answer that comes in between makes the commit fail, and is seen on the next look.
  const expect = { [asked.stream]: await store.version(asked.stream) };
  // The run goes on once all that it asked is answered, so that it parks once and not after each answer.
  const others = (await openWaits(store, runOfStream(asked.stream) ?? '')).filter((open) => open.id !== asked.id);
  const wake = others.length === 0 ? [{ op: 'wake' as const, task }] : [];
  const result = await store.commit({ events: [event, ...also], queue: wake, expect, sync: true });
  if (result.ok) return { ok: true, task };
  if (result.why === 'duplicate' && result.existing) return answered(result.existing, task, id);
  // Another answer came in between: look again.
  return settleWait(deps, asked, body, by, id, also);
}

export function answered(event: { type: string; data: object }, task: string | null, id: string): AnswerResult {
  const verdict = event.type === 'approval.answered' ? (event as EventOf<'approval.answered'>).data.verdict : null;
  return { ok: false, why: 'answered', message: `${id} was already answered.`, task, verdict };
}

export const taskOf = async (store: Store, stream: string): Promise<string | null> =>
  (await startOf(store, stream))?.data.task ?? null;

/** How the run began. */
export async function startOf(store: Store, stream: string): Promise<EventOf<'run.started'> | null> {
  for await (const event of store.read({ stream, limit: 1 })) return event.type === 'run.started' ? event : null;
  return null;
}

export interface MailDeps {
  store: Store;
  clock: Clock;
  ids: Ids;
  redact(text: string): string;
  /** True for channels the runtime sends to; others come and fetch their reply. */
  pushes(channel: string): boolean;
  /** The agents that can be addressed. */
  agents(): readonly AgentAbout[];
  maxAttempts(): number;
  /** Answers an approval that no run asked for: a change of what governs the network that came from outside. */
  answerHeld(approval: string, verdict: ApprovalVerdict, by: string): Promise<AnswerResult>;
  standing: Standing;
  boundary: Boundary;
  /** Who that is: one person may be known by several addresses. */
  person(by: string): string;
}

/**
 * What the owner was asked and nobody has answered; no run waits for it. Reads on from where it was, when it is asked:
 * of all matters there ever were few are open, and supervisors ask every few seconds.
 */
export class OpenMatters {
  readonly #store: Store;
  readonly #open = new Map<string, EventOf<'matter.raised'>>();
  #seq = 0;
  readonly #reading = new Mutex();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The oldest first. */
  async list(): Promise<EventOf<'matter.raised'>[]> {
    // One after the other: a slower reader would put back what was settled meanwhile.
    await this.#reading.run(() => this.#read());
    return [...this.#open.values()];
  }

  async #read(): Promise<void> {
    const types = ['matter.raised', 'matter.settled'] as const;
    for await (const event of this.#store.read({ types, after: this.#seq })) {
      if (event.type === 'matter.raised') this.#open.set(event.data.matter, event);
      if (event.type === 'matter.settled') this.#open.delete(event.data.matter);
      this.#seq = event.seq;
    }
  }
}
