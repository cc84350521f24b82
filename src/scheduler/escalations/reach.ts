import type { Governance } from '../../core/agent.ts';
import {
  escalationStepKey,
  escalationStream,
  fromEscalation,
  readReceiver,
  type Receiver,
  WEBHOOK,
} from '../../core/escalation.ts';
import type { DataOf, NewEvent } from '../../core/event.ts';
import { givenTask, originAfter } from '../../core/records/new-task.ts';
import { conversationId, type Ids, taskStream } from '../../core/ids.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Batch, QueueOp, Store } from '../../core/ports/store.ts';
import { putKey, type ReplyContent, sendingTask } from '../../core/records/reply.ts';
import type { Pending } from '../../core/api/runtime.ts';
import type { Task } from '../../core/task.ts';
import type { Escalation } from './standing.ts';
import { noticeOf, postedOf, taskContentOf } from './words.ts';
import { putJson } from '../../core/records/json-blob.ts';

/** Session of what is told: no conversation of anybody. */
const SESSION = 'escalation';
/** Tries to post to a webhook, in a few seconds; then the chain moves on. */
const POSTS = 3;

export interface ReachDeps {
  store: Store;
  ids: Ids;
  clock: Pick<Clock, 'now'>;
  /** By the clock of the network's zone, which it names. */
  timeText(at: number): string;
  redact(text: string): string;
  governance(): Governance;
  /** Why nothing can be sent over a channel; null if it can. */
  unreachable(channel: string): string | null;
}

/** What waits, as the levels need it. */
export interface About {
  pending: Pending;
  /** Of the event that asked. */
  labels: readonly Label[];
  /** Whose key what is said of it is kept under. */
  subject: string;
  /** The task it is about; null if there is none. */
  task: Task | null;
}

type Reached = Pick<DataOf<'escalation.reached'>, 'outcome' | 'why' | 'task'>;

interface Telling {
  reached: Reached;
  events: NewEvent[];
  queue: QueueOp[];
}

const unreachable = (why: string): Telling => ({
  reached: { outcome: 'unreachable', why, task: null },
  events: [],
  queue: [],
});

/** One commit: that a level is reached, and the message or task that tells of it. It holds only if nothing else has happened. */
export async function reachBatch(deps: ReachDeps, escalation: Escalation, level: number, about: About): Promise<Batch> {
  const { id, started, version } = escalation;
  const { to = '' } = started.data.levels[level] ?? {};
  const stream = escalationStream(id);
  const { reached, events, queue } = await tell(deps, escalation, { level, receiver: readReceiver(to) }, about);
  const data = { escalation: id, level, to, ...reached, why: reached.why === null ? null : deps.redact(reached.why) };
  const key = escalationStepKey(id, level);
  const common = { stream, actor: 'runtime', cause: started.id, labels: [...about.labels] };
  const first: NewEvent = { ...common, type: 'escalation.reached', key, data };
  return { events: [first, ...events], queue, expect: { [stream]: version }, sync: true };
}

function tell(
  deps: ReachDeps,
  escalation: Escalation,
  { level, receiver }: { level: number; receiver: Receiver | null },
  about: About,
): Telling | Promise<Telling> {
  switch (receiver?.kind) {
    case 'deny':
      return { reached: { outcome: 'denies', why: null, task: null }, events: [], queue: [] };
    case 'agent':
      return giveAgent(deps, escalation, receiver.agent, about);
    case 'webhook': {
      const content = postedOf(escalation, level, about.pending);
      return send(deps, about, { channel: WEBHOOK, to: receiver.url, content, maxAttempts: POSTS });
    }
    case 'channel':
      return tellChat(deps, escalation, receiver, about);
    case undefined:
      return unreachable('the address is invalid');
  }
}

async function tellChat(
  deps: ReachDeps,
  escalation: Escalation,
  { channel, address: to }: Extract<Receiver, { kind: 'channel' }>,
  about: About,
): Promise<Telling> {
  // The person who wrote the message that led to it may have been asked there by the run itself.
  const put = await deps.store.byKey(putKey(about.pending.id));
  if (put?.type === 'message.queued' && put.data.channel === channel && put.data.to === to)
    return { reached: { outcome: 'told', why: 'the run has asked there itself', task: null }, events: [], queue: [] };
  return send(deps, about, {
    channel,
    to,
    content: noticeOf(escalation, about.pending, { now: deps.clock.now(), timeText: (at) => deps.timeText(at) }),
  });
}

function send(
  deps: ReachDeps,
  { pending, labels, subject }: About,
  { channel, to, content, maxAttempts }: { channel: string; to: string; content: ReplyContent; maxAttempts?: number },
): Telling {
  const why = deps.unreachable(channel);
  if (why !== null) return unreachable(why);
  const agent = pending.agent ?? [...deps.governance().agents.keys()][0] ?? 'system';
  const place = { agent, session: SESSION, channel };
  const sending = sendingTask({ id: deps.ids.next('tsk'), ...place, labels });
  // One that takes nothing for long holds up nobody else who is to be told.
  const lane = `${sending.lane}/${to}`;
  const task = { ...sending, lane, maxAttempts: maxAttempts ?? sending.maxAttempts };
  const blob = putJson(deps.store, content, subject, deps.redact);
  const queued: NewEvent = {
    type: 'message.queued',
    stream: conversationId(agent, SESSION),
    actor: 'runtime',
    cause: 0,
    labels,
    data: { ...place, task: null, run: null, to, content: blob },
  };
  return {
    reached: { outcome: 'told', why: null, task: task.id },
    events: [queued],
    queue: [{ op: 'enqueue', task, causeOf: 1 }],
  };
}

function giveAgent(deps: ReachDeps, escalation: Escalation, agent: string, about: About): Telling {
  const { agents, settings } = deps.governance();
  const queue = settings.queues[agent];
  if (!agents.has(agent)) return unreachable(`unknown agent "${agent}"`);
  if (about.pending.agent === agent) return unreachable(`${agent} itself waits for it`);
  if (queue?.state === 'draining') return unreachable(`the queue ${agent} is draining`);
  const { id } = escalation;
  const session = deps.ids.next('ses');
  const child = deps.ids.next('tsk');
  // Its name is one that the author of what waits could not know.
  const content = taskContentOf(escalation, about.pending, child, deps);
  const task = givenTask(
    { agent, key: null, priority: 0, notBefore: null, deadline: null },
    {
      id: child,
      session,
      from: fromEscalation(id),
      content: putJson(deps.store, content, about.subject, deps.redact),
      labels: unionLabels([...about.labels], about.task?.labels ?? []),
      maxAttempts: queue?.maxAttempts ?? settings.maxAttempts,
      // As if the task's run had made it: the rules of every agent up to there hold for it too.
      ...(about.task === null ? {} : { origin: originAfter(about.task) }),
    },
  );
  const queued: NewEvent = {
    type: 'task.queued',
    stream: taskStream(task.id),
    actor: 'runtime',
    cause: 0,
    labels: task.labels,
    data: { task },
  };
  return {
    reached: { outcome: 'told', why: null, task: task.id },
    events: [queued],
    queue: [{ op: 'enqueue', task, causeOf: 0 }],
  };
}
