import type { Settings } from '../../core/agent.ts';
import type { NewEvent } from '../../core/event.ts';
import { conversationId, type Ids, taskStream } from '../../core/ids.ts';
import type { Json } from '../../core/text/json.ts';
import { matterId, matterRaised, askedKey } from '../../core/records/matter.ts';
import type { Batch, QueueOp, Store } from '../../core/ports/store.ts';
import type { Origin, Task } from '../../core/task.ts';
import { fillPlaceholders, missingFacts } from '../../core/trigger-text.ts';
import {
  limitMatter,
  limitText,
  type SkippedWhy,
  type Trigger,
  triggerKey,
  triggerSession,
  triggerStream,
} from '../../core/trigger.ts';
import type { Burst } from './match.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { newTask, originAfter } from '../../core/records/new-task.ts';

/** The owner is not told of a limit more often than that, however short its span is. */
const TELL_MS = 3_600_000;

export interface FireDeps {
  store: Store;
  ids: Ids;
  redact(text: string): string;
  settings(): Settings;
}

/** A trigger as far as a firing of it needs to know. */
export interface Firing {
  id: string;
  agent: string;
  trigger: Trigger;
  /** When it fired within the span of its limit. */
  fired: readonly number[];
  /** When the owner was told of the limit last; null: never. */
  told: number | null;
  /** The event that set it. */
  setBy: string;
}

/** One commit: what the causes come to. */
export async function outcomeBatch(deps: FireDeps, firing: Firing, burst: Burst, now: number): Promise<Batch> {
  // A chain of tasks goes on through a trigger; the rights do not: the rule is the owner's, and no agent's wish.
  const origin = burst.task && { ...originAfter(burst.task), senders: [] };
  const refused = await refusal(deps, firing, burst, origin, now);
  return refused === null ? firedBatch(deps, firing, burst, origin) : skippedBatch(deps, firing, burst, refused);
}

interface Refusal {
  why: SkippedWhy;
  text: string;
  /** What the owner is told of it: of what kind, about what. */
  about: { kind: 'hops' | 'tasks' | 'limit'; id: string } | null;
}

async function refusal(
  { store, settings }: FireDeps,
  { id, agent, trigger: { limit, source, work }, fired, told }: Firing,
  { facts, first }: Burst,
  origin: Origin | null,
  now: number,
): Promise<Refusal | null> {
  const { limits, queues } = settings();
  if (origin !== null && origin.hops > limits.hops) {
    const text = `It would be task ${origin.hops} in a row; at most ${limits.hops} are allowed (limits.hops).`;
    return { why: 'hops', text, about: { kind: 'hops', id: origin.root } };
  }
  if (origin !== null && (await store.tasks({ root: origin.root, limit: limits.tasks })).length >= limits.tasks) {
    const text = `One message, firing or file has led to ${limits.tasks} tasks, its limit (limits.tasks).`;
    return { why: 'tasks', text, about: { kind: 'tasks', id: origin.root } };
  }
  // One that seems yet to come is of a clock that was ahead, and must not count until then.
  const since = (span: number) => (at: number) => at > now - span && at <= now;
  if (limit !== null && fired.filter(since(limit.perMs)).length >= limit.count) {
    const text = `It has reached its limit: ${limitText(limit)}. Further events are recorded and make no task.`;
    const known = told !== null && since(Math.max(limit.perMs, TELL_MS))(told);
    return { why: 'limit', text, about: known ? null : { kind: 'limit', id: limitMatter(id, first.id) } };
  }
  const schema = source.on === 'webhook' ? queues[agent]?.input : null;
  const wrong = schema?.misfit(facts['body'] ?? null) ?? null;
  if (wrong !== null)
    return { why: 'input', text: `The input does not fit the queue ${agent}: ${wrong}.`, about: null };
  // What every cause of a kind may have is "(none)" where it has none; what a sender may leave out is part of the order.
  const lost = work.kind === 'task' ? missingFacts(work.text, facts).filter((name) => name.includes('.')) : [];
  if (lost.length === 0) return null;
  return { why: 'placeholder', text: `The text needs ${lost.join(', ')}, which is missing here.`, about: null };
}

/** Causes that made no task are on record with the reason; a runaway, and a limit that was met, are put before the owner. */
async function skippedBatch(
  deps: FireDeps,
  firing: Firing,
  burst: Burst,
  { why, text, about }: Refusal,
): Promise<Batch> {
  const { store } = deps;
  const { id } = firing;
  const matter = about === null ? null : matterId(about.kind, about.id);
  const isNew = matter !== null && (await store.byKey(askedKey(matter))) === null;
  const events = [skippedEvent(deps, id, burst, { why, text, matter: isNew ? matter : null })];
  if (about !== null && isNew) {
    const shown = {
      text: `The trigger ${id} did not fire. ${text}`,
      reason: 'A guard against runaway tasks stopped it.',
    };
    const put = (value: object) => putJson(store, value, triggerStream(id), deps.redact);
    const raised = matterRaised({ kind: about.kind, about: about.id, shown }, put);
    events.push({ ...raised, actor: 'runtime', cause: burst.first.id, labels: burst.labels });
  }
  return { events, sync: true };
}

/** A cause that makes no task, and why. */
export function skippedEvent(
  { store, redact }: Pick<FireDeps, 'store' | 'redact'>,
  id: string,
  { first, last, count, labels }: Pick<Burst, 'first' | 'last' | 'count' | 'labels'>,
  { why, text, matter }: { why: SkippedWhy; text: string; matter: string | null },
): NewEvent {
  const detail = putJson(store, { text }, triggerStream(id), redact);
  return {
    type: 'trigger.skipped',
    stream: triggerStream(id),
    actor: 'runtime',
    cause: first.id,
    labels,
    key: triggerKey(id, first.key),
    data: { trigger: id, first: first.id, last: last.id, count, why, detail, matter },
  };
}

function firedBatch(deps: FireDeps, firing: Firing, burst: Burst, origin: Origin | null): Batch {
  const { first, last, count, labels } = burst;
  const key = triggerKey(firing.id, first.key);
  const task = taskOf(deps, firing, burst, { origin, key });
  const data = { trigger: firing.id, task: task.id, first: first.id, last: last.id, count, by: null };
  return taskBatch(firing, task, { type: 'trigger.fired', actor: 'runtime', cause: first.id, labels, key, data });
}

/** A person has it fire, with facts of their own. */
export function byHandBatch(
  deps: FireDeps,
  firing: Firing,
  { by, facts, labels, key }: { by: string; facts: Burst['facts']; labels: Burst['labels']; key: string | null },
): Batch {
  const task = taskOf(deps, firing, { facts, labels }, { origin: null, key: null });
  const data = { trigger: firing.id, task: task.id, first: null, last: null, count: 1, by };
  const named = key === null ? {} : { key };
  return taskBatch(firing, task, { type: 'trigger.fired', actor: by, cause: firing.setBy, labels, data, ...named });
}

function taskBatch({ id }: Firing, task: Task, fired: Omit<NewEvent & { type: 'trigger.fired' }, 'stream'>): Batch {
  const { labels } = fired;
  const events: NewEvent[] = [
    { ...fired, stream: triggerStream(id) },
    { type: 'task.queued', stream: taskStream(task.id), actor: 'runtime', cause: 0, labels, data: { task } },
  ];
  const queue: QueueOp[] = [{ op: 'enqueue', task, causeOf: 0 }];
  return { events, queue, sync: true };
}

function taskOf(
  { store, ids, redact, settings }: FireDeps,
  { id, agent, trigger: { name, work, source } }: Firing,
  { facts, labels }: Pick<Burst, 'facts' | 'labels'>,
  { origin, key }: { origin: Origin | null; key: string | null },
): Task {
  const { queues, maxAttempts } = settings();
  // A script is compared with its last result; what a model is told of one cause is no business of the next.
  const session = work.kind === 'run' ? triggerSession(name) : ids.next('ses');
  const input: Json = source.on === 'webhook' ? (facts['body'] ?? null) : null;
  const content =
    work.kind === 'run'
      ? { title: `run: ./${work.command}`, run: `./${work.command}` }
      : { title: null, text: fillPlaceholders(work.text, facts), input, artefacts: [] };
  return newTask({
    id: ids.next('tsk'),
    agent,
    session,
    from: `trigger:${id}`,
    content: putJson(store, content, conversationId(agent, session), redact),
    key,
    maxAttempts: queues[agent]?.maxAttempts ?? maxAttempts,
    labels,
    ...(origin === null ? {} : { origin }),
  });
}
